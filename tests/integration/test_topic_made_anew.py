"""A topic that is deleted and made anew under a worker, or while none runs, is read whole: on a real broker."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import for_code
from aiokafka.structs import OffsetAndMetadata

from streams.alerter import partition_log
from streams.alerter.owner import PartitionOwner, Shell
from streams.core.checkpoint import snapshot
from streams.settings import Settings
from streams.topics import ensure_topics, kafka_options
from streams.worker.position import note
from tests.integration.conftest import NewStack

READER = """
import asyncio, faust, uvloop
from streams.console.parts import log_to_stderr
from streams.settings import Settings
from streams.worker.guard import Guard
from streams.worker.ledger import create_ledger_app

async def read(chunk):
    for record in chunk.records:
        print("\\n" + record.value.decode(), flush=True)  # a line of its own: the terminal codes of mode stand before
    chunk.done = True

async def nothing(_):
    pass

log_to_stderr()
settings = Settings()
loop = uvloop.new_event_loop()
asyncio.set_event_loop(loop)

async def create():
    app = create_ledger_app("reader", settings, settings.spans_topic, read, nothing, nothing)
    Guard(settings, app, settings.spans_topic, "reader", lambda: False).watch()
    return app

app = loop.run_until_complete(create())
faust.Worker(app, loop=loop, override_logging=False, redirect_stdouts=False, quiet=True).execute_from_commandline()
"""
N_OLD, N_NEW = 10, 25
PLACE = TopicPartition("otlp_spans", 0)


class Reader:
    """A worker that prints what it reads, started as often as it ends: what it read in all, and how it ended."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._program = folder / "reader.py"
        self._program.write_text(READER)
        root = str(Path(__file__).parents[2])
        self._environment = {
            **os.environ,
            "PYTHONPATH": root,
            "STEPWATCH_BOOTSTRAP_SERVERS": settings.bootstrap_servers,
        }
        self.read: list[str] = []
        self.said: list[str] = []
        self.exits: list[int] = []
        self._process: Process | None = None
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._running = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            process = self._process = await asyncio.create_subprocess_exec(
                sys.executable, str(self._program), env=self._environment, stdout=PIPE, stderr=PIPE
            )
            assert process.stdout and process.stderr
            await asyncio.gather(self._follow(process.stdout, self.read), self._follow(process.stderr, self.said))
            self.exits.append(await process.wait())

    async def _follow(self, stream: asyncio.StreamReader, lines: list[str]) -> None:
        async for line in stream:
            lines.append(line.decode().strip())  # noqa: PERF401 - others look while it grows

    async def until_read(self, wanted: set[str]) -> None:
        await self._until(lambda: wanted <= set(self.read))

    async def until_said(self, words: str) -> None:
        await self._until(lambda: any(words in line for line in self.said))

    async def _until(self, holds: Callable[[], bool]) -> None:
        for _ in range(600):
            if holds():
                return
            await asyncio.sleep(0.1)
        raise AssertionError([self.exits, self.read, *self.said])

    def signal(self, number: int) -> None:
        assert self._process
        self._process.send_signal(number)

    async def stop(self) -> None:
        """As an orchestrator does: it commits what it has done."""
        assert self._process and self._running
        self._running.cancel()
        self._process.send_signal(signal.SIGTERM)
        await self._process.wait()


@pytest_asyncio.fixture(loop_scope="session")
async def settings(new_stack: NewStack) -> Settings:
    found = (await new_stack(parts=("broker",))).settings
    await make(found)
    return found


async def make(settings: Settings) -> None:
    admin = AIOKafkaAdminClient(**kafka_options(settings))
    await admin.start()
    try:
        async with asyncio.timeout(30):
            while True:
                answer = await admin.create_topics([NewTopic(PLACE.topic, 1, 1)])
                if not answer.topic_errors[0][1]:
                    return
                assert for_code(answer.topic_errors[0][1]).__name__ == "TopicAlreadyExistsError"
                await asyncio.sleep(0.05)
    finally:
        await admin.close()


async def make_anew(settings: Settings) -> None:
    admin = AIOKafkaAdminClient(**kafka_options(settings))
    await admin.start()
    await admin.delete_topics([PLACE.topic])
    await admin.close()
    await make(settings)


async def fill(settings: Settings, values: list[str]) -> None:
    producer = AIOKafkaProducer(**kafka_options(settings))
    await producer.start()
    for value in values:
        await producer.send(PLACE.topic, value.encode(), partition=0)
    await producer.stop()


async def committed(settings: Settings) -> OffsetAndMetadata | None:
    admin = AIOKafkaAdminClient(**kafka_options(settings))
    await admin.start()
    try:
        return (await admin.list_consumer_group_offsets("reader", partitions=[PLACE])).get(PLACE)
    finally:
        await admin.close()


async def until_committed(settings: Settings, offset: int) -> OffsetAndMetadata:
    """With the id of the topic as it is now beside it."""
    wanted = OffsetAndMetadata(offset, note(await partition_log.topic_id(settings, PLACE.topic)))
    async with asyncio.timeout(60):
        while await committed(settings) != wanted:
            await asyncio.sleep(0.2)
    return wanted


OLD, NEW = [f"old {n}" for n in range(N_OLD)], [f"new {n}" for n in range(N_NEW)]


async def test_a_worker_whose_topic_is_made_anew_and_grows_past_its_place_reads_all_of_it(
    settings: Settings, tmp_path: Path
) -> None:
    reader = Reader(settings, tmp_path)
    reader.start()
    try:
        await fill(settings, OLD)
        await reader.until_read(set(OLD))
        await until_committed(settings, N_OLD)
        reader.signal(signal.SIGSTOP)  # else it may see that the topic is away
        await make_anew(settings)
        await fill(settings, NEW)
        reader.signal(signal.SIGCONT)
        await reader.until_read(set(NEW))
        assert reader.exits == [1], "it ended to be started anew"
        assert any("topic otlp_spans was made anew under this worker" in line for line in reader.said)
        await until_committed(settings, N_NEW)
    finally:
        await reader.stop()


async def test_an_offset_that_was_committed_of_a_topic_that_is_gone_is_not_trusted(
    settings: Settings, tmp_path: Path
) -> None:
    first, second = Reader(settings, tmp_path), Reader(settings, tmp_path)
    first.start()
    await fill(settings, OLD)
    await first.until_read(set(OLD))
    at = await until_committed(settings, N_OLD)
    await first.stop()
    await make_anew(settings)
    await fill(settings, NEW)
    # Kafka forgets a deleted topic's offsets; what a worker that had not noticed commits after that is there again.
    late = AIOKafkaConsumer(**kafka_options(settings), group_id="reader", enable_auto_commit=False)
    late.assign([PLACE])
    await late.start()
    await late.commit({PLACE: at})
    await late.stop()
    second.start()
    try:
        await second.until_read(set(NEW))
        await second.until_said(f"otlp_spans-0: offset {N_OLD} is of a topic of this name that is gone")
        assert second.exits == []
    finally:
        await second.stop()


async def test_a_checkpoint_of_an_outcome_log_that_is_gone_is_not_gone_on_with(settings: Settings) -> None:
    settings = settings.model_copy(update={"outcomes_topic": PLACE.topic})
    await ensure_topics(settings)
    producer = AIOKafkaProducer(**kafka_options(settings))
    await producer.start()
    nobody: Any = None  # whom a restore does not ask
    shell = Shell(settings, producer, nobody, nobody, nobody, nobody)
    try:
        await fill(settings, OLD)
        owner = PartitionOwner(0, shell)
        fold = await owner._restore()
        fold.next_offset = 5
        await owner._save(snapshot(fold))
        assert (await PartitionOwner(0, shell)._restore()).next_offset == 5
        await make_anew(settings)
        await fill(settings, NEW)
        assert (await PartitionOwner(0, shell)._restore()).next_offset == 0
    finally:
        await producer.stop()
