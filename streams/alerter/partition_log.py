"""Reading one partition of a topic between two offsets, outside any consumer group."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import UnknownTopicOrPartitionError

from streams.settings import Settings
from streams.topic_ids import topic_ids
from streams.topics import kafka_options


@asynccontextmanager
async def _reader(settings: Settings, tp: TopicPartition) -> AsyncIterator[tuple[Any, int, int]]:
    """A consumer that reads nothing yet, the offset of the first record that is still there, and that of the next to come."""
    consumer = AIOKafkaConsumer(
        **kafka_options(settings), group_id=None, enable_auto_commit=False, max_partition_fetch_bytes=8 << 20
    )
    await consumer.start()
    try:
        if not consumer.partitions_for_topic(tp.topic):
            await consumer._client.force_metadata_update()
        if tp.partition not in (consumer.partitions_for_topic(tp.topic) or set()):
            raise UnknownTopicOrPartitionError(f"{tp.topic}-{tp.partition}")
        # Asked before it is assigned: a fetch that waits for records would hold the answers back by half a second.
        first, end = await consumer.beginning_offsets([tp]), await consumer.end_offsets([tp])
        yield consumer, first[tp], end[tp]
    finally:
        await consumer.stop()


async def topic_id(settings: Settings, topic: str) -> str | None:
    """Which topic the name means now; None where the broker tells no ids. Raises KafkaError."""
    client = AIOKafkaClient(**kafka_options(settings))
    await client.bootstrap()
    try:
        return (await topic_ids(client, [topic])).get(topic)
    finally:
        await client.close()


async def bounds(settings: Settings, topic: str, partition: int) -> tuple[int, int]:
    """The offsets of the first record that is still there, and of the next one to come."""
    async with _reader(settings, TopicPartition(topic, partition)) as (_, first, end):
        return first, end


async def read(
    settings: Settings, topic: str, partition: int, start: int = 0, end: int | None = None
) -> AsyncIterator[Any]:
    """The records of [start, end) that are there; `end` None is the end as it is now. Raises KafkaError."""
    tp = TopicPartition(topic, partition)
    async with _reader(settings, tp) as (consumer, first, now):
        start, end = max(start, first), now if end is None else min(end, now)
        if start >= end:
            return
        consumer.assign([tp])
        consumer.seek(tp, start)
        while await consumer.position(tp) < end:
            for record in (await consumer.getmany(tp, timeout_ms=500)).get(tp, []):
                if record.offset < end:
                    yield record
