"""A broker that wants a name and a password: every part connects with the right ones, and is refused with a sentence else."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from streams.local.stack import STORES, LocalStack
from streams.settings import Settings
from streams.store.migrate import migrate
from tests.integration.conftest import FREE_PORTS, killed
from tests.integration.pipeline import query, until
from tests.integration.test_bad_input import add
from tests.integration.test_gateway import gateway_process, post
from tests.ports import free_port

USER, PASSWORD = "stepwatch", "a secret of the broker"
LOGIN = "org.apache.kafka.common.security.plain.PlainLoginModule"


def options(port: int) -> dict[str, str]:
    """server.properties of a broker with one more listener, which takes nobody without credentials."""
    listeners = f"PLAINTEXT://127.0.0.1:@PORT@,CONTROLLER://127.0.0.1:@CONTROLLER_PORT@,GUARDED://127.0.0.1:{port}"
    return {
        "listeners": listeners,
        "advertised.listeners": listeners,
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,GUARDED:SASL_PLAINTEXT",
        "listener.name.guarded.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.guarded.plain.sasl.jaas.config": f'{LOGIN} required user_{USER}="{PASSWORD}";',
    }


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def guarded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[LocalStack, Settings]]:
    """A stack, and the settings that reach its broker through the guarded listener."""
    port, folder = free_port(), tmp_path_factory.mktemp("guarded")
    async with killed(LocalStack(folder, parts=STORES, ports=FREE_PORTS, broker_options=options(port))) as stack:
        await asyncio.to_thread(migrate, stack.settings)
        changed = {"bootstrap_servers": f"127.0.0.1:{port}", "security_protocol": "SASL_PLAINTEXT"}
        yield stack, stack.settings.model_copy(update={**changed, "gateway_port": free_port()})


def environment(settings: Settings, password: str = PASSWORD) -> dict[str, str]:
    told = {
        "BOOTSTRAP_SERVERS": settings.bootstrap_servers,
        "CLICKHOUSE_URL": settings.clickhouse_url,
        "SECURITY_PROTOCOL": settings.security_protocol,
        "SASL_USERNAME": USER,
        "SASL_PASSWORD": password,
        "SETTLE_ONE_RESOURCE_MS": "200",
    }
    return {**os.environ, **{f"STEPWATCH_{name}": value for name, value in told.items()}}


async def run(settings: Settings, *command: str, password: str = PASSWORD) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streams.console", *command),
        env=environment(settings, password),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_parts_come_in_with_the_right_password_and_judge(
    guarded: tuple[LocalStack, Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    stack, settings = guarded
    made = await run(settings, "topics", "apply")
    _, complained = await asyncio.wait_for(made.communicate(), 60)
    assert made.returncode == 0, complained.decode()
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    gateway, scorer = await gateway_process(settings), await run(settings, "scorer")
    try:
        message = ExportTraceServiceRequest()
        add(message.resource_spans.add().scope_spans.add().spans, 1)
        status, _ = await post(f"http://127.0.0.1:{settings.gateway_port}", message.SerializeToString())
        assert status == 200
        await until(stack, "SELECT count() FROM v1_trajectories WHERE final", [1])
        assert query(stack, "SELECT count() FROM spans FINAL") == [(1,)]
    finally:
        for process in (gateway, scorer):
            process.terminate()
            await asyncio.wait_for(process.communicate(), 30)


async def test_a_wrong_password_is_refused_with_a_sentence(guarded: tuple[LocalStack, Settings]) -> None:
    _, settings = guarded
    process = await run(settings, "scorer", password="guessed")
    _, complained = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 1
    said = complained.decode()
    assert said.startswith("error: ") and "Traceback" not in said, said
    assert "uthenticat" in said or "password" in said, said
