"""CostBudget: what the leaf spans cost, against the policy, in mid-flight."""

import orjson
import pytest

from evaluators.judge import judge
from tests.builders import llm_span, result_of, root_span, span, span_id, tool_span, trajectory, workflow

SHOP = workflow(policy={"cost_budget_usd": 0.5})


def judged(*spans, parents=(), **fields):
    run = trajectory(*spans, workflow=SHOP, **fields)
    for child, parent in parents:
        run.steps[child].parent = parent
    return result_of(judge(run), "CostBudget")


@pytest.mark.parametrize(
    ("costs", "score", "code"),
    [
        ([0.1, 0.2], 1.0, ""),
        ([0.1] * 5, 1.0, ""),
        ([0.25, 0.5], 0.5, "over_budget"),
        ([0.5, 0.5], 0.0, "over_budget"),
        ([90.0], 0.0, "over_budget"),
        ([0.0], 1.0, ""),
        ([None, 0.1], 1.0, ""),
        ([float("nan"), -3.0, float("inf"), 1e300, 0.1], 1.0, ""),
    ],
)
def test_the_overrun_is_the_scores_complement(costs, score, code):
    result = judged(*[llm_span(n, cost_usd=cost) for n, cost in enumerate(costs, 1)])
    assert (result.score, result.reason_code) == (pytest.approx(score), code)


def test_no_cost_captured_is_unscored_and_no_budget_no_result():
    assert judged(llm_span(1)).reason_code == "not_captured"
    assert judged(llm_span(1, cost_usd=float("nan"))).reason_code == "not_captured"
    assert not [r for r in judge(trajectory(llm_span(1, cost_usd=9.0))) if r.evaluator == "CostBudget"]


def test_totals_of_agents_and_wrappers_are_not_counted_again():
    spans = [
        span(1, kind="agent", cost_usd=0.6),
        span(2, kind="agent"),
        llm_span(3, cost_usd=0.3),
        llm_span(4, cost_usd=0.3),
        llm_span(5, cost_usd=0.1),
    ]
    nested = [(1, 0), (2, 1), (3, 2), (4, 0)]  # agent > agent > model's wrapper > model, and a model of the outer agent
    assert judged(*spans, parents=nested).score == 1.0
    assert judged(*spans).reason_code == "over_budget"


def test_a_total_stands_where_nothing_below_says_a_cost():
    spans = [span(1, kind="agent", cost_usd=0.75), llm_span(2), llm_span(3, cost_usd=0.0)]
    assert judged(*spans, parents=[(1, 0), (2, 0)]).score == pytest.approx(0.5)
    frame = root_span(kind="workflow", cost_usd=0.75)
    assert judged(frame, llm_span(2)).score == pytest.approx(0.5)
    assert judged(frame, llm_span(2, cost_usd=0.1)).score == 1.0


def test_an_overrun_is_said_in_mid_flight_with_the_step_that_crossed():
    calls = [llm_span(1, cost_usd=0.4), tool_span(2, "look"), llm_span(3, cost_usd=0.2), llm_span(4, cost_usd=0.05)]
    result = judged(*calls, closed="", root=False)
    assert (result.score, result.reason_code) == (pytest.approx(0.7), "over_budget")
    assert orjson.loads(result.evidence)["span_id"] == span_id(3).hex()


def test_a_chain_of_ten_thousand_totals_is_one_cost():
    spans = [llm_span(n, cost_usd=0.4) for n in range(1, 10_001)]
    assert judged(*spans, parents=[(n, n - 1) for n in range(1, 10_000)]).score == 1.0
