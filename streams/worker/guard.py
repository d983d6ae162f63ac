"""The watchdog's eyes and teeth: offsets asked of the broker by a client of its own, and an exit that a supervisor sees."""

import logging
import os
import time
from collections.abc import Callable, Iterator

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import KafkaError
from faust.types import TP

from streams.settings import Settings
from streams.topic_ids import topic_ids
from streams.topics import kafka_options
from streams.worker.fatal import or_die
from streams.worker.ledger import LedgerApp
from streams.worker.watchdog import Alarm, Seen, Watchdog, distrusted, made_anew

LOOK_S = 5.0
STALLED_EXIT = 1

log = logging.getLogger(__name__)


class Guard:
    """Watches one worker. `look` is called every `LOOK_S`; a broker that does not answer is no reason to end."""

    def __init__(
        self,
        settings: Settings,
        app: LedgerApp,
        topic: str,
        group: str,
        waiting: Callable[[], bool],
        told: Callable[..., None] = lambda name, amount=1, **attributes: None,
        patience_s: float = 0.0,
    ) -> None:
        """`waiting` says that the store or Kafka is away or state is read back; `told` adds to a metric. `patience_s`: how
        long at least nothing need be done, where the settings say less."""
        self._settings, self._app, self._topic, self._group = settings, app, topic, group
        self._waiting, self._told = waiting, told
        self._watchdog = Watchdog(max(settings.watchdog_stall_s, patience_s), LOOK_S)
        self._clients: tuple[AIOKafkaAdminClient, AIOKafkaConsumer] | None = None

    def watch(self) -> None:
        """Look every `LOOK_S` while the app runs, where the settings want it."""
        if self._settings.watchdog_stall_s:

            @self._app.timer(LOOK_S)  # type: ignore[untyped-decorator]
            async def look() -> None:
                await or_die(self.look())

    async def look(self) -> None:
        """One look. Ends the process where the worker does not work."""
        try:
            seen, unowned = await self._seen()
            made_anew = await self._is_made_anew()
        except (KafkaError, OSError):
            return  # the clients of the worker say so themselves
        alarms = self._watchdog.look(time.monotonic(), seen, waiting=self._waiting(), unowned=unowned)
        for alarm in (*made_anew, *self._distrusted(), *alarms):
            self._told("stepwatch.consumer.alarms", kind=alarm.kind)
            if alarm.records:
                self._told("stepwatch.records.lost", alarm.records)
            log.critical("%s", alarm.sentence)
            if alarm.is_fatal:
                log.critical("stopping, to be started anew")
                os._exit(STALLED_EXIT)  # not sys.exit: mode would swallow it and go on

    async def _seen(self) -> tuple[dict[TP, Seen], int]:
        admin, consumer = self._clients or await self._connect()
        mine = {tp: done for tp, done in self._app.consumer.done() if tp.topic == self._topic}
        if not mine:
            return {}, await self._unowned(admin, consumer)
        places = [TopicPartition(*tp) for tp in mine]
        first, end = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
        return {tp: Seen(done, first[TopicPartition(*tp)], end[TopicPartition(*tp)]) for tp, done in mine.items()}, 0

    async def _is_made_anew(self) -> list[Alarm]:
        """Whether the topic is another one than that which this assignment began to read."""
        began = self._app.consumer.topic_ids.get(self._topic)
        admin, _ = self._clients or await self._connect()
        now = (await topic_ids(admin._client, [self._topic])).get(self._topic)
        is_another = began and now and now != began == self._app.consumer.topic_ids.get(self._topic)
        return [made_anew(self._topic)] if is_another else []

    def _distrusted(self) -> Iterator[Alarm]:
        while offsets := self._app.consumer.distrusted:
            yield distrusted(*offsets.popitem())

    async def _unowned(self, admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer) -> int:
        """Partitions of the topic that no member of the group has."""
        (answer,) = await admin.describe_consumer_groups([self._group])
        (_error, _group, _state, _type, _protocol, members, *_) = answer.groups[0]
        owned: set[int] = set()
        for member in members:
            assignment = ConsumerProtocolMemberAssignment.decode(member[-1]) if member[-1] else None
            for topic, partitions in assignment.assignment if assignment else ():
                owned |= set(partitions) if topic == self._topic else set()
        there = consumer.partitions_for_topic(self._topic)
        if not there:
            await consumer._client.force_metadata_update()
            there = consumer.partitions_for_topic(self._topic)
        return len((there or set()) - owned)

    async def _connect(self) -> tuple[AIOKafkaAdminClient, AIOKafkaConsumer]:
        options = kafka_options(self._settings)
        admin, consumer = AIOKafkaAdminClient(**options), AIOKafkaConsumer(**options, group_id=None)
        await admin.start()
        await consumer.start()
        self._clients = admin, consumer
        return self._clients

    async def stop(self) -> None:
        """Disconnect."""
        if self._clients:
            admin, consumer = self._clients
            await admin.close()
            await consumer.stop()
