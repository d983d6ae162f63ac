"""LatencyBudget and IterationCap: what the policy allows."""

import orjson
import pytest

from evaluators.judge import judge, judge_span
from tests.builders import llm_span, result_of, root_span, span_id, tool, tool_span, trajectory, workflow

SLOW = workflow(
    tools=[tool("look", latency_budget_ms=200)], policy={"latency_budget_ms": 1000, "max_steps": 4, "max_repeats": 2}
)


@pytest.mark.parametrize(
    ("took_ms", "verdict", "score"),
    [(50, "pass", 1.0), (200, "pass", 1.0), (300, "fail", 0.5), (400, "fail", 0.0), (9000, "fail", 0.0)],
)
def test_a_calls_overrun_is_the_scores_complement(took_ms, verdict, score):
    result = result_of(judge_span(tool_span(1, "look", {}, took_ms=took_ms), SLOW), "LatencyBudget", 1)
    assert (result.verdict, result.score) == (verdict, score)


def test_a_call_without_an_end_has_no_duration():
    assert (
        result_of(judge_span(tool_span(1, "look", {}, end_ns=0), SLOW), "LatencyBudget", 1).reason_code == "bad_clock"
    )


def test_a_tool_without_a_budget_has_no_result():
    assert not [r for r in judge_span(tool_span(1, "other", {}, took_ms=9e6), SLOW) if r.evaluator == "LatencyBudget"]


def test_the_run_is_judged_by_its_root_and_in_mid_flight_by_its_steps():
    late = [llm_span(1), llm_span(2, at_ms=1400, took_ms=100)]
    ended = judge(trajectory(*late, workflow=SLOW, root=root_span(took_ms=1200)))
    assert result_of(ended, "LatencyBudget").score == pytest.approx(0.8)
    running = judge(trajectory(*late, workflow=SLOW, root=False, closed=""))
    assert result_of(running, "LatencyBudget").score == pytest.approx(0.5)
    assert not [r for r in judge(trajectory(*late)) if r.evaluator == "LatencyBudget"]


def test_the_step_that_crossed_the_cap_is_named_in_mid_flight():
    result = result_of(judge(trajectory(*[llm_span(n) for n in range(1, 9)], workflow=SLOW, closed="")), "IterationCap")
    assert (result.verdict, result.score, result.reason_code) == ("fail", 0.5, "too_many_steps")
    assert orjson.loads(result.evidence)["span_id"] == span_id(5).hex()


def test_identical_successful_calls_are_capped_and_failed_ones_are_not():
    same = [tool_span(n, "look", {"id": 1}) for n in range(1, 4)]
    result = result_of(judge(trajectory(*same, workflow=SLOW)), "IterationCap")
    assert (result.reason_code, orjson.loads(result.evidence)["span_id"]) == ("too_many_repeats", span_id(3).hex())
    retried = [tool_span(1, "look", {"id": 1}, status=2), *same[1:]]
    assert result_of(judge(trajectory(*retried, workflow=SLOW)), "IterationCap").verdict == "pass"


def test_without_any_policy_a_runaway_is_still_told_and_null_means_no_cap():
    runaway = [llm_span(n) for n in range(1, 202)]
    assert result_of(judge(trajectory(*runaway)), "IterationCap").reason_code == "too_many_steps"
    free = workflow(policy={"max_steps": None, "max_repeats": None})
    assert not [r for r in judge(trajectory(*runaway, workflow=free)) if r.evaluator == "IterationCap"]
