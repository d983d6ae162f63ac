"""Garbage of any size on the spans topic: it becomes one dead letter, and what comes after it is judged."""

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from streams.topics import kafka_options
from streams.worker.sink import DEAD_BYTES_MAX
from tests.integration.conftest import NewStack
from tests.integration.pipeline import FAST, query, until
from tests.integration.test_bad_input import add

GARBAGE = b"\xff" * (12 << 20)  # fits the topic compressed, and no request of ours as it is


async def test_twelve_mebibytes_of_garbage_cost_no_neighbour(own_parts: NewStack) -> None:
    stack = await own_parts("gateway", "scorer", environment=FAST)
    good = ExportTraceServiceRequest()
    add(good.resource_spans.add().scope_spans.add().spans, 1)
    producer = AIOKafkaProducer(
        **kafka_options(stack.settings), compression_type="lz4", max_request_size=2 * len(GARBAGE)
    )
    await producer.start()
    for record in (GARBAGE, good.SerializeToString()):
        await producer.send_and_wait(stack.settings.spans_topic, record, partition=0)
    await producer.stop()
    await until(stack, "SELECT uniqExact(trace_id) FROM v1_trajectories", [1])
    await until(stack, "SELECT count() FROM v1_dead_letters", [1])
    where = query(stack, "SELECT topic, partition, offset, reason FROM v1_dead_letters")
    assert where == [(stack.settings.spans_topic, 0, 0, "not an OTLP trace export")]
    sums = query(stack, "SELECT sum(spans), sum(stored), sum(dead_lettered), min(closes) FROM v1_ledger")
    assert sums == [(2, 1, 1, 1)]
    value, headers = await dead_letter(stack)
    assert (len(value), headers["bytes"]) == (DEAD_BYTES_MAX, str(len(GARBAGE)).encode())


async def dead_letter(stack) -> tuple[bytes, dict[str, bytes]]:
    topic = TopicPartition(stack.settings.dlq_topic, 0)
    consumer = AIOKafkaConsumer(**kafka_options(stack.settings), group_id=None, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([topic])
        record = await consumer.getone()
        return record.value, dict(record.headers)
    finally:
        await consumer.stop()
