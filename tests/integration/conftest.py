"""The local stack for integration tests: a real Kafka broker and a real ClickHouse on free ports in a temporary folder.

They start once for the session. A test has topics, groups and a database of its own there (`own_parts`, `own_topics`); only
one that stops or kills a server has servers of its own (`new_stack`).

Everything in this folder is marked `integration`, and its async tests share one event loop for the session, because
the stack's supervision lives on the loop that started it.
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient

from streams.local.ports import ANY, PortsAsked
from streams.local.stack import STORES, LocalStack
from streams.settings import Settings
from streams.store.client import connect, quote
from streams.topics import ensure_topics, kafka_options, specs
from tests.integration.pipeline import Recorded, apart, record

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
    """Broker and ClickHouse, started once for the session. For faults of theirs take `new_stack`: others use these."""
    data_dir = tmp_path_factory.mktemp("shared stack")
    async with LocalStack(data_dir, parts=STORES, ports=FREE_PORTS, broker_options=CHAOS) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def own_topics(stack: LocalStack) -> AsyncIterator[Settings]:
    """Topics, consumer groups and a database of the test's own on the session's broker and ClickHouse."""
    settings = apart(stack.settings)
    await ensure_topics(settings)
    yield settings
    await forget(settings)


@pytest_asyncio.fixture(loop_scope="session")
async def own_parts(stack: LocalStack, tmp_path: Path) -> AsyncIterator[NewStack]:
    """Starts parts of the test's own on such topics and such a database: `await own_parts("scorer", environment=...)`."""
    async with AsyncExitStack() as running:

        async def start(*parts: str, **options: Any) -> LocalStack:
            return await running.enter_async_context(beside(stack, tmp_path / "own parts", *parts, **options))

        yield start


@asynccontextmanager
async def beside(stack: LocalStack, folder: Path, *parts: str, **options: Any) -> AsyncIterator[LocalStack]:
    """Parts on a stack's broker and store that nobody else sees; with "clickhouse" among them, on a store of their own."""
    settings = apart(stack.settings)
    theirs = {name: getattr(settings, name) for name in settings.model_fields_set}
    if "clickhouse" in parts:
        del theirs["clickhouse_url"]
    try:
        async with killed(LocalStack(folder, Settings(**theirs), parts=parts, ports=FREE_PORTS, **options)) as running:
            yield running
    finally:
        await forget(settings)


@asynccontextmanager
async def killed(stack: LocalStack) -> AsyncIterator[LocalStack]:
    """Running, and at its end killed: that parts stop well, test_interrupt.py and test_stack_console.py show."""
    async with stack:
        yield stack
        for name in stack.parts:
            if name != "broker":  # whose first clean stop writes the cache that halves its later starts
                stack.kill(name, restarts=False)


async def forget(settings: Settings) -> None:
    """Take the topics and the database away, which the session's servers would carry along."""
    admin = AIOKafkaAdminClient(**kafka_options(settings))
    await admin.start()
    await admin.delete_topics([spec.name for spec in specs(settings)])
    await admin.close()
    client = connect(settings, database="default")
    client.command(f"DROP DATABASE IF EXISTS {quote(settings.clickhouse_database)}")
    client.close()


@pytest_asyncio.fixture(loop_scope="session")
async def new_stack(tmp_path: Path) -> AsyncIterator[NewStack]:
    """Starts a stack of the test's own, broker and store with it: `await new_stack(parts=..., environment=...)`."""
    async with AsyncExitStack() as running:

        async def start(data_dir: Path | None = None, **options: Any) -> LocalStack:
            options = {"parts": STORES, "ports": FREE_PORTS, "broker_options": CHAOS, **options}
            return await running.enter_async_context(killed(LocalStack(data_dir or tmp_path / "own stack", **options)))

        yield start


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """The recorded runs as traces, made once for the session; without the data its tests skip."""
    return record(tmp_path_factory.mktemp("recorded runs"))
