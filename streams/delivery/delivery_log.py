"""The delivery log on Kafka (`eval.deliveries`), and dead letters. What keeps a restart from delivering again.

One per process, shared by all targets. An event's entry lies in the partition that the event has on the alerts topic,
so it follows that partition to whatever process owns it.
"""

import asyncio
import logging
import time
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from streams.alerter.patience import patiently
from streams.console.errors import UserError
from streams.delivery.entry import Entry, Known, Word, nothing_known, read_entry
from streams.delivery.message import Message
from streams.settings import Settings
from streams.topics import kafka_options

FETCH_WAIT_MS = 100

log = logging.getLogger(__name__)


class DeliveryLog:
    """Reads the log as far as it is written, and adds to it. Nothing here gives up while Kafka is away."""

    def __init__(self, settings: Settings) -> None:
        options = kafka_options(settings)
        self._settings = settings
        # A short wait: whatever is asked of a broker stands in line behind the fetch that waits there for news.
        self._consumer = AIOKafkaConsumer(
            **options, group_id=None, enable_auto_commit=False, fetch_max_wait_ms=FETCH_WAIT_MS
        )
        self._producer = AIOKafkaProducer(
            **options, acks="all", enable_idempotence=True, compression_type="lz4", max_request_size=8 << 20
        )
        self._known: dict[tuple[int, str], Known] = {}  # by partition and target
        self._reading = asyncio.Lock()

    async def start(self) -> None:
        """Connect. Raises UserError when a topic is missing."""
        await self._producer.start()
        await self._consumer.start()
        partitions = await self._partitions(self._settings.deliveries_topic)
        if not partitions >= await self._partitions(self._settings.alerts_topic):
            raise UserError(
                f"topic {self._settings.deliveries_topic} needs as many partitions as {self._settings.alerts_topic}"
            )
        self._consumer.assign([TopicPartition(self._settings.deliveries_topic, p) for p in sorted(partitions)])
        await self._consumer.seek_to_beginning()

    async def _partitions(self, topic: str) -> set[int]:
        if not self._consumer.partitions_for_topic(topic):
            await self._consumer._client.force_metadata_update()
        found = self._consumer.partitions_for_topic(topic)
        if not found:
            raise UserError(f"topic {topic} does not exist: run `stepwatch topics apply`")
        return set(found)

    async def stop(self) -> None:
        """Disconnect."""
        await self._producer.stop()
        await self._consumer.stop()

    async def known(self, target: str) -> dict[int, Known]:
        """What the log says of a target, by partition, having been read to its end as it is now. A copy."""
        async with self._reading:
            await patiently("reading the delivery log", self._follow)
        return {partition: known.copy() for (partition, whose), known in self._known.items() if whose == target}

    async def _follow(self) -> None:
        ends = await self._consumer.end_offsets(list(self._consumer.assignment()))
        while any([await self._consumer.position(tp) < end for tp, end in ends.items()]):
            for tp, records in (await self._consumer.getmany(timeout_ms=250)).items():
                for record in records:
                    self._learn(tp.partition, record.value)

    def _learn(self, partition: int, value: bytes | None) -> None:
        try:
            entry = read_entry(value or b"")
        except ValueError as error:
            log.warning("%s", error)
            return
        self._known.setdefault((partition, entry.target), nothing_known()).learn(entry)

    async def write(self, word: Word, target: str, message: Message, attempts: int, at_s: float | None = None) -> None:
        """Put a word on an event on the log; returns when it is there."""
        at_ms = int((time.time() if at_s is None else at_s) * 1000)
        entry = Entry(word, target, message.alert_key, *message.place, at_ms, attempts)
        key, value = entry.record()
        await patiently(
            "writing the delivery log",
            lambda: self._producer.send_and_wait(
                self._settings.deliveries_topic, value, key=key, partition=message.partition
            ),
        )

    async def bury(self, record: Any, target: str, reason: str) -> None:
        """Dead-letter what a target will not get, with its CloudEvents headers, so that it may be published again.

        `record` is a record of the alerts topic, or a `Message` of it.
        """
        origin = {
            "reason": f"delivery: {reason}",
            "target": target,
            "topic": self._settings.alerts_topic,
            "partition": record.partition,
            "offset": record.offset,
        }
        headers = [*record.headers, *((name, str(value).encode()) for name, value in origin.items())]
        await patiently(
            "dead-lettering an alert event",
            lambda: self._producer.send_and_wait(
                self._settings.dlq_topic,
                record.value or b"",
                partition=record.partition % self._settings.dlq_partitions,
                headers=headers,
            ),
        )
