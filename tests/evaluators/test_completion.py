"""TaskCompletion: expected writes exactly, outputs said, the run finished; without truth it abstains."""

import pytest

from evaluators.judge import judge
from evaluators.speech import unsaid
from tests.builders import llm_span, result_of, root_span, span, tool, tool_span, trajectory, truth, workflow

SHOP = workflow(tools=[tool("refund", {"id": {}}, writes=True), tool("lookup", {"id": {}})])
REFUND = tool_span(1, "refund", {"id": "1"})
LOOKUP = tool_span(2, "lookup", {"id": "1"})
BYE = llm_span(9, "Your refund of $1,786.00 is on its way.")


def judged(*spans, expected=None, workflow=SHOP, **fields):
    return result_of(judge(trajectory(*spans, workflow=workflow, truth=expected, **fields)), "TaskCompletion")


WANTS = truth(("refund", {"id": "1"}))


@pytest.mark.parametrize(
    ("spans", "expected", "score", "code"),
    [
        ([REFUND, BYE], WANTS, 1.0, ""),
        ([LOOKUP, REFUND, BYE], WANTS, 1.0, ""),
        ([LOOKUP, BYE], truth(), 1.0, ""),
        ([BYE], WANTS, 0.0, "missing_write"),
        ([], WANTS, 0.0, "missing_write"),
        ([REFUND, tool_span(3, "refund", {"id": "1"}), BYE], WANTS, 0.0, "unexpected_write"),
        ([tool_span(3, "refund", {"id": "2"}), BYE], WANTS, 0.0, "wrong_write"),
        ([tool_span(3, "refund", {"id": "1"}, status=2), REFUND, BYE], WANTS, 1.0, ""),
        ([tool_span(3, "refund", {"id": "1"}, {"error": "500"}), BYE], WANTS, 0.0, "missing_write"),
        ([REFUND, BYE], truth(("refund", {"id": "1"}), outputs=["1786"]), 1.0, ""),
        ([REFUND, BYE], truth(("refund", {"id": "1"}), outputs=["1786", "42"]), 0.5, "output_not_said"),
        ([REFUND, llm_span(9, "Your ref", finish_reason="length")], WANTS, 0.0, "cut_off"),
        ([REFUND, BYE], truth(("refund", {"id": "1"}), forbidden_calls=["refund"]), 0.0, "forbidden_call"),
    ],
)
def test_with_task_truth(spans, expected, score, code):
    result = judged(*spans, expected=expected)
    assert (result.score, result.basis, result.reason_code) == (score, "task_truth", code)
    assert result.verdict == ("pass" if score == 1 else "fail")


def test_a_root_that_ended_with_an_error_did_not_finish():
    assert judged(REFUND, BYE, expected=WANTS, root=root_span(status=2)).reason_code == "cut_off"


@pytest.mark.parametrize(
    ("spans", "fields", "code"),
    [
        ([tool_span(1, "refund", {"id": "***"})], {}, "redacted"),
        ([tool_span(1, "refund", None)], {}, "not_captured"),
        ([], {"closed": ""}, "still_open"),
    ],
)
def test_unscored_with_truth(spans, fields, code):
    result = judged(*spans, expected=WANTS, **fields)
    assert (result.verdict, result.score, result.reason_code) == ("unscored", None, code)


def test_outputs_that_nobody_captured_are_unknown():
    silent = truth(outputs=["42"])
    assert judged(LOOKUP, llm_span(9, None), expected=silent).reason_code == "not_captured"


@pytest.mark.parametrize(
    ("spans", "verdict", "code"),
    [
        ([REFUND, BYE], "unscored", "no_truth"),
        ([], "unscored", "no_truth"),
        ([tool_span(1, "refund", {}, status=2)], "fail", "unrecovered_failure"),
        ([tool_span(1, "refund", {}, status=2), BYE], "unscored", "unrecovered_failure"),
        ([tool_span(1, "refund", {}, status=2), REFUND, BYE], "unscored", "no_truth"),
        ([REFUND, llm_span(9, "Your ref", finish_reason="length")], "fail", "cut_off"),
        ([REFUND, span(3, kind="human")], "unscored", "handed_to_human"),
    ],
)
def test_without_truth_it_fails_what_broke_off_and_else_abstains(spans, verdict, code):
    result = judged(*spans)
    assert (result.verdict, result.basis, result.reason_code) == (verdict, "trace", code)


@pytest.mark.parametrize(
    ("required", "said"),
    [
        ("1786", "that is $1,786.00 in all"),
        ("1,786", "1786"),
        ("$327", "327 dollars"),
        ("-4.50", "a change of -4.5"),
        ("Refund issued", "your REFUND ISSUED today"),
        ("ABC-1", "(abc-1)."),
        ("not eligible", "You are not eligible."),
    ],
)
def test_an_output_is_said(required, said):
    assert unsaid([required], [said]) == []


@pytest.mark.parametrize(
    ("required", "said"),
    [
        ("4", "in 2024"),
        ("4", "flight HAT004"),
        ("327", "327.5"),
        ("refund issued", "the refund was NOT issued"),
        ("refund issued", "There is no refund issued."),
        ("refund issued", "I can't see a refund issued"),
        ("Rome", "Romeo"),
        ("x", ""),
    ],
)
def test_an_output_is_not_said(required, said):
    assert unsaid([required], [said]) == [required]
