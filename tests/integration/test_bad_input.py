"""Bad input beside good: the good goes through, the bad is flagged, dead-lettered or refused with a sentence."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from schemas.partition import sarama
from schemas.span import CLOCK_SUSPECT, INVALID_UTF8
from streams.local.stack import LocalStack
from streams.topics import kafka_options
from tests.integration.conftest import NewStack
from tests.integration.pipeline import FAST, PARTS, query, until

DAY_NS = 86_400_000_000_000
NOW_NS = 1_790_000_000_000_000_000


def request() -> ExportTraceServiceRequest:
    """150 good traces of 150 different days, and beside them bad ones of every kind."""
    message = ExportTraceServiceRequest()
    spans = message.resource_spans.add().scope_spans.add().spans
    for n in range(150):
        add(spans, n + 1, start=NOW_NS - n * DAY_NS)
    add(spans, 151, start=0)  # 1970
    add(spans, 152, start=9_223_372_036_000_000_000)  # 2262
    add(spans, 153, arguments="not json")
    add(spans, 154, arguments="bad utf8 ?!?!")
    add(spans, 155, trace_id=b"short")
    return message


def add(spans: Any, n: int, start: int = NOW_NS, trace_id: bytes | None = None, arguments: str = '{"id": "7"}') -> None:
    span = spans.add(trace_id=trace_id or n.to_bytes(16, "big"), span_id=n.to_bytes(8, "big"), name="execute_tool pay")
    span.start_time_unix_nano, span.end_time_unix_nano = start, start + 1_000_000
    for key, value in {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "pay",
        "gen_ai.tool.call.arguments": arguments,
    }.items():
        span.attributes.add(key=key).value.string_value = value


async def test_bad_spans_cost_none_of_their_neighbours(new_stack: NewStack, tmp_path: Path) -> None:
    stack = await new_stack(parts=PARTS, environment=FAST)
    body = request().SerializeToString().replace(b"bad utf8 ?!?!", b"bad utf8 \xff\xfe\xff\xfe")
    answer = await _post(stack, body)
    assert answer.partial_success.rejected_spans == 1
    assert "trace id" in answer.partial_success.error_message

    await _produce(stack, b"\x0a\xff garbage", b'{"resourceSpans": [}', _broken_span())
    await until(stack, "SELECT uniqExact(trace_id) FROM v1_trajectories WHERE final", [155])
    flags = "SELECT countIf(bitAnd(flags, {0}) != 0) FROM spans FINAL WHERE trace_id = unhex('{1}')"
    for n, flag in ((151, CLOCK_SUSPECT), (152, CLOCK_SUSPECT), (154, INVALID_UTF8)):
        assert query(stack, flags.format(flag, n.to_bytes(16, "big").hex())) == [(1,)]
    reasons = await _dead_letters(stack, 3)
    assert all(reason for reason in reasons)
    assert query(stack, "SELECT count() FROM v1_ledger WHERE NOT closes") == [(0,)]


def _broken_span() -> bytes:
    """One record with a span that is no protobuf beside one that is."""
    message = ExportTraceServiceRequest()
    spans = message.resource_spans.add().scope_spans.add().spans
    add(spans, 156)
    good = spans[0].SerializeToString()
    bad = b"\x0a\xff\xff\xff" + b"\x00" * 8
    frame = b"".join(b"\x12" + bytes([len(s) & 127 | 128, len(s) >> 7]) + s for s in (bad, good))
    scope = b"\x12" + bytes([len(frame) & 127 | 128, len(frame) >> 7]) + frame
    return b"\x0a" + bytes([len(scope) & 127 | 128, len(scope) >> 7]) + scope


async def _post(stack: LocalStack, body: bytes) -> ExportTraceServiceResponse:
    url = f"http://127.0.0.1:{stack.settings.gateway_port}/v1/traces"
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=body, headers={"Content-Type": "application/x-protobuf"}) as response,
    ):
        assert response.status == 200
        return ExportTraceServiceResponse.FromString(await response.read())


async def _produce(stack: LocalStack, *records: bytes) -> None:
    producer = AIOKafkaProducer(**kafka_options(stack.settings))
    await producer.start()
    partition = sarama((156).to_bytes(16, "big").hex().encode(), 6)
    for record in records:
        await producer.send_and_wait(stack.settings.spans_topic, record, partition=partition)
    await producer.stop()


async def _dead_letters(stack: LocalStack, wanted: int) -> list[str]:
    consumer = AIOKafkaConsumer(**kafka_options(stack.settings), group_id=None, auto_offset_reset="earliest")
    await consumer.start()
    consumer.assign([TopicPartition(stack.settings.dlq_topic, p) for p in range(stack.settings.dlq_partitions)])
    reasons: list[str] = []
    try:
        async with asyncio.timeout(60):
            while len(reasons) < wanted:
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    reasons += [dict(record.headers)["reason"].decode() for record in records]
    finally:
        await consumer.stop()
    return reasons
