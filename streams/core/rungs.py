"""The lines of one series, each `ok -> pending -> held -> ok`; the alert's severity is the highest line that is held.

A line is held once it was in breach without interruption for the rule's `for` (at once, where it has none), and let go
once it was calm for `hold`. Pure: signals and times in, what changed out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from streams.core.gauge import Signal


@dataclass(slots=True)
class Rung:
    """One line. At most one of the moments is set."""

    held: bool = False
    pending_ms: int | None = None  # in breach since then
    calm_ms: int | None = None  # held, and calm since then


class Rungs:
    """All lines of one series, from the lowest."""

    __slots__ = ("rungs",)

    def __init__(self, count: int) -> None:
        self.rungs = [Rung() for _ in range(count)]

    def held(self) -> list[bool]:
        """Which lines fire."""
        return [rung.held for rung in self.rungs]

    @property
    def top(self) -> int | None:
        """The highest line that fires."""
        return max((k for k, rung in enumerate(self.rungs) if rung.held), default=None)

    @property
    def is_pending(self) -> bool:
        """Whether a line waits to fire."""
        return any(rung.pending_ms is not None for rung in self.rungs)

    def hear(self, signals: Sequence[Signal], now_ms: int, for_ms: int) -> list[int]:
        """Take signals in; the lines that begin to fire."""
        begun = []
        for k, (rung, signal) in enumerate(zip(self.rungs, signals, strict=False)):
            if rung.held:
                rung.calm_ms = (rung.calm_ms or now_ms) if signal == "calm" else None
            elif signal != "breach":
                rung.pending_ms = None
            else:
                rung.pending_ms = rung.pending_ms or now_ms
                if now_ms - rung.pending_ms >= for_ms:
                    self.rungs[k] = Rung(held=True)
                    begun.append(k)
        return begun

    def let_go(self, now_ms: int, hold_ms: int) -> list[int]:
        """The lines that have been calm for long enough: they fire no more."""
        ended = [k for k, r in enumerate(self.rungs) if r.calm_ms is not None and now_ms - r.calm_ms >= hold_ms]
        for k in ended:
            self.rungs[k] = Rung()
        return ended

    def clear(self) -> list[int]:
        """Nothing fires and nothing is pending; the lines that fired."""
        fired = [k for k, rung in enumerate(self.rungs) if rung.held]
        self.rungs = [Rung() for _ in self.rungs]
        return fired
