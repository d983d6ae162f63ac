"""What must not matter to alerts: the alerter killed at random, a second one beside it, a fenced one that wakes up and writes
an old checkpoint, outcome records delivered twice. Seeded; what is done when is random, what must come of it is not.
"""

import asyncio
import os
import signal
import sys
from random import Random

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from schemas.outcome import OutcomeRecord, decode
from streams.core.checkpoint import restore
from streams.local.parts import environment_of
from streams.local.stack import LocalStack
from streams.local.supervise import RestartPolicy
from streams.settings import Settings
from streams.topics import kafka_options
from tests.integration.pipeline import records_of

SESSION_S = 2
ALERTER = {  # often enough that every kill lies between two of everything
    "STEPWATCH_TICK_INTERVAL_S": "1",
    "STEPWATCH_CHECKPOINT_INTERVAL_S": "2",
    "STEPWATCH_SESSION_TIMEOUT_S": str(SESSION_S),
    "STEPWATCH_HEARTBEAT_INTERVAL_S": "1",
    "STEPWATCH_ATTRIBUTION_TIMEOUT_S": "20",  # that this machine is busy says nothing of causes
}
BROKER = {"group.min.session.timeout.ms": "1000"}
UNDYING = RestartPolicy(deaths_max=10_000, pause_first_s=0.1, pause_max_s=0.2)
AFTER_READY_S = (0.0, 5.0)  # from the moment that the alerter is there to the next trouble
TOO_EARLY_SHARE, TOO_EARLY_S = 0.2, 3.0  # some kills come while it is starting
READY_MAX_S = 60.0
OLD_CHECKPOINT_SHARE = 0.3  # of the kills come right after an old checkpoint, and at least one
OLD_CHECKPOINT_MAX_S = 60.0  # until there is one that is older than another
AGAIN = "again"  # header of a record that was delivered twice
AGAIN_SHARE, AGAIN_S = 0.8, 5.0


class Chaos:
    """Trouble for the alerter of a stack. Run `trouble` beside a play, and `deliver_twice` for as long as there are outcomes."""

    def __init__(self, stack: LocalStack, seed: int, *, kills: int, fences: int) -> None:
        self.kills = self.fences = 0
        self._stack, self._rng = stack, Random(seed)
        after_old = max(min(kills, 1), round(kills * OLD_CHECKPOINT_SHARE))
        self._plan = ["kill"] * (kills - after_old) + ["kill after an old checkpoint"] * after_old + ["fence"] * fences
        self._rng.shuffle(self._plan)
        self._second: asyncio.subprocess.Process | None = None

    async def trouble(self) -> None:
        """All of it, one after the other. Afterwards one alerter is alive."""
        try:
            for what in self._plan:
                if what == "fence":
                    await self._fence()
                    self.fences += 1
                else:
                    await self._kill(after_old_checkpoint=what != "kill")
                    self.kills += 1
            await self._ready()
        finally:
            self._stack.kill("alerter", signal.SIGCONT)
            await self._end_second(signal.SIGKILL)

    async def _kill(self, *, after_old_checkpoint: bool) -> None:
        if self._rng.random() < TOO_EARLY_SHARE:
            await asyncio.sleep(self._rng.uniform(0, TOO_EARLY_S))
        else:
            await self._ready()
            await asyncio.sleep(self._rng.uniform(*AFTER_READY_S))
        if after_old_checkpoint:
            async with asyncio.timeout(OLD_CHECKPOINT_MAX_S):
                while not await self._write_old_checkpoints():
                    await asyncio.sleep(1)
        self._stack.kill("alerter")

    async def _write_old_checkpoints(self) -> bool:
        """What a fenced alerter may do, without waiting for one: an older checkpoint of each partition becomes the newest.

        False where no partition has an older one yet.
        """
        settings, of_partition = self._stack.settings, dict[int, list[tuple[int, bytes, bytes]]]()
        for record in await records_of(settings, settings.checkpoint_topic):
            written = restore(record.value).next_offset, record.key, record.value
            of_partition.setdefault(record.partition, []).append(written)
        older = {
            partition: earlier
            for partition, written in of_partition.items()
            if (earlier := [each for each in written if each[0] < max(offset for offset, _, _ in written)])
        }
        producer = AIOKafkaProducer(**kafka_options(settings), acks="all", max_request_size=8 << 20)
        await producer.start()
        for partition, earlier in older.items():
            _, key, value = self._rng.choice(earlier)
            await producer.send_and_wait(settings.checkpoint_topic, value, key=key, partition=partition)
        await producer.stop()
        return bool(older)

    async def _ready(self) -> None:
        """Wait until the alerter of the stack has joined its group again."""
        await asyncio.sleep(2 * UNDYING.pause_max_s)  # a death is noticed by then
        async with asyncio.timeout(READY_MAX_S):
            while self._stack.parts["alerter"].state != "ready":
                await asyncio.sleep(0.1)

    async def _fence(self) -> None:
        """The alerter stands still beyond its session, a second one takes its partitions over, the first wakes up."""
        await self._ready()
        if self._rng.random() < 0.5:  # a second one is there already, or comes when it is needed
            await self._start_second()
            await asyncio.sleep(self._rng.uniform(0, 2 * SESSION_S))
        self._stack.kill("alerter", signal.SIGSTOP)
        await self._start_second()
        await asyncio.sleep(SESSION_S + self._rng.uniform(2, 5))
        self._stack.kill("alerter", signal.SIGCONT)
        await asyncio.sleep(self._rng.uniform(0.5, 4))
        await self._end_second(self._rng.choice((signal.SIGKILL, signal.SIGTERM)))

    async def _start_second(self) -> None:
        if self._second is None:
            self._second = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "streams.console", "alerter"),
                env={**os.environ, **environment_of(self._stack.settings, ALERTER)},
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )

    async def _end_second(self, number: int) -> None:
        if self._second is not None:
            if self._second.returncode is None:
                self._second.send_signal(number)
            await self._second.wait()
            self._second = None

    async def deliver_twice(self) -> None:
        """Append most outcome records once more, at once or some seconds later: as a scorer that was killed does."""
        settings = self._stack.settings
        consumer = AIOKafkaConsumer(
            settings.outcomes_topic, **kafka_options(settings), group_id=None, auto_offset_reset="earliest"
        )
        producer = AIOKafkaProducer(**kafka_options(settings), acks="all")
        await producer.start()
        await consumer.start()
        try:
            waiting = set[asyncio.Task[None]]()
            async for record in consumer:
                first = not any(name == AGAIN for name, _ in record.headers)
                if first and isinstance(decode(record.value), OutcomeRecord) and self._rng.random() < AGAIN_SHARE:
                    after_s = self._rng.choice((0.0, self._rng.uniform(0, AGAIN_S)))
                    waiting.add(asyncio.create_task(self._again(producer, record, after_s)))
                waiting = {task for task in waiting if not task.done()}
        finally:
            await consumer.stop()
            await producer.stop()

    async def _again(self, producer: AIOKafkaProducer, record: object, after_s: float) -> None:
        await asyncio.sleep(after_s)
        topic, value, partition = record.topic, record.value, record.partition  # type: ignore[attr-defined]
        await producer.send_and_wait(topic, value, partition=partition, headers=[(AGAIN, b"1")])


async def older_checkpoints(settings: Settings) -> int:
    """How often a checkpoint landed behind a newer one: what a fenced alerter does."""
    newest: dict[int, int] = {}
    older = 0
    for record in await records_of(settings, settings.checkpoint_topic):
        offset = restore(record.value).next_offset
        older += offset < newest.get(record.partition, 0)
        newest[record.partition] = max(offset, newest.get(record.partition, 0))
    return older
