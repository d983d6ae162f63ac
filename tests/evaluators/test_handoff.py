"""HandoffQuality: handed over, and taken up?"""

import pytest

from evaluators.judge import judge
from evaluators.views.routes import agent_key, route_of
from tests.builders import llm_span, span, step, text_of, tool, tool_span, trajectory, workflow

STAFF = workflow(agents=["Planner", "billing", "shipping"])
ORDERS = workflow(tools=[tool("look", {"order_id": {}, "who": {}}, entity={"order": "$.order_id", "user": "$.who.id"})])
NOTHING = workflow("silent")


def handoff(n, to, by="planner", **fields):
    fields = {"arguments": None, "result": None, "kind": "handoff", "agent": by, **fields}
    return tool_span(n, fields.pop("tool", f"transfer_to_{to}"), **fields)


def by(n, agent, heard=None, **fields):
    return llm_span(n, None, agent=agent, input_messages=text_of(heard), **fields)


def codes(*spans, shop=NOTHING, closed="root_ended"):
    results = judge(trajectory(*spans, workflow=shop, closed=closed))
    return [r.reason_code or r.verdict for r in results if r.evaluator == "HandoffQuality"]


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([handoff(1, "billing"), by(2, "billing")], "pass"),
        ([handoff(1, "billing"), by(2, "Billing Agent")], "pass"),
        ([handoff(1, "billing"), span(2, kind="agent", agent="billing")], "pass"),
        ([handoff(1, "billing", status=2), by(2, "billing")], "pass"),
        ([by(1, "planner"), handoff(2, "billing")], "never_executed"),
        ([by(1, "planner"), handoff(2, "billing"), by(3, "planner")], "never_executed"),
        ([by(1, "billing"), by(2, "planner"), handoff(3, "billing")], "never_executed"),
        ([by(1, "planner"), by(2, "shipping"), handoff(3, "billing"), by(4, "shipping")], "never_executed"),
        # Nobody can tell whose the steps are, or the target may go by another name.
        ([handoff(1, "billing"), by(2, "")], "not_captured"),
        ([handoff(1, "billing"), by(2, "8f14e45f")], "not_captured"),
        ([handoff(1, "billing", parent=None)], "not_captured"),
        # A person, the end, or back to whoever called: no step can follow.
        ([handoff(1, "human_agents")], "left_the_trace"),
        ([handoff(1, "user")], "left_the_trace"),
        ([handoff(1, "", tool="goto __end__")], "left_the_trace"),
        ([handoff(1, "", tool="transfer_back_to_boss")], "left_the_trace"),
        # To nobody knows whom.
        ([handoff(1, "", tool="planner → unknown.handoff"), by(2, "billing")], "pass"),
        ([handoff(1, "", tool="planner → unknown.handoff"), by(2, "planner")], "no_target"),
        ([handoff(1, "", tool="transfer_to_agent", arguments="{")], "no_target"),
    ],
)
def test_whether_it_was_taken_up(spans, expected):
    assert codes(*spans) == [expected]


def test_of_two_requested_at_once_the_one_that_did_not_run_was_lost():
    spans = [by(1, "planner"), handoff(2, "billing"), handoff(3, "shipping"), by(4, "shipping")]
    assert codes(*spans) == ["never_executed", "pass"]


@pytest.mark.parametrize("closed", ["", "abandoned"])
def test_while_the_run_goes_on_or_is_lost_sight_of_nothing_was_lost_yet(closed):
    assert codes(handoff(1, "billing"), closed=closed) == ["still_open"]
    assert codes(handoff(1, "billing"), by(2, "billing"), closed=closed) == ["pass"]


def test_the_registry_says_who_works_here_and_agents_of_the_trace_alone_do_not():
    assert codes(handoff(1, "refunds"), by(2, "refunds"), shop=STAFF) == ["unknown_agent"]
    assert codes(handoff(1, "billing_agent"), by(2, "billing"), shop=STAFF) == ["pass"]
    assert codes(handoff(1, "billing"), by(2, "8f14e45f"), shop=STAFF) == ["never_executed"]
    assert codes(handoff(1, "human"), shop=STAFF) == ["left_the_trace"]


def bouncing(*between):
    """Planner and billing hand to each other; `between` says what is done after each handoff."""
    spans = []
    for n, extra in enumerate(between):
        who, to = ("planner", "billing") if n % 2 == 0 else ("billing", "planner")
        spans += [by(10 * n + 1, who), handoff(10 * n + 2, to, who)]
        spans += [extra] if extra is not None else []
    return [*spans, by(900, "billing" if len(between) % 2 else "planner")]


WORK = tool_span(500, "look", {"order_id": "W1"}, agent="billing")


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        (bouncing(None, None), ["pass", "pass"]),
        (bouncing(None, None, None), ["pass", "pass", "ping_pong"]),
        (bouncing(None, None, None, None), ["pass", "pass", "ping_pong", "ping_pong"]),
        (bouncing(WORK, None, None), ["pass", "pass", "pass"]),
        (bouncing(None, WORK._replace(kind="human"), None), ["pass", "pass", "pass"]),
        (bouncing(None, WORK._replace(status=2), None), ["pass", "pass", "ping_pong"]),
        ([handoff(1, "b", "a"), handoff(2, "c", "b"), handoff(3, "b", "c"), by(4, "b")], ["pass", "pass", "pass"]),
    ],
)
def test_ping_pong_is_there_and_back_and_there_again_with_nothing_done(spans, expected):
    assert codes(*spans) == expected


ACT = tool_span(1, "look", {"order_id": "#W100", "who": {"id": 7}}, agent="planner")
KNOWS = [{"role": "user", "content": "Order:\nw100, user 7"}]
PART = [{"role": "user", "content": "Refund order W100, please"}]
LESS = [{"role": "user", "content": "Refund W1001 for 17"}]


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([by(3, "billing", KNOWS)], "pass"),
        ([by(3, "billing", PART)], "context_dropped"),
        ([by(3, "billing", LESS)], "context_dropped"),
        ([by(3, "billing", "Your turn")], "context_dropped"),
        ([by(3, "billing", PART), by(4, "billing", KNOWS)], "pass"),
        # What it acts with, it was given; what it learns by acting, it was not.
        ([by(3, "billing", PART), tool_span(4, "pay", {"user": 7}, agent="billing")], "pass"),
        (
            [by(3, "billing", PART), tool_span(4, "pay", {}, agent="billing"), by(5, "billing", KNOWS)],
            "context_dropped",
        ),
        # Not captured, cut or redacted.
        ([by(3, "billing")], "not_captured"),
        ([by(3, "billing", PART, flags=2)], "not_captured"),
        ([by(3, "billing", [{"role": "user", "content": "[REDACTED]"}])], "not_captured"),
        ([tool_span(4, "pay", {}, agent="billing")], "not_captured"),
    ],
)
def test_context_is_dropped_where_an_id_is_lost_on_the_way(spans, expected):
    assert codes(ACT, handoff(2, "billing"), *spans, shop=ORDERS) == [expected]


def test_ids_in_the_handoffs_own_words_are_given_and_without_a_registry_none_are_known():
    told = handoff(2, "billing", arguments={"order_id": "W100", "note": "user 7"})
    assert codes(ACT, told, by(3, "billing", "Your turn"), shop=ORDERS) == ["pass"]
    assert codes(ACT, handoff(2, "billing"), by(3, "billing", "Your turn")) == ["pass"]
    other = tool_span(9, "look", {"order_id": ['"'], "who": {"id": "<EMAIL>"}})
    assert codes(other, handoff(2, "billing"), by(3, "billing", "Your turn"), shop=ORDERS) == ["pass"]


def test_while_the_target_has_not_acted_its_context_is_not_judged():
    assert codes(ACT, handoff(2, "billing"), by(3, "billing", PART), shop=ORDERS, closed="") == ["still_open"]


@pytest.mark.parametrize(
    ("fields", "source", "target"),
    [
        ({"tool": "transfer_to_billing"}, "planner", "billing"),
        ({"tool": "handoff_to_billing"}, "planner", "billing"),
        ({"tool": "transfer_back_to_billing"}, "planner", "billing"),
        ({"tool": "transfer_to_agent", "arguments": {"agent_name": "billing"}}, "planner", "billing"),
        ({"tool": "handoff_to_agent", "arguments": '{"agent_name": "billing"}'}, "planner", "billing"),
        ({"tool": "delegate", "arguments": {"coworker": "Billing"}}, "planner", "Billing"),
        ({"tool": "handoff to billing", "arguments": "planner", "result": "billing"}, "planner", "billing"),
        ({"tool": "Handoff: boss -> billing"}, "boss", "billing"),
        ({"tool": "boss → billing.handoff"}, "boss", "billing"),
        ({"tool": "goto billing"}, "planner", "billing"),
        ({"tool": "pass_on", "name": "execute_tool pass_on billing"}, "planner", "billing"),
        ({"tool": "pass_on", "result": {"handoff_to": "billing"}}, "planner", "billing"),
        ({"tool": "pass_on", "arguments": {"to": "x" * 200}}, "planner", ""),
        ({"tool": "pass_on", "arguments": [1], "result": 7}, "planner", ""),
        ({"tool": "", "name": ""}, "planner", ""),
        ({"tool": "pass_on", "target": "billing"}, "planner", "billing"),
    ],
)
def test_the_route_is_read_from_where_frameworks_put_it(fields, source, target):
    route = route_of(step(0, handoff(1, "", **fields)))
    assert (route.source, route.target) == (source, target)


def test_one_agent_under_all_spellings():
    assert (
        len({agent_key(name) for name in ("Billing Agent", "billing_agent", "billing", "BILLING", "billing.run")}) == 1
    )
    assert agent_key("agent") != agent_key("bot") != ""


def test_ten_thousand_handoffs_stay_linear():
    spans = [handoff(n, "", "planner", tool="pass_on") for n in range(1, 5001)]
    spans += [handoff(n, "billing", "planner") for n in range(5001, 10_001)]
    assert set(codes(*spans)) == {"no_target", "never_executed"}
