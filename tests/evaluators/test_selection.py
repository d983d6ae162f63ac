"""ToolSelectionAccuracy: the right tool at this step, given what happened so far."""

import orjson
import pytest

from evaluators.judge import judge
from tests.builders import llm_span, result_of, span, tool, tool_span, trajectory, truth, workflow

POLICY = {
    "order": [{"before": "verify", "tool": "refund"}],
    "forbidden": [{"after": "cancel", "tool": "ship"}, {"tool": "erase"}],
}
SHOP = workflow(
    tools=[
        tool("look", {"id": {}}),
        tool("verify", {"id": {}}),
        *(tool(name, {"id": {}}, writes=True) for name in ("refund", "cancel", "ship", "delete", "erase")),
    ],
    policy=POLICY,
)
READS = workflow("reads", tools=[tool("look", {"id": {}}), tool("find", {"id": {}})])
NOTHING = workflow("silent")
FAILED, HELD = {"status": 2}, {"status": 2, "exception": "GraphInterrupt: asks a person"}
LOOK, VERIFY, REFUND = ("look", {"id": 1}), ("verify", {"id": 1}), ("refund", {"id": 1})


def judged(calls, *, shop=SHOP, expected=None, closed="root_ended", before=()):
    spans = list(before)
    for n, (name, arguments, *more) in enumerate(calls, 1):
        spans.append(tool_span(n, name, arguments, **(more[0] if more else {})))
    return judge(trajectory(*spans, workflow=shop, truth=expected, closed=closed))


def said(results):
    return [r.reason_code or r.verdict for r in results if r.evaluator == "ToolSelectionAccuracy" and r.span_id]


def whole(results):
    return result_of(results, "ToolSelectionAccuracy")


@pytest.mark.parametrize(
    ("calls", "codes"),
    [
        ([LOOK, VERIFY, REFUND], ["pass", "pass", "pass"]),
        ([REFUND, VERIFY], ["missing_predecessor", "pass"]),
        ([(*VERIFY, FAILED), REFUND], ["pass", "missing_predecessor"]),
        ([("cancel", {"id": 1}), ("ship", {"id": 1})], ["pass", "forbidden_transition"]),
        ([("cancel", {"id": 1}, FAILED), ("ship", {"id": 1})], ["pass", "pass"]),
        ([("ship", {"id": 1}), ("cancel", {"id": 1})], ["pass", "pass"]),
        ([("erase", {"id": 1}, FAILED)], ["forbidden_call"]),
        ([("dance", {"id": 1})], ["unknown_tool"]),
        ([LOOK, LOOK, LOOK], ["pass", "repeat", "repeat"]),
        ([LOOK, ("cancel", {"id": 1}), LOOK], ["pass", "pass", "pass"]),
        ([LOOK, ("dance", {"id": 1}), LOOK], ["pass", "unknown_tool", "pass"]),
        ([LOOK, ("cancel", {"id": 1}, FAILED), LOOK], ["pass", "pass", "repeat"]),
        ([(*LOOK, FAILED), LOOK], ["pass", "pass"]),
        ([LOOK, ("look", {"id": 2})], ["pass", "pass"]),
        ([("delete", {"id": 1}), ("delete", {"id": 1})], ["pass", "repeat"]),
        ([("look", None), ("look", None)], ["pass", "pass"]),
        ([("look", {"id": "<EMAIL>"}), ("look", {"id": "<EMAIL>"})], ["pass", "pass"]),
        # Who polls is no fool; who writes twice is, whatever came back.
        ([(*LOOK, {"result": "queued"}), (*LOOK, {"result": "done"})], ["pass", "pass"]),
        ([("delete", {"id": 1}, {"result": "1"}), ("delete", {"id": 1}, {"result": "2"})], ["pass", "repeat"]),
        # Interrupted by control flow: nothing was chosen yet, and nothing repeated.
        ([("cancel", {"id": 1}, HELD), ("cancel", {"id": 1})], ["pass"]),
    ],
)
def test_steps_without_truth(calls, codes):
    results = judged(calls)
    assert said(results) == codes
    good = sum(code == "pass" for code in codes)
    assert whole(results).score == pytest.approx(good / len(codes))
    assert (whole(results).verdict, whole(results).basis) == ("pass" if good == len(codes) else "fail", "registry")


NINE = [("delete", {"id": n}) for n in range(9)]


@pytest.mark.parametrize(
    ("expected", "calls", "score", "code"),
    [
        # A right run, however it reads, and whatever failed on the way.
        ([VERIFY, REFUND], [VERIFY, REFUND], 1.0, ""),
        ([REFUND], [VERIFY, LOOK, ("look", {"id": 2}), REFUND], 1.0, ""),
        ([LOOK, REFUND], [VERIFY, REFUND], 1.0, ""),
        ([REFUND], [VERIFY, LOOK, LOOK, REFUND], 1.0, ""),
        ([REFUND], [VERIFY, (*REFUND, FAILED), REFUND], 1.0, ""),
        ([REFUND], [VERIFY, (*REFUND, FAILED)], 1.0, ""),
        ([], [], 1.0, ""),
        ([], [LOOK], 1.0, ""),
        ([("cancel", {"id": 1})] * 2, [("cancel", {"id": 1})] * 2, 1.0, ""),
        # Tools only: other arguments are FunctionCallAccuracy's.
        ([("cancel", {"id": 1})], [("cancel", {"id": 2})], 1.0, ""),
        # Wrong, missing, extra.
        ([REFUND], [REFUND, VERIFY], 0.0, "missing_predecessor"),
        ([REFUND], [VERIFY, *NINE, REFUND], 2 / 11, "unexpected_tool"),
        ([("cancel", {"id": 1})], [("cancel", {"id": n}) for n in range(10)], 2 / 11, "unexpected_tool"),
        ([("cancel", {"id": 1})] * 3, [("cancel", {"id": 1})], 0.5, "missing_tool"),
        ([REFUND], [("delete", {"id": 1})], 0.0, "unexpected_tool"),
        ([], [("delete", {"id": 1})], 0.0, "unexpected_tool"),
        ([], [("delete", {"id": 1}, FAILED)], 1.0, ""),
        ([REFUND], [LOOK], 0.0, "missing_tool"),
        ([REFUND], [], 0.0, "nothing_called"),
        ([LOOK], [], 0.0, "nothing_called"),
        ([LOOK, ("look", {"id": 2})], [LOOK], 0.5, "missing_tool"),
        ([LOOK], [VERIFY], 0.0, "missing_tool"),
    ],
)
def test_trajectory_against_truth(expected, calls, score, code):
    given = whole(judged(calls, expected=truth(*expected)))
    assert given.score == pytest.approx(score)
    assert (given.reason_code, given.basis) == (code, "task_truth")
    assert given.verdict == ("pass" if score == 1 else "fail")


def test_order_and_options_of_the_truth():
    cancel, ship = {"name": "cancel", "arguments": {}}, {"name": "ship", "arguments": {}, "optional": True}
    expected = truth(cancel, {"name": "delete", "arguments": {}, "after": [0]}, ship)
    right = judged([("cancel", {}), ("delete", {})], expected=expected)
    assert (said(right), whole(right).score) == (["pass", "pass"], 1.0)
    turned = judged([("delete", {}), ("cancel", {})], expected=expected)
    assert (said(turned), whole(turned).score) == (["missing_predecessor", "pass"], 0.5)
    more = judged([("ship", {}), ("cancel", {}), ("delete", {})], expected=expected)
    assert (said(more), whole(more).score) == (["pass"] * 3, 1.0)


def test_a_call_that_truth_forbids_decides_even_where_it_only_reads():
    results = judged([LOOK], expected=truth(forbidden_calls=["look"]))
    assert (said(results), whole(results).score, whole(results).reason_code) == (
        ["forbidden_call"],
        0,
        "forbidden_call",
    )


def test_where_no_write_is_declared_every_call_decides():
    results = judged([LOOK, ("find", {"id": 1})], shop=READS, expected=truth(LOOK))
    assert said(results) == ["pass", "unexpected_tool"]
    assert whole(results).score == pytest.approx(2 / 3)


def test_missing_tools_are_no_fault_while_the_run_goes_on_and_wrong_ones_are():
    early = whole(judged([VERIFY], expected=truth(REFUND), closed=""))
    assert (early.verdict, early.reason_code) == ("unscored", "still_open")
    assert whole(judged([], expected=truth(REFUND), closed="")).reason_code == "still_open"
    assert whole(judged([("delete", {})], expected=truth(REFUND), closed="")).verdict == "fail"


def offering(n, names, **fields):
    definitions = [{"type": "function", "function": {"name": name, "parameters": {}}} for name in names]
    return llm_span(n, None, tool_definitions=orjson.dumps(definitions).decode(), **fields)


@pytest.mark.parametrize(
    ("offered", "called", "code"),
    [
        (["look"], "look", "pass"),
        (["look"], "dance", "not_offered"),
        (["find"], "look", "not_offered"),
        (["ask_the_clerk"], "Ask the clerk", "pass"),
        (["mcp__shop__dance"], "dance", "pass"),
        (["x"] * 200, "dance", "no_basis"),
    ],
)
def test_what_the_model_was_offered(offered, called, code):
    results = judged([(called, {"id": 1})], shop=NOTHING, before=[offering(99, offered)])
    assert said(results) == [code]


@pytest.mark.parametrize(
    "definitions", ["", "{", "[]", "[1]", "null", '["look"]', '[{"function_declarations": []}]', '[{"name": 3}]']
)
def test_offers_that_cannot_be_read_prove_nothing(definitions):
    results = judged([("dance", {})], shop=NOTHING, before=[llm_span(99, None, tool_definitions=definitions)])
    assert said(results) == ["no_basis"]


def test_offers_that_were_cut_and_those_to_another_agent_prove_nothing():
    for before in (offering(99, ["look"], flags=2), offering(99, ["look"], agent="planner")):
        assert said(judged([("dance", {})], shop=NOTHING, before=[before])) == ["no_basis"]
    own = tool_span(1, "dance", {}, tool_definitions='[{"name": "look"}]')
    assert said(judge(trajectory(own, workflow=NOTHING))) == ["not_offered"]


def test_a_tool_that_was_offered_is_known_whatever_the_registry_lists():
    assert said(judged([("dance", {})], before=[offering(99, ["dance"])])) == ["pass"]


def test_nothing_to_judge_by_is_unscored():
    bare = judged([LOOK, LOOK], shop=NOTHING)
    assert said(bare) == ["no_basis", "no_basis"]
    assert (whole(bare).verdict, whole(bare).reason_code) == ("unscored", "no_basis")
    assert whole(judged([], shop=SHOP)).reason_code == "no_calls"
    documents = judge(trajectory(span(1, kind="retrieval", tool="index"), workflow=SHOP))
    assert (said(documents), whole(documents).reason_code) == ([], "no_basis")


@pytest.mark.parametrize("arguments", [None, "", "{", "[1]", '"x"', "7", '{"a":' * 400 + "1" + "}" * 400])
@pytest.mark.parametrize("expected", [None, truth(LOOK, LOOK)])
def test_dirty_calls_are_judged_by_their_tool_alone(arguments, expected):
    spans = [tool_span(n, ("look", "", "\ud800", "x" * 5000)[n % 4], arguments, None) for n in range(1, 9)]
    results = judge(trajectory(*spans, span(20, kind="handoff", tool=""), workflow=SHOP, truth=expected))
    assert len(said(results)) == 8
    assert not [r for r in results if r.evaluator == "ToolSelectionAccuracy" and r.verdict == "error"]


def test_what_one_evaluator_is_told_does_not_depend_on_which_others_run():
    verified_by_handoff = workflow(
        policy={"order": [{"before": "transfer_to_verify", "tool": "refund"}]},
        evaluators={"PolicyCompliance": {"enabled": False}},
    )
    spans = [span(1, kind="handoff", tool="transfer_to_verify"), tool_span(2, "refund", {"id": 1})]
    assert said(judge(trajectory(*spans, workflow=verified_by_handoff))) == ["pass"]
    alone = workflow(
        tools=[tool("look", {"id": {}}), tool("ask", {}, writes=True)],
        evaluators={"ToolSelectionAccuracy": {"enabled": False}},
    )
    both = workflow(tools=[tool("look", {"id": {}}), tool("ask", {}, writes=True)])
    calls = [tool_span(1, "look", {"id": 1}), tool_span(2, "ask", {}, kind="human"), tool_span(3, "look", {"id": 1})]
    told = [
        [r for r in judge(trajectory(*calls, workflow=shop)) if r.evaluator == "StepEfficiency"]
        for shop in (alone, both)
    ]
    assert told[0] == told[1]
