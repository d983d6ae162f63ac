"""Sampling on a running stack: dropped spans are accounted for and nowhere else; runs outside the sample are stored, and counted
nowhere though some of them are judged."""

import asyncio
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from schemas.partition import sarama
from streams.local.stack import LocalStack
from streams.topics import kafka_options
from tests.builders import trace_id
from tests.integration.conftest import NewStack
from tests.integration.pipeline import FAST, LEDGER, query, run, until
from tests.integration.test_collector_records import export

CONFIG = """
drop: [{resource: {service.name: "load*"}}]
defaults: {sample: 0, judge_also: [errors]}
"""
PAY = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "pay", "gen_ai.tool.call.arguments": "{}"}
ROOT = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "cashier"}
OK, BAD, FIRST_PROBE = 1, 2, 100


def run_of(n: int, service: str) -> ExportTraceServiceRequest:
    message = export(n, (2, 1, "execute_tool pay", PAY), (1, 0, "invoke_agent", ROOT))
    for resource_spans in message.resource_spans:
        del resource_spans.resource.attributes[:]
        resource_spans.resource.attributes.add(key="service.name").value.string_value = service
    if n == BAD:
        message.resource_spans[0].scope_spans[0].spans[0].status.code = 2
    return message


async def put(stack: LocalStack, n: int, service: str) -> None:
    producer = AIOKafkaProducer(**kafka_options(stack.settings))
    await producer.start()
    place = sarama(trace_id(n).hex().encode(), stack.settings.spans_partitions)
    await producer.send_and_wait(stack.settings.spans_topic, run_of(n, service).SerializeToString(), partition=place)
    await producer.stop()


async def test_what_is_dropped_is_accounted_for_and_what_is_not_sampled_counts_nowhere(
    own_parts: NewStack, tmp_path: Path
) -> None:
    stack = await own_parts("scorer", environment=FAST)
    config = tmp_path / "workflows.yaml"
    config.write_text(CONFIG)
    await run(stack, "config", "apply", config)
    probes = await _until_in_force(stack)
    kept = query(stack, "SELECT sum(stored) FROM v1_ledger")[0][0]  # what came before the config
    for n in (OK, BAD):
        await put(stack, n, "shop")
    ours = "trace_id IN (unhex('{}'), unhex('{}'))".format(*(trace_id(n).hex() for n in (OK, BAD)))
    await until(stack, f"SELECT countIf(state = 'decided'), sum(n_items) FROM trajectories FINAL WHERE {ours}", [2, 4])
    total = 2 * (probes + 2)
    await until(stack, LEDGER, [total, total, 0, 0])
    await until(stack, "SELECT sum(sampled_out), sum(stored) FROM v1_ledger", [total - 4 - kept, 4 + kept])
    judged = query(stack, f"SELECT trace_id, weight, length(results.verdict) > 0 FROM trajectories FINAL WHERE {ours}")
    assert sorted(judged) == [(trace_id(OK), 0.0, 0), (trace_id(BAD), 0.0, 1)]
    assert query(stack, "SELECT count() FROM spans WHERE service LIKE 'load%'")[0][0] == kept
    assert "the sum closes" in await run(stack, "ledger")


async def _until_in_force(stack: LocalStack) -> int:
    """Send what is dropped, until it is: scorers look for a config every second. How many runs that took."""
    for sent in range(1, 60):
        await put(stack, FIRST_PROBE + sent, "loadgen")
        await asyncio.sleep(0.5)
        if query(stack, "SELECT sum(sampled_out) FROM v1_ledger")[0][0]:
            return sent
    pytest.fail("the rules never came into force")
