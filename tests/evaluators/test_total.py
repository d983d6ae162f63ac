"""TrajectoryScore: a weighted mean over what is scored, capped by hard failures; doing nothing earns nothing."""

import orjson
import pytest

from evaluators.judge import judge
from tests.builders import llm_span, result_of, span, tool, tool_span, trajectory, truth, workflow

TOOLS = [tool("refund", {"id": {}}, writes=True), tool("look", {"id": {}})]
SHOP = workflow(tools=TOOLS)
SILENT = workflow("silent")
REFUND = tool_span(1, "refund", {"id": "1"})
WANTS = truth(("refund", {"id": "1"}))


def judged(*spans, shop=SHOP, **fields):
    return result_of(judge(trajectory(*spans, workflow=shop, **fields)), "TrajectoryScore")


def test_an_agent_that_does_nothing_fails_where_writes_are_expected():
    idle = judged(llm_span(1, "done!"), truth=WANTS)
    assert (idle.verdict, idle.score) == ("fail", 0.0)


def test_nothing_scored_is_no_score():
    assert judged(llm_span(1, "done!")).reason_code == "nothing_scored"


def test_all_right_is_one():
    assert judged(REFUND, truth=WANTS).score == 1.0


def test_weights_are_renormalised_over_what_is_scored_and_the_parts_are_told():
    shop = workflow(tools=TOOLS, trajectory_weights={"TaskCompletion": 0.5, "StepEfficiency": 0.3, "GoalProgress": 0.2})
    twice = [REFUND, tool_span(2, "refund", {"id": "1"}, at_ms=100)]
    result = judged(*twice, shop=shop, truth=WANTS)
    assert result.score == pytest.approx(0.5 * 0 + 0.3 * 0.5 + 0.2 * 0.5)
    assert set(orjson.loads(result.evidence)["parts"]) == {"TaskCompletion", "StepEfficiency", "GoalProgress"}
    result = judged(*twice, shop=shop)
    assert result.score == pytest.approx(0.5)
    assert set(orjson.loads(result.evidence)["parts"]) == {"StepEfficiency"}


def test_a_crossed_cap_is_a_hard_failure():
    shop = workflow(tools=TOOLS, policy={"max_steps": 1})
    result = judged(REFUND, llm_span(2, "done"), shop=shop, truth=WANTS)
    assert (result.verdict, result.score, result.reason_code) == ("fail", 0.25, "hard_failure")


def test_the_workflows_threshold_decides_the_verdict():
    calls = [REFUND, tool_span(2, "look", {"id": "1"}, status=2)]
    strict = workflow(tools=TOOLS, evaluators={"TrajectoryScore": {"pass_at": 0.99}})
    assert judged(*calls, truth=WANTS).verdict == "pass"
    assert judged(*calls, shop=strict, truth=WANTS).verdict == "fail"


FAILED = tool_span(1, "refund", {"id": "1"}, {"error": "500"})
BYE = llm_span(9, "Your refund is on its way.", at_ms=900)
LOOKS = [tool_span(n, "look", {"id": str(n)}, at_ms=n * 100) for n in range(2, 7)]


@pytest.mark.parametrize(
    "spans",
    [
        [FAILED, *LOOKS, BYE],
        [*LOOKS, tool_span(8, "refund", {"id": "1"}, status=2, at_ms=800), BYE],
        [FAILED, *LOOKS],
        [FAILED, *LOOKS, llm_span(9, None)],
        [FAILED, *LOOKS, llm_span(9, "All done. If anything is not right, do not hesitate to write.")],
    ],
)
def test_a_write_that_failed_and_was_not_recovered_does_not_pass_where_the_run_ends_as_if_all_were_well(spans):
    result = judged(*spans)
    assert (result.verdict, result.reason_code) == ("fail", "hard_failure") and result.score <= 0.25
    assert judged(*spans, closed="").reason_code != "hard_failure"  # it may still be recovered


@pytest.mark.parametrize(
    ("spans", "fields"),
    [
        ([FAILED, *LOOKS, tool_span(8, "refund", {"id": "1"}, at_ms=800), BYE], {}),
        ([FAILED, *LOOKS, llm_span(9, "I'm sorry, the refund could not be made.")], {}),
        ([FAILED, *LOOKS, span(9, kind="human", at_ms=900)], {}),
        ([FAILED, *LOOKS, BYE], {"truth": truth()}),
        ([tool_span(1, "look", {"id": "1"}, "Error: no"), *LOOKS[3:], BYE], {"shop": SILENT}),
    ],
)
def test_a_failure_that_was_recovered_owned_up_to_handed_over_or_not_asked_for_is_none(spans, fields):
    assert judged(*spans, **fields).reason_code != "hard_failure"


IDLE = {"TaskCompletion": 0.01, "StepEfficiency": 0.5, "IterationCap": 0.5, "ToolCallSuccess": 0.5}


@pytest.mark.parametrize("weights", [{}, IDLE, {"IterationCap": 1.0}, {"LatencyBudget": 1.0, "StepEfficiency": 1.0}])
@pytest.mark.parametrize("spans", [[], [llm_span(1, "done!")], LOOKS, [*LOOKS, BYE], [FAILED, BYE]])
def test_nothing_done_where_a_write_is_expected_fails_whatever_the_weights(spans, weights):
    shop = workflow(tools=TOOLS, trajectory_weights=weights, policy={"latency_budget_ms": 90_000})
    result = judged(*spans, shop=shop, truth=WANTS)
    assert result.verdict == "fail" and result.score <= 0.25


def test_to_stay_within_limits_is_no_work():
    shop = workflow(tools=TOOLS, trajectory_weights={"IterationCap": 1.0, "TaskCompletion": 1.0})
    assert judged(llm_span(1, "done!"), shop=shop).reason_code == "nothing_scored"
    over = workflow(tools=TOOLS, trajectory_weights={"IterationCap": 1.0}, policy={"max_steps": 1})
    assert judged(llm_span(1), llm_span(2), shop=over).reason_code == "hard_failure"


def test_part_of_what_was_expected_is_a_low_score_and_no_hard_failure():
    result = judged(REFUND, truth=truth(("refund", {"id": "1"}), ("refund", {"id": "2"})))
    assert result.reason_code == "low_score" and 0.25 < result.score < 0.7
