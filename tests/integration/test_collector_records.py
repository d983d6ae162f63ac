"""The spans topic as a stock Collector's kafka exporter writes it: either encoding, a record a trace and batch, no gateway."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from aiokafka import AIOKafkaProducer
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from schemas.partition import sarama
from streams.local.stack import LocalStack
from streams.topics import kafka_options
from tests.integration.conftest import NewStack
from tests.integration.pipeline import FAST, LEDGER, query, run, until

Encoding = Literal["otlp_proto", "otlp_json"]
RUNS = 12
FIRST: dict[Encoding, int] = {
    "otlp_proto": 1,
    "otlp_json": 101,
}  # the same runs in both encodings, under ids of their own
START_NS = 1_790_000_000_000_000_000
REGISTRY = """
workflows:
  - name: cashier
    tools:
      - {name: pay, writes: true, parameters: {type: object, properties: {id: {type: string}}, required: [id]}}
"""
SPANS = "span_id, parent_id, name, kind, dialect, service, workflow, agent, tool, start_time, end_time, status, arguments, result"
RESULTS = "workflow, span_id, step, agent, evaluator, verdict, score, reason_code, reason, evidence, final"
TRAJECTORIES = (
    "workflow, agent, state, close_reason, verdict, n_items, n_spans, n_steps, n_tool_calls, start_time, end_time"
)


def batches(n: int) -> Iterator[ExportTraceServiceRequest]:
    """What an agent exports of run n: its steps first, the root of all five seconds later."""
    yield export(
        n,
        (2, 1, "chat gpt", {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 40 + n}),
        (3, 1, "execute_tool pay", call('{"id": "7"}' if n % 3 else '{"id": 7}', n)),
        (4, 1, "execute_tool pay", call('{"id": "8"}', n)),
    )
    yield export(n, (1, 0, "invoke_agent", {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "cashier"}))


def call(arguments: str, n: int) -> dict[str, Any]:
    return {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "pay",
        "gen_ai.tool.call.arguments": arguments,
        "gen_ai.tool.call.result": '{"error": "no such id"}' if n % 4 == 0 else "paid",
    }


def export(n: int, *spans: tuple[int, int, str, dict[str, Any]]) -> ExportTraceServiceRequest:
    message = ExportTraceServiceRequest()
    sent = message.resource_spans.add()
    sent.resource.attributes.add(key="service.name").value.string_value = "shop"
    scope = sent.scope_spans.add()
    scope.scope.name = "agent"
    for number, parent, name, attributes in spans:
        span = scope.spans.add(
            trace_id=n.to_bytes(16, "big"),
            span_id=number.to_bytes(8, "big"),
            parent_span_id=parent.to_bytes(8, "big") if parent else b"",
            name=name,
            kind=Span.SPAN_KIND_INTERNAL,
            start_time_unix_nano=START_NS + number * 1_000_000,
            end_time_unix_nano=START_NS + 9_000_000 - number * 1_000_000,
        )
        for key, value in attributes.items():
            if isinstance(value, int):
                span.attributes.add(key=key).value.int_value = value
            else:
                span.attributes.add(key=key).value.string_value = value
    return message


def encoded(message: ExportTraceServiceRequest, encoding: Encoding) -> bytes:
    """As the exporter encodes it: JSON has camel case, ids in hex, enums as numbers, and 64-bit integers as text."""
    if encoding == "otlp_proto":
        return message.SerializeToString()
    document = MessageToDict(message, use_integers_for_enums=True)
    for one in (s for r in document["resourceSpans"] for scope in r["scopeSpans"] for s in scope["spans"]):
        one |= {name: value.hex() for name, value in ids(message, one).items()}
        one["status"] = {}
    return json.dumps(document, separators=(",", ":")).encode()


def ids(message: ExportTraceServiceRequest, one: dict[str, Any]) -> dict[str, bytes]:
    """The ids of a span as bytes: protobuf's own JSON has them in base 64, where OTLP wants hex."""
    spans = message.resource_spans[0].scope_spans[0].spans
    span = next(s for s in spans if str(s.start_time_unix_nano) == one["startTimeUnixNano"])
    return {"traceId": span.trace_id, "spanId": span.span_id, "parentSpanId": span.parent_span_id}


async def produce(stack: LocalStack, encoding: Encoding) -> None:
    """The runs' batches in turns, each record keyed by its trace id in hex and placed as Sarama places keys."""
    producer = AIOKafkaProducer(**kafka_options(stack.settings))
    await producer.start()
    exports = [list(batches(n)) for n in range(1, RUNS + 1)]
    for batch in zip(*exports, strict=True):
        for n, message in enumerate(batch, FIRST[encoding]):
            for span in message.resource_spans[0].scope_spans[0].spans:
                span.trace_id = n.to_bytes(16, "big")
            key = n.to_bytes(16, "big").hex().encode()
            partition = sarama(key, stack.settings.spans_partitions)
            value = encoded(message, encoding)
            await producer.send_and_wait(stack.settings.spans_topic, value, key=key, partition=partition)
    await producer.stop()


def rows(stack: LocalStack, columns: str, view: str, encoding: Encoding) -> list[tuple[Any, ...]]:
    """Rows of the runs of an encoding, each with the run's number."""
    first = FIRST[encoding]
    number = f"toUInt64(reinterpretAsUInt128(reverse(trace_key))) - {first}"
    found = query(
        stack,
        f"SELECT {number} AS run, {columns} FROM {view} WHERE run >= 0 AND run < {RUNS} ORDER BY ALL",
    )
    return [tuple(row) for row in found]


async def test_both_encodings_of_a_collector_become_the_same_spans_and_trajectories(
    own_parts: NewStack, tmp_path: Path
) -> None:
    stack = await own_parts("scorer", environment=FAST)
    registry = tmp_path / "workflows.yaml"
    registry.write_text(REGISTRY)
    await run(stack, "config", "apply", registry)
    for encoding in FIRST:
        await produce(stack, encoding)
    await until(
        stack, "SELECT count(), countIf(final), sum(n_items) FROM v1_trajectories", [2 * RUNS, 2 * RUNS, 8 * RUNS]
    )
    await until(stack, LEDGER, [8 * RUNS, 8 * RUNS, 0, 0])

    spans = rows(stack, SPANS, "v1_spans", "otlp_proto")
    assert len(spans) == 4 * RUNS
    assert rows(stack, SPANS, "v1_spans", "otlp_json") == spans
    trajectories = rows(stack, TRAJECTORIES, "v1_trajectories", "otlp_proto")
    assert {row[1:7] for row in trajectories} == {
        ("cashier", "cashier", "decided", "root_ended", "fail", 4),
        ("cashier", "cashier", "decided", "root_ended", "pass", 4),
    }
    assert rows(stack, TRAJECTORIES, "v1_trajectories", "otlp_json") == trajectories
    results = rows(stack, RESULTS, "v1_results", "otlp_proto")
    wrong = [row[0] + 1 for row in results if row[5] == "ParameterValidation" and row[6] == "fail"]
    assert wrong == [3, 6, 9, 12]
    assert rows(stack, RESULTS, "v1_results", "otlp_json") == results
