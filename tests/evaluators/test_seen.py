"""What a run has seen: whose words count, how values may be written, and that nothing is read twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluators.base import MAYBE_CALLS, Context
from evaluators.views.derived import is_derived
from evaluators.views.literals import (
    UNITS,
    _tokens_of_any,
    amount_of,
    amounts_in,
    forms_of,
    ids_in,
    is_id,
    leaves,
    numbers,
    spelled,
    tokens,
)
from evaluators.views.seen import QUICK_MAX, Seen
from evaluators.views.texts import ASKED_MAX, Pool, Text, stands, stands_alone
from schemas.span import TRUNCATED
from tests.builders import llm_span, root_span, step, text_of, tool_span, workflow


def user(said):
    return {"role": "user", "parts": [{"type": "text", "content": said}]}


def asks(call_id, name, arguments):
    return {"role": "assistant", "parts": [{"type": "tool_call", "id": call_id, "name": name, "arguments": arguments}]}


def answers(call_id, response):
    return {"role": "tool", "parts": [{"type": "tool_call_response", "id": call_id, "response": response}]}


def heard(*messages, n=1, **fields):
    return llm_span(n, "", input_messages=text_of(list(messages)), **fields)


def goes_on(context, span):
    one = step(len(context.steps), span)
    context.steps.append(one)
    if one.span.kind in MAYBE_CALLS:
        context.calls.append(one)


def seen(*spans):
    context = Context(workflow(), None)
    for span in (*spans, root_span(99)):  # the run goes on: what the last call brought is seen
        goes_on(context, span)
    return Seen(context)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("O-48213", True),
        ("ORD-48213", True),
        ("OI5L9G", True),
        ("sofia_kim_7287", True),
        ("550e8400-e29b-41d4-a716-446655440000", True),
        ("ab12cd34ef", True),
        ("a.b@example.com", True),
        ("+15551234567", True),
        ("(555) 123-4567", True),
        ("77243", True),
        ("[EMAIL]", False),
        ("***", False),
        ("2024-05-15", False),
        ("2024-05-15T10:00:00Z", False),
        ("20240515", False),
        ("15/05/2024", False),
        ("2024Q1", False),
        ("1760000000", False),
        ("sha256", False),
        ("utf-8", False),
        ("O-482", False),
        ("1234", False),
        ("12.50 EUR", False),
        ("basic_economy", False),
        ("please refund order 48213", False),
        ("", False),
    ],
)
def test_what_has_the_shape_of_an_id(value, said):
    assert is_id(value) is said


@pytest.mark.parametrize(
    ("value", "amount"),
    [
        (149.99, 149.99),
        (-149.99, 149.99),
        ("$1,786.00", 1786),
        ("1.786,00", 1786),
        ("149.99", 149.99),
        (125, 125),
        (50, None),
        (1500, None),
        (2024, None),
        (True, None),
        (float("nan"), None),
        (float("inf"), None),
        (10**400, None),
        ("2024-05-15", None),
        ("12 people", None),
        (None, None),
    ],
)
def test_what_has_the_shape_of_an_amount(value, amount):
    assert amount_of(value) == (None if amount is None else round(amount * UNITS))


def test_ids_and_amounts_are_found_in_nested_values_and_in_json_texts_with_their_paths():
    ids, others = ids_in(
        leaves({"items": [{"sku": "SKU-99812", "price": 149.99}], "more": '{"id": "C-77812"}', "big": 48213557})
    )
    assert ids == [("items[0].sku", "SKU-99812"), ("more.id", "C-77812"), ("big", "48213557")]
    assert amounts_in(others) == [("items[0].price", 1_499_900)]


def test_what_a_caller_is_meant_to_make_up_is_no_id():
    made_up = {"idempotency_key": "ab12cd34ef", "request_id": "R-44871", "newPassword": "Xy77124z"}
    assert ids_in(leaves(made_up)) == ([], [])


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("1,786.00", 1786),
        ("1.786,00", 1786),
        ("1786", 1786),
        ("$1,786!", 1786),
        ("12,5 kg", 12.5),
        ("[100,200,1000.5]", 200),
        ("9'000", 9000),
    ],
)
def test_numbers_are_read_by_value_however_they_are_written(text, amount):
    assert amount * UNITS in numbers(text)


TALK = heard(
    {"role": "system", "parts": [{"type": "text", "content": "Refunds up to 250.50 are free."}]},
    user("Order O-48213, or OI5-L9G; call 555 123 4567, mail to Sofia.Kim@example.com; I paid 1,786.00"),
    asks("c1", "look", {"id": "O-99999"}),
    answers("c0", '{"id": "T-55512",\n"note": "see\\nT-66612"}'),
)


@pytest.mark.parametrize(
    ("value", "held"),
    [
        ("O-48213", True),
        ("o-48213", True),
        ("48213", True),
        ("ORD-48213", True),
        ("OI5L9G", True),
        ("5551234567", True),
        ("+15551234567", True),
        ("sofia.kim@example.com", True),
        ("T-55512", True),
        ("T-66612", True),
        ("O-4821", False),  # a digit lost
        ("O-482130", False),  # a digit too many
        ("O-48231", False),
        ("sofia.kim@other.org", False),
        ("O-99999", False),  # the model's own call
    ],
)
def test_ids_are_held_as_whole_words_from_people_and_results_alone(value, held):
    assert seen(TALK).holds(value) is held


def test_it_makes_no_difference_how_often_was_asked_before():
    state = seen(TALK)
    for n in range(2 * ASKED_MAX):
        assert not state.holds(f"X-{70000 + n}")
    assert state.holds("OI5L9G") and state.holds("5551234567") and state.holds("ORD-48213")
    assert state.holds_number(1786 * UNITS) and not state.holds_number(178 * UNITS)
    assert not state.holds("O-99999") and not state.holds("O-4821")


@pytest.mark.parametrize(("amount", "held"), [(1786, True), (250.5, True), (178, False), (1785, False), (0.125, False)])
def test_numbers_are_held_by_value(amount, held):
    assert seen(TALK).holds_number(round(amount * UNITS)) is held


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user", "content": "it is O-48213"}, {"role": "assistant", "content": "O-99999?"}],
        [{"role": "user", "content": [{"type": "text", "text": "it is O-48213"}]}],
        {"messages": [{"type": "human", "content": "it is O-48213"}, {"type": "ai", "content": "O-99999?"}]},
        [[{"lc": 1, "id": ["x", "HumanMessage"], "kwargs": {"content": "O-48213"}}]],
        [{"lc": 1, "id": ["x", "AIMessage"], "kwargs": {"content": "O-99999"}}, {"role": "user", "content": "O-48213"}],
        [{"role": "tool", "tool_call_id": "zz", "content": "O-48213"}, {"role": "user", "content": "hm"}],
        [{"role": "assistant", "tool_calls": [{"function": {"arguments": "O-99999"}}]}, ["O-48213"], None, 3],
        "it is O-48213",
        "[HumanMessage(content='it is O-48213')]",
    ],
)
def test_messages_of_any_usual_shape_are_understood(messages):
    state = seen(llm_span(1, "", input_messages=text_of(messages)))
    assert state.holds("O-48213") and not state.holds("O-99999")


def test_a_talk_that_is_repeated_in_every_span_is_told_apart_by_what_is_new():
    talk, spans = [user("hello")], []
    for n in range(1, 30):
        talk = [*talk, asks(f"c{n}", "look", {"id": f"O-{90000 + n}"}), user(f"then O-{40000 + n}")]
        spans.append(heard(*talk, n=n))
    state = seen(*spans)
    assert all(state.holds(f"O-{40000 + n}") for n in range(1, 30))
    assert not any(state.holds(f"O-{90000 + n}") for n in range(1, 30))


def test_a_failed_call_does_not_make_its_own_argument_seen_but_what_else_it_tells():
    failed = tool_span(2, "look", {"id": "O-99999"}, "Error: no O-99999, do you mean O-99998?", status=2)
    later = heard(user("hi"), asks("call_2", "look", {"id": "O-99999"}), answers("call_2", "Error: no O-99999"), n=3)
    state = seen(heard(user("hi")), failed, later)
    assert not state.holds("O-99999") and state.holds("O-99998")


def test_an_answer_of_a_person_is_words():
    state = seen(tool_span(1, "ask_human", {}, "use O-48213", kind="human"))
    assert state.holds("O-48213") and state.heard()


@pytest.mark.parametrize(
    ("spans", "doubt"),
    [
        ([heard(user("hi"))], ""),
        ([heard(user("hi")), tool_span(2, "look", {}, "fine")], ""),
        ([], "not_captured"),
        ([llm_span(1, "")], "not_captured"),
        ([heard(user("hi")), llm_span(2, "")], "not_captured"),
        ([heard(user("hi")), llm_span(2, "", status=2)], ""),
        ([heard(user("hi")), llm_span(2, "")._replace(kind="planner")], ""),
        ([heard(user("hi")), llm_span(2, "", model="m")._replace(kind="planner")], "not_captured"),
        ([heard(user("hi")), tool_span(2, "look", {}, None)], "not_captured"),
        ([heard(user("hi")), tool_span(2, "look", {}, None, status=2)], ""),
        ([heard(user("hi"), flags=TRUNCATED)], "truncated"),
        ([heard(user("mail to <EMAIL> please"))], "redacted"),
        ([heard(user("mail to [redacted:email] please"))], "redacted"),
        ([heard(user("mail to [masked: a mail] please"))], "redacted"),
        ([heard(user("mail to {{EMAIL}} please"))], "redacted"),
        ([heard(user("mail to __EMAIL__ please"))], "redacted"),
        ([heard(user("mail to <redacted> please"))], "redacted"),
        ([heard(user("call ***1234 please"))], "redacted"),
        ([heard(user("hi")), tool_span(2, "look", {}, {"id": "[REDACTED]"})], "redacted"),
        ([heard(user("hi")), tool_span(2, "look", {}, "***")], "redacted"),
        ([heard(user("<RULES>be kind</RULES> and _a__b_ [x] **bold**"))], ""),
    ],
)
def test_why_something_may_have_been_seen_although_it_is_not_held(spans, doubt):
    assert seen(*spans).doubt() == doubt


def test_the_input_of_a_root_that_is_no_step_is_the_frame():
    root = root_span(kind="workflow", input_messages=text_of({"customer": "C-77123"}))
    agent = root_span(input_messages=text_of({"customer": "C-88123"}))
    frame = seen().frame([root, agent])
    assert frame.has("77123") and not frame.has("88123")


def test_what_a_call_brings_is_seen_after_it_and_not_by_itself():
    context = Context(workflow(), None)
    state = Seen(context)
    goes_on(context, tool_span(1, "find", {}, "order O-20417"))
    assert not state.holds("O-20417")
    goes_on(context, tool_span(2, "find", {}, "nothing"))
    assert state.holds("O-20417")


_TEXTS = st.text(st.sampled_from("O1589-., '_$aé\\nu\"\n:"), max_size=30)


@given(_TEXTS, st.sampled_from(["O-15", "O15", "5-8-9", "1589", "158 9"]), _TEXTS)
def test_an_id_that_is_found_as_it_is_would_be_found_by_reading(before, value, after):
    pool = Pool()
    pool.add(Text(f"{before}{value}{after}"))
    assert not stands(f"{before}{value}{after}", value) or pool.holds(forms_of(value))


@given(_TEXTS, st.sampled_from([15, 1589, 158.9, 15.89, 0.5]), _TEXTS)
def test_a_number_that_is_found_as_it_is_would_be_found_by_reading(before, number, after):
    amount = round(number * UNITS)
    pool = Pool()
    pool.add(Text(f"{before}{spelled(amount)}{after}"))
    assert not stands_alone(f"{before}{spelled(amount)}{after}", spelled(amount)) or pool.has_number(amount)


@pytest.mark.parametrize("value", ["O-48213", "O-48214"])
def test_many_questions_are_answered_as_the_first_one_was(value):
    state = seen(tool_span(1, "find", {}, "order O-48213"))
    assert [state.holds(value) for _ in range(QUICK_MAX + 2)] == [value == "O-48213"] * (QUICK_MAX + 2)


def test_a_talk_that_is_said_twice_counts_once():
    state = seen(heard(user("hi")), heard(user("hi"), user("O-48213"), n=2))
    assert state.holds("O-48213") and state.doubt() == ""


@pytest.mark.parametrize(
    ("amount", "known", "derived"),
    [
        (350, [150, 200], True),  # a sum
        (50.5, [200.5, 150], True),  # a difference
        (450, [150], True),  # three of them
        (37.5, [150], True),  # a quarter
        (1786, [17.86], True),  # in cents
        (135, [150, 10], True),  # ten per cent off
        (600.6, [100.1, 200.2, 300.3], True),  # three prices
        (1050, [42, 25], True),  # quantity times price
        (351.37, [150, 200], False),
        (77.77, [12, 5], False),
    ],
)
def test_amounts_that_follow_from_seen_ones(amount, known, derived):
    assert is_derived(round(amount * UNITS), {round(n * UNITS) for n in known}) is derived


@given(st.text(st.characters(max_codepoint=127)) | st.text("aB1 2-_.\n", max_size=60))
def test_words_of_ascii_are_those_that_any_script_has(text: str):
    assert tokens(text) == _tokens_of_any(text)
