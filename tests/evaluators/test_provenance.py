"""ArgumentProvenance: whether ids and amounts of writes came from somewhere."""

import orjson
import pytest

from evaluators.folding.evaluation import Evaluation
from evaluators.judge import judge
from evaluators.provenance import ArgumentProvenance
from schemas.span import TRUNCATED
from tests.builders import llm_span, result_of, root_span, text_of, tool, tool_span, trajectory, workflow

ONLY = (ArgumentProvenance(),)
SHOP = workflow(
    tools=[
        tool("look", {"id": {}}),
        tool("refund", writes=True),
        tool("set_plan", {"plan": {"enum": ["PLAN-20001", 349]}, "fee": {"default": 129.5}}, writes=True),
    ]
)
ASKED = "Refund order O-48213, please: I paid 149.99 and 200.50. My mail is kim@example.com"


def talk(said=ASKED, n=1, **fields):
    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": said}]
    return llm_span(n, "", input_messages=text_of(messages), **fields)


def judged(arguments, *before, tool="refund", **fields):
    spans = before or (talk(), tool_span(2, "look", {"id": "O-48213"}, {"payment": "PAY-77120", "total": 1786.0}))
    spans = (*spans, tool_span(9, tool, arguments, **fields))
    return [r for r in judge(trajectory(*spans, workflow=SHOP), evaluators=ONLY) if r.span_id == spans[-1].span_id]


def said(results):
    return [(r.verdict, r.reason_code) for r in results]


PASS, INVENTED = ("pass", ""), ("fail", "invented")


@pytest.mark.parametrize(
    ("arguments", "verdict"),
    [
        ({"order": "O-48213", "amount": 149.99}, PASS),
        ({"order": "48213", "to": {"payment": ["PAY-77120"]}, "mail": "Kim@example.com"}, PASS),
        ({"amount": "1,786.00"}, PASS),
        ({"order": "O-48219"}, INVENTED),
        ({"order": "O-4821", "x": "O-482130"}, INVENTED),
        ({"order": "O-48213", "to": {"payment": ["PAY-77121"]}}, INVENTED),
        ({"order": "O-48213", "amount": 149.98}, INVENTED),
        ({"amount": 350.49}, ("pass", "derived")),
        ({"amount": 14999}, ("pass", "derived")),
        ([{"order": "O-48219"}], INVENTED),
        ('"O-48219"', INVENTED),
    ],
)
def test_values_of_a_write_were_seen_or_are_invented(arguments, verdict):
    assert said(judged(arguments)) == [verdict]


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"note": "as agreed for O-99999", "count": 3, "at": "2026-01-05", "cabin": "economy", "ok": True, "x": None},
        {"amount": 50, "limit": 1000, "year": 2031},
        {"idempotency_key": "9f8e7d6c5b4a", "reason": "other"},
    ],
)
def test_a_write_without_ids_and_amounts_is_not_judged(arguments):
    assert judged(arguments) == []


def test_reads_and_tools_that_nobody_declared_are_not_judged():
    assert judged({"id": "O-99999"}, tool="look") == []
    assert judged({"id": "O-99999"}, tool="other") == []


def test_constants_of_the_tools_own_schema_are_known():
    assert said(judged({"plan": "PLAN-20001", "fee": 129.5}, tool="set_plan")) == [PASS]
    assert said(judged({"plan": 349}, tool="set_plan")) == [PASS]
    assert said(judged({"plan": "PLAN-20002"}, tool="set_plan")) == [INVENTED]


def test_evidence_names_arguments_and_never_what_they_hold():
    (found,) = judged({"order": "O-48219", "to": {"payment": "PAY-77121"}})
    assert orjson.loads(found.evidence) == {"arguments": ["order", "to.payment"]}
    assert "48219" not in found.reason and "order, to.payment" in found.reason


LOOK = {"id": "O-48213"}


@pytest.mark.parametrize(
    ("before", "code"),
    [
        ([llm_span(1, "")], "not_captured"),
        ([tool_span(1, "look", LOOK, "fine")], "not_captured"),
        ([talk(), tool_span(2, "look", LOOK, None)], "not_captured"),
        ([talk("my number is <PHONE_NUMBER>")], "redacted"),
        ([talk(flags=TRUNCATED)], "truncated"),
    ],
)
def test_where_something_was_not_captured_nothing_is_called_invented(before, code):
    assert said(judged({"order": "O-99999"}, *before)) == [("unscored", code)]
    assert said(judged({"order": "O-48213"}, *before, tool_span(5, "look", {}, "O-48213"))) == [PASS]


@pytest.mark.parametrize(
    ("arguments", "fields", "verdict"),
    [
        (None, {}, ("unscored", "not_captured")),
        ("{'order': O-48213}", {}, ("unscored", "not_captured")),
        ("{'order': 'O-48213'}", {}, PASS),
        ("{'order': 'O-99999'}", {}, INVENTED),
        ('{"order": "O-48', {"flags": TRUNCATED}, ("unscored", "truncated")),
        ({"order": "[REDACTED]"}, {}, ("unscored", "redacted")),
        ({"order": "O-48213", "mail": "<EMAIL>"}, {}, ("unscored", "redacted")),
        ({"order": "O-99999", "mail": "<EMAIL>"}, {}, INVENTED),
        ("[REDACTED]", {}, ("unscored", "redacted")),
    ],
)
def test_arguments_that_are_not_known(arguments, fields, verdict):
    assert said(judged(arguments, **fields)) == [verdict]


def test_an_id_does_not_become_seen_by_trying_it():
    failed = tool_span(2, "refund", {"order": "O-99999"}, "Error: there is no O-99999", status=2)
    retry = [
        {"role": "user", "content": ASKED},
        {"role": "assistant", "tool_calls": [{"id": "call_2", "function": {"arguments": '{"order": "O-99999"}'}}]},
        {"role": "tool", "tool_call_id": "call_2", "content": "Error: there is no O-99999"},
    ]
    again = llm_span(3, "", input_messages=text_of(retry))
    assert said(judged({"order": "O-99999"}, talk(), failed, again)) == [INVENTED]


def test_what_comes_after_a_write_does_not_explain_it():
    spans = [talk(), tool_span(2, "refund", {"order": "O-99999"}), talk("ah, O-99999", n=3)]
    results = judge(trajectory(*spans, workflow=SHOP), evaluators=ONLY)
    assert said([result_of(results, "ArgumentProvenance", 2)]) == [INVENTED]


@pytest.mark.parametrize(("kind", "verdict"), [("workflow", PASS), ("agent", PASS)])
def test_the_input_of_the_run_explains_a_write(kind, verdict):
    root = root_span(kind=kind, input_messages=text_of({"customer": "C-77123", "messages": []}))
    spans = (root, talk(), tool_span(2, "refund", {"customer": "C-77123"}))
    results = judge(trajectory(*spans, workflow=SHOP), evaluators=ONLY)
    assert said([result_of(results, "ArgumentProvenance", 2)]) == [verdict]


def test_with_very_many_numbers_seen_no_amount_is_called_invented():
    many = tool_span(2, "look", {}, [1000.01 + 7 * n for n in range(200)])
    assert said(judged({"amount": 123.45}, talk(), many)) == [("pass", "derived")]


def test_asked_after_every_step_or_once_the_results_are_the_same():
    spans = [talk(), *(tool_span(n, "refund", {"order": f"O-4821{n}"}) for n in range(2, 8)), talk("O-48219", n=8)]
    spans.append(tool_span(9, "refund", {"order": "O-48219", "amount": 149.99}))
    for root in (root_span(), root_span(kind="workflow", input_messages='{"id": "O-48215"}')):
        whole = trajectory(root, *spans, workflow=SHOP)
        on = Evaluation(SHOP, None, ONLY)
        for one in whole.steps:
            on.extend((one,))
            on.results(whole)
        assert on.results(whole) == judge(whole, evaluators=ONLY)


def test_ten_thousand_writes_that_were_all_made_up_are_judged_in_linear_time():
    spans = [talk()]
    for n in range(1, 5_001):
        spans.append(tool_span(2 * n, "look", {"id": f"O-{n}"}, {"id": f"P-{300000 + n}"}))
        spans.append(tool_span(2 * n + 1, "refund", {"order": f"Q-{700000 + n}", "amount": n + 0.37}))
    results = judge(trajectory(root_span(), *spans, workflow=SHOP), evaluators=ONLY)
    assert {(r.verdict, r.reason_code) for r in results} == {INVENTED} and len(results) == 5_000
