"""A registry drafted from runs: accepted by the parser, true to what was seen, guesses marked."""

import json
import random
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from schemas.registry import EMPTY, parse_registry
from schemas.trajectory import TraceKey
from streams.core.assemble import assemble
from streams.core.draft import draft_text, scalar
from streams.core.guess import Calls, guess_writes
from streams.core.infer import Draft, Quantiles
from streams.offline import SkipList, read_items
from streams.otlp_files import exports_of
from tests.builders import llm_span, root_span, span, tool_span, trace_id
from tests.shared import shared

EXAMPLES = Path(__file__).parents[2] / "infra" / "examples"
FEW = Calls(3, 0, 3, 3)


def drafted(*trajectories):
    draft = Draft()
    for one in trajectories:
        draft.see(one)
    return draft_text(draft)


def run_of(n, *spans):
    """Run n of a workflow called shop."""
    spans = [s._replace(trace_id=trace_id(n), workflow="shop") for s in (root_span(), *spans)]
    return assemble(TraceKey("default", trace_id(n)), spans, EMPTY, {}, "marker")


def shop(text):
    return parse_registry(text, "draft").workflow("shop")


def test_tools_schemas_agents_and_counts():
    text = drafted(
        run_of(
            1, tool_span(1, "find_order", {"order": "O-1"}), tool_span(2, "cancel_order", {"order": "O-1", "fee": 2})
        ),
        run_of(
            2,
            tool_span(1, "find_order", {"order": "O-2", "deep": True}),
            tool_span(2, "cancel_order", {}, "Error: x", status=2),
        ),
    )
    workflow = shop(text)
    assert workflow.agents == {"executor"}
    assert {name: tool.writes for name, tool in workflow.tools.items()} == {"find_order": False, "cancel_order": True}
    assert workflow.tools["find_order"].parameters["required"] == ["order"]
    # The call that failed says nothing about what is right.
    assert workflow.tools["cancel_order"].parameters["required"] == ["fee", "order"]
    assert "- name: cancel_order # 2 calls, 1 of them failed" in text
    assert "writes: true # a guess: its name says 'cancel'" in text


def test_budgets_and_caps_are_comments_alone():
    text = drafted(*(run_of(n, tool_span(1, "look", {}, took_ms=n)) for n in range(1, 101)))
    budget, p99 = map(int, re.search(r"# latency_budget_ms: (\d+) # p99 of 100 calls: (\d+) ms", text).groups())
    assert 99 <= p99 <= 101 and p99 <= budget <= 110
    assert "#   max_steps:" in text
    assert shop(text).tools["look"].latency_budget_ms is None
    assert shop(text).policy == EMPTY.defaults.policy


def test_each_proposal_can_be_taken_over_by_taking_its_sign_away():
    text = drafted(*(run_of(n, tool_span(1, "look", {}), tool_span(2, "look", {})) for n in range(20)))
    uncommented = re.sub(r"^( +)# ( *)((?:policy|max_\w+|latency_budget_ms):)", r"\1\2\3", text, flags=re.MULTILINE)
    taken = shop(uncommented)
    assert taken.tools["look"].latency_budget_ms and taken.policy.max_repeats == 3 and taken.policy.latency_budget_ms


def test_the_schema_that_models_were_offered_wins_over_what_was_seen():
    schema = {"type": "object", "properties": {"order": {"type": "string", "pattern": "^O-"}}, "required": ["order"]}
    offered = json.dumps(
        [{"name": "find", "parameters": schema}, {"name": "never_used", "parameters": {"type": "object"}}]
    )
    text = drafted(run_of(1, llm_span(1, tool_definitions=offered), tool_span(2, "find", {"order": "O-1"})))
    assert shop(text).tools["find"].parameters == schema
    assert "- name: never_used # offered, never called" in text


def test_arguments_that_were_not_captured_are_not_invented():
    text = drafted(run_of(1, tool_span(1, "look", None)))
    assert shop(text).tools["look"].parameters is None and "its arguments were not captured" in text


def test_a_tool_that_hands_over_writes_nothing_and_a_handoff_without_a_tool_is_none():
    handoffs = [tool_span(1, "transfer_to_desk", {}, kind="handoff"), span(2, kind="handoff", name="goto desk")]
    text = drafted(run_of(1, *handoffs))
    assert list(shop(text).tools) == ["transfer_to_desk"]
    assert "# reads, as a guess: it hands the run over" in text


def test_the_order_of_runs_does_not_matter():
    runs = [
        run_of(n, tool_span(1, "look", {"mode": ["a", "b"][n % 2], "n": n}), tool_span(2, "buy", {"x": [n]}))
        for n in range(60)
    ]
    shuffled = random.Random(1).sample(runs, len(runs))
    assert drafted(*runs) == drafted(*shuffled)


def test_nothing_seen_is_an_empty_registry():
    assert parse_registry(drafted(), "draft").exact == {}


NAMES = st.text(min_size=1, max_size=12).filter(lambda text: "\x00" not in text)


@given(
    NAMES,
    NAMES,
    st.dictionaries(NAMES, NAMES | st.floats(allow_nan=False, allow_infinity=False) | st.none(), max_size=4),
)
def test_whatever_things_are_called_the_parser_takes_the_draft(workflow, tool, arguments):
    spans = [root_span(workflow=workflow), tool_span(1, tool, arguments, agent=workflow)]
    made = assemble(TraceKey("default", trace_id()), spans, EMPTY, {}, "marker")
    registry = parse_registry(drafted(made), "draft")
    found = registry.workflow(made.workflow_name)
    assert found.name != "defaults" and set(found.tools) == {made.steps[-1].call.name}


@given(st.text() | st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.booleans() | st.none())
def test_a_scalar_reads_back_as_itself(value):
    assert yaml.safe_load(f"[{scalar(value)}]") == [value]


@pytest.mark.parametrize(
    ("name", "calls", "writes", "reason"),
    [
        ("get_order", FEW, False, "its name says 'get'"),
        ("update_order", FEW, True, "its name says 'update'"),
        ("orders.create", FEW, True, "its name says 'create'"),
        ("cancelOrder", FEW, True, "its name says 'cancel'"),
        ("HTTPGet", FEW, False, "its name says 'get'"),
        ("change_plan", FEW, True, "its name says 'change'"),
        ("order_lookup", FEW, False, "its name says 'lookup'"),
        ("get_update_status", FEW, False, "its name says 'get'"),
        ("crm", FEW, False, "nothing in its name tells, and it was called too seldom"),
        ("crm", Calls(100, 30, 50, 2), False, "30 of 100 calls repeat an earlier one"),
        ("crm", Calls(100, 0, 90, 80), True, "never repeated, and the last call in 80 of 90 runs"),
        ("crm", Calls(100, 0, 90, 10), False, "nothing tells that it writes"),
    ],
)
def test_guesses_have_a_reason(name, calls, writes, reason):
    assert guess_writes(name, calls) == (writes, reason)


@given(st.lists(st.floats(0.01, 1e7), min_size=1, max_size=50), st.floats(0.01, 1))
def test_a_quantile_is_told_to_two_percent(values, share):
    seen = Quantiles()
    for value in values:
        seen.add(value)
    exact = sorted(values)[max(0, -(-int(share * len(values) * 1e9) // 10**9) - 1)]
    assert exact * 0.979 <= seen.at(share) <= max(values)


def test_the_command_drafts_what_check_accepts(run, tmp_path):
    draft = tmp_path / "draft.yaml"
    assert run("workflows", "infer", EXAMPLES / "demo-traces.jsonl", "--out", draft).returncode == 0
    assert run("config", "check", draft).returncode == 0
    found = parse_registry(draft.read_text(), "draft")
    known = parse_registry((EXAMPLES / "workflows.yaml").read_text(), "known")
    for name in ("refund", "triage", "subscription"):
        assert found.workflow(name).tools.keys() == known.workflow(name).tools.keys()
        assert {t for t, tool in found.workflow(name).tools.items() if tool.writes} == {
            t for t, tool in known.workflow(name).tools.items() if tool.writes
        }


def test_a_draft_of_recorded_runs_accepts_every_call_that_worked():
    records = ((str(p), n, r) for p in sorted(shared("data/spans").glob("*.jsonl")) for n, r in exports_of(p))
    traces: dict[bytes, list] = {}
    for one in read_items(records, 0, SkipList()):
        traces.setdefault(one.trace_id, []).append(one)
    made = [assemble(TraceKey("default", key), spans, EMPTY, {}, "marker") for key, spans in traces.items()]
    draft = Draft()
    for one in made:
        draft.see(one)
    registry = parse_registry(draft_text(draft), "draft")
    learnt = 0
    for one in made:
        for step in one.steps:
            call = step.call
            if step.kind == "tool_call" and call.executed and isinstance(call.arguments, dict):
                validator = registry.workflow(one.workflow_name).tools[call.name].validator
                if draft.workflows[one.workflow_name].tools[call.name].offered is None:
                    learnt += 1
                    assert validator is not None and validator.is_valid(call.arguments)
    assert learnt > 10
