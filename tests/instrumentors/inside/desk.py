"""The refund desk: the scripted workflow that every framework runs. Only the standard library; runs in any environment.

planner -> executor -> verifier. `issue_refund` fails loudly and succeeds when it is tried again, `update_crm` answers
with an error that nobody raises, the verifier says that the work failed. `../canonical.yaml` is the same as a trajectory.
"""

from typing import Any

TASK = "Refund order W1 (12.50 EUR) and note it in the CRM."
SESSION = "desk-1"
AGENTS = ("planner", "executor", "verifier")
INSTRUCTIONS = {
    "planner": "Plan the work and hand it to the executor.",
    "executor": "Carry out the plan, then hand over to the verifier.",
    "verifier": 'Check the work. Answer {"verdict": "pass" | "fail", "reason": str}.',
}
ABOUT = {"planner": "plans", "executor": "carries out", "verifier": "checks"}
VERDICT = '{"verdict": "fail", "reason": "R-77 was issued, but the CRM was not updated"}'

Turn = tuple[Any, ...]  # ("call", tool, arguments) or ("text", words)

WORK: list[Turn] = [
    ("call", "lookup_order", {"order_id": "W1"}),
    ("call", "issue_refund", {"order_id": "W1", "amount": 12.5}),
    ("call", "issue_refund", {"order_id": "W1", "amount": 12.5}),
    ("call", "update_crm", {"order_id": "W1", "note": "refunded"}),
]

_refunds = 0


def lookup_order(order_id: str) -> dict[str, Any]:
    """Find an order."""
    return {"order_id": order_id, "total": 12.5, "status": "delivered"}


def issue_refund(order_id: str, amount: float) -> dict[str, Any]:
    """Pay an order back."""
    global _refunds
    _refunds += 1
    if _refunds == 1:
        raise RuntimeError("payment gateway timeout")
    return {"refund_id": "R-77", "order_id": order_id, "amount": amount}


def update_crm(order_id: str, note: str) -> dict[str, Any]:
    """Write a note to the CRM."""
    return {"error": "500 upstream"}


TOOLS = (lookup_order, issue_refund, update_crm)
