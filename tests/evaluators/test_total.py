"""TrajectoryScore: a weighted mean over what is scored, capped by hard failures; doing nothing earns nothing."""

import orjson
import pytest

from evaluators.judge import judge
from tests.builders import llm_span, result_of, tool, tool_span, trajectory, truth, workflow

TOOLS = [tool("refund", {"id": {}}, writes=True), tool("look", {"id": {}})]
SHOP = workflow(tools=TOOLS)
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
