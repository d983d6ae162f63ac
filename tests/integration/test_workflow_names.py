"""Naming rules on a running stack: a config that looks at other attributes names runs that were open before it came."""

import asyncio
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from schemas.partition import sarama
from streams.local.stack import LocalStack
from streams.topics import kafka_options
from tests.builders import trace_id
from tests.integration.conftest import NewStack
from tests.integration.pipeline import FAST, LEDGER, query, run, until
from tests.integration.test_collector_records import export

RULES = 'workflow_names: [{workflow: "desk {desk}", span: {desk: "*"}, resource: {service.name: shop}}]'
PAY = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "pay", "desk": "till 7"}
ROOT = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "cashier", "gen_ai.workflow.name": "refund"}
NAMES = "SELECT workflow FROM v1_trajectories WHERE trace_key = unhex('{}')"


async def put(stack: LocalStack, trace: int, *spans: tuple[int, int, str, dict[str, str]]) -> None:
    producer = AIOKafkaProducer(**kafka_options(stack.settings))
    await producer.start()
    place = sarama(trace_id(trace).hex().encode(), stack.settings.spans_partitions)
    value = export(trace, *spans).SerializeToString()
    await producer.send_and_wait(stack.settings.spans_topic, value, partition=place)
    await producer.stop()


async def test_open_runs_are_named_by_the_rules_of_the_moment_they_are_decided(
    own_parts: NewStack, tmp_path: Path
) -> None:
    stack = await own_parts("scorer", environment=FAST)
    call, root = (2, 1, "execute_tool pay", PAY), (1, 0, "invoke_agent", ROOT)
    await put(stack, 1, call, root)
    await until(stack, "SELECT countIf(final) FROM v1_trajectories", [1])
    for trace in (2, 3):
        await put(stack, trace, call)
    await until(stack, "SELECT count() FROM v1_trajectories", [3])
    rules = tmp_path / "workflows.yaml"
    rules.write_text(RULES)
    await run(stack, "config", "apply", rules)
    probes = await _until_in_force(stack, call)
    for trace in (2, 3, *probes):
        await put(stack, trace, root)
    n = 3 + len(probes)
    await until(stack, "SELECT countIf(final), sum(n_items) FROM v1_trajectories", [n, 2 * n])
    named = [query(stack, NAMES.format(trace_id(n).hex()))[0][0] for n in (1, 2, 3, probes[-1])]
    assert named == ["refund", "desk till 7", "desk till 7", "desk till 7"]
    await until(stack, "SELECT uniqExact(trace_id) FROM published", [n])
    await until(stack, LEDGER, [2 * n, 2 * n, 0, 0])


async def _until_in_force(stack: LocalStack, call: tuple[int, int, str, dict[str, str]]) -> list[int]:
    """New runs, until one is named by the rule: scorers look for a config now and then, and a span only makes a row once."""
    for trace in range(10, 70):
        await put(stack, trace, call)
        await asyncio.sleep(0.5)
        if query(stack, "SELECT count() FROM v1_trajectories WHERE workflow = 'desk till 7'")[0][0]:
            return list(range(10, trace + 1))
    pytest.fail("the rules never came into force")
