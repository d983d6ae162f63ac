"""The laptop stack as its users see it: a real broker, a real store, one owner, nothing left behind."""

import asyncio
import json
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import clickhouse_connect
import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from streams.console.errors import UserError
from streams.local.stack import STORES, LocalStack
from streams.local.state import is_running, read_state
from streams.settings import Settings
from tests.integration.conftest import killed

RUN = (sys.executable, "-m", "streams.local.run", "--data-dir")


def sql(settings: Settings, query: str) -> object:
    client = clickhouse_connect.get_client(dsn=settings.clickhouse_url, username="default", password="")
    try:
        return client.query(query).first_row[0] if query.startswith("SELECT") else client.command(query)
    finally:
        client.close()


async def make_topic(settings: Settings, name: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap_servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, 1, 1)])
    finally:
        await admin.close()


async def produce(settings: Settings, topic: str, value: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap_servers, acks="all") as producer:
        await producer.send_and_wait(topic, value)


async def consume_one(settings: Settings, topic: str) -> bytes | None:
    servers = settings.bootstrap_servers
    async with AIOKafkaConsumer(topic, bootstrap_servers=servers, auto_offset_reset="earliest") as consumer:
        return (await asyncio.wait_for(consumer.getone(), 20)).value


async def eventually(holds: Callable[[], bool], within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "did not come true in time"
        await asyncio.sleep(0.05)


def processes_of(data_dir: Path) -> list[psutil.Process]:
    return [psutil.Process(part.pid) for part in read_state(data_dir).parts.values() if part.pid]


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


async def start_in_another_process(data_dir: Path) -> asyncio.subprocess.Process:
    owner = await asyncio.create_subprocess_exec(*RUN, str(data_dir), stdout=asyncio.subprocess.PIPE)
    assert owner.stdout is not None
    while line := await asyncio.wait_for(owner.stdout.readline(), 60):
        if line.startswith(b"stack ready"):
            return owner
    raise AssertionError("the stack ended while starting")


async def test_a_record_goes_through_the_broker_and_comes_back(stack: LocalStack):
    await make_topic(stack.settings, "round-trip")
    await produce(stack.settings, "round-trip", b"hello")
    assert await consume_one(stack.settings, "round-trip") == b"hello"


async def test_the_store_answers_clickhouse_connect(stack: LocalStack):
    assert sql(stack.settings, "SELECT 1") == 1


async def test_what_was_written_is_there_after_a_stop_and_a_start(tmp_path: Path):
    async with LocalStack(tmp_path / "a folder", parts=STORES) as first:
        await make_topic(first.settings, "kept")
        await produce(first.settings, "kept", b"still here")
        sql(first.settings, "CREATE DATABASE kept ENGINE = Atomic")
        sql(first.settings, "CREATE TABLE kept.t ENGINE = MergeTree ORDER BY x AS SELECT 42 AS x")
    async with LocalStack(tmp_path / "a folder", parts=STORES) as second:
        assert await consume_one(second.settings, "kept") == b"still here"
        assert sql(second.settings, "SELECT x FROM kept.t") == 42
        assert second.settings.bootstrap_servers == first.settings.bootstrap_servers


async def test_a_part_that_is_killed_is_started_again_and_that_is_said(new_stack):
    said: list[tuple[str, str, str]] = []
    stack = await new_stack(report=lambda *line: said.append(line))
    before = len(said)
    for part in STORES:
        stack.kill(part)
    await eventually(lambda: all((part, "ready", stack.parts[part].address) in said[before:] for part in STORES))
    assert sorted(line for line in said[before:] if line[1] == "restarting") == [
        (part, "restarting", "killed by SIGKILL; starts again in 0.5 s") for part in STORES
    ]
    assert sql(stack.settings, "SELECT 1") == 1


async def test_a_part_that_is_stopped_stays_stopped_until_it_is_started(new_stack):
    stack = await new_stack(parts={"clickhouse"})
    await stack.stop_part("clickhouse")
    assert stack.parts["clickhouse"].state == "stopped"
    await stack.start_part("clickhouse")
    assert sql(stack.settings, "SELECT 1") == 1


async def test_a_second_start_on_the_same_folder_is_refused_with_where_the_first_is(new_stack):
    stack = await new_stack(parts={"clickhouse"})
    with pytest.raises(UserError, match=f"runs on .* already .*clickhouse at {stack.settings.clickhouse_url}"):
        await LocalStack(stack.data_dir, parts={"clickhouse"}).start()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_when_the_owner_ends_no_process_is_left(tmp_path: Path, number: signal.Signals):
    await end_the_owner(tmp_path, number, 0)


async def test_when_the_owner_was_killed_no_process_is_left_and_the_next_start_needs_no_help(tmp_path: Path):
    await end_the_owner(tmp_path, signal.SIGKILL, -signal.SIGKILL)
    async with killed(LocalStack(tmp_path, parts=STORES)) as stack:
        assert sql(stack.settings, "SELECT 1") == 1


async def end_the_owner(data_dir: Path, number: signal.Signals, code: int) -> None:
    owner = await start_in_another_process(data_dir)
    children = processes_of(data_dir)
    assert len(children) == 2
    owner.send_signal(number)
    assert await owner.wait() == code
    await eventually(lambda: not alive(children))
    assert not is_running(data_dir)


@pytest.mark.parametrize("after_s", [0.05, 0.4, 0.9, 1.5])
async def test_an_interrupt_in_the_middle_of_a_start_leaves_nothing(tmp_path: Path, after_s: float):
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(after_s), LocalStack(tmp_path, parts=STORES):
            await asyncio.Event().wait()
    await eventually(lambda: not alive([c for c in psutil.Process().children(recursive=True) if c.pid not in before]))
    assert not is_running(tmp_path)


async def test_a_store_that_the_user_gave_is_used_and_not_started(new_stack):
    stack = await new_stack(settings=Settings(clickhouse_url="http://127.0.0.1:1"), parts={"clickhouse"})
    assert stack.parts == {}
    assert stack.settings.clickhouse_url == "http://127.0.0.1:1"
    assert json.loads((stack.data_dir / "stack.json").read_text())["parts"]["clickhouse"]["state"] == "external"
