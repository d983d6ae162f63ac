"""Fair turns on a real broker: well compressed fetches of some partitions keep nobody waiting."""

import time
from uuid import uuid4

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from streams.local.stack import LocalStack
from streams.topics import kafka_options
from streams.worker.ledger import POLL_BYTES_MAX, POLL_RECORDS_FIRST, next_turn

PARTITIONS, RECORDS, BYTES = 6, 200, 60_000


async def test_each_partition_has_its_turn_long_before_one_is_empty(stack: LocalStack) -> None:
    topic, options = f"turns.{uuid4().hex}", kafka_options(stack.settings)
    admin = AIOKafkaAdminClient(**options)
    await admin.start()
    await admin.create_topics([NewTopic(topic, PARTITIONS, 1)])
    await admin.close()
    producer = AIOKafkaProducer(**options, compression_type="lz4", linger_ms=200, max_batch_size=4 << 20)
    await producer.start()
    for partition in range(PARTITIONS):
        for _ in range(RECORDS):
            await producer.send(topic, bytes(BYTES), partition=partition)
    await producer.flush()
    await producer.stop()

    places = [TopicPartition(topic, p) for p in range(PARTITIONS)]
    consumer = AIOKafkaConsumer(
        **options, group_id=None, enable_auto_commit=False, max_poll_records=POLL_RECORDS_FIRST,
        max_partition_fetch_bytes=4 << 20, auto_offset_reset="earliest",
    )  # fmt: skip
    await consumer.start()
    try:
        consumer.assign(places)
        read = dict.fromkeys(places, 0)
        until_all, deadline = 0, time.monotonic() + 60
        while sum(read.values()) < PARTITIONS * RECORDS and time.monotonic() < deadline:
            polled = await consumer.getmany(timeout_ms=500)
            next_turn(consumer, polled)
            assert sum(len(r.value) for batch in polled.values() for r in batch) <= 2 * POLL_BYTES_MAX
            until_all += sum(map(len, polled.values())) if not all(read.values()) else 0
            for place, batch in polled.items():
                read[place] += len(batch)
        assert read == dict.fromkeys(places, RECORDS)
        assert until_all * BYTES <= (2 * PARTITIONS + 2) * POLL_BYTES_MAX, "a turn or two each"
    finally:
        await consumer.stop()
