"""TaskCompletion: expected writes exactly, outputs said, the run finished; without truth it abstains."""

import pytest

from evaluators.judge import judge
from evaluators.views.speech import unsaid
from tests.builders import llm_span, result_of, root_span, span, text_of, tool, tool_span, trajectory, truth, workflow

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


@pytest.mark.parametrize(
    ("spans", "verdict", "code"),
    [
        ([REFUND, BYE], "pass", "root_error"),
        ([REFUND], "fail", "cut_off"),
        ([llm_span(9, "I shall see to it"), tool_span(10, "refund", {"id": "1"}, at_ms=100)], "fail", "cut_off"),
        ([REFUND, llm_span(9, "Your ref", finish_reason="length")], "fail", "cut_off"),
        ([BYE], "fail", "missing_write"),
    ],
)
def test_a_root_that_ended_with_an_error_did_not_finish_unless_a_model_had_the_last_word(spans, verdict, code):
    result = judged(*spans, expected=WANTS, root=root_span(status=2))
    assert (result.verdict, result.reason_code) == (verdict, code)
    assert judged(*spans, root=root_span(status=2)).reason_code == "cut_off"  # without truth it is what the run says


def test_a_call_inside_the_model_call_that_made_it_is_followed_by_what_that_says():
    outer = llm_span(1, "Your refund is on its way.", took_ms=500)
    failed = tool_span(2, "lookup", {}, status=2, at_ms=100, took_ms=50, parent=1)
    assert judged(outer, failed).reason_code == "unrecovered_failure" and judged(outer, failed).verdict == "unscored"
    inside = tool_span(2, "refund", {"id": "1"}, at_ms=100, took_ms=50, parent=1)
    assert judged(outer, inside, expected=WANTS, root=root_span(status=2)).reason_code == "root_error"


def test_one_call_that_was_recorded_twice_is_one_call():
    client = tool_span(1, "refund", {"id": "1"}, took_ms=100)
    server = tool_span(2, "refund", {"id": "1"}, at_ms=10, took_ms=50, call_id="")
    nested = trajectory(client, server, BYE, workflow=SHOP, truth=WANTS)
    nested.steps[1].parent = 0
    assert result_of(judge(nested), "TaskCompletion").score == 1.0
    twice = tool_span(2, "refund", {"id": "1"}, at_ms=10, took_ms=50, call_id="call_1")
    assert judged(client, twice, BYE, expected=WANTS).score == 1.0
    later = tool_span(2, "refund", {"id": "1"}, at_ms=200, call_id="call_1")
    assert judged(client, later, BYE, expected=WANTS).reason_code == "unexpected_write"
    other = tool_span(2, "refund", {"id": "2"}, at_ms=10, call_id="call_1")
    assert judged(client, other, BYE, expected=WANTS).reason_code == "unexpected_write"


def test_parallel_calls_without_call_ids_are_as_many_calls_as_there_are():
    both = [tool_span(n, "refund", {"id": str(n)}, call_id="") for n in (1, 2)]
    assert judged(*both, BYE, expected=truth(("refund", {"id": "2"}), ("refund", {"id": "1"}))).score == 1.0


def test_a_run_without_a_single_message_is_judged_by_its_writes():
    assert judged(REFUND, expected=WANTS).score == 1.0
    assert judged(LOOKUP, expected=WANTS).reason_code == "missing_write"
    assert judged(REFUND, expected=truth(("refund", {"id": "1"}), outputs=["42"])).reason_code == "not_captured"


def test_where_the_last_words_were_not_captured_an_output_may_have_been_said():
    wants = truth(("refund", {"id": "1"}), outputs=["42"])
    assert judged(llm_span(1, "I look"), REFUND, llm_span(9, None), expected=wants).reason_code == "not_captured"
    assert judged(llm_span(1, "it is 42"), REFUND, llm_span(9, None), expected=wants).score == 1.0


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
        ([tool_span(1, "lookup", {}, status=2)], "fail", "unrecovered_failure"),
        ([tool_span(1, "lookup", {}, status=2), BYE], "unscored", "unrecovered_failure"),
        ([tool_span(1, "lookup", {}, status=2, took_ms=10), llm_span(2, None)], "unscored", "unrecovered_failure"),
        ([tool_span(1, "refund", {}, status=2)], "fail", "unrecovered_write"),
        ([tool_span(1, "refund", {}, status=2), BYE], "fail", "unrecovered_write"),
        ([tool_span(1, "refund", {}, {"error": "500"}), BYE], "fail", "unrecovered_write"),
        ([tool_span(1, "refund", {}, {"error": "500"}), LOOKUP, BYE], "fail", "unrecovered_write"),
        ([tool_span(1, "refund", {}, {"error": "500"}), llm_span(2, None)], "fail", "unrecovered_write"),
        (
            [tool_span(1, "refund", {}, {"error": "500"}), llm_span(2, "Sorry, it failed.")],
            "unscored",
            "unrecovered_write",
        ),
        (
            [tool_span(1, "refund", {}, {"error": "500"}), llm_span(2, "Done. Tell me if it failed.")],
            "fail",
            "unrecovered_write",
        ),
        ([tool_span(1, "refund", {}, {"error": "500"}), span(3, kind="human")], "unscored", "handed_to_human"),
        ([tool_span(1, "refund", {}, status=2), REFUND, BYE], "unscored", "no_truth"),
        ([REFUND, llm_span(9, "Your ref", finish_reason="length")], "fail", "cut_off"),
        ([REFUND, span(3, kind="human")], "unscored", "handed_to_human"),
    ],
)
def test_without_truth_it_fails_what_broke_off_and_else_abstains(spans, verdict, code):
    result = judged(*spans)
    assert (result.verdict, result.basis, result.reason_code) == (verdict, "trace", code)


@pytest.mark.parametrize(
    "messages",
    [
        "it is 42",
        [{"role": "assistant", "content": "it is 42"}],
        [{"role": "AI", "content": [{"type": "text", "text": "it is 42"}]}],
        [{"type": "ai", "content": "it is 42"}],
        {"choices": [{"message": {"role": "assistant", "content": "it is 42"}}]},
        {"lc": 1, "kwargs": {"type": "ai", "content": "it is 42"}},
        "[{'role': 'assistant', 'content': 'it is 42'}]",
    ],
)
def test_what_was_said_is_read_in_the_usual_shapes(messages):
    said = llm_span(9, output_messages=text_of(messages))
    assert judged(REFUND, said, expected=truth(("refund", {"id": "1"}), outputs=["42"])).score == 1.0


@pytest.mark.parametrize(
    "messages", ["[" * 900 + "]" * 900, [[[["x"]]]], "{", {"role": ["x"], "type": [], "content": 3}]
)
def test_messages_of_no_known_shape_say_nothing(messages):
    said = llm_span(9, output_messages=text_of(messages))
    assert (
        judged(REFUND, said, expected=truth(("refund", {"id": "1"}), outputs=["42"])).reason_code == "output_not_said"
    )


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


@pytest.mark.parametrize("unit", ["1", "1_", "1,", "1.", "-", "a", "no ", "refund ", "sorry if ", "{", "['"])
def test_a_hostile_text_is_read_without_a_match_that_starts_again_at_every_character(unit):
    text = unit * (65_536 // len(unit)) + "x"
    assert unsaid(["42", "refund issued"], [text]) == ["42", "refund issued"]
    acts = [tool_span(1, "refund", text, {"error": "500"}), tool_span(2, "lookup", {}, text), llm_span(9, text)]
    assert judged(*acts).reason_code == "unrecovered_write"
