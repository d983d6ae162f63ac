"""Content that comes in log records, on a real broker and a real ClickHouse: it meets its span, early, twice, late or lost."""

import json
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer

from schemas.otlp import pack
from schemas.partition import sarama
from schemas.signal import SIGNAL_HEADER
from schemas.span import RawSpan
from streams.local.stack import LocalStack
from streams.topics import kafka_options
from tests.builders import trace_id
from tests.integration.conftest import NewStack
from tests.integration.pipeline import FAST, LEDGER, query, records_of, run, until
from tests.integration.test_collector_records import export
from tests.otlp_logs import log

SETTLE = {"STEPWATCH_SETTLE_MANY_RESOURCES_MS": "2500", "STEPWATCH_SETTLE_ONE_RESOURCE_MS": "1000"}
REGISTRY = """
workflows:
  - name: cashier
    tools:
      - {name: pay, parameters: {type: object, properties: {id: {type: string}}, required: [id]}}
"""
PAY = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "pay"}
ROOT = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "cashier"}
TOOL_EVENT = "gen_ai.execute_tool.details"
LOGS_LEDGER = (
    "SELECT sum(log_records), sum(logs_stored), sum(logs_duplicate), sum(logs_ignored), sum(logs_dead_lettered), "
    "sum(logs_missing), min(closes) FROM v1_ledger"
)
VERDICTS = "SELECT span_id, verdict, reason_code FROM v1_results WHERE evaluator = 'ParameterValidation' AND final AND "


def told(trace: int, span: int, arguments: Any, **fields: Any) -> RawSpan:
    ids = {"trace_id": trace_id(trace), "n": span}
    return log(TOOL_EVENT, {"gen_ai.tool.call.arguments": arguments}, **{**ids, **fields})


async def put(stack: LocalStack, trace: int, value: bytes, signal: str = "") -> None:
    producer = AIOKafkaProducer(**kafka_options(stack.settings))
    await producer.start()
    partition = sarama(trace_id(trace).hex().encode(), stack.settings.spans_partitions)
    headers = [(SIGNAL_HEADER, signal.encode())] if signal else []
    await producer.send_and_wait(stack.settings.spans_topic, value, partition=partition, headers=headers)
    await producer.stop()


def spans(trace: int) -> bytes:
    """A run whose instrumentor keeps content out of its spans."""
    message = export(
        trace, (1, 0, "invoke_agent", ROOT), (2, 1, "execute_tool pay", PAY), (3, 1, "execute_tool pay", PAY)
    )
    return bytes(message.SerializeToString())


def verdicts(stack: LocalStack, trace: int) -> list[tuple[str, ...]]:
    found = query(stack, f"{VERDICTS} trace_id = '{trace_id(trace).hex()}' ORDER BY span_id")
    return [(row[0][-1], *row[1:]) for row in found]


async def test_content_in_log_records_is_judged_stored_and_accounted_for(own_parts: NewStack, tmp_path: Path) -> None:
    stack = await own_parts("scorer", environment={**FAST, **SETTLE})
    registry = tmp_path / "workflows.yaml"
    registry.write_text(REGISTRY)
    await run(stack, "config", "apply", registry)

    # Before their spans, with the header; twice; beside log lines that tell nothing, a result of ours, and one without a span.
    first = [
        told(1, 2, {"id": "7"}),
        told(1, 3, {"id": 7}),
        log("", body="a line of the application", trace_id=trace_id(1)),
        log("gen_ai.evaluation.result", {"gen_ai.evaluation.name": "ParameterValidation"}, trace_id=trace_id(1)),
        told(1, 3, {"id": 7}, span_id=b""),
    ]
    await put(stack, 1, pack(first), "logs")
    await put(stack, 1, pack(first[:2]), "logs")
    await put(stack, 1, spans(1))
    # As a Collector writes them, without a header: JSON, and after the spans.
    await put(stack, 2, spans(2))
    await put(stack, 2, _json(2, 2, '{"id": 7}'))
    await until(stack, "SELECT count(), countIf(final), sum(n_items) FROM v1_trajectories", [2, 2, 5 + 4])
    assert verdicts(stack, 1) == [("2", "pass", ""), ("3", "fail", "wrong_type")]
    assert verdicts(stack, 2) == [("2", "fail", "wrong_type"), ("3", "unscored", "not_captured")]

    # Late: the trace was decided and given up; it is read back, log records and all.
    await put(stack, 2, pack([told(2, 3, {"id": 8})]), "logs")
    await until(stack, "SELECT n_items FROM v1_trajectories WHERE trace_key = unhex('" + trace_id(2).hex() + "')", [5])
    assert verdicts(stack, 2) == [("2", "fail", "wrong_type"), ("3", "fail", "wrong_type")]
    changes = query(stack, "SELECT before, after FROM v1_verdict_changes WHERE evaluator = 'ParameterValidation'")
    assert [tuple(row) for row in changes] == [("unscored", "fail")]

    stored = query(stack, "SELECT name, service, arguments FROM v1_log_records ORDER BY ALL")
    assert [tuple(row) for row in stored] == [
        (TOOL_EVENT, "shop", '{"id": 7}'),
        (TOOL_EVENT, "shop", '{"id":"7"}'),
        (TOOL_EVENT, "shop", '{"id":7}'),
        (TOOL_EVENT, "shop", '{"id":8}'),
    ]
    await until(stack, LOGS_LEDGER, [9, 4, 2, 2, 1, 0, 1])
    await until(stack, LEDGER, [6, 6, 0, 0])
    said = await run(stack, "ledger")
    assert "the sum closes" in said
    assert [line.split() for line in said.splitlines()][-3:-1] == [
        ["tenant", "log", "records", "stored", "duplicate", "ignored", "dead", "lettered", "missing"],
        ["default", "9", "4", "2", "2", "1", "0"],
    ]
    await _redriven(stack)


async def _redriven(stack: LocalStack) -> None:
    """A dead log record is told apart from a span, and put back as what it is."""
    (letter,) = await records_of(stack.settings, stack.settings.dlq_topic)
    said = {name: value.decode() for name, value in letter.headers}
    assert said["reason"] == f"{TOOL_EVENT} without a span: span id must be 8 bytes, not all zero: empty"
    assert said["signal"] == "logs"
    shown = await run(stack, "dlq", "show", f"{letter.partition}/{letter.offset}")
    assert f'event_name: "{TOOL_EVENT}"' in shown
    assert "1 put back, 0 stay" in await run(stack, "dlq", "redrive", "--all")
    await until(stack, LOGS_LEDGER, [10, 4, 2, 2, 2, 0, 1])


def _json(trace: int, span: int, arguments: str) -> bytes:
    record = {
        "timeUnixNano": "1790000000000000000",
        "eventName": TOOL_EVENT,
        "traceId": trace_id(trace).hex(),
        "spanId": f"{span:016x}",
        "attributes": [{"key": "gen_ai.tool.call.arguments", "value": {"stringValue": arguments}}],
    }
    service = [{"key": "service.name", "value": {"stringValue": "shop"}}]
    frame = {"resource": {"attributes": service}, "scopeLogs": [{"logRecords": [record]}]}
    return json.dumps({"resourceLogs": [frame]}).encode()
