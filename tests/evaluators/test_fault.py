"""FirstFault: where it went wrong."""

import orjson
import pytest

from evaluators.judge import judge
from tests.builders import llm_span, result_of, span_id, tool, tool_span, trajectory, truth, workflow

TOOLS = [
    tool("refund", {"id": {"type": "string"}}, writes=True, entity={"order": "$.id"}),
    tool("look", {"id": {"type": "string"}}),
]
SHOP = workflow(tools=TOOLS)
STRICT = workflow(tools=TOOLS, policy={"order": [{"before": "look", "tool": "refund"}]})
WANTS = truth(("refund", {"id": "1"}))
BYE = "Your refund is on its way."


def played(*acts):
    return [
        llm_span(n, act, at_ms=n * 100) if isinstance(act, str) else tool_span(n, *act, at_ms=n * 100)
        for n, act in enumerate(acts, 1)
    ]


def judged(*acts, shop=SHOP, **fields):
    return result_of(judge(trajectory(*played(*acts), workflow=shop, **fields)), "FirstFault")


LOOK, REFUND = ("look", {"id": "1"}), ("refund", {"id": "1"})
NO_LOOK, NO_REFUND = ("look", {"id": "1"}, "Error: no"), ("refund", {"id": "1"}, {"error": "500"})
BAD_LOOK = ("look", {"id": 1})


@pytest.mark.parametrize(
    ("acts", "fields", "code", "at", "evaluator", "of"),
    [
        ([LOOK, NO_REFUND, BYE], {}, "unrecovered_failure", 2, "ToolCallSuccess", "swallowed"),
        ([NO_LOOK, LOOK, NO_REFUND], {}, "unrecovered_failure", 3, "ToolCallSuccess", "swallowed"),
        ([NO_LOOK, NO_REFUND], {}, "unrecovered_failure", 1, "ToolCallSuccess", "swallowed"),
        ([NO_REFUND, ("refund", {"id": "2"})], {}, "unrecovered_failure", 1, "ToolCallSuccess", "swallowed"),
        ([BAD_LOOK, NO_REFUND], {}, "unrecovered_failure", 2, "ToolCallSuccess", "swallowed"),
        ([LOOK, REFUND, REFUND], {"truth": WANTS}, "wrong_write", 3, "FunctionCallAccuracy", "unexpected_call"),
        (
            [("refund", {"id": "9"}), LOOK],
            {"truth": WANTS},
            "wrong_write",
            1,
            "FunctionCallAccuracy",
            "wrong_arguments",
        ),
        (
            [("refund", {"id": "8"}), ("refund", {"id": "9"}), NO_LOOK],
            {"truth": WANTS},
            "unrecovered_failure",
            3,
            "ToolCallSuccess",
            "swallowed",
        ),
        ([BAD_LOOK, LOOK, ("look", {"id": 2}), BYE], {}, "other_fault", 3, "ParameterValidation", "wrong_type"),
        ([BAD_LOOK, REFUND], {"truth": WANTS}, "other_fault", 1, "ParameterValidation", "wrong_type"),
        ([REFUND, LOOK], {"shop": STRICT}, "other_fault", 1, "PolicyCompliance", "missing_predecessor"),
        (
            [LOOK, BYE, BAD_LOOK],
            {"shop": workflow(tools=TOOLS, policy={"max_steps": 1})},
            "cap_crossed",
            2,
            "IterationCap",
            "too_many_steps",
        ),
    ],
)
def test_the_fault_is_named_with_its_step(acts, fields, code, at, evaluator, of):
    result = judged(*acts, **fields)
    assert (result.verdict, result.score, result.reason_code) == ("fail", 0.0, code)
    told = orjson.loads(result.evidence)
    assert (told["span_id"], told["evaluator"], told["reason_code"]) == (span_id(at).hex(), evaluator, of)
    tool_ = "" if isinstance(acts[at - 1], str) else acts[at - 1][0]
    assert (told["step"], told["agent"], told["tool"]) == (f"executor/{tool_ or 'llm'}", "executor", tool_)


def test_what_no_step_did_is_left_undone():
    result = judged(LOOK, BYE, truth=WANTS)
    assert (result.verdict, result.reason_code) == ("fail", "left_undone")
    told = orjson.loads(result.evidence)
    assert (told["span_id"], told["step"], told["tool"]) == ("", "(trajectory)", "refund")
    assert (told["evaluator"], told["reason_code"]) == ("TaskCompletion", "missing_write")


@pytest.mark.parametrize(
    ("acts", "fields"),
    [
        ([LOOK, REFUND, BYE], {}),
        ([NO_REFUND, REFUND], {}),
        ([("look", {"id": 1}, "Error: no"), LOOK], {}),
        ([NO_LOOK, ("look", {"id": "2"})], {}),
        ([NO_LOOK, REFUND, BYE], {"truth": WANTS}),
        ([LOOK, LOOK, LOOK, LOOK], {"truth": truth()}),
    ],
)
def test_a_run_whose_failures_were_recovered_or_did_not_reach_its_end_has_none(acts, fields):
    result = judged(*acts, **fields)
    assert (result.verdict, result.score, result.reason_code) == ("pass", 1.0, "")


def test_where_nothing_was_judged_there_is_nothing_to_find():
    assert judged(BYE).reason_code == "nothing_judged"
    assert judged().reason_code == "nothing_judged"


def test_in_mid_flight_it_is_the_fault_as_of_now():
    assert judged(LOOK, NO_REFUND, closed="").reason_code == "unrecovered_failure"
    assert judged(LOOK, NO_REFUND, REFUND, closed="").verdict == "pass"


def test_where_no_tool_is_declared_to_write_an_extra_call_may_be_a_read():
    silent = workflow("silent")
    assert judged(LOOK, REFUND, shop=silent, truth=WANTS).verdict == "pass"
    assert judged(LOOK, ("refund", {"id": "7"}), shop=silent, truth=WANTS).reason_code == "wrong_write"
