"""The script of the demonstration: seeded, in phases, valid by the shipped schemas but for the fault it is about."""

import itertools
import json
from pathlib import Path

import jsonschema_rs
import pytest
import yaml

from streams.demo import example
from streams.demo.case import TASKS, truths
from streams.demo.mishap import APOLOGY
from streams.demo.scribe import SpanPlan
from streams.demo.script import RELEASES, Run, Schedule, run, runs

EXAMPLES = Path(__file__).parents[2] / "infra" / "examples"
SCHEDULE = Schedule(broken_at_s=20, repaired_at_s=40, length_s=60)
REGISTRY = yaml.safe_load((EXAMPLES / "workflows.yaml").read_text())
SCHEMAS = {
    (workflow["name"], tool["name"]): jsonschema_rs.validator_for({"additionalProperties": False, **tool["parameters"]})
    for workflow in REGISTRY["workflows"]
    for tool in workflow["tools"]
}


def play(seed: int = 1, rate: float = 300.0) -> list[Run]:
    return list(runs(seed, rate, SCHEDULE))


@pytest.fixture(scope="module")
def played() -> list[Run]:
    return play()


def tool_spans(run: Run) -> list[SpanPlan]:
    return [span for span in run.spans if span.attributes["gen_ai.operation.name"] == "execute_tool"]


def is_valid(run: Run, span: SpanPlan) -> bool:
    schema = SCHEMAS[run.workflow, str(span.attributes["gen_ai.tool.name"])]
    return schema.is_valid(json.loads(str(span.attributes["gen_ai.tool.call.arguments"])))


def is_swallowed(span: SpanPlan) -> bool:
    return not span.error and "error" in json.loads(str(span.attributes.get("gen_ai.tool.call.result", "{}")))


def test_the_same_seed_gives_the_same_runs_and_another_seed_others() -> None:
    assert play(1) == play(1)
    assert play(1)[:20] != play(2)[:20]


def test_a_run_depends_on_its_number_and_not_on_its_neighbours(played: list[Run]) -> None:
    some = played[137]
    assert run(1, some.number, some.at_s, some.phase) == some


def test_runs_are_evenly_spaced_and_make_the_rate(played: list[Run]) -> None:
    gaps = {round(b.at_s - a.at_s, 6) for a, b in itertools.pairwise(played)}
    spans = sum(len(r.spans) for r in played)
    assert len(gaps) == 1
    assert 0.9 * 300 < spans / SCHEDULE.length_s < 1.1 * 300


def test_phases_follow_the_schedule_and_each_has_its_release(played: list[Run]) -> None:
    phases = [phase for phase, _ in itertools.groupby(r.phase for r in played)]
    assert phases == ["healthy", "broken", "repaired"]
    assert len({RELEASES[phase] for phase in phases}) == 3
    assert next(r.at_s for r in played if r.phase == "broken") == pytest.approx(20, abs=0.1)


def test_every_workflow_has_planner_executor_and_verifier(played: list[Run]) -> None:
    seen = {
        (r.workflow, s.attributes["gen_ai.agent.name"])
        for r in played
        for s in r.spans
        if s.attributes["gen_ai.operation.name"] == "invoke_agent"
    }
    workflows = {"refund", "triage", "subscription"}
    assert seen == set(itertools.product(workflows, ("planner", "executor", "verifier")))


def test_trace_and_span_ids_are_never_used_twice(played: list[Run]) -> None:
    traces = [r.trace_id for r in played]
    spans = [i for r in played for i in r.span_ids]
    assert len(set(traces)) == len(traces)
    assert len(set(spans)) == len(spans)


def test_children_lie_within_their_parents_and_a_root_comes_first(played: list[Run]) -> None:
    for r in played:
        assert r.spans[0].parent is None
        for index, span in enumerate(r.spans[1:], start=1):
            assert span.parent is not None
            assert span.parent < index
            parent = r.spans[span.parent]
            assert parent.start_ms < span.start_ms < span.end_ms < parent.end_ms


def test_spans_carry_the_attributes_of_the_genai_conventions(played: list[Run]) -> None:
    needed = {
        "invoke_workflow": {"gen_ai.workflow.name", "gen_ai.input.messages", "gen_ai.output.messages"},
        "invoke_agent": {"gen_ai.agent.name"},
        "plan": {"gen_ai.agent.name"},
        "chat": {
            "gen_ai.request.model",
            "gen_ai.input.messages",
            "gen_ai.output.messages",
            "gen_ai.usage.input_tokens",
            "gen_ai.usage.output_tokens",
            "gen_ai.response.finish_reasons",
        },
        "execute_tool": {"gen_ai.tool.name", "gen_ai.tool.call.id", "gen_ai.tool.call.arguments", "gen_ai.agent.name"},
    }
    for span in (s for r in played for s in r.spans):
        operation = str(span.attributes["gen_ai.operation.name"])
        assert needed[operation] <= span.attributes.keys()
        assert span.name.startswith(operation)
        assert bool(span.error) == ("error.type" in span.attributes)


def test_the_answer_to_every_requested_call_has_the_calls_id(played: list[Run]) -> None:
    for r in played:
        ids = [str(s.attributes["gen_ai.tool.call.id"]) for s in tool_spans(r)]
        said = "".join(str(s.attributes.get("gen_ai.output.messages")) for s in r.spans)
        heard = "".join(str(s.attributes.get("gen_ai.input.messages")) for s in r.spans)
        asked = [i for i in ids if f'"{i}"' in said]
        assert len(set(ids)) == len(ids)
        assert asked
        assert all(f'"{i}"' in heard for i in asked)


def test_healthy_calls_fit_their_schema_but_for_the_few_that_their_tool_refuses_in_the_open(played: list[Run]) -> None:
    healthy = [(r, s) for r in played if r.phase != "broken" or r.workflow != "refund" for s in tool_spans(r)]
    refused = [s for r, s in healthy if not is_valid(r, s)]
    failed = [s for _, s in healthy if s.error]
    assert {s.error for s in refused} == {"missing_argument"}
    assert not any(is_swallowed(s) for _, s in healthy)
    assert 0.005 < len(failed) / len(healthy) < 0.03


def test_while_broken_update_crm_of_refund_is_wrong_and_swallowed_and_the_customer_hears_that_all_is_done(
    played: list[Run],
) -> None:
    broken = [r for r in played if r.phase == "broken" and r.workflow == "refund"]
    notes = [
        (r, s)
        for r in broken
        for s in tool_spans(r)
        if s.attributes["gen_ai.tool.name"] == "update_crm" and not s.error
    ]
    wrong = [(r, s) for r, s in notes if not is_valid(r, s)]
    assert 0.8 < len(wrong) / len(notes) < 1.0
    for r, span in wrong:
        assert is_swallowed(span)
        assert APOLOGY not in str(r.spans[0].attributes["gen_ai.output.messages"])


def test_while_broken_nothing_else_is_wrong(played: list[Run]) -> None:
    for r in (r for r in played if r.phase == "broken"):
        for span in tool_spans(r):
            if (r.workflow, span.attributes["gen_ai.tool.name"]) != ("refund", "update_crm"):
                assert not is_swallowed(span)
                assert is_valid(r, span) or span.error


def test_the_shipped_expectations_are_the_truth_of_the_tasks() -> None:
    lines = (EXAMPLES / "expectations.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == truths()


def test_some_runs_play_a_task_whose_truth_is_known(played: list[Run]) -> None:
    known = {(t.workflow, t.task_id) for t in TASKS}
    seen = [
        (r.workflow, r.spans[0].attributes["stepwatch.task.id"])
        for r in played
        if "stepwatch.task.id" in r.spans[0].attributes
    ]
    assert set(seen) == known
    assert 0.15 < len(seen) / len(played) < 0.35


def test_the_example_file_is_what_the_script_plays() -> None:
    assert example.PATH.read_text().splitlines() == list(example.lines())
