"""EntityConsistency: whether a call acts on the customer, order or ticket that the conversation is about."""

import orjson
import pytest

from evaluators.entity import EntityConsistency
from evaluators.folding.evaluation import Evaluation
from evaluators.judge import judge
from schemas.span import TRUNCATED
from tests.builders import llm_span, result_of, root_span, text_of, tool, tool_span, trajectory, workflow

ONLY = (EntityConsistency(),)
SHOP = workflow(
    tools=[
        tool("get_customer", entity={"customer": "$.customer_id"}),
        tool("update_crm", writes=True, entity={"customer": "$.customer_id"}),
        tool("get_order", entity={"order": "$.order.id"}),
        tool("cancel", writes=True, entity={"order": "$.order.id", "customer": "$.customer_id"}),
        tool("cancel_all", writes=True, entity={"order": "$.orders[*].id"}),
        tool("search"),
    ]
)
PASS, OTHER, FIRST = ("pass", ""), ("fail", "other_customer"), ("unscored", "nothing_established")


def talk(n, said, **fields):
    return llm_span(n, "", input_messages=text_of([{"role": "user", "content": said}]), **fields)


def get(n, customer="C-1001", result="fine", **fields):
    return tool_span(n, "get_customer", {"customer_id": customer}, result, **fields)


def update(n, customer="C-1001", **fields):
    return tool_span(n, "update_crm", {"customer_id": customer, "x": 1}, **fields)


def order(n, tool_name, number, **fields):
    return tool_span(n, tool_name, {"order": {"id": number}}, **fields)


def said(*spans, root=True):
    results = judge(trajectory(*spans, workflow=SHOP, root=root), evaluators=ONLY)
    return [(r.verdict, r.reason_code) for r in results]


ASK, ORDERS = talk(1, "I am C-1001, help me"), {"orders": ["O-1", "O-2"], "referred_by": "C-2002"}


@pytest.mark.parametrize(
    ("spans", "verdicts"),
    [
        # The words name the customer.
        ([ASK, get(2), update(3)], [PASS, PASS]),
        ([ASK, update(2, "c-1001")], [PASS]),
        ([ASK, get(2), update(3, "C-2002")], [PASS, OTHER]),
        ([ASK, get(2), update(3, "C-2002"), update(4, "C-2002")], [PASS, OTHER, OTHER]),
        ([ASK, get(2), update(3, "C-2002", status=2)], [PASS, OTHER]),
        ([ASK, update(2, "C-2002")], [OTHER]),
        ([ASK, get(2), talk(3, "and my wife is C-2002"), update(4, "C-2002")], [PASS, PASS]),
        # A result or a look-up names another one: by-catch.
        ([ASK, get(2, result=ORDERS), update(3, "C-2002")], [PASS, OTHER]),
        ([ASK, get(2), get(3, "C-2002"), update(4, "C-2002")], [PASS, ("pass", "other_read"), OTHER]),
        # The words name none that a call confirmed.
        ([talk(1, "hi"), get(2), update(3)], [FIRST, PASS]),
        ([talk(1, "hi"), get(2), update(3, "C-2002")], [FIRST, OTHER]),
        ([talk(1, "hi"), tool_span(2, "search", {"q": "kim"}, ["C-1001", "C-2002"]), update(3, "C-2002")], [PASS]),
        ([ASK, get(2, status=2, result="no such"), get(3, "C-2002")], [PASS, ("pass", "other_read")]),
        ([get(1), get(2, "C-2002"), update(3, "C-2002")], [FIRST, ("pass", "other_read"), PASS]),
        ([get(1), update(2), update(3, "C-2002")], [FIRST, PASS, OTHER]),
        ([get(1, status=2), update(2, "C-2002")], [FIRST, FIRST]),
        # Several orders of one customer.
        ([ASK, get(2, result=ORDERS), order(3, "cancel", "O-1"), order(4, "cancel", "O-2")], [PASS, PASS, PASS]),
        (
            [talk(1, "O-1 please"), order(2, "get_order", "O-1"), order(3, "cancel", "O-7")],
            [PASS, ("fail", "other_entity")],
        ),
        (
            [talk(1, "O-1 please"), order(2, "get_order", "O-1"), order(3, "get_order", "O-7")],
            [PASS, ("pass", "other_read")],
        ),
        # The session is the customer's.
        ([update(1, "S-77", session_id="S-77"), update(2, "S-78", session_id="S-77")], [PASS, OTHER]),
    ],
)
def test_the_entity_of_a_call_is_the_one_that_the_conversation_is_about(spans, verdicts):
    assert said(*spans, root=root_span()) == verdicts
    assert said(root_span(), *spans) == verdicts


def test_each_type_is_judged_and_the_worst_decides():
    both = tool_span(3, "cancel", {"order": {"id": "O-1"}, "customer_id": "C-2002"})
    results = judge(trajectory(talk(1, "I am C-1001: O-1"), get(2), both, workflow=SHOP), evaluators=ONLY)
    found = result_of(results, "EntityConsistency", 3)
    assert (found.verdict, found.reason_code, found.basis) == (*OTHER, "registry")
    assert orjson.loads(found.evidence) == {"entity": ["customer"], "arguments": ["$.customer_id"]}
    assert "C-2002" not in found.reason


def test_all_entities_of_a_list_are_judged():
    batch = tool_span(3, "cancel_all", {"orders": [{"id": "O-1"}, {"id": "O-7"}]})
    assert said(talk(1, "O-1"), order(2, "get_order", "O-1"), batch) == [PASS, ("fail", "other_entity")]


@pytest.mark.parametrize(
    ("spans", "code"),
    [
        ([ASK, get(2), update(3, "<CUSTOMER>")], "redacted"),
        ([ASK, get(2), tool_span(3, "update_crm", None)], "not_captured"),
        ([ASK, get(2), tool_span(3, "update_crm", "{'customer_id': C-2002}")], "not_captured"),
        ([ASK, get(2), tool_span(3, "update_crm", '{"customer_id": "C-', flags=TRUNCATED)], "truncated"),
        ([ASK, get(2, result=None), update(3, "C-2002")], "not_captured"),
        ([ASK, llm_span(2), get(3), update(4, "C-2002")], "not_captured"),
        ([talk(1, "I am C-1001, or <CUSTOMER>"), get(2), update(3, "C-2002")], "redacted"),
        ([talk(1, "I am C-1001", flags=TRUNCATED), get(2), update(3, "C-2002")], "truncated"),
    ],
)
def test_what_is_not_known_is_unscored(spans, code):
    assert said(*spans)[-1] == ("unscored", code)


@pytest.mark.parametrize(
    "arguments",
    [{}, {"customer_id": None}, {"customer_id": {"a": 1}}, {"customer_id": True}, {"customer_id": ""}, [], "7", "[1]"],
)
def test_a_call_that_names_no_entity_is_not_judged(arguments):
    assert said(ASK, get(2), tool_span(3, "update_crm", arguments)) == [PASS]


def test_numbers_name_entities_too():
    assert said(talk(1, "I am 1001"), get(2, 1001), update(3, 1002)) == [PASS, OTHER]


def test_the_input_of_the_run_names_an_entity():
    frame = root_span(kind="workflow", input_messages='{"customers": ["C-1001", "C-2002"]}')
    assert said(frame, get(2), update(3, "C-2002")) == [FIRST, PASS]
    assert said(frame, get(2), update(3, "C-3003")) == [FIRST, OTHER]


def test_without_entities_in_the_registry_it_does_not_apply():
    assert not EntityConsistency().applies(workflow(tools=[tool("update_crm", writes=True)]))


def test_asked_after_every_step_or_once_the_results_are_the_same():
    spans = [
        ASK,
        get(2, result=ORDERS),
        *(update(n, f"C-{1000 + n % 3}") for n in range(3, 12)),
        talk(12, "C-1002"),
        update(13, "C-1002"),
    ]
    for root in (root_span(), root_span(kind="workflow", input_messages='{"id": "C-1000"}')):
        whole = trajectory(root, *spans, workflow=SHOP)
        on = Evaluation(SHOP, None, ONLY)
        for one in whole.steps:
            on.extend((one,))
            on.results(whole)
        assert on.results(whole) == judge(whole, evaluators=ONLY)


def test_ten_thousand_calls_on_as_many_entities_are_judged_in_linear_time():
    spans = [ASK, get(2)]
    spans += [(update if n % 2 else get)(n, f"C-{100_000 + n}") for n in range(3, 10_003)]
    verdicts = said(root_span(), *spans)
    assert verdicts[0] == PASS and set(verdicts[1:]) == {OTHER, ("pass", "other_read")}
