"""The local stack for integration tests: a real Kafka broker and a real ClickHouse on free ports in a temporary folder.

Everything in this folder is marked `integration`, and its async tests share one event loop for the session, because
the stack's supervision lives on the loop that started it.
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from streams.local.ports import ANY, PortsAsked
from streams.local.stack import STORES, LocalStack
from tests.integration.pipeline import Recorded, record

HERE = Path(__file__).parent
FREE_PORTS = PortsAsked(ANY, ANY, ANY)
CHAOS = {"group.min.session.timeout.ms": "1000"}  # lets a test's worker be declared dead after 3 s instead of 15

NewStack = Callable[..., Awaitable[LocalStack]]


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.integration)
            if pytest_asyncio.is_async_test(item):
                item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest.fixture(scope="session", autouse=True)
def no_addresses_from_outside() -> Iterable[None]:
    """The tests' stack must not turn into somebody's own broker because of a STEPWATCH_* variable."""
    given = {
        name: os.environ.pop(name)
        for name in list(os.environ)
        if name.startswith("STEPWATCH_") and name != "STEPWATCH_SHARED"
    }
    yield
    os.environ.update(given)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalStack]:
    """Broker and ClickHouse, started once for the session. For faults take `new_stack`: others use this one."""
    data_dir = tmp_path_factory.mktemp("shared stack")
    async with LocalStack(data_dir, parts=STORES, ports=FREE_PORTS, broker_options=CHAOS) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def new_stack(tmp_path: Path) -> AsyncIterator[NewStack]:
    """Starts a stack of the test's own, stopped at its end: `await new_stack(parts=..., environment=...)`."""
    async with AsyncExitStack() as running:

        async def start(data_dir: Path | None = None, **options: Any) -> LocalStack:
            options = {"parts": STORES, "ports": FREE_PORTS, "broker_options": CHAOS, **options}
            return await running.enter_async_context(LocalStack(data_dir or tmp_path / "own stack", **options))

        yield start


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """The recorded runs as traces, made once for the session; without the data its tests skip."""
    return record(tmp_path_factory.mktemp("recorded runs"))
