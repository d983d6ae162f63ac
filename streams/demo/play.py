"""The three customer-service workflows, as values: what is planned, which tools are called, what the customer hears.

Pure: a play is a function of its case. `scribe.py` makes spans of it, `mishap.py` lets something go wrong in it.
The law: every call below fits the schema of its tool in `infra/examples/workflows.yaml`.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Call(NamedTuple):
    """One call of a tool. `error` set means that the tool span ends in ERROR with this `error.type`."""

    tool: str
    arguments: Mapping[str, Any]
    result: Mapping[str, Any] | None
    error: str = ""


class Case(NamedTuple):
    """What a customer came with. `task_id` names the task truth of the case; "" when nobody wrote one down."""

    workflow: str
    customer_id: str
    order_id: str
    ticket_id: str
    amount: float
    topic: str  # why: one of the workflow's TOPICS
    task_id: str = ""


class Play(NamedTuple):
    """One run before anything goes wrong: the words and calls of planner, executor and verifier."""

    case: Case
    request: str  # the customer's first words
    plan: str
    routing: tuple[Call, ...]  # made by the planner
    calls: tuple[Call, ...]  # made by the executor
    answer: str  # the executor's last words, which the customer reads


TOPICS: Mapping[str, tuple[str, ...]] = {
    "refund": ("damaged", "not_delivered", "wrong_item"),
    "triage": ("billing", "delivery", "account"),
    "subscription": ("basic", "plus", "family"),
}
PRICES: Mapping[str, float] = {"basic": 4.9, "plus": 9.9, "family": 14.9}


def refund(case: Case) -> Play:
    """An order is looked up, the policy is asked, the money goes back, the customer's record says so."""
    order = {"order_id": case.order_id}
    refund_id = f"R-{case.order_id[2:]}"
    return Play(
        case,
        f"I am {case.customer_id}. My order {case.order_id} is {case.topic.replace('_', ' ')}, I want my money back.",
        "1. look the order up 2. check the refund policy 3. issue the refund 4. note it in the CRM 5. answer",
        (),
        (
            Call("lookup_order", order, {**order, "customer_id": case.customer_id, "total": case.amount}),
            Call("check_policy", {**order, "reason": case.topic}, {"refundable": True, "limit": case.amount}),
            Call(
                "issue_refund",
                {**order, "amount": case.amount, "currency": "EUR"},
                {"refund_id": refund_id, "amount": case.amount},
            ),
            _note(case, {"last_refund": case.order_id, "refund_state": "issued"}),
        ),
        f"I have refunded {case.amount:.2f} EUR for order {case.order_id} and updated your record.",
    )


def triage(case: Case) -> Play:
    """A ticket is classified, routed to a queue, and the customer's record points to it."""
    ticket = {"ticket_id": case.ticket_id}
    return Play(
        case,
        f"This is {case.customer_id}, ticket {case.ticket_id}: I have a question about {case.topic}.",
        f"1. route the ticket to {case.topic} 2. look for a known answer 3. note the queue in the CRM 4. answer",
        (Call("route_ticket", {**ticket, "queue": case.topic}, {**ticket, "queue": case.topic, "position": 3}),),
        (
            Call("get_ticket", ticket, {**ticket, "customer_id": case.customer_id, "priority": "normal"}),
            Call(
                "search_articles",
                {"query": f"question about {case.topic}", "limit": 3},
                {"articles": [{"id": f"KB-{case.topic}-1", "title": f"About {case.topic}"}]},
            ),
            _note(case, {"open_ticket": case.ticket_id, "queue": case.topic}),
        ),
        f"Your ticket {case.ticket_id} is with our {case.topic} team.",
    )


def subscription(case: Case) -> Play:
    """A subscription is looked up, the change is quoted and made, and the customer's record says so."""
    who = {"customer_id": case.customer_id}
    price = PRICES[case.topic]
    return Play(
        case,
        f"I am {case.customer_id}, please change my subscription to {case.topic}.",
        "1. look the subscription up 2. quote the change 3. change the plan 4. note it in the CRM 5. answer",
        (),
        (
            Call("get_subscription", who, {**who, "plan": "trial", "renews_on": "2026-12-01"}),
            Call("quote_change", {**who, "plan": case.topic}, {"plan": case.topic, "monthly": price}),
            Call("change_plan", {**who, "plan": case.topic, "start": "next_period"}, {**who, "plan": case.topic}),
            _note(case, {"plan": case.topic, "plan_source": "agent"}),
        ),
        f"Your subscription changes to {case.topic} at {price:.2f} EUR a month from the next period.",
    )


def _note(case: Case, changes: Mapping[str, Any]) -> Call:
    return Call(
        "update_crm",
        {"customer_id": case.customer_id, "changes": dict(changes)},
        {"customer_id": case.customer_id, "version": 7, "changed": sorted(changes)},
    )


PLAYS: Mapping[str, Callable[[Case], Play]] = {"refund": refund, "triage": triage, "subscription": subscription}


def play_of(case: Case) -> Play:
    """The play of this case's workflow."""
    return PLAYS[case.workflow](case)
