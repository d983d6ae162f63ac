"""PolicyCompliance: order, what is forbidden, and confirmation before a write."""

import pytest

from evaluators.judge import judge
from evaluators.views.refusal import is_refusal
from tests.builders import llm_span, result_of, root_span, span, text_of, tool, tool_span, trajectory, workflow

TOOLS = [tool("look", {}), tool("verify", {}), *(tool(n, {}, writes=True) for n in ("refund", "cancel", "ship"))]
RULES = {
    "order": [{"before": "verify", "tool": "refund"}],
    "forbidden": [{"after": "cancel", "tool": "ship"}, {"tool": "look"}],
}
RULED = workflow(tools=TOOLS, policy=RULES)
CONFIRMED = workflow(tools=TOOLS, policy={"confirm_before_write": True})
BOTH = workflow(tools=TOOLS, policy={**RULES, "confirm_before_write": True})
HELD = {"status": 2, "exception": "GraphInterrupt: asks a person"}


def codes(*spans, shop=CONFIRMED):
    results = judge(trajectory(*spans, workflow=shop))
    return [r.reason_code or r.verdict for r in results if r.evaluator == "PolicyCompliance"]


def calls(*made):
    return [tool_span(n, *c) if isinstance(c, tuple) else tool_span(n, c) for n, c in enumerate(made, 1)]


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (["verify", "refund"], ["pass"]),
        (["refund", "verify"], ["missing_predecessor"]),
        (["cancel", "ship"], ["forbidden_transition"]),
        (["ship", "cancel"], ["pass"]),
        (["look"], ["forbidden_call"]),
        (["verify", "cancel"], []),
        ([("verify", None, {"error": "500"}), "refund"], ["missing_predecessor"]),
        ([("cancel", None, "Error: no"), "ship"], ["pass"]),
    ],
)
def test_order_and_what_is_forbidden(made, expected):
    assert codes(*calls(*made), shop=RULED) == expected


def test_an_attempt_is_a_breach_and_an_interrupted_call_is_none():
    assert codes(tool_span(1, "refund", status=2), shop=RULED) == ["missing_predecessor"]
    assert codes(tool_span(1, "refund", **HELD), shop=RULED) == []
    verified = tool_span(1, "verify", kind="human")
    assert codes(verified, tool_span(2, "refund"), shop=RULED) == ["pass"]


def test_the_breach_names_the_call_that_made_it_one():
    result = result_of(judge(trajectory(*calls("cancel", "ship"), workflow=RULED)), "PolicyCompliance", 2)
    assert '"after":"cancel"' in result.evidence
    assert '"span_id":"0000000000000001"' in result.evidence


USER = {"role": "user", "parts": [{"type": "text", "content": "Cancel my order"}]}
ASKS = {"role": "assistant", "parts": [{"type": "text", "content": "Order 1 will be cancelled. Do you agree?"}]}
CALLS = {"role": "assistant", "parts": [{"type": "tool_call", "id": "1", "name": "cancel", "arguments": {}}]}
RESULT = {"role": "tool", "parts": [{"type": "tool_call_response", "id": "1", "response": "done"}]}


def says(words):
    return {"role": "user", "content": words}


def model(n, heard, said="", **fields):
    """A model's call: the messages it was shown, and a text or messages that it said."""
    output = said if said is None or isinstance(said, list) else [{"role": "assistant", "content": said}]
    return llm_span(n, None, input_messages=text_of(heard), output_messages=text_of(output), **fields)


WRITE = tool_span(50, "cancel")
AGAIN = tool_span(52, "ship")


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        # The whole history in every call of the model, and what is new in each call.
        ([model(1, [USER], "Agree?"), model(2, [USER, ASKS, says("Yes")]), WRITE], "pass"),
        ([model(1, [USER, ASKS, says("Yes")]), WRITE], "pass"),
        ([model(1, [USER], "Agree?"), model(2, [says("Ja, bitte")]), WRITE], "pass"),
        ([model(1, [USER], "Agree?"), model(2, [says("No insurance. Go ahead.")]), WRITE], "pass"),
        ([model(1, {"messages": [USER, ASKS, says("Yes")]}), WRITE], "pass"),
        # Nobody was asked.
        ([model(1, [USER], "I cancel it now."), WRITE], "unconfirmed_write"),
        ([model(1, [USER]), WRITE], "unconfirmed_write"),
        ([model(1, [USER]), tool_span(2, "verify"), model(3, [USER, CALLS, RESULT]), WRITE], "unconfirmed_write"),
        ([model(1, [USER], "One moment."), model(2, [RESULT]), WRITE], "unconfirmed_write"),
        ([model(1, [USER], "Agree?"), model(2, [USER, ASKS]), WRITE], "unconfirmed_write"),
        ([model(1, "Cancel my order"), WRITE], "unconfirmed_write"),
        # Results of tools come under the user's role with some models.
        (
            [
                model(1, [USER], "I will look."),
                model(2, [{"role": "user", "content": [{"type": "tool_result", "content": "ok"}]}]),
                WRITE,
            ],
            "unconfirmed_write",
        ),
        # What one agent asks of another is no user's answer.
        (
            [model(1, [USER], "Over to you", agent="a"), model(2, [says("Cancel order 1")], agent="b"), WRITE],
            "unconfirmed_write",
        ),
        # The user said no, or no and then yes.
        ([model(1, [USER], "Agree?"), model(2, [says("No, thanks.")]), WRITE], "refused_write"),
        (
            [model(1, [USER], "Agree?"), model(2, [says("No")], "Sure?"), model(3, [says("I agree then")]), WRITE],
            "pass",
        ),
        (
            [model(1, [USER], "Agree?"), model(2, [says("Yes")], "Sure?"), model(3, [says("nein")]), WRITE],
            "refused_write",
        ),
        # Not captured, in part or at all.
        ([WRITE], "not_captured"),
        ([model(1, None, None), WRITE], "not_captured"),
        ([model(1, [USER], "Agree?"), model(2, None), WRITE], "not_captured"),
        ([model(1, [USER], "Agree?"), model(2, '[{"role": "user", "conte'), WRITE], "not_captured"),
        ([model(1, [USER], "Agree?"), model(2, [says("[REDACTED]")]), WRITE], "not_captured"),
        ([model(1, [USER], "Agree?"), model(2, [says("yes")]), model(3, None, None), WRITE], "pass"),
        ([model(1, [USER], None), model(2, [says("Yes")]), WRITE], "pass"),
        ([model(1, [USER], None), model(2, [USER, CALLS, RESULT]), WRITE], "unconfirmed_write"),
        ([model(1, [USER], None), model(2, [USER, RESULT]), WRITE], "unconfirmed_write"),
        ([model(1, [3, None, "x"]), WRITE], "not_captured"),
        ([model(1, [{"role": ["user"], "content": {}}]), WRITE], "not_captured"),
        ([model(1, [{"role": "user", "content": [None, 7, {"type": []}]}]), WRITE], "unconfirmed_write"),
        # A verifier, or a person who was asked.
        ([model(1, [USER]), span(2, kind="verifier", output_messages='{"approved": true}'), WRITE], "pass"),
        ([span(2, kind="verifier", output_messages='{"approved": true}'), WRITE], "pass"),
        ([span(2, kind="verifier", output_messages='{"approved": false}'), WRITE], "refused_write"),
        ([model(1, [USER]), span(2, kind="verifier", output_messages="hm"), WRITE], "not_captured"),
        ([model(1, [USER]), tool_span(2, "ask_human", {}, "yes, do it", kind="human"), WRITE], "pass"),
        ([model(1, [USER]), tool_span(2, "ask_human", {}, {"approved": False}, kind="human"), WRITE], "refused_write"),
        ([model(1, [USER]), tool_span(2, "ask_human", {}, "no", kind="human"), WRITE], "refused_write"),
        ([model(1, [USER]), tool_span(2, "ask_human", {}, None, kind="human"), WRITE], "not_captured"),
        ([model(1, [USER]), tool_span(2, "ask_human", {}, None, kind="human", status=2), WRITE], "unconfirmed_write"),
    ],
)
def test_confirmation_before_a_write(spans, expected):
    assert codes(root_span(), *spans) == [expected]


def test_one_answer_covers_the_writes_that_follow_until_the_next():
    agreed = [model(1, [USER], "Agree?"), model(2, [says("Yes, both")])]
    assert codes(*agreed, WRITE, model(51, [RESULT]), AGAIN) == ["pass", "pass"]
    assert codes(*agreed, WRITE, model(51, [RESULT], "More?"), model(3, [says("no")]), AGAIN) == [
        "pass",
        "refused_write",
    ]


def test_confirmation_is_asked_of_declared_writes_alone():
    assert codes(tool_span(1, "look"), tool_span(2, "dance"), WRITE) == ["not_captured"]
    assert codes(tool_span(1, "look"), shop=workflow("silent")) == []


def test_a_breach_of_the_order_is_said_before_what_cannot_be_known():
    assert codes(tool_span(1, "refund"), shop=BOTH) == ["missing_predecessor"]
    assert codes(tool_span(1, "verify"), tool_span(2, "refund"), shop=BOTH) == ["not_captured"]


@pytest.mark.parametrize(
    "answer",
    ["no", "No.", "No, thanks!", "please don't", "Nope", "stop", "I do not want to proceed", "nein danke", "不", "нет"],
)
def test_plain_refusals(answer):
    assert is_refusal(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "yes",
        "No problem, go ahead",
        "no, that's all, thanks",
        "No insurance",
        "no " * 50,
        "go ahead",
        "thanks",
        "I have no checked bags",
        "не знаю",
        "!?",
        "proceed, please",
    ],
)
def test_other_answers_are_no_refusals(answer):
    assert not is_refusal(answer)
