"""Which targets an event goes to. Pure: a function of the event and of targets.yaml."""

from schemas.alert import AlertEvent
from schemas.target import Route, Target

_CHANGES = frozenset({"severity_raised", "severity_lowered"})


def goes_to(target: Target, event: AlertEvent, routes: tuple[Route, ...]) -> bool:
    """Whether some route leads the event to this target, and the target wants events of its type.

    What a silence of the rules covers goes nowhere, but for the end: it closes what may have been opened before. A change
    of severity is no mere sign of life: every target hears of it.
    """
    if event.silenced and event.type != "resolved":
        return False
    if event.type == "updated" and event.reason not in _CHANGES and not target.updates:
        return False
    # The rule's own labels stand among the event's: a route may name either.
    labels = dict(event.labels)
    return any(target.name in route.to and route.fits(event.tenant, event.rule.severity, labels) for route in routes)
