"""Which series must fire and resolve in the demonstration, and whether they did: the demo checks itself.

Pure. The law: every series of the shipped rules is watched; one that fires and is not in `demo-expected.yaml` is a
failure, and so is one that is listed there and did not fire, or fired and did not resolve.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

Status = Literal["firing", "updated", "resolved", "no_data"]


class Series(NamedTuple):
    """One line that a rule watches."""

    rule: str
    workflow: str
    step: str
    evaluator: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.workflow} / {self.step} / {self.evaluator}"


class AlertEvent(NamedTuple):
    """One event of `eval.alerts` as published: CloudEvents headers and body, and what of it is checked."""

    series: Series
    status: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]


class Outcome(NamedTuple):
    """What the alerts topic says against what it should say."""

    resolved: frozenset[Series]  # expected, fired and resolved
    firing: frozenset[Series]  # expected, fired, not resolved
    missing: frozenset[Series]  # expected, never fired
    unexpected: frozenset[Series]  # fired, not expected

    @property
    def complete(self) -> bool:
        """Whether there is nothing more to wait for."""
        return not self.firing and not self.missing

    @property
    def good(self) -> bool:
        """Whether exactly the expected series fired, and all of them resolved."""
        return self.complete and not self.unexpected


def read_event(headers: Iterable[tuple[str, bytes]], body: Mapping[str, Any]) -> AlertEvent | None:
    """An event of the alerts topic; None for heartbeats and whatever else is not about a series."""
    rule, labels, status = body.get("rule"), body.get("labels"), body.get("status")
    if not isinstance(rule, Mapping) or not isinstance(labels, Mapping) or not isinstance(status, str):
        return None
    series = Series(
        rule=str(rule.get("uid", "")),
        workflow=str(labels.get("workflow", "")),
        step=str(labels.get("step", "")),
        evaluator=str(labels.get("evaluator", "")),
    )
    return AlertEvent(series, status, {name: value.decode("utf-8", "replace") for name, value in headers}, body)


def read_expected(data: Mapping[str, Any]) -> frozenset[Series]:
    """The series of `demo-expected.yaml`."""
    return frozenset(Series(**entry) for entry in data["expected"])


def compare(expected: frozenset[Series], events: Iterable[AlertEvent]) -> Outcome:
    """What fired and resolved, against what should have. Repeated events (at-least-once) change nothing."""
    fired, resolved = set[Series](), set[Series]()
    for event in events:
        if event.status == "firing":
            fired.add(event.series)
            resolved.discard(event.series)
        elif event.status == "resolved":
            resolved.add(event.series)
    return Outcome(
        resolved=expected & fired & resolved,
        firing=(expected & fired) - resolved,
        missing=expected - fired,
        unexpected=frozenset(fired) - expected,
    )


def sentence(outcome: Outcome) -> str:
    """The verdict of the demonstration, in one line."""
    if outcome.good:
        names = ", ".join(str(series) for series in sorted(outcome.resolved))
        return f"expected series fired and resolved: {names}; no other series fired"
    said = [
        f"{words}: {', '.join(str(series) for series in sorted(found))}"
        for words, found in (
            ("never fired", outcome.missing),
            ("fired but did not resolve", outcome.firing),
            ("fired though it should not", outcome.unexpected),
        )
        if found
    ]
    return "; ".join(said)
