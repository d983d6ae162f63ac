"""One assigned partition of the outcome log: restored, folded, published, checkpointed.

Offsets: the fold goes on from its checkpoint, whatever the group has committed. Records before it only rebuild the filter of
seen traces; where the group would start behind it, the records between are read first. A chunk is done only when a checkpoint
that covers it is acknowledged, and that is written only after every event before it is on Kafka and in the store.
"""

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer

from schemas.alert import AlertEvent
from schemas.outcome import AnyRecord, decode
from streams.alerter import partition_log
from streams.alerter.attributor import Attributor
from streams.alerter.history import History
from streams.alerter.patience import patiently
from streams.alerter.publisher import Publisher
from streams.alerter.rules_log import RulesLog
from streams.core.alerting import Alerting, Emitted
from streams.core.checkpoint import ForeignCheckpoint, restore, snapshot
from streams.failpoint import Failpoint
from streams.settings import Settings
from streams.worker.ledger import Chunk
from streams.worker.position import is_of_another, note

NOTE_HEADER = "stepwatch-position"  # of a checkpoint: which outcome log it is of

NEVER = Failpoint(None)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shell:
    """What every owner needs from outside."""

    settings: Settings
    producer: AIOKafkaProducer
    publisher: Publisher
    rules: RulesLog
    history: History
    attributor: Attributor
    failpoint: Failpoint = NEVER


class PartitionOwner:
    """The fold of one partition and what surrounds it. Dropped as a whole when the partition is revoked."""

    def __init__(self, partition: int, shell: Shell) -> None:
        self._partition = partition
        self._shell = shell
        self._alerting: Alerting | None = None
        self._undone: deque[Chunk] = deque()
        self._saved_offset = 0
        self._topic_id: str | None = None  # of the outcome log, before it was asked for its bounds
        self._folding = asyncio.Lock()
        self._saving = asyncio.Lock()

    @property
    def series(self) -> int:
        """Series that are followed."""
        return len(self._alerting.board.series) if self._alerting else 0

    @property
    def firing(self) -> int:
        """Of them those that fire."""
        return (
            sum(series.episode is not None for series in self._alerting.board.series.values()) if self._alerting else 0
        )

    async def take(self, chunk: Chunk) -> None:
        """Fold one chunk; returns when its events are on Kafka."""
        async with self._folding:
            alerting = self._alerting
            if alerting is None:
                alerting = self._alerting = await patiently("restoring the alerter", self._restore)
            if chunk.first > alerting.next_offset:
                await self._catch_up(alerting, chunk.first)
            await self._fold(alerting, chunk.records)
            chunk.records = []
            self._undone.append(chunk)

    async def _fold(self, alerting: Alerting, records: list[Any]) -> None:
        emitted: list[Emitted] = []
        for record in records:
            if record.offset < alerting.next_offset:
                continue
            if (outcomes := await self._readable(record)) is not None:
                await self._learn_rules(alerting, outcomes)
                emitted += alerting.handle(outcomes, record.timestamp, record.offset)
        emitted = await self._shell.attributor.explain(emitted, alerting.board.rules.by_uid())
        await self._shell.publisher.publish(emitted)
        await self._shell.history.add([event for event in emitted if isinstance(event, AlertEvent)])

    async def _readable(self, record: Any) -> AnyRecord | None:
        try:
            return decode(record.value or b"")
        except ValueError as error:
            log.error("outcome record %d-%d goes to the dlq: %s", record.partition, record.offset, error)
            await self._shell.publisher.bury(record, str(error))
            return None

    async def _learn_rules(self, alerting: Alerting, record: AnyRecord) -> None:
        while (seq := alerting.lacks(record)) is not None:
            rules = self._shell.rules.at(seq)
            if rules is None:
                await patiently("reading the config log", self._shell.rules.follow)
                rules = self._shell.rules.at(seq)
            if rules is None:
                log.error("config %d is named on the outcome log and is not on the config log: rules stay", seq)
                rules = alerting.board.rules
            alerting.learn(seq, rules)

    async def _catch_up(self, alerting: Alerting, end: int) -> None:
        """Fold what lies between the fold's place and the first chunk."""

        async def read_between() -> None:
            async for record in self._read(alerting.next_offset, end):
                await self._fold(alerting, [record])

        await patiently("reading the outcome log", read_between)

    def _read(self, start: int, end: int) -> Any:
        return partition_log.read(
            self._shell.settings, self._shell.settings.outcomes_topic, self._partition, start, end
        )

    async def _restore(self) -> Alerting:
        """The fold at the newest checkpoint, or a new one at the start of the log."""
        topic = self._shell.settings.outcomes_topic
        self._topic_id = await partition_log.topic_id(self._shell.settings, topic)
        first, end = await partition_log.bounds(self._shell.settings, topic, self._partition)
        alerting = await self._newest_checkpoint()
        if alerting and alerting.next_offset > end:
            log.warning(
                "partition %d: the outcome log is shorter than its checkpoint, it was made anew", self._partition
            )
            alerting = None
        if alerting is None:
            alerting = Alerting(self._partition)
            alerting.next_offset = first
        async for record in self._read(alerting.seen.since.offset, alerting.next_offset):
            try:
                alerting.remember(decode(record.value or b""), record.timestamp, record.offset)
            except ValueError:
                continue  # it is on the dlq since it was folded
        return alerting

    async def _newest_checkpoint(self) -> Alerting | None:
        newest = None
        async for record in partition_log.read(
            self._shell.settings, self._shell.settings.checkpoint_topic, self._partition
        ):
            newest = record
        if newest is None or not newest.value:
            return None
        if is_of_another(dict(newest.headers).get(NOTE_HEADER, b"").decode(), self._topic_id):
            log.warning("partition %d: the checkpoint is of an outcome log that is gone", self._partition)
            return None
        try:
            return restore(newest.value)
        except ForeignCheckpoint as error:
            log.warning("partition %d: %s; folding the outcome log from its start", self._partition, error)
            return None

    async def checkpoint(self) -> None:
        """Save the fold, then mark as done what it covers. Returns when the checkpoint is acknowledged."""
        async with self._saving:
            async with self._folding:
                alerting = self._alerting
                if alerting is None or alerting.next_offset == self._saved_offset:
                    return
                data, offset = snapshot(alerting), alerting.next_offset
            await self._shell.history.drained()
            with self._shell.failpoint.around("checkpoint"):
                await patiently("saving a checkpoint", lambda: self._save(data))
            self._saved_offset = offset
            while self._undone and self._undone[0].last < offset:
                self._undone.popleft().done = True

    async def _save(self, data: bytes) -> None:
        topic = self._shell.settings.checkpoint_topic
        key = f"{self._shell.settings.outcomes_topic}:{self._partition}".encode()
        headers = [(NOTE_HEADER, note(self._topic_id).encode())]
        await self._shell.producer.send_and_wait(topic, data, key=key, partition=self._partition, headers=headers)
