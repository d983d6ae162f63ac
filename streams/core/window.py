"""When a trace is decided, and what it is judged on.

A theory of operation. Time is the log clock: append times of the partition's records. A trace is open from its first span on.
Its deadline follows from received times alone:

    root (or end marker) seen   latest one's received time + settle; the settle time is longer when several resources
                                (several exporters, each with its own batch phase) have sent spans
    none seen                   last received time + abandon time

The decision judges exactly the spans received before the deadline; all others are late. So the decision is a pure function of
(spans, received times), and a crash, a read-back or a fast replay decides the same (architecture 6.2). Log records take part as
spans do. They come by an exporter of their own, so a trace that has any waits as one with several resources does.
"""

from collections.abc import Iterable
from typing import NamedTuple

from schemas.item import Item
from schemas.trajectory import CloseReason


class WindowPolicy(NamedTuple):
    """How long a trace stays open, milliseconds of the log clock. All at least 1."""

    settle_one_resource_ms: int = 1_500
    settle_many_resources_ms: int = 8_000
    abandon_after_ms: int = 1_800_000


class Window(NamedTuple):
    """What the deadline follows from. Grows span by span, in order of received time."""

    last_ms: int
    end_ms: int | None  # received time of the latest span that ends the trace
    resources: frozenset[int]

    def deadline_ms(self, policy: WindowPolicy) -> int:
        """When the trace is due, if no other span is received before."""
        if self.end_ms is None:
            return self.last_ms + policy.abandon_after_ms
        return self.end_ms + (
            policy.settle_one_resource_ms if len(self.resources) == 1 else policy.settle_many_resources_ms
        )

    @property
    def reason(self) -> CloseReason:
        """Why the trace will be decided at its deadline."""
        return "abandoned" if self.end_ms is None else "root_ended"


def opened(span: Item) -> Window:
    """The window of a trace whose first span this is."""
    return Window(span.received_ms, span.received_ms if span.is_end else None, frozenset((span.resource_id,)))


def grown(window: Window, span: Item) -> Window:
    """The window with one more span, received before the deadline."""
    resources = window.resources
    if span.resource_id not in resources:
        resources = resources | {span.resource_id}
    last_ms = max(window.last_ms, span.received_ms)
    return Window(last_ms, last_ms if span.is_end else window.end_ms, resources)


def window_of(spans: Iterable[Item], policy: WindowPolicy) -> Window:
    """The window as it stood at its deadline, from all spans of a trace in any order. Spans received later are left out."""
    ordered = sorted(spans, key=lambda span: span.received_ms)
    window = opened(ordered[0])
    for span in ordered[1:]:
        if span.received_ms >= window.deadline_ms(policy):
            break
        window = grown(window, span)
    return window
