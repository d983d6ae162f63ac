"""Bad input beside good: the good goes through, the bad is flagged, dead-lettered or refused with a sentence."""

import json
from pathlib import Path
from typing import Any

import aiohttp
from aiokafka import AIOKafkaProducer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from schemas.partition import sarama
from schemas.span import CLOCK_SUSPECT, INVALID_UTF8
from streams.local.stack import LocalStack
from streams.topics import kafka_options
from tests.integration.conftest import NewStack
from tests.integration.pipeline import FAST, LEDGER, query, records_of, run, until

DAY_NS = 86_400_000_000_000
NOW_NS = 1_790_000_000_000_000_000
PLACE = sarama((156).to_bytes(16, "big").hex().encode(), 6)
REGISTRY = """
workflows:
  - name: shop
    tools: [{name: pay, parameters: {type: object, properties: {id: {type: string}}, required: [id]}}]
"""
WIRE = "Error parsing message with type 'stepwatch.{}': Wire format was corrupt"
REASONS = [  # of the records that are put on the topic below
    f"not an OTLP trace export: {WIRE.format('Traces')}",
    "not JSON: Expecting value: line 1 column 20 (char 19)",
    f"not an OTLP span: {WIRE.format('Span')}",
    "bad_trace_id: trace id must be 16 bytes (32 hex characters), not '0000000000'",
]


def request() -> ExportTraceServiceRequest:
    """150 good traces of 150 different days, and beside them bad ones of every kind."""
    message = ExportTraceServiceRequest()
    sent = message.resource_spans.add()
    sent.resource.attributes.add(key="service.name").value.string_value = "shop"
    spans = sent.scope_spans.add().spans
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


async def test_bad_spans_cost_none_of_their_neighbours(own_parts: NewStack, tmp_path: Path) -> None:
    stack = await own_parts("gateway", "scorer", environment=FAST)
    registry = tmp_path / "workflows.yaml"
    registry.write_text(REGISTRY)
    await run(stack, "config", "apply", registry)
    body = request().SerializeToString().replace(b"bad utf8 ?!?!", b"bad utf8 \xff\xfe\xff\xfe")
    answer = await _post(stack, body)
    assert answer.partial_success.rejected_spans == 1
    assert "trace id" in answer.partial_success.error_message

    bad = (b"\x0a\xff garbage", b'{"resourceSpans": [}', _broken_span(), _short_id())
    offsets = await _produce(stack, *bad)
    await until(stack, "SELECT uniqExact(trace_id) FROM v1_trajectories WHERE final", [156])
    flags = "SELECT countIf(bitAnd(flags, {0}) != 0) FROM spans FINAL WHERE trace_id = unhex('{1}')"
    for n, flag in ((151, CLOCK_SUSPECT), (152, CLOCK_SUSPECT), (154, INVALID_UTF8)):
        assert query(stack, flags.format(flag, n.to_bytes(16, "big").hex())) == [(1,)]
    not_json = query(
        stack,
        "SELECT span_id, verdict, reason_code FROM v1_results WHERE evaluator = 'ParameterValidation' "
        f"AND trace_id = '{(153).to_bytes(16, 'big').hex()}'",
    )
    assert not_json == [((153).to_bytes(8, "big").hex(), "fail", "not_json")]

    where = [(stack.settings.spans_topic, PLACE, offset) for offset in offsets]
    letters = await _dead_letters(stack)
    assert [(*place, "default", reason) for place, reason in zip(where, REASONS, strict=True)] == letters
    await until(stack, "SELECT count() FROM v1_dead_letters", [len(bad)])
    told = query(stack, "SELECT topic, partition, offset, tenant, reason, detail FROM v1_dead_letters ORDER BY offset")
    assert told == [(*letter[:4], letter[4].partition(":")[0], letter[4]) for letter in letters]
    in_log = 154 + 2 + 4  # taken by the gateway, good ones beside bad ones, dead ones
    await until(stack, LEDGER, [in_log, in_log, len(bad), 0])
    await _another_try(stack, letters)


async def _another_try(stack: LocalStack, letters: list[Any]) -> None:
    """What is still no span comes back as a new letter; what an older version could not read is judged."""
    listed = await run(stack, "dlq", "list", "--json", "--reason", "not an OTLP span")
    (one,) = [json.loads(line) for line in listed.splitlines()]
    assert [one["topic"], one["partition"], one["offset"], one["tenant"], one["reason"]] == list(letters[2])
    shown = await run(stack, "dlq", "show", one["place"])
    assert "ff ff ff" in shown.lower() or "\\377\\377\\377" in shown  # its bytes, in its frame
    message = ExportTraceServiceRequest()
    add(message.resource_spans.add().scope_spans.add().spans, 158)
    settings, cured = stack.settings, message.SerializeToString()
    headers = [
        (n, v.encode()) for n, v in {"reason": "no dialect", "topic": settings.spans_topic, "partition": "0"}.items()
    ]
    producer = AIOKafkaProducer(**kafka_options(settings))
    await producer.start()
    await producer.send_and_wait(settings.dlq_topic, cured, partition=1, headers=headers)
    await producer.stop()
    told = await run(stack, "dlq", "redrive", "--all", "--dry-run")
    assert "5 would be put back, 0 stay" in told
    assert "5 put back, 0 stay" in await run(stack, "dlq", "redrive", "--all")
    await until(stack, "SELECT uniqExact(trace_id) FROM v1_trajectories WHERE final", [157])
    await until(stack, "SELECT count() FROM v1_dead_letters", [len(letters) + 4])
    await until(stack, LEDGER, [160 + 5, 160 + 5, len(letters) + 4, 0])
    told = await run(stack, "ledger")
    assert "the sum closes" in told
    homes = query(stack, "SELECT DISTINCT partition FROM v1_trajectories WHERE trace_id = '" + f"{158:032x}'")
    assert homes == [(sarama(f"{158:032x}".encode(), settings.spans_partitions),)], (
        "by its trace, not where it came from"
    )


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


def _short_id() -> bytes:
    """One record, JSON as a Collector writes it, with a span whose trace id is cut short beside one that is good."""
    times = {"startTimeUnixNano": str(NOW_NS), "endTimeUnixNano": str(NOW_NS + 1)}
    ids = ((156).to_bytes(16, "big").hex()[:10], (157).to_bytes(16, "big").hex())
    spans = [{"traceId": trace, "spanId": "00000000000000aa", "name": "chat", **times} for trace in ids]
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).encode()


async def _produce(stack: LocalStack, *records: bytes) -> list[int]:
    """Put records on the topic as they are; their offsets."""
    producer = AIOKafkaProducer(**kafka_options(stack.settings))
    await producer.start()
    sent = [await producer.send_and_wait(stack.settings.spans_topic, r, partition=PLACE) for r in records]
    await producer.stop()
    return [place.offset for place in sent]


async def _dead_letters(stack: LocalStack) -> list[tuple[str, int, int, str, str]]:
    """What the dlq's headers say of each: topic, partition and offset it came from, tenant, reason."""
    found = []
    for record in await records_of(stack.settings, stack.settings.dlq_topic):
        said = {name: value.decode() for name, value in record.headers}
        found.append((said["topic"], int(said["partition"]), int(said["offset"]), said["tenant"], said["reason"]))
    return sorted(found)
