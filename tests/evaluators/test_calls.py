"""FunctionCallAccuracy: the best one-to-one assignment of executed calls to expected ones."""

import orjson
import pytest

from evaluators.judge import judge
from tests.builders import result_of, tool, tool_span, trajectory, truth, workflow

SHOP = workflow(
    tools=[
        tool(
            "refund",
            {"id": {}, "amount": {}, "lines": {"type": "array"}, "route": {"type": "array", "ordered": True}},
            writes=True,
        ),
        tool("delete_account", {"id": {}}, writes=True),
        tool("lookup", {"id": {}}),
    ]
)
READS = workflow("reads", tools=[tool("lookup", {"id": {}})])


def judged(calls, expected, workflow=SHOP, **fields):
    spans = [
        tool_span(n, name, arguments, **more)
        for n, (name, arguments, *rest) in enumerate(calls, 1)
        for more in [rest[0] if rest else {}]
    ]
    return judge(trajectory(*spans, workflow=workflow, truth=expected, **fields))


def whole(calls, expected, workflow=SHOP, **fields):
    return result_of(judged(calls, expected, workflow, **fields), "FunctionCallAccuracy")


R = ("refund", {"id": "1"})


@pytest.mark.parametrize(
    ("calls", "expected", "score"),
    [
        ([], truth(), 1.0),
        ([R], truth(R), 1.0),
        ([], truth(R), 0.0),
        ([R], truth(R, R, R), 1 / 3),
        ([R] + [("delete_account", {"id": str(n)}) for n in range(9)], truth(R), 0.1),
        ([R] + [("refund", {"id": str(n)}) for n in range(2, 11)], truth(R), 0.1),
        ([("delete_account", {"id": "1"})], truth(R), 0.0),
        ([("refund", {"id": 1.0})], truth(("refund", {"id": 1})), 1.0),
        ([("refund", {"id": True})], truth(("refund", {"id": 1})), 0.0),
        ([("refund", {"id": "1"})], truth(("refund", {"id": 1})), 0.0),
        ([("refund", {"lines": [{"a": 1}, {"a": 2}]})], truth(("refund", {"lines": [{"a": 2}, {"a": 1.0}]})), 1.0),
        ([("refund", {"lines": [1, 1, 2]})], truth(("refund", {"lines": [1, 2, 2]})), 0.0),
        ([("refund", {"route": ["a", "b"]})], truth(("refund", {"route": ["b", "a"]})), 0.0),
        ([("refund", '{"function": {"name": "refund", "arguments": "{\\"id\\": \\"1\\"}"}}')], truth(R), 1.0),
        ([("nobody_knows", {})], truth(), 0.0),
        ([("lookup", {"id": "7"})], truth(), 1.0),
        ([R], truth(R, ("lookup", {"id": "1"})), 1.0),
        ([("refund", {"id": "1"}, {"status": 2}), R], truth(R), 1.0),
        (
            [
                ("refund", {"id": "1"}, {"result": '{"errand": "no"}x'}),
                ("refund", {"id": "1"}, {"result": "Error: no"}),
            ],
            truth(R),
            1.0,
        ),
    ],
)
def test_score(calls, expected, score):
    assert whole(calls, expected).score == pytest.approx(score)


def test_without_declared_writes_all_calls_decide():
    assert whole([("lookup", {"id": "2"})], truth(), READS).score == 0.0
    assert whole([("lookup", {"id": "2"})], truth(("lookup", {"id": "2"})), READS).score == 1.0


@pytest.mark.parametrize(
    ("arguments", "score"),
    [
        ({"id": "1"}, 1.0),
        ({"id": "one"}, 1.0),
        ({"id": "1", "amount": 5}, 1.0),
        ({"id": "2"}, 0.0),
        ({"amount": 5}, 0.0),
    ],
)
def test_acceptable_values_and_omitted_optional_arguments_are_right(arguments, score):
    expected = truth({"name": "refund", "arguments": {"id": "1"}, "acceptable": {"id": ["one"], "amount": [5, ""]}})
    assert whole([("refund", arguments)], expected).score == score


def test_the_assignment_is_the_best_one_not_the_first():
    wide = {"name": "refund", "arguments": {"id": "1"}, "acceptable": {"id": ["2"]}}
    narrow = {"name": "refund", "arguments": {"id": "1"}, "acceptable": {"amount": [""]}}
    assert whole([("refund", {"id": "1"}), ("refund", {"id": "2"})], truth(wide, narrow)).score == 1.0


def test_an_optional_call_may_be_missing_but_takes_no_call_from_a_required_one():
    optional = {"name": "refund", "arguments": {"id": "1"}, "optional": True}
    assert whole([], truth(optional)).score == 1.0
    assert whole([R], truth(optional)).score == 1.0
    assert whole([R], truth(optional, R)).score == 1.0


def test_order_counts_only_where_it_is_demanded():
    first, then = (
        {"name": "lookup", "arguments": {"id": "1"}},
        {"name": "lookup", "arguments": {"id": "2"}, "after": [0]},
    )
    calls = [("lookup", {"id": "2"}), ("lookup", {"id": "1"})]
    late = whole(calls, truth(first, then), READS)
    assert (late.score, late.reason_code) == (0.5, "out_of_order")
    assert whole(calls[::-1], truth(first, then), READS).score == 1.0
    assert whole(calls, truth(first, {**then, "after": []}), READS).score == 1.0


def test_steps_say_which_call_was_wrong_and_in_what():
    results = judged(
        [R, ("refund", {"id": "2", "amount": 9}), ("delete_account", {"id": "1"})],
        truth(R, ("refund", {"id": "2", "amount": 3})),
    )
    assert result_of(results, "FunctionCallAccuracy", 1).verdict == "pass"
    wrong = result_of(results, "FunctionCallAccuracy", 2)
    assert (wrong.reason_code, orjson.loads(wrong.evidence)["arguments"]) == ("wrong_arguments", ["amount"])
    assert result_of(results, "FunctionCallAccuracy", 3).reason_code == "unexpected_call"


def test_reads_are_told_apart_in_the_evidence():
    told = orjson.loads(
        whole([R, ("lookup", {"id": "1"})], truth(R, ("lookup", {"id": "1"}), ("lookup", {"id": "2"}))).evidence
    )
    assert told["reads"] == {"expected": 2, "right": 1, "executed": 1}


def test_a_forbidden_call_makes_it_zero():
    banned = truth(R, forbidden_calls=["lookup", {"name": "delete_account", "arguments": {"id": "9"}}])
    assert whole([R, ("lookup", {"id": "1"})], banned).reason_code == "forbidden_call"
    assert whole([R], banned).score == 1.0


@pytest.mark.parametrize(("arguments", "code"), [({"id": "[REDACTED]"}, "redacted"), (None, "not_captured")])
def test_a_call_that_may_be_right_is_unknown_not_wrong(arguments, code):
    result = whole([("refund", arguments)], truth(R))
    assert (result.verdict, result.score, result.reason_code) == ("unscored", None, code)
    assert whole([("delete_account", arguments)], truth(R)).score == 0.0


def test_an_open_run_is_not_blamed_for_what_is_still_to_come():
    assert whole([], truth(R), closed="").reason_code == "still_open"
    assert whole([("delete_account", {"id": "1"})], truth(R), closed="").verdict == "fail"


def test_without_truth_it_is_selection_times_parameters_times_success():
    calls = [R, ("refund", {"bogus": 1}), ("refund", {"id": "2"}, {"status": 2}), ("nobody_knows", {})]
    result = whole(calls, None)
    assert (result.score, result.basis, result.reason_code) == (0.25, "registry", "bad_call")
    assert whole([], None).reason_code == "no_truth"


def test_ten_thousand_calls_of_one_tool_are_assigned_in_bounded_work():
    expected = truth(*({"name": "refund", "arguments": {"id": n}, "acceptable": {"id": [-n]}} for n in range(50)))
    result = whole([("refund", {"id": n}) for n in range(10_000)], expected)
    assert result.score == pytest.approx(50 / 10_000)
    assert orjson.loads(result.evidence)["capped"] is True
