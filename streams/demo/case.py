"""Who comes with what: cases drawn from a seeded source, some of them tasks whose right outcome is written down.

The law: `TASKS` and `infra/examples/expectations.jsonl` say the same; a test compares them.
"""

from random import Random

from streams.demo.play import TOPICS, Case, Play, play_of

SHARES = {"refund": 0.4, "triage": 0.3, "subscription": 0.3}  # of the runs
TASK_SHARE = 0.25  # of the runs play a task whose truth is known
WRITES = frozenset({"route_ticket", "issue_refund", "change_plan", "update_crm"})

TASKS: tuple[Case, ...] = (
    Case("refund", "C-1042", "O-20417", "T-30001", 84.9, "damaged", "refund-damaged"),
    Case("refund", "C-1107", "O-20533", "T-30002", 19.5, "not_delivered", "refund-not-delivered"),
    Case("refund", "C-1215", "O-20698", "T-30003", 129.0, "wrong_item", "refund-wrong-item"),
    Case("triage", "C-1318", "O-20771", "T-30417", 12.0, "billing", "triage-billing"),
    Case("triage", "C-1466", "O-20812", "T-30533", 12.0, "delivery", "triage-delivery"),
    Case("subscription", "C-1509", "O-20904", "T-30604", 9.9, "plus", "subscription-plus"),
    Case("subscription", "C-1633", "O-20987", "T-30698", 14.9, "family", "subscription-family"),
)


def draw(rng: Random) -> Case:
    """The next case. Every draw takes its chances from `rng` alone."""
    workflow = rng.choices(list(SHARES), list(SHARES.values()))[0]
    if rng.random() < TASK_SHARE:
        return rng.choice([task for task in TASKS if task.workflow == workflow])
    return Case(
        workflow=workflow,
        customer_id=f"C-{rng.randrange(1000, 2000)}",
        order_id=f"O-{rng.randrange(20_000, 30_000)}",
        ticket_id=f"T-{rng.randrange(30_000, 40_000)}",
        amount=rng.randrange(500, 20_000) / 100,
        topic=rng.choice(TOPICS[workflow]),
    )


def truth_of(play: Play) -> dict[str, object]:
    """One line of `expectations.jsonl`: a task's calls, of which only writes are demanded, and what must be said."""
    calls = [*play.routing, *play.calls]
    return {
        "workflow": play.case.workflow,
        "task_id": play.case.task_id,
        "task": play.request,
        "expected_calls": [
            {"name": call.tool, "arguments": dict(call.arguments)} | ({} if call.tool in WRITES else {"optional": True})
            for call in calls
        ],
        "required_outputs": [play.answer],
    }


def truths() -> list[dict[str, object]]:
    """The truth of every task, in order."""
    return [truth_of(play_of(task)) for task in TASKS]
