"""Cases on which today's open metrics are wrong (evaluators.md 4), a test each: what they answer stands in its name."""

import pytest

from evaluators.judge import judge
from evaluators.views.speech import unsaid
from schemas.expectation import truth_from_span
from tests.builders import llm_span, result_of, text_of, tool, tool_span, trajectory, truth, workflow

ID = {"id": {"type": "string"}}
TOOLS = [
    tool("refund", {**ID, "note": {"type": "string"}}, ["id"], writes=True),
    tool("delete_account", ID, writes=True),
    tool("verify", ID),
    tool("look", {**ID, "page": {"type": "integer"}}),
    tool(
        "order",
        {
            "count": {"type": "integer"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "address": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    ),
]
SHOP = workflow(tools=TOOLS, policy={"order": [{"before": "verify", "tool": "refund"}], "max_repeats": None})
FREE = workflow(tools=TOOLS)
REFUND = ("refund", {"id": "1"})
WANTS = truth(REFUND)


def played(*acts):
    """A text is said; a tuple is a call with its arguments, result and other fields."""
    spans = []
    for n, act in enumerate(acts, 1):
        if isinstance(act, str):
            spans.append(llm_span(n, act, at_ms=n * 100))
        else:
            name, arguments, *rest = act
            spans.append(tool_span(n, name, arguments, *rest[:1], at_ms=n * 100, **(rest[1] if len(rest) > 1 else {})))
    return spans


def judged(evaluator, *acts, span=None, shop=FREE, **fields):
    return result_of(judge(trajectory(*played(*acts), workflow=shop, **fields)), evaluator, span)


def test_an_agent_that_does_nothing_but_marks_a_step_final_fails_where_writes_are_expected__not_trajectory_score_76():
    idle = trajectory(llm_span(1, "", finish_reason="stop", is_end=True), workflow=FREE, truth=WANTS)
    for evaluator in ("TrajectoryScore", "TaskCompletion", "FunctionCallAccuracy", "GoalProgress", "FirstFault"):
        result = result_of(judge(idle), evaluator)
        assert (result.verdict, result.score) == ("fail", 0.0), evaluator


def test_nothing_expected_and_nothing_called_is_one__not_function_call_accuracy_0():
    assert judged("FunctionCallAccuracy", "good day", truth=truth()).score == 1.0


def test_one_call_for_three_identical_expected_ones_is_a_third__not_1():
    assert judged("FunctionCallAccuracy", REFUND, truth=truth(REFUND, REFUND, REFUND)).score == pytest.approx(1 / 3)


def test_one_right_and_nine_extra_wrong_calls_are_a_tenth_or_less__not_1():
    wrong = [("refund", {"id": str(n)}) for n in range(2, 11)]
    result = judged("FunctionCallAccuracy", REFUND, *wrong, truth=WANTS)
    assert result.verdict == "fail" and result.score is not None and result.score <= 0.1


def test_the_wrong_function_with_the_same_arguments_is_nothing__not_60():
    assert judged("FunctionCallAccuracy", ("delete_account", {"id": "1"}), truth=WANTS).score == 0.0


def test_no_tool_call_although_one_is_required_is_nothing__not_tool_selection_accuracy_1():
    result = judged("ToolSelectionAccuracy", "done!", truth=WANTS)
    assert (result.verdict, result.score) == ("fail", 0.0)


@pytest.mark.parametrize(
    "acts",
    [
        [REFUND, ("verify", {"id": "1"})],
        [*[("delete_account", {"id": str(n)}) for n in range(9)], ("verify", {"id": "1"}), REFUND],
    ],
    ids=["refund before verify", "nine deletes and one refund"],
)
def test_the_wrong_order_and_the_wrong_tools_fail__not_tool_selection_accuracy_1(acts):
    expected = truth(("verify", {"id": "1"}), REFUND)
    assert judged("ToolSelectionAccuracy", *acts, shop=SHOP, truth=expected).verdict == "fail"


def test_six_identical_calls_are_five_redundant_ones_within_0_and_1__not_step_efficiency_minus_half():
    run = judge(trajectory(*played(*[("look", {"id": "1"})] * 6), workflow=FREE))
    assert [result_of(run, "StepEfficiency", n).reason_code for n in range(1, 7)] == ["", *["redundant"] * 5]
    assert result_of(run, "StepEfficiency").score == pytest.approx(1 / 6)


def test_a_legitimate_retry_after_a_failure_is_not_redundant():
    acts = [("look", {"id": "1"}, None, {"status": 2}), ("look", {"id": "1"})]
    run = judge(trajectory(*played(*acts), workflow=FREE))
    assert [result_of(run, "StepEfficiency", n).reason_code for n in (1, 2)] == ["", ""]
    assert result_of(run, "StepEfficiency").score == 1.0


def test_a_b_a_b_with_changed_arguments_is_backtracked__not_1():
    acts = [("look", {"id": "1", "page": page}, "nobody") for page in (1, 2)]
    other = [("verify", {"id": str(n)}, "unknown") for n in (1, 2)]
    run = judge(trajectory(*played(acts[0], other[0], acts[1], other[1]), workflow=FREE))
    assert [result_of(run, "StepEfficiency", n).reason_code for n in (3, 4)] == ["backtracked", "backtracked"]
    assert result_of(run, "StepEfficiency").score == 0.5


def thought(n, text, **fields):
    """A model call that thinks and says nothing to anybody."""
    messages = [{"role": "assistant", "parts": [{"type": "reasoning", "content": text}], "finish_reason": "tool_call"}]
    return llm_span(n, at_ms=n * 100, output_messages=text_of(messages), **fields)


def test_thoughts_of_so_if_so_will_so_prove_nothing__not_reasoning_quality_1():
    run = judge(trajectory(thought(1, "so if so will so"), thought(2, "so because if then so will"), workflow=FREE))
    assert result_of(run, "ReasoningQuality").verdict == "unscored"


def test_a_thought_that_contradicts_an_error_fails__not_reasoning_quality_1():
    spans = [
        thought(1, "I refund order 1 with refund."),
        tool_span(2, "refund", {"id": "1"}, "Error: payment service down", at_ms=200, status=2),
        thought(3, "The refund succeeded, so I am done."),
        llm_span(4, "Your refund has been issued successfully.", at_ms=400),
    ]
    assert result_of(judge(trajectory(*spans, workflow=FREE)), "ReasoningQuality").verdict == "fail"


def test_refund_was_not_issued_does_not_meet_refund_issued__not_met():
    assert unsaid(["refund issued"], ["I am sorry, the refund was NOT issued."]) == ["refund issued"]
    said = judged("TaskCompletion", "The refund was NOT issued.", truth=truth(outputs=["refund issued"]))
    assert (said.verdict, said.reason_code) == ("fail", "output_not_said")


@pytest.mark.parametrize(
    "arguments",
    [{"count": 2.5}, {"count": True}, {"tags": ["a", 1]}, {"address": {"city": 5}}, {"count": None}],
    ids=["2.5 for integer", "bool for integer", "array item", "nested type", "null"],
)
def test_a_value_of_the_wrong_type_is_invalid_however_deep__not_valid(arguments):
    assert judged("ParameterValidation", ("order", arguments), span=1).verdict == "fail"


@pytest.mark.parametrize(
    "arguments",
    [{"id": "1"}, {"id": "2"}, {"id": "1", "note": "late"}, {"id": "2", "note": "broken"}],
)
def test_an_omitted_optional_argument_and_another_acceptable_value_are_right__not_wrong(arguments):
    wanted = {
        "name": "refund",
        "arguments": {"id": "1", "note": "late"},
        "acceptable": {"id": ["2"], "note": ["broken", ""]},
    }
    assert judged("FunctionCallAccuracy", ("refund", arguments), truth=truth(wanted)).score == 1.0
    assert judged("TaskCompletion", ("refund", arguments), "done", truth=truth(wanted)).score == 1.0


@pytest.mark.parametrize(
    "arguments",
    [
        '{"function": {"name": "refund", "arguments": "{\\"id\\": \\"1\\"}"}}',
        '{"name": "refund", "arguments": {"id": "1"}}',
        "{'id': '1'}",
    ],
)
def test_wrapped_calls_and_python_reprs_are_accepted__not_an_exception_or_0(arguments):
    assert judged("ParameterValidation", ("refund", arguments), span=1).verdict == "pass"
    assert judged("FunctionCallAccuracy", ("refund", arguments), truth=WANTS).score == 1.0


def test_expected_calls_as_a_json_list_in_a_string_are_accepted__not_an_exception_or_0():
    text = (
        '"[{\\"function\\": {\\"name\\": \\"refund\\", \\"arguments\\": \\"{\\\\\\"id\\\\\\": \\\\\\"1\\\\\\"}\\"}}]"'
    )
    carried = truth_from_span('{"expected_calls": ' + text + "}")
    assert carried is not None
    assert judged("FunctionCallAccuracy", REFUND, truth=carried).score == 1.0


@pytest.mark.parametrize("result", [{"error": "500"}, '{"error": "500"}', "{'error': '500'}", "Error: 500"])
def test_an_error_in_the_result_of_a_call_with_status_ok_is_swallowed__not_success(result):
    acts = [("refund", {"id": "1"}, result, {"status": 1})]
    said = judged("ToolCallSuccess", *acts, span=1)
    assert (said.verdict, said.reason_code) == ("fail", "swallowed")
    assert judged("TaskCompletion", *acts, "done", truth=WANTS).reason_code == "missing_write"
    assert judged("TrajectoryScore", *acts, "Your refund is on its way.").verdict == "fail"  # without truth, too


@pytest.mark.parametrize("value", ["__REDACTED__", "<PHONE_NUMBER>", "[REDACTED]"])
@pytest.mark.parametrize(
    ("evaluator", "at"),
    [("ParameterValidation", 1), ("FunctionCallAccuracy", None), ("TaskCompletion", None), ("GoalProgress", None)],
)
def test_a_redacted_value_is_unknown__not_a_wrong_argument(value, evaluator, at):
    result = judged(evaluator, ("refund", {"id": value}), "done", span=at, truth=WANTS)
    assert (result.verdict, result.reason_code) == ("unscored", "redacted")
