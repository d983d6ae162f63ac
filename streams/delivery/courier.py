"""One target's courier: its own consumer group on the alerts topic, so that its place in the log is its own.

Kafka is the queue: while a target is slow or broken its courier stops reading, and nobody else's does. The laws: an
offset is committed only when everything before it is settled for this target; a new target begins with now, and that
is committed at once, so that from its first start on nothing is skipped.
"""

import asyncio
import logging
import time
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from schemas.alert import AlertEvent
from schemas.target import Route, Target
from streams.alerter import subscriber
from streams.alerter.patience import patiently
from streams.delivery.alertmanager import RESEND_S
from streams.delivery.attempts import Attempts
from streams.delivery.backlog import Backlog
from streams.delivery.delivery_log import DeliveryLog
from streams.delivery.entry import Known, nothing_known
from streams.delivery.message import message_of
from streams.delivery.routing import goes_to
from streams.delivery.senders import AlertmanagerSender, Sender
from streams.delivery.verdict import outcome_of
from streams.settings import Settings
from streams.topics import kafka_options

WAITING_MAX = 1_000  # events in memory; beyond, the topic keeps them
AHEAD_MAX = 100_000  # records after the oldest that is not settled: a restart reads them again
COMMIT_S = 1.0
POLL_MS = 250
LAST_ANSWERS_S = 3.0  # beyond the target's own timeout, for the delivery log

log = logging.getLogger(__name__)


class Courier(ConsumerRebalanceListener):  # type: ignore[misc]
    """Reads for one target; `Attempts` sends."""

    def __init__(
        self,
        settings: Settings,
        target: Target,
        routes: tuple[Route, ...],
        sender: Sender,
        written: DeliveryLog,
        waiting_max: int = WAITING_MAX,
    ) -> None:
        self.target = target
        self._waiting_max = waiting_max
        self._settings, self._routes, self._sender, self._log = settings, routes, sender, written
        self.attempts = Attempts(target, sender, written)
        self._consumer = AIOKafkaConsumer(
            **kafka_options(settings),
            group_id=f"{settings.deliver_group}.{target.name}",
            enable_auto_commit=False,
            auto_offset_reset="earliest",  # what is older than the topic's retention is gone; the rest is not skipped
            session_timeout_ms=int(settings.session_timeout_s * 1000),
            heartbeat_interval_ms=int(settings.heartbeat_interval_s * 1000),
            max_poll_interval_ms=int(settings.max_poll_interval_s * 1000),
        )
        self._backlogs: dict[TopicPartition, Backlog] = {}
        self._known: dict[TopicPartition, Known] = {}
        self._fresh: set[TopicPartition] = set()  # assigned, not begun
        self._assignments = 0
        self._repeat = asyncio.Event()
        self._committed: dict[TopicPartition, int] = {}

    @property
    def partitions(self) -> int:
        """How many partitions of the alerts are delivered from here."""
        return len(self._backlogs)

    async def run(self) -> None:
        """Deliver until cancelled; then see open requests to their end and commit."""
        await patiently(f"joining the group of {self.target.name}", self._consumer.start)
        self._consumer.subscribe([self._settings.alerts_topic], listener=self)
        tasks = [self.attempts.run(), self._read_for_ever()]
        if isinstance(self._sender, AlertmanagerSender):
            tasks.append(self._repeat_for_ever(self._sender))
        try:
            async with asyncio.TaskGroup() as group:
                for task in tasks:
                    group.create_task(task)
        finally:
            await self.on_partitions_revoked(set(self._backlogs))
            await self._sender.close()
            await self._consumer.stop()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """They are begun before the next poll: only one task may move the consumer."""
        self._fresh = set(assigned)
        self._assignments += 1

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Start nothing more, wait for what is open, commit, and forget: another process begins from the log."""
        for tp in revoked:
            self.attempts.end(tp.partition)
        await self.attempts.answered(self.target.timeout_s + LAST_ANSWERS_S)
        await self._commit()
        for tp in revoked:
            for held in (self._backlogs, self._known, self._committed):
                held.pop(tp, None)
            if isinstance(self._sender, AlertmanagerSender):
                self._sender.end(tp.partition)

    async def _read_for_ever(self) -> None:
        next_commit_s = 0.0
        while True:
            if self._fresh:
                await patiently(f"beginning the partitions of {self.target.name}", self._begin)
            self._hold_or_go_on()
            await patiently(f"reading alerts for {self.target.name}", self._read)
            if time.monotonic() >= next_commit_s:
                await self._commit()
                next_commit_s = time.monotonic() + COMMIT_S

    async def _begin(self) -> None:
        """Set the fresh partitions to where this target is, with what the delivery log says of it."""
        assignment, fresh = self._assignments, sorted(self._fresh)
        told = await self._told()
        starts = await self._starts(fresh)
        known = await self._log.known(self.target.name)
        if self._assignments != assignment or not self._consumer.assignment().issuperset(fresh):
            return  # a rebalance came between: what was read here is of the past
        self._fresh.clear()
        for tp in fresh:
            self._consumer.seek(tp, starts[tp])
            self._known[tp] = known.get(tp.partition, nothing_known())
            self._backlogs[tp] = Backlog(starts[tp], self._known[tp].settled)
            self.attempts.begin(tp.partition, self._backlogs[tp])
            if isinstance(self._sender, AlertmanagerSender):
                self._sender.begin(tp.partition, [event for event in told if self._known[tp].has(event)])
        self._repeat.set()

    async def _starts(self, fresh: list[TopicPartition]) -> dict[TopicPartition, int]:
        """Where this target is. A new one is at the end, and that is committed before anything else."""
        committed = {tp: await self._consumer.committed(tp) for tp in fresh}
        new = [tp for tp, offset in committed.items() if offset is None]
        ends = await self._consumer.end_offsets(new) if new else {}
        if ends:
            await self._consumer.commit(ends)
        return {**committed, **ends}

    async def _told(self) -> list[AlertEvent]:
        """The newest events of all alerts: what a target that wants repetitions may have to hear again."""
        if not isinstance(self._sender, AlertmanagerSender):
            return []
        return [received.event for received in (await subscriber.state(self._settings)).values()]

    def _hold_or_go_on(self) -> None:
        """Read no further while too much waits; the group membership goes on all the same."""
        full = self.attempts.waiting >= self._waiting_max
        for tp, backlog in self._backlogs.items():
            if tp in self._consumer.assignment():
                hold = full or backlog.ahead >= AHEAD_MAX
                (self._consumer.pause if hold else self._consumer.resume)(tp)

    async def _read(self) -> None:
        room = self._waiting_max - self.attempts.waiting
        batches = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=max(1, room))
        for tp, records in batches.items():
            for record in records:
                # One that is assigned and not begun is set to its place by `_begin`, and read again.
                if (backlog := self._backlogs.get(tp)) is not None and tp not in self._fresh:
                    await self._take(backlog, tp, record)

    async def _take(self, backlog: Backlog, tp: TopicPartition, record: Any) -> None:
        try:
            message = message_of(record)
        except ValueError as error:
            log.error("%s: record %d-%d: %s", self.target.name, tp.partition, record.offset, error)
            await self._log.bury(record, self.target.name, str(error))
            self.attempts.counts["unreadable"] += 1
            return backlog.pass_over(record.offset)
        if message is None or not goes_to(self.target, message.event, self._routes):
            return backlog.pass_over(record.offset)
        since_s = self._known[tp].since_s(message.alert_key, message.place)
        if backlog.admit(message, time.time(), since_s):
            self.attempts.wake()
        else:
            self.attempts.counts["repetitions"] += 1
        return None

    async def _commit(self) -> None:
        """Commit what is settled. When Kafka is away a later one will do."""
        ahead = {tp: backlog.committable for tp, backlog in self._backlogs.items()}
        offsets = {tp: offset for tp, offset in ahead.items() if self._committed.get(tp) != offset}
        offsets = {tp: offset for tp, offset in offsets.items() if tp in self._consumer.assignment()}
        if not offsets:
            return
        try:
            await self._consumer.commit(offsets)
            self._committed |= offsets
        except (KafkaError, IllegalStateError) as error:
            log.warning("%s: its offsets are not committed this time: %s", self.target.name, error)

    async def _repeat_for_ever(self, sender: AlertmanagerSender) -> None:
        """Each minute, and as soon as partitions are begun: their alerts may be near the end that was last told."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._repeat.wait(), RESEND_S)
            self._repeat.clear()
            for alerts in sender.repeats():
                if self.attempts.may_ask(time.time()):
                    answer = await sender.tell(alerts)
                    self.attempts.counts["repeated"] += len(alerts)
                    self.attempts.feed(outcome_of(self.target.kind, answer), answer, time.time())
