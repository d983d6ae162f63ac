"""ReasoningQuality: the thought against the observations."""

import json

import orjson
import pytest

from evaluators.folding.evaluation import Evaluation
from evaluators.judge import judge
from evaluators.reasoning import ReasoningQuality
from evaluators.views.claims import claims_success, claims_work_of, owns_up
from evaluators.views.thoughts import said_in
from tests.builders import llm_span, result_of, root_span, text_of, tool, tool_span, trajectory, workflow

ONLY = (ReasoningQuality(),)
SHOP = workflow(
    tools=[
        tool("get_order"),
        tool("find_customer"),
        tool("issue_refund", writes=True),
        tool("cancel_order", writes=True),
        tool("ship"),
    ]
)
PASS, UNCHECKED = ("pass", ""), ("unscored", "nothing_to_check")
FAILED = {"status": 2, "error_type": "InvalidState", "status_message": "not allowed"}
USER = [{"role": "user", "content": "refund O-48213 please"}]


def fail(code):
    return ("fail", code)


def think(n, text, *calls, said=USER, **fields):
    parts = [{"type": "text", "content": text}] if text else []
    parts += [{"type": "tool_call", "id": f"c{n}", "name": name, "arguments": arguments} for name, arguments in calls]
    return llm_span(
        n,
        None,
        output_messages=text_of([{"role": "assistant", "parts": parts}]),
        input_messages=text_of(said),
        **fields,
    )


def results(*spans, shop=SHOP, **fields):
    return judge(trajectory(*spans, workflow=shop, **fields), evaluators=ONLY)


def steps(*spans, **fields):
    return {
        int.from_bytes(r.span_id, "big"): (r.verdict, r.reason_code) for r in results(*spans, **fields) if r.span_id
    }


def whole(*spans, **fields):
    found = result_of(results(*spans, **fields), "ReasoningQuality")
    return found.verdict, found.reason_code, found.score


GET = ("get_order", {"id": "O-48213"})
REFUND = ("issue_refund", {"id": "O-48213"})


@pytest.mark.parametrize(
    ("text", "calls", "verdict"),
    [
        ("I will use get_order first.", [GET], PASS),
        ("The customer wants O-48213 back.", [GET], PASS),
        ("so if so will so", [GET], UNCHECKED),
        ("Let me have a look.", [GET], UNCHECKED),
        ("", [GET], None),
        ("Is there anything else?", [], None),
        ("I will use get_order first.", [("find_customer", {})], fail("other_tool")),
        ("First find_customer, then get_order.", [("find_customer", {})], PASS),
        ("We can ship it.", [GET], UNCHECKED),  # a word is no name of a tool
        ("The customer wants O-48219 back.", [("get_order", {"id": "O-48219"})], fail("unseen_value")),
        ("They mean O-48219.", [GET], fail("unseen_value")),  # of the shape of what was seen
        ("As RFC7231 says, a GET is safe.", [GET], UNCHECKED),  # general knowledge
        ("[REDACTED]", [GET], ("unscored", "redacted")),
    ],
)
def test_a_thought_agrees_with_its_call_and_with_what_was_seen(text, calls, verdict):
    assert steps(think(1, text, *calls)).get(1) == verdict


def test_a_tool_that_is_named_and_called_later_was_a_plan():
    first = think(1, "I need get_order for that.", ("find_customer", {}))
    assert steps(first, tool_span(2, "find_customer"), think(3, "", GET), tool_span(4, *GET))[1] == UNCHECKED
    assert steps(first, tool_span(2, "find_customer"))[1] == fail("other_tool")
    assert steps(first, tool_span(2, "find_customer"), closed="") == {}


def test_a_tool_that_was_called_before_may_be_spoken_of():
    assert steps(tool_span(1, *GET), think(2, "get_order says it is paid.", REFUND))[2] == UNCHECKED


def test_where_input_was_not_captured_no_value_is_called_unseen():
    assert steps(think(1, "They mean O-48219.", ("get_order", {"id": "O-48219"}), said=None)) == {1: UNCHECKED}


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("Your refund has been issued.", fail("false_claim")),
        ("I've issued the refund and you are all set!", fail("false_claim")),
        ("The refund was successful. Is there anything else?", fail("false_claim")),
        ("I have refunded your order. Please don't hesitate to write.", fail("false_claim")),
        ("Done: the refund is processed.", fail("false_claim")),
        ("The operation was successful.", fail("false_claim")),
        ("Unfortunately, the refund could not be issued.", PASS),
        ("The refund failed, sorry.", PASS),
        ("Your refund has not been issued.", PASS),
        ("Would you like your refund to be issued?", None),
        ("Your refund will be issued tomorrow.", None),
        ("Once the refund has been issued, you get a mail.", None),
        ("Your order has been shipped.", None),
        ("Let me know how I can help.", None),
        ("Ihre Erstattung wurde veranlasst.", None),  # a claim in another language is not judged
        ("so if so will so", None),
    ],
)
def test_what_is_said_after_a_write_that_failed(text, verdict):
    spans = [think(1, "", REFUND), tool_span(2, *REFUND, **FAILED), think(3, text)]
    assert steps(*spans).get(3) == verdict


def test_a_claim_after_the_failure_was_recovered_or_told_is_none():
    claim = "Your refund has been issued."
    failed, worked = tool_span(2, *REFUND, **FAILED), tool_span(4, *REFUND)
    assert 5 not in steps(think(1, "", REFUND), failed, think(3, "", REFUND), worked, think(5, claim))
    assert steps(think(1, "", REFUND), failed, think(3, "The refund failed."), think(5, claim)) == {3: PASS}


def test_a_claim_of_what_another_tool_did_is_none():
    spans = [tool_span(1, "cancel_order", {}), tool_span(2, *REFUND, **FAILED), tool_span(3, *GET)]
    assert steps(*spans, think(4, "Your order has been cancelled.")) == {}


def test_a_failed_look_up_is_nothing_to_claim_unless_success_is_said_outright():
    failed = tool_span(1, *GET, **FAILED)
    assert steps(failed, think(2, "Your order is confirmed.")) == {}
    assert steps(failed, think(2, "The look-up was successful.", REFUND))[2] == fail("false_claim")


def test_a_thought_that_contradicts_an_error_is_a_false_claim():
    spans = [
        think(1, "", REFUND),
        tool_span(2, *REFUND, result={"error": "500"}),
        think(3, "The refund has been issued; next get_order.", GET),
    ]
    assert steps(*spans)[3] == fail("false_claim")
    assert orjson.loads(result_of(results(*spans), "ReasoningQuality", 3).evidence)["span_id"] == spans[1].span_id.hex()


TIMEOUT = {"status": 2, "error_type": "timeout"}


@pytest.mark.parametrize(
    ("fields", "between", "last", "verdict"),
    [
        (FAILED, [], FAILED, fail("ignored_error")),
        (FAILED, [], {}, None),
        (TIMEOUT, [], TIMEOUT, None),
        (FAILED, [tool_span(3, *GET)], FAILED, None),
        (FAILED, [think(3, "What is your number?")], FAILED, None),
    ],
)
def test_the_same_failing_call_again(fields, between, last, verdict):
    spans = [
        think(1, "", REFUND),
        tool_span(2, *REFUND, **fields),
        *between,
        think(4, "", REFUND),
        tool_span(5, *REFUND, **last),
    ]
    assert steps(*spans).get(4) == verdict


def test_a_call_that_may_pass_is_tried_three_times():
    spans = []
    for n in range(1, 10, 2):
        spans += [think(n, "Again.", REFUND), tool_span(n + 1, *REFUND, **TIMEOUT)]
    codes = steps(*spans)
    assert [codes.get(n) for n in (1, 3, 5, 7, 9)] == [UNCHECKED] * 3 + [fail("ignored_error")] * 2


def test_a_retry_of_the_framework_is_nobodys_thought():
    assert steps(think(1, "", REFUND), tool_span(2, *REFUND, **FAILED), tool_span(3, *REFUND, **FAILED)) == {}


def test_a_repetition_asked_for_by_a_thought_that_named_it_is_judged_once():
    spans = [think(1, "issue_refund", REFUND), tool_span(2, *REFUND, **FAILED), think(3, "issue_refund", REFUND)]
    assert steps(*spans)[3] == PASS
    assert steps(*spans, tool_span(4, *REFUND, **FAILED))[3] == fail("ignored_error")
    assert steps(*spans, tool_span(4, *REFUND))[3] == PASS


PLAN = text_of({"steps": [{"tool": "get_order"}, {"tool": "issue_refund"}]})


@pytest.mark.parametrize(
    ("after", "verdict"),
    [
        ([tool_span(2, *GET), tool_span(3, *REFUND)], ("unscored", "no_thought", None)),
        ([tool_span(2, *GET)], ("fail", "plan_not_executed", 0.0)),
        ([tool_span(2, *GET, **FAILED)], ("unscored", "no_thought", None)),
    ],
)
@pytest.mark.parametrize("plan", [PLAN, f"```json\n{PLAN}\n```", '["get_order", "issue_refund"]'])
def test_the_steps_of_a_structured_plan_are_executed(plan, after, verdict):
    assert whole(think(1, plan)._replace(kind="planner"), *after) == verdict


def test_a_plan_is_not_held_against_a_run_that_goes_on():
    assert whole(think(1, PLAN)._replace(kind="planner"), tool_span(2, *GET), closed="")[1] == "no_thought"


@pytest.mark.parametrize(
    ("spans", "verdict"),
    [
        ([think(1, "get_order it is.", GET), think(2, "They mean O-48219.", GET)], ("fail", "unseen_value", 0.5)),
        ([think(1, "get_order it is.", GET), think(2, "so so", GET)], ("pass", "", 1.0)),
        ([think(1, "so so", GET)], ("unscored", "nothing_to_check", None)),
        ([think(1, "Hello!")], ("unscored", "no_thought", None)),
        ([llm_span(1, None)], ("unscored", "no_thought", None)),
    ],
)
def test_the_run_is_the_share_of_checks_that_agreed(spans, verdict):
    assert whole(*spans) == verdict


def test_a_run_without_a_model_is_not_judged():
    assert results(tool_span(1, *GET)) == ()


@pytest.mark.parametrize(
    ("messages", "thought", "calls"),
    [
        ([{"role": "assistant", "parts": [{"type": "reasoning", "content": "hm"}]}], "hm", []),
        (
            [
                {
                    "role": "assistant",
                    "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "hi"}],
                }
            ],
            "hm",
            [],
        ),
        (
            [{"role": "assistant", "content": "hm", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}],
            "hm",
            ["f"],
        ),
        (
            [
                {
                    "role": "assistant",
                    "content": [{"type": "text", "text": "hm"}, {"type": "tool_use", "name": "f", "input": {}}],
                }
            ],
            "hm",
            ["f"],
        ),
        (
            {"content": {"parts": [{"text": "hm", "thought": True}, {"function_call": {"name": "f", "args": {}}}]}},
            "hm",
            ["f"],
        ),
        ({"choices": [{"message": {"role": "assistant", "content": "hm"}}]}, "", []),
        ('Thought: hm\nAction: f\nAction Input: {"a": 1}', "hm", ["f"]),
        ("Hello", "", []),
        ("[{'role': 'assistant', 'content': 'hm'}]", "", []),
        ('[{"role": "assistant", "parts": [{"type": "tool_ca', "", []),
        (
            [
                None,
                3,
                {"parts": None, "content": None, "type": ["x"], "role": 7},
                {"function": {"name": 1, "arguments": None}},
            ],
            "",
            [],
        ),
        ([{"role": "assistant", "parts": [{"type": "tool_call", "name": "f", "arguments": 10**30}]}], "", ["f"]),
    ],
)
def test_thoughts_and_calls_in_messages_of_any_usual_shape(messages, thought, calls):
    found = said_in(messages if isinstance(messages, str) else json.dumps(messages))
    assert thought in found.thought and bool(thought) == bool(found.thought)
    assert [call.name for call in found.calls] == calls


@pytest.mark.parametrize(
    ("text", "claims"),
    [
        ("The password has been reset.", True),
        ("I reset your password.", True),
        ("Password reset: do you want that?", False),
        ("If your password was reset, tell me.", False),
        ("Your password is safe.", False),
        ("We sent the password", False),
        ("", False),
    ],
)
def test_a_claim_is_a_finished_act_that_the_tool_is_named_after(text, claims):
    assert claims_work_of(text, "reset_password", ()) is claims
    assert not claims_work_of(text, "resetPassword", ("forget_password", "reset_device"))


def test_owning_up_and_success():
    assert owns_up("That didn't work") and owns_up("it has not been sent") and not owns_up("all is well")
    assert claims_success("It succeeded.") and not claims_success("If it succeeded, fine.")
    assert claims_success("That worked: your request has been completed.") and claims_success("It worked!")
    assert not claims_success("We worked on it") and not claims_success("Once it is done, I will confirm that")
    assert not claims_success("It has not been processed") and not claims_success("Shall I see that it is done?")


def test_asked_after_every_step_or_once_the_results_are_the_same():
    spans = [
        think(1, "get_order it is.", ("find_customer", {})),
        tool_span(2, *REFUND, **FAILED),
        think(3, "issue_refund for O-48219", REFUND),
        tool_span(4, *REFUND, **FAILED),
        think(5, "again", REFUND),
        tool_span(6, *GET),
        think(7, "Your refund has been issued."),
        think(8, PLAN)._replace(kind="planner"),
    ]
    whole_run = trajectory(root_span(), *spans, workflow=SHOP)
    on = Evaluation(SHOP, None, ONLY)
    for one in whole_run.steps:
        on.extend((one,))
        on.results(whole_run)
    assert on.results(whole_run) == judge(whole_run, evaluators=ONLY)


def test_ten_thousand_steps_of_a_run_that_fails_and_thinks_on():
    spans = []
    for n in range(1, 10_000, 2):
        spans += [
            think(n, f"issue_refund, for O-{50000 + n} after O-{60000 + n}.", REFUND),
            tool_span(n + 1, *REFUND, **FAILED),
        ]
    found = results(root_span(), *spans)
    assert len(found) == 5_001 and not [r for r in found if r.verdict == "error"]
