"""What goes wrong in a play: the everyday kind, which must fire nothing, and the fault of the demonstration.

Everyday, about one call in sixty: a tool times out and the retry works; arguments are refused and repaired; rarely a
tool fails for good and the agent says so. The fault: the executor of `refund` calls `update_crm` with arguments that do
not fit its schema, the wrapper turns the tool's error into a result, and the agent tells the customer that all is done.
"""

from collections.abc import Iterator, Mapping
from random import Random
from typing import Any

from streams.demo.play import Call, Play

TIMEOUT_SHARE = 0.01  # of calls; the retry works
REFUSED_SHARE = 0.004  # of calls; the next attempt has the argument that was missing
GIVEN_UP_SHARE = 0.002  # of calls; the second attempt fails as well
FAULT_SHARE = 0.9  # of update_crm calls while the fault is in: an agent is wrong often, not always
APOLOGY = "I could not finish this. A colleague has the case now and will write to you today."


def everyday(play: Play, rng: Random) -> Play:
    """The play with the mishaps that a healthy workflow has."""
    calls: list[Call] = []
    for call in play.calls:
        attempts = list(_attempts(call, rng))
        calls += attempts
        if attempts[-1].error:
            return play._replace(calls=tuple(calls), answer=APOLOGY)
    return play._replace(calls=tuple(calls))


def _attempts(call: Call, rng: Random) -> Iterator[Call]:
    chance = rng.random()
    timeout = call._replace(result=None, error="timeout")
    if chance < TIMEOUT_SHARE:
        yield timeout
    elif chance < TIMEOUT_SHARE + REFUSED_SHARE:
        yield _forgetful(call)
    elif chance < TIMEOUT_SHARE + REFUSED_SHARE + GIVEN_UP_SHARE:
        yield timeout
        yield timeout
        return
    yield call


def _forgetful(call: Call) -> Call:
    """The call without its first argument, refused by the tool in the open."""
    kept = dict(list(call.arguments.items())[1:])
    return call._replace(arguments=kept, result=None, error="missing_argument")


def faulty(play: Play, rng: Random) -> Play:
    """The play with the fault: wrong arguments for update_crm, the error swallowed, the answer unchanged."""
    return play._replace(calls=tuple(_misfit(c, rng) if _is_struck(c, rng) else c for c in play.calls))


def _is_struck(call: Call, rng: Random) -> bool:
    return call.tool == "update_crm" and not call.error and rng.random() < FAULT_SHARE


def _misfit(call: Call, rng: Random) -> Call:
    customer, changes = call.arguments["customer_id"], call.arguments["changes"]
    variants: list[tuple[Mapping[str, Any], str]] = [
        ({"customer": customer, "changes": changes}, "400: customer_id is required"),
        ({"customer_id": int(customer[2:]), "changes": changes}, f"400: customer_id {customer[2:]} is not a string"),
        ({"customer_id": customer, "changes": str(sorted(changes))}, "400: changes is not an object"),
    ]
    arguments, message = rng.choices(variants, (6, 3, 1))[0]
    return call._replace(arguments=arguments, result={"error": message})
