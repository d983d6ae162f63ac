"""GoalProgress: the share of milestones reached; it never falls while the run is open."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators.catalogue import EVALUATORS
from evaluators.folding.evaluation import Evaluation
from evaluators.judge import judge
from tests.builders import llm_span, result_of, root_span, steps, tool, tool_span, trajectory, truth, workflow

TOOLS = [tool("refund", {"id": {}}, writes=True), tool("look", {"id": {}})]
SHOP = workflow(tools=TOOLS)
SILENT = workflow("silent")
REFUND, LOOK = ("refund", {"id": "1"}), ("look", {"id": "1"})


def played(*acts):
    """Spans of these acts: a text is said, a pair is called, a triple has a result."""
    return [
        llm_span(n, act, at_ms=n * 100) if isinstance(act, str) else tool_span(n, *act, at_ms=n * 100)
        for n, act in enumerate(acts, 1)
    ]


def judged(*acts, expected, shop=SHOP, **fields):
    return result_of(judge(trajectory(*played(*acts), workflow=shop, truth=expected, **fields)), "GoalProgress")


@pytest.mark.parametrize(
    ("acts", "expected", "open_score", "closed_score", "code"),
    [
        ([REFUND], truth(REFUND), 1.0, 1.0, ""),
        ([], truth(REFUND), 0.0, 0.0, "missing_call"),
        ([LOOK], truth(REFUND, LOOK), 1 / 3, 1 / 3, "missing_call"),
        ([REFUND], truth(REFUND, LOOK), 2 / 3, 2 / 3, "missing_call"),
        ([REFUND], truth(REFUND, REFUND, REFUND), 1 / 3, 1 / 3, "missing_call"),
        ([REFUND, REFUND], truth(REFUND), 1.0, 1 / 2, "unexpected_write"),
        ([REFUND, LOOK, LOOK], truth(REFUND), 1.0, 1.0, ""),
        ([("refund", {"id": "2"})], truth(REFUND), 0.0, 0.0, "wrong_write"),
        ([("refund", {"id": "1"}, "Error: no")], truth(REFUND), 0.0, 0.0, "missing_call"),
        ([REFUND], truth(REFUND, {"name": "look", "optional": True}), 1.0, 1.0, ""),
        ([REFUND, "it is 42"], truth(REFUND, outputs=["42", "43"]), 2 / 3, 2 / 3, "output_not_said"),
        ([REFUND], truth(REFUND, outputs=["42"]), 1 / 2, 1.0, ""),
        (
            [REFUND, ("refund", {"id": "2"})],
            truth({"name": "refund", "arguments": {"id": "2"}, "after": [1]}, REFUND),
            1.0,
            1.0,
            "",
        ),
        (
            [("refund", {"id": "2"}), REFUND],
            truth({"name": "refund", "arguments": {"id": "2"}, "after": [1]}, REFUND),
            1.0,
            2 / 3,
            "out_of_order",
        ),
        (
            [("refund", {"id": "2"}), REFUND],
            truth({"name": "refund", "arguments": {"id": "1"}, "acceptable": {"id": ["2"]}}, REFUND),
            1.0,
            1.0,
            "",
        ),
        ([REFUND], truth(REFUND, forbidden_calls=["refund"]), 1.0, 0.0, "forbidden_call"),
    ],
)
def test_the_share_of_milestones_while_open_and_what_was_wrong_only_at_the_end(
    acts, expected, open_score, closed_score, code
):
    running = judged(*acts, expected=expected, closed="")
    assert running.score == pytest.approx(open_score)
    assert running.reason_code == ("" if open_score == 1 else "so_far")
    ended = judged(*acts, expected=expected)
    assert (ended.score, ended.reason_code) == (pytest.approx(closed_score), code)
    assert ended.verdict == ("pass" if not code else "fail")


def test_where_nothing_is_expected_an_open_run_has_no_milestones_and_a_closed_one_is_right_if_it_wrote_nothing():
    assert judged(LOOK, expected=truth(), closed="").reason_code == "no_milestones"
    assert judged(LOOK, expected=truth()).score == 1.0
    assert judged(REFUND, expected=truth()).score == 0.0
    assert judged(REFUND, expected=truth(), shop=SILENT).reason_code == "no_milestones"


def test_a_runaway_lowers_it_at_the_end_only():
    capped = workflow(tools=TOOLS, policy={"max_steps": 2})
    acts = [REFUND, "one", "two", "three"]
    assert judged(*acts, expected=truth(REFUND), shop=capped, closed="").score == 1.0
    ended = judged(*acts, expected=truth(REFUND), shop=capped)
    assert (ended.score, ended.reason_code) == (0.5, "runaway")


@pytest.mark.parametrize(
    ("acts", "expected", "code"),
    [
        ([REFUND], None, "no_truth"),
        ([("refund", {"id": "***"})], truth(REFUND), "redacted"),
        ([("refund", None)], truth(REFUND), "not_captured"),
        ([REFUND, ("look", {"id": "<ID>"})], truth(REFUND, LOOK), "redacted"),
        ([], truth(outputs=["42"]), "not_captured"),
    ],
)
def test_what_nobody_can_tell_is_unscored(acts, expected, code):
    result = judged(*acts, expected=expected)
    assert (result.verdict, result.score, result.reason_code) == ("unscored", None, code)


def test_a_redacted_call_beside_all_that_was_reached_hides_nothing():
    assert judged(LOOK, ("look", {"id": "***"}), expected=truth(LOOK)).score == 1.0


def test_what_a_frame_around_the_run_said_counts():
    frame = root_span(kind="workflow", output_messages="it is 42")
    spans = [frame, *played(REFUND)]
    assert result_of(judge(trajectory(*spans, workflow=SHOP, truth=truth(outputs=["42"]))), "GoalProgress").score == 0.5


ACTS = st.sampled_from(
    [
        REFUND,
        LOOK,
        ("refund", {"id": "2"}),
        ("refund", {"id": "3"}),
        ("refund", {"id": 1.0}),
        ("refund", {"id": "1"}, "Error: no"),
        ("refund", "{'id': '1'}"),
        ("look", {"id": "***"}),
        ("look", None),
        "it is 42",
        "not 42, refund issued",
        "no refund issued",
    ]
)
TRUTHS = st.sampled_from(
    [
        truth(REFUND, REFUND, LOOK, outputs=["42", "refund issued"]),
        truth(
            {"name": "refund", "arguments": {"id": "1"}, "acceptable": {"id": ["2", "3"]}},
            {"name": "refund", "arguments": {"id": "2"}, "acceptable": {"id": ["1"]}, "after": [0]},
            REFUND,
            {"name": "look", "arguments": {"id": "1"}, "acceptable": {"id": [""]}},
        ),
        truth({"name": "refund", "arguments": {"id": "1"}, "optional": True}, LOOK),
    ]
)


@settings(max_examples=200, deadline=None)
@given(acts=st.lists(ACTS, max_size=14), expected=TRUTHS, shop=st.sampled_from([SHOP, SILENT]))
def test_it_never_falls_while_the_run_is_open_and_asking_changes_nothing(acts, expected, shop):
    whole = trajectory(*played(*acts), workflow=shop, truth=expected, closed="")
    evaluation = Evaluation(shop, expected, EVALUATORS)
    before = 0.0
    for step in whole.steps:
        evaluation.extend([step])
        said = result_of(evaluation.results(whole), "GoalProgress")
        assert said.score is not None and said.score >= before
        before = said.score
    ended = dataclasses.replace(whole, closed="root_ended")
    assert result_of(evaluation.results(ended), "GoalProgress") == result_of(judge(ended), "GoalProgress")


@pytest.mark.parametrize("acceptable", [{}, {"id": ["x"]}])
def test_ten_thousand_wrong_calls_reach_nothing(acceptable):
    wanted = [{"name": "refund", "arguments": {"id": str(-n)}, "acceptable": acceptable} for n in range(1, 200)]
    spans = [tool_span(n, "refund", {"id": str(n)}, at_ms=n) for n in range(1, 10_001)]
    expected = truth(*wanted)
    evaluation = Evaluation(SHOP, expected, tuple(e for e in EVALUATORS if e.name == "GoalProgress"))
    evaluation.extend(steps(*spans))
    result = result_of(evaluation.results(trajectory(workflow=SHOP, truth=expected, closed="")), "GoalProgress")
    assert result.score == 0.0
