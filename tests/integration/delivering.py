"""What the tests of delivery on a real broker share: waiting, publishing, `stepwatch deliver` as a process, and what is left."""

import asyncio
import os
import signal
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError

from schemas.alert import Pipeline
from schemas.cloud_event import to_cloud_event
from streams.alerter import partition_log
from streams.delivery.message import Message
from streams.local.parts import variables
from streams.settings import Settings
from streams.topics import kafka_options
from tests.delivery.events import FIRING, RESOLVED, UPDATED, message

FAST = {"STEPWATCH_SESSION_TIMEOUT_S": "3", "STEPWATCH_HEARTBEAT_INTERVAL_S": "1"}
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
DEADLINE_S = 90.0


async def until(said: str, there: Callable[[], Any], deadline_s: float = DEADLINE_S) -> None:
    """Wait on a condition, sync or async."""
    loop = asyncio.get_running_loop()
    end = loop.time() + deadline_s
    while True:
        found = there()
        if await found if asyncio.iscoroutine(found) else found:
            return
        assert loop.time() < end, f"not {said} after {deadline_s} s"
        await asyncio.sleep(0.1)


def webhook(name: str, port: int, **more: str) -> str:
    options = "".join(f", {key}: {value}" for key, value in more.items())
    return (
        f'  - {{name: {name}, webhook: {{url: "http://127.0.0.1:{port}/hook", secrets: ["${{ENV:SIGNING}}"]}}, '
        f"allow: {{http: true, ports: [{port}], networks: [127.0.0.1/32]}}{options}}}"
    )


def targets_file(folder: Path, targets: Iterable[str], names: Sequence[str]) -> Path:
    file = folder / "targets.yaml"
    file.write_text("\n".join(["targets:", *targets, f"routes: [{{to: [{', '.join(names)}]}}]", ""]))
    return file


class Deliverer:
    """`stepwatch deliver` as a user starts it."""

    def __init__(self, settings: Settings, file: Path) -> None:
        self.settings, self._file = settings, file
        self._log = file.with_name("deliver.log").open("ab")
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "streams.console", "deliver", "--targets", str(self._file)),
            env={**os.environ, **variables(self.settings), **FAST, "SIGNING": SECRET},
            stderr=self._log,
        )

    @property
    def ended(self) -> bool:
        return self._process is not None and self._process.returncode is not None

    async def end(self, how: signal.Signals) -> int:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(how)
        return await self._process.wait()

    @property
    def said(self) -> str:
        return self._file.with_name("deliver.log").read_text()

    async def close(self) -> None:
        if self._process is not None:
            await self.end(signal.SIGKILL)
        self._log.close()


@asynccontextmanager
async def delivering(settings: Settings, file: Path, names: Sequence[str]) -> AsyncIterator[Deliverer]:
    """Running, with the place of every target pinned: from here on nothing is skipped."""
    deliverer = Deliverer(settings, file)
    try:
        await deliverer.start()
        for name in names:
            await until(f"{name} placed", lambda name=name: deliverer.ended or is_placed(settings, name))
        assert not deliverer.ended, deliverer.said
        yield deliverer
    finally:
        await deliverer.close()


async def offsets(settings: Settings, name: str) -> dict[TopicPartition, int]:
    admin = AIOKafkaAdminClient(**kafka_options(settings))
    await admin.start()
    try:
        found = await admin.list_consumer_group_offsets(f"{settings.deliver_group}.{name}")
    except GroupCoordinatorNotAvailableError:  # a new broker, which makes its topic of offsets
        return {}
    finally:
        await admin.close()
    return {tp: meta.offset for tp, meta in found.items()}


async def is_placed(settings: Settings, name: str) -> bool:
    return len(await offsets(settings, name)) == settings.outcomes_partitions


async def ends(settings: Settings) -> dict[TopicPartition, int]:
    topic = settings.alerts_topic
    return {
        TopicPartition(topic, p): (await partition_log.bounds(settings, topic, p))[1]
        for p in range(settings.outcomes_partitions)
    }


def stories(n: int, first: int = 0) -> list[Message]:
    """n alerts that fire, go on and are resolved, interleaved as they would be."""
    keys = [f"{i:032x}" for i in range(first, first + n)]
    return [message(event, alert_key=key) for event in (FIRING, UPDATED, RESOLVED) for key in keys]


async def publish(settings: Settings, messages: Sequence[Message], times: int = 1) -> None:
    producer = AIOKafkaProducer(**kafka_options(settings), acks="all")
    await producer.start()
    try:
        for each in messages:
            key, headers, value = to_cloud_event(each.event, Pipeline(each.event.time_ms, "0.1.0"))
            for _ in range(times):
                for topic in (settings.alerts_topic, settings.alert_state_topic):
                    await producer.send_and_wait(topic, value, key=key, headers=headers)
    finally:
        await producer.stop()


async def dead_letters(settings: Settings) -> dict[str, list[tuple[str, str]]]:
    """(event id, reason) of the dead letters, by target."""
    found = defaultdict(list)
    for partition in range(settings.dlq_partitions):
        async for record in partition_log.read(settings, settings.dlq_topic, partition):
            told = {name: text.decode() for name, text in record.headers}
            found[told["target"]].append((told["ce_id"], told["reason"]))
    return found


def in_order(ids: Iterable[str], messages: Sequence[Message]) -> bool:
    """Whether the events of each alert came in their order, repetitions aside."""
    came = list(dict.fromkeys(ids))
    return all(
        [i for i in came if i.startswith(key)] == [m.event.id for m in messages if m.alert_key == key]
        for key in {m.alert_key for m in messages}
    )
