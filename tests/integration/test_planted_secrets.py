"""Planted secrets on a real broker and a real ClickHouse: none is behind the scorer, in no table and on no topic."""

import json
import re
from pathlib import Path

import pytest

from schemas.otlp import pack
from streams.local.stack import LocalStack
from tests.integration.conftest import NewStack
from tests.integration.pipeline import FAST, environment, query, records_of, run, until
from tests.integration.test_collector_records import export
from tests.integration.test_kills import scorer
from tests.integration.test_log_records import SETTLE, put, told

MAIL, CARD, NAME = "planted.secret@example.org", "4111 1111 1111 1111", "Plantagenet"
ROOT = {
    "gen_ai.operation.name": "invoke_agent",
    "gen_ai.agent.name": "cashier",
    "gen_ai.input.messages": f"I am {MAIL}",
}
PAY = {
    "gen_ai.operation.name": "execute_tool",
    "gen_ai.tool.name": "pay",
    "gen_ai.tool.call.arguments": json.dumps({"mail": MAIL, "card": CARD.replace(" ", ""), "name": NAME}),
    "gen_ai.tool.call.result": json.dumps({"error": f"{MAIL} is not known"}),
}


@pytest.mark.parametrize("level", ["mask", "strict"])
async def test_no_planted_secret_passes_the_scorer(own_parts: NewStack, tmp_path: Path, level: str) -> None:
    secret = {"STEPWATCH_REDACTION_SECRET": "a secret of some length"}
    stack = await own_parts("gateway", environment=FAST)
    registry = tmp_path / "workflows.yaml"
    tools = [
        {
            "name": "pay",
            "parameters": {"type": "object", "properties": {"mail": {"type": "string"}, "card": {}, "name": {}}},
        }
    ]
    registry.write_text(
        json.dumps({"redaction": {"tenants": {"default": level}}, "workflows": [{"name": "cashier", "tools": tools}]})
    )
    await run(stack, "config", "apply", registry)
    spans = export(1, (1, 0, "invoke_agent", ROOT), (2, 1, f"pay for {MAIL}", PAY), (3, 1, "pay", PAY))
    await put(stack, 1, bytes(spans.SerializeToString()))
    await put(stack, 1, bytes(spans.SerializeToString()))  # twice
    await put(stack, 1, pack([told(1, 3, {"mail": MAIL})]), "logs")
    worker = await scorer({**environment(stack), **FAST, **SETTLE, **secret}, None)  # one that knows the registry
    try:
        await _judged_and_clean(stack, level)
    finally:
        worker.terminate()
        await worker.wait()


async def _judged_and_clean(stack: LocalStack, level: str) -> None:
    await until(stack, "SELECT count() FROM trajectories FINAL WHERE state = 'decided' AND n_items = 4", [1])

    found = query(
        stack, "SELECT evaluator, verdict, reason_code FROM v1_results WHERE evaluator = 'ParameterValidation'"
    )
    assert {row[1:] for row in found} == {("unscored", "redacted")}
    failed = query(stack, "SELECT reason_code FROM v1_results WHERE evaluator = 'ToolCallSuccess' AND final")
    assert {row[0] for row in failed} == {"swallowed"}, "that a call failed is not taken away"
    assert query(stack, "SELECT countIf(bitAnd(flags, 32) > 0) FROM spans FINAL") == [(3,)]

    planted = [MAIL, CARD, CARD.replace(" ", "")] + ([NAME] if level == "strict" else [])
    assert await _where(stack, planted) == []
    if level == "mask":
        assert await _where(stack, ["[EMAIL:"]) != [], "the search finds what is there"


async def _where(stack: LocalStack, needles: list[str]) -> list[str]:
    """Tables and topics behind the scorer in which one of these texts stands."""
    found = []
    for (table,) in query(
        stack, "SELECT name FROM system.tables WHERE database = currentDatabase() AND total_rows > 0"
    ):
        text = "\n".join(str(row) for row in query(stack, f"SELECT * FROM `{table}`"))
        found += [str(table) for needle in needles if needle in text]
    settings = stack.settings
    for topic in (settings.outcomes_topic, settings.alerts_topic, settings.dlq_topic, settings.alert_state_topic):
        text = b"\n".join(record.value or b"" for record in await records_of(settings, topic))
        found += [topic for needle in needles if re.search(re.escape(needle).encode(), text)]
    return found
