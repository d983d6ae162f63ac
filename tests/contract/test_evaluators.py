"""The contract that every evaluator of the list keeps, over generated trajectories."""

import copy
import inspect
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators import base
from evaluators.base import COMMON_CODES, Combining, Contextual, SpanLocal
from evaluators.catalogue import EVALUATORS
from evaluators.evaluation import Evaluation
from evaluators.judge import judge, judge_span
from evaluators.plan import plan
from schemas.registry import EVALUATOR_NAMES
from schemas.result import TRAJECTORY_STEP
from schemas.span import Span
from schemas.trajectory import OVER_CAP, Trajectory
from tests.builders import llm_span, root_span, span, tool, tool_span, trajectory, truth, workflow

SHOP = workflow(
    tools=[
        tool("refund", {"id": {"type": "string"}, "n": {"type": "integer"}}, ["id"], writes=True, latency_budget_ms=60),
        tool("look", {"id": {}}),
    ],
    policy={"max_steps": 12, "max_repeats": 2, "latency_budget_ms": 500},
)
WORKFLOWS = (SHOP, workflow("silent"), workflow("reads", tools=[tool("look", {"id": {}})]))
TRUTHS = (
    None,
    truth(),
    truth(("refund", {"id": "1"}), ("refund", {"id": "1"}), outputs=["42"]),
    truth(
        {"name": "refund", "arguments": {"id": "1"}, "acceptable": {"id": ["2"], "n": [1, ""]}, "optional": True},
        forbidden_calls=["look"],
    ),
)
ARGUMENTS = st.sampled_from(
    [None, "", {}, {"id": "1"}, {"id": "2", "n": 1}, {"id": 3}, {"id": "<EMAIL>"}, "{", "[1]", '"x"']
)
RESULTS = st.sampled_from([None, "", "fine", {"error": "500"}, {"error": None}, "Error: no", [], "***", "{"])
CALLS = st.builds(
    lambda name, arguments, result, status, kind, took: (
        lambda n: tool_span(n, name, arguments, result, status=status, kind=kind, took_ms=took, at_ms=n * 100)
    ),
    st.sampled_from(["refund", "look", "other"]),
    ARGUMENTS,
    RESULTS,
    st.sampled_from([0, 0, 1, 2]),
    st.sampled_from(["tool_call", "tool_call", "retrieval", "handoff"]),
    st.sampled_from([10, 100, -5]),
)
TALK = st.builds(
    lambda said, reason: lambda n: llm_span(n, said, finish_reason=reason, at_ms=n * 100),
    st.sampled_from([None, "", "it is 42", "not 42"]),
    st.sampled_from(["stop", "length"]),
)
OTHERS = st.builds(
    lambda kind, status: lambda n: span(n, kind=kind, status=status, at_ms=n * 100),
    st.sampled_from(["agent", "planner", "verifier", "human"]),
    st.sampled_from([0, 2]),
)


@st.composite
def trajectories(draw: Any) -> Trajectory:
    made = draw(st.lists(st.one_of(CALLS, CALLS, TALK, OTHERS), max_size=16))
    return trajectory(
        *(make(n) for n, make in enumerate(made, 1)),
        workflow=draw(st.sampled_from(WORKFLOWS)),
        truth=draw(st.sampled_from(TRUTHS)),
        closed=draw(st.sampled_from(["", "root_ended", "abandoned"])),
        root=draw(st.sampled_from([True, False])),
        flags=draw(st.sampled_from([0, 0, 0, OVER_CAP])),
    )


CODES: dict[str, frozenset[str]] = {}
for evaluator in EVALUATORS:
    CODES[evaluator.name] = CODES.get(evaluator.name, frozenset()) | evaluator.reason_codes


@settings(max_examples=150, deadline=None)
@given(trajectories())
def test_every_result_is_well_formed(given_: Trajectory):
    results = judge(given_)
    targets = [(r.span_id, r.evaluator) for r in results]
    assert len(set(targets)) == len(targets), "one result per target and evaluator"
    for r in results:
        assert r.verdict != "error", r
        assert r.reason_code == "" or r.reason_code in CODES[r.evaluator], r
        assert r.score is None or 0.0 <= r.score <= 1.0
        assert (r.score is None) == (r.verdict == "unscored")
        assert r.reason or r.verdict == "pass", r
        assert r.reason_code or r.verdict == "pass", r
        assert r.basis in ("task_truth", "registry", "trace")


@settings(max_examples=60, deadline=None)
@given(trajectories())
def test_results_stand_in_the_order_of_steps_and_the_trajectory_comes_last(given_: Trajectory):
    places = {s.span.span_id: s.index for s in given_.steps}
    order = [places.get(r.span_id, len(places)) for r in judge(given_)]
    assert order == sorted(order)
    assert all((r.span_id == b"") == (r.step == TRAJECTORY_STEP) for r in judge(given_))


@settings(max_examples=60, deadline=None)
@given(trajectories())
def test_judging_again_from_equal_values_gives_equal_results(given_: Trajectory):
    again = trajectory_like(given_)
    assert judge(given_) == judge(given_) == judge(again)


def trajectory_like(one: Trajectory) -> Trajectory:
    """The same trajectory out of fresh objects: nothing that was computed on the way is shared."""
    spans = [Span(*copy.copy(tuple(s.span))) for s in one.steps]
    fresh = trajectory(*spans, workflow=one.workflow, truth=one.truth, closed=one.closed, root=one.root or False)
    return replace(one, steps=fresh.steps)


@settings(max_examples=60, deadline=None)
@given(trajectories())
def test_span_local_results_computed_earlier_change_nothing(given_: Trajectory):
    local = {s.span.span_id: judge_span(s.span, given_.workflow) for s in given_.steps}
    assert judge(given_, local) == judge(given_)


@settings(max_examples=60, deadline=None)
@given(given_=trajectories(), cut=st.integers(0, 16))
def test_folding_on_from_a_prefix_equals_folding_all(given_: Trajectory, cut: int):
    given_ = replace(given_, flags=given_.flags & ~OVER_CAP)
    early = replace(given_, steps=given_.steps[:cut])
    folded = Evaluation(given_.workflow, given_.truth, EVALUATORS)
    folded.extend(early.steps)
    assert folded.results(early) == judge(early)  # said in mid-flight: must leave the state as it is
    folded.extend(given_.steps[cut:])
    assert folded.results(given_) == judge(given_)


@pytest.mark.parametrize("shop", WORKFLOWS, ids=lambda w: w.name)
@pytest.mark.parametrize("expected", TRUTHS, ids=["none", "empty", "two", "optional"])
def test_empty_and_one_step_and_no_root(shop, expected):
    for spans in ([], [llm_span(1, "42")], [tool_span(1, "refund", {"id": "1"})], [root_span()]):
        assert all(r.verdict != "error" for r in judge(trajectory(*spans, workflow=shop, truth=expected)))
        lost = judge(
            trajectory(
                *spans, workflow=shop, truth=expected, root=bool(spans and not spans[0].parent_id), closed="abandoned"
            )
        )
        wholes = [r for r in lost if not r.span_id]
        assert wholes and (spans == [root_span()] or {r.reason_code for r in wholes} == {"no_root"})


@pytest.mark.parametrize("expected", TRUTHS, ids=["none", "empty", "two", "optional"])
def test_ten_thousand_steps(expected):
    spans = [tool_span(n, ("refund", "look")[n % 2], {"id": str(n % 50)}, at_ms=n) for n in range(1, 10_001)]
    results = judge(trajectory(*spans, workflow=SHOP, truth=expected))
    assert not [r for r in results if r.verdict == "error"]
    assert all(len(r.evidence) < 8_000 for r in results)


def test_over_the_cap_every_contextual_evaluator_is_truncated_and_span_local_ones_stand():
    results = judge(trajectory(tool_span(1, "refund", {"id": "1"}), workflow=SHOP, truth=TRUTHS[2], flags=OVER_CAP))
    wholes = [r for r in results if not r.span_id]
    assert {(r.verdict, r.reason_code) for r in wholes} == {("unscored", "truncated")}
    assert {r.evaluator for r in wholes} == {
        e.name for e in EVALUATORS if not isinstance(e, SpanLocal) and e.applies(SHOP)
    }
    assert {r.verdict for r in results if r.span_id} == {"pass"}


class Broken:
    """An evaluator that throws, in each of the three shapes."""

    name, version, reason_codes = "Broken", "1", COMMON_CODES

    def applies(self, workflow: object) -> bool:
        return True


class BrokenLocal(Broken):
    kinds = base.CALL_KINDS

    def judge(self, step: object, workflow: object) -> None:
        raise RuntimeError("local")


class BrokenContext(Broken):
    kinds = base.CALL_KINDS

    def initial(self, context: object) -> None: ...

    def update(self, state: object, step: object) -> None:
        raise RuntimeError("context")

    def finish(self, state: object, trajectory: object) -> list[Any]:
        return []


class BrokenCombining(Broken):
    def initial(self, context: object) -> None: ...

    def update(self, state: object, step: object, said: object) -> None: ...

    def combine(self, state: object, trajectory: object, late: object, whole: object) -> None:
        raise RuntimeError("combining")


@pytest.mark.parametrize("broken", [BrokenLocal(), BrokenContext(), BrokenCombining()], ids=lambda b: type(b).__name__)
def test_what_an_evaluator_throws_is_its_error_and_the_others_go_on(broken):
    given_ = trajectory(tool_span(1, "refund", {"id": "1"}), workflow=SHOP, truth=TRUTHS[1])
    results = judge(given_, evaluators=(*EVALUATORS, broken))
    faults = [r for r in results if r.verdict == "error"]
    assert [(r.evaluator, r.reason_code, r.score) for r in faults] == [("Broken", "exception", None)]
    assert "RuntimeError" in faults[0].reason
    assert [r for r in results if r.verdict != "error"] == list(judge(given_))


@pytest.mark.parametrize("evaluator", EVALUATORS, ids=lambda e: type(e).__name__)
def test_every_evaluator_is_defined_in_its_docstring(evaluator):
    said = inspect.getdoc(type(evaluator)) or ""
    assert "Counts:" in said
    for code in evaluator.reason_codes - COMMON_CODES:
        assert code in said, code
    assert evaluator.name in EVALUATOR_NAMES and evaluator.version == "1"
    assert sum(isinstance(evaluator, shape) for shape in (SpanLocal, Contextual, Combining)) == 1


def test_a_disabled_evaluator_says_nothing_and_a_threshold_decides_the_verdict():
    off = workflow(
        tools=[tool("look", {"id": {}})],
        evaluators={"ToolCallSuccess": {"enabled": False}, "StepEfficiency": {"pass_at": 0.1}},
    )
    same = [tool_span(n, "look", {"id": 1}) for n in range(1, 5)]
    results = judge(trajectory(*same, workflow=off))
    assert "ToolCallSuccess" not in {r.evaluator for r in results}
    whole = next(r for r in results if r.evaluator == "StepEfficiency" and not r.span_id)
    assert (whole.score, whole.verdict) == (0.25, "pass")
    assert "ToolCallSuccess" not in {e.name for chosen in plan(off, EVALUATORS).local.values() for e, _ in chosen}


def test_results_computed_before_the_whole_trace_was_known_get_their_labels_from_it():
    lone = tool_span(1, "look", {"id": 1}, agent="")
    local = {lone.span_id: judge_span(lone, SHOP)}
    assert {r.step for r in local[lone.span_id]} == {"-/look"}
    whole = trajectory(lone, workflow=SHOP)
    whole.steps[0].agent, whole.steps[0].label = "planner", "planner/look"
    assert {(r.step, r.agent) for r in judge(whole, local) if r.span_id} == {("planner/look", "planner")}
