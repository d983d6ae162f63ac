"""The contract that every evaluator of the catalogue keeps, at its edges; over generated runs see `laws.py`.

Nothing to judge, one step, no root, ten thousand steps, over the cap, an evaluator that throws, one that is switched off.
"""

from typing import Any

import pytest

from evaluators import base
from evaluators.base import COMMON_CODES
from evaluators.catalogue import EVALUATORS
from evaluators.folding.plan import plan
from evaluators.judge import judge, judge_span
from evaluators.protocols import Combining, Contextual, SpanLocal
from schemas.registry import EVALUATOR_NAMES
from schemas.trajectory import OVER_CAP
from streams.console.evaluators import definition_of
from tests.builders import llm_span, root_span, tool, tool_span, trajectory, truth, workflow

SHOP = workflow(
    tools=[
        tool("refund", {"id": {"type": "string"}, "n": {"type": "integer"}}, ["id"], writes=True, latency_budget_ms=60),
        tool("look", {"id": {}}),
    ],
    policy={"max_steps": 12, "max_repeats": 2, "latency_budget_ms": 500, "cost_budget_usd": 0.5},
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
    """An evaluator that throws, in each of the places where one is called."""

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


class BrokenBefore(BrokenContext):
    def applies(self, workflow: object) -> bool:
        raise RuntimeError("applies")


class BrokenAtTheStart(BrokenContext):
    def initial(self, context: object) -> None:
        raise RuntimeError("initial")


class BrokenAtTheEnd(BrokenContext):
    def update(self, state: object, step: object) -> None: ...

    def finish(self, state: object, trajectory: object) -> list[Any]:
        raise RuntimeError("finish")


class BrokenCombining(Broken):
    def initial(self, context: object) -> None: ...

    def update(self, state: object, step: object, said: object) -> None: ...

    def combine(self, state: object, trajectory: object, late: object, whole: object) -> None:
        raise RuntimeError("combining")


class BrokenListener(BrokenCombining):
    def update(self, state: object, step: object, said: object) -> None:
        raise RuntimeError("update")


BROKEN: tuple[Any, ...] = (
    BrokenLocal(),
    BrokenBefore(),
    BrokenAtTheStart(),
    BrokenContext(),
    BrokenAtTheEnd(),
    BrokenCombining(),
    BrokenListener(),
)


@pytest.mark.parametrize("broken", BROKEN, ids=lambda b: type(b).__name__)
def test_what_an_evaluator_throws_is_its_error_and_the_others_go_on(broken):
    given_ = trajectory(tool_span(1, "refund", {"id": "1"}), workflow=SHOP, truth=TRUTHS[1])
    results = judge(given_, evaluators=(*EVALUATORS, broken))
    faults = [r for r in results if r.verdict == "error"]
    assert [(r.evaluator, r.reason_code, r.score) for r in faults] == [("Broken", "exception", None)]
    assert "RuntimeError" in faults[0].reason
    assert [r for r in results if r.verdict != "error"] == list(judge(given_))


def test_several_that_throw_are_an_error_each():
    given_ = trajectory(tool_span(1, "refund", {"id": "1"}), workflow=SHOP)
    broken = (BrokenBefore(), BrokenAtTheStart(), BrokenContext())
    faults = [r.reason for r in judge(given_, evaluators=(*broken, *EVALUATORS)) if r.verdict == "error"]
    assert sorted(faults) == [f"RuntimeError: {at}" for at in ("applies", "context", "initial")]


@pytest.mark.parametrize("evaluator", EVALUATORS, ids=lambda e: type(e).__name__)
def test_every_evaluator_is_defined_in_its_docstring(evaluator):
    said = definition_of(evaluator)
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
