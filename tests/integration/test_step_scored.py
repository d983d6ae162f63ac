"""A rule that does not wait: runs that are never decided, and the alert that their steps raise."""

import asyncio
from pathlib import Path

from aiokafka import AIOKafkaProducer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from schemas.partition import partition_of_trace
from streams.alerter import subscriber
from streams.topics import kafka_options
from tests.documents import check_event
from tests.integration.conftest import NewStack
from tests.integration.pipeline import FAST, query, records_of, run, until

RULES = """
rules:
  - uid: early
    match: {evaluator: ToolCallSuccess}
    when: step_scored
    outcome: first
    condition: {fail_rate_above: 0.05}
  - uid: decided
    match: {evaluator: ToolCallSuccess}
    condition: {fail_rate_above: 0.05}
"""
RUNS = 60
NOW_NS = 1_795_000_000_000_000_000


def failing(n: int) -> bytes:
    """A step of a run whose root never comes."""
    message = ExportTraceServiceRequest()
    span = (
        message.resource_spans.add()
        .scope_spans.add()
        .spans.add(
            trace_id=n.to_bytes(16, "big"), span_id=b"stepstep", parent_span_id=b"rootroot", name="execute_tool pay"
        )
    )
    span.start_time_unix_nano, span.end_time_unix_nano, span.status.code = NOW_NS, NOW_NS + 10**6, 2
    told = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "pay", "gen_ai.workflow.name": "refund"}
    for key, value in told.items():
        span.attributes.add(key=key).value.string_value = value
    return bytes(message.SerializeToString())


async def test_an_alert_fires_while_every_run_is_still_open(own_parts: NewStack, tmp_path: Path) -> None:
    quick = {**FAST, "STEPWATCH_TICK_INTERVAL_S": "0.5"}
    stack = await own_parts("scorer", "alerter", environment=quick)
    settings = stack.settings
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    await run(stack, "config", "apply", rules)
    await asyncio.sleep(2.5)  # a scorer takes a config over within a second, an alerter with its next tick
    producer = AIOKafkaProducer(**kafka_options(settings))
    await producer.start()
    for n in range(1, RUNS + 1):
        place = partition_of_trace(n.to_bytes(16, "big"), settings.spans_partitions, settings.record_partitioner)
        await producer.send_and_wait(settings.spans_topic, failing(n), partition=place)
    await producer.stop()
    await until(stack, "SELECT countIf(state = 'open'), count() FROM trajectories FINAL", [RUNS, RUNS])
    async with asyncio.timeout(60):
        while not (found := [r.event async for r in subscriber.tail(settings, from_start=True, follow=False)]):
            await asyncio.sleep(0.5)
    for record in await records_of(settings, settings.alerts_topic):
        check_event(record.headers, record.value)
    assert {(event.type, event.rule.uid, event.evidence.n) for event in found} == {("firing", "early", RUNS)}
    assert query(stack, "SELECT count() FROM trajectories FINAL WHERE state = 'decided'") == [(0,)]
