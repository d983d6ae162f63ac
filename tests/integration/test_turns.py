"""Fair turns on a real broker: well compressed fetches of some partitions keep nobody waiting."""

import asyncio
import json
import sys
import time
from uuid import uuid4

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from streams.local.stack import LocalStack
from streams.topics import kafka_options
from streams.worker.ledger import POLL_BYTES_MAX, POLL_RECORDS_FIRST, next_turn

PARTITIONS, RECORDS, BYTES = 12, 200, 60_000
CHUNKS = 200  # two thirds of all, far more than the buffer of a stream holds
# A worker that is slower than what it reads; after some chunks, how many records of each partition it had.
SLOW = f"""
import asyncio, json, os, sys
from collections import Counter
from streams.settings import Settings
from streams.worker.ledger import create_ledger_app

async def main():
    had, chunks = Counter(), 0
    async def handle(chunk):
        nonlocal chunks
        await asyncio.sleep(0.03)
        had[chunk.tp.partition] += len(chunk.records)
        chunks += 1
        if chunks == {CHUNKS}:
            print(json.dumps([had[p] for p in range({PARTITIONS})]), flush=True)
            os._exit(0)
    async def ignore(_):
        pass
    settings = Settings(bootstrap_servers=sys.argv[1])
    await create_ledger_app(sys.argv[2], settings, sys.argv[2], handle, ignore, ignore).start()
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def filled(stack: LocalStack) -> str:
    """A topic of large records that compress well."""
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
    return topic


async def test_a_slow_worker_takes_of_all_partitions_alike(stack: LocalStack) -> None:
    topic = await filled(stack)
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SLOW, stack.settings.bootstrap_servers, topic, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await asyncio.wait_for(worker.communicate(), 120)
    had = json.loads(said.splitlines()[-1])
    assert min(had) >= max(had) / 3, had


async def test_each_partition_has_its_turn_long_before_one_is_empty(stack: LocalStack) -> None:
    topic, options = await filled(stack), kafka_options(stack.settings)
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
