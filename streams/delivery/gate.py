"""When a target may be asked next: its rate, its breaker, and the pause it asked for. Pure.

State and step: `gate = started(gate, ...)`, `gate = answered(gate, ...)`. The law: while the breaker is open, one
request at a time finds out whether the target is back; all others wait.
"""

from typing import NamedTuple

from streams.delivery.verdict import Outcome

FAILURES_MAX = 5  # in a row, then the breaker opens
OPEN_FIRST_S = 15.0
OPEN_MOST_S = 300.0
BURST_S = 1.0  # how much of its rate a target that was idle takes at once


class Gate(NamedTuple):
    """What is known of a target now. Seconds since the epoch."""

    tokens: float = 1.0
    counted_s: float = 0.0  # when `tokens` was true
    failures: int = 0  # in a row
    closed_until_s: float = 0.0  # by the breaker, or by the target's own wish
    trips: int = 0  # how often the breaker opened since the last success

    @property
    def broken(self) -> bool:
        """Whether the breaker is open, or waits for its probe."""
        return self.trips > 0


def opens_s(gate: Gate, rate_per_s: float, now_s: float, in_flight: int) -> float | None:
    """From when on a request may start: now or later. None: not before one in flight is answered."""
    if gate.broken and in_flight:
        return None
    missing = 1.0 - _tokens(gate, rate_per_s, now_s)
    return max(now_s, gate.closed_until_s, now_s + max(0.0, missing) / rate_per_s)


def started(gate: Gate, rate_per_s: float, now_s: float) -> Gate:
    """A request goes out."""
    return gate._replace(tokens=_tokens(gate, rate_per_s, now_s) - 1.0, counted_s=now_s)


def answered(gate: Gate, outcome: Outcome, now_s: float, pause_s: float, luck: float) -> Gate:
    """A request was answered. `pause_s`: what a busy target asked for."""
    if outcome == "busy":
        return gate._replace(closed_until_s=max(gate.closed_until_s, now_s + pause_s))
    if outcome != "again":  # whoever refuses an event is alive
        return gate._replace(failures=0, trips=0)
    if gate.broken and now_s < gate.closed_until_s:
        return gate  # went out before the breaker opened: tells nothing new
    failures = gate.failures + 1
    if failures < FAILURES_MAX and not gate.broken:
        return gate._replace(failures=failures)
    shut_s = min(OPEN_MOST_S, OPEN_FIRST_S * 2.0 ** min(gate.trips, 30)) * (0.5 + 0.5 * luck)
    return gate._replace(failures=failures, trips=gate.trips + 1, closed_until_s=now_s + shut_s)


def _tokens(gate: Gate, rate_per_s: float, now_s: float) -> float:
    earned = max(0.0, now_s - gate.counted_s) * rate_per_s
    return min(max(1.0, BURST_S * rate_per_s), gate.tokens + earned)
