"""The fail rate of a sliding window, and the Wilson interval: for people who want the number on the chart to cross a line.

The bound is valid for one look; looking again and again inflates its false alarms (docs/rules.md has the figures). The
window moves in panes of a thirtieth of it, ten seconds at least, so that a series costs thirty entries whatever comes.
"""

from collections.abc import Iterable
from math import sqrt
from statistics import NormalDist

PANES = 30
PANE_MS_MIN = 10_000


def z_of(confidence: float) -> float:
    """The one-sided normal quantile."""
    return NormalDist().inv_cdf(confidence)


def wilson_lower(n: float, fails: float, z: float) -> float:
    """The lower end of Wilson's interval for the fail rate of n independent outcomes."""
    if n <= 0:
        return 0.0
    p, square = fails / n, z * z / n
    return (p + square / 2 - z * sqrt(p * (1 - p) / n + square / n / 4)) / (1 + square)


class RateWindow:
    """Counts of the last `window_ms`."""

    __slots__ = ("_pane_ms", "_panes", "_window_ms", "fails", "n")

    def __init__(self, window_ms: int) -> None:
        self._window_ms = window_ms
        self._pane_ms = max(PANE_MS_MIN, window_ms // PANES)
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._panes: list[list[float]] = []  # [its beginning, n, fails], oldest first
        self.n, self.fails = 0.0, 0.0

    def add(self, n: float, fails: float, end_ms: int) -> None:
        """Count a bucket that ended at `end_ms`; times must not fall."""
        begins_ms = (end_ms - 1) // self._pane_ms * self._pane_ms
        if not self._panes or self._panes[-1][0] < begins_ms:
            self._panes.append([begins_ms, 0.0, 0.0])
        newest = self._panes[-1]
        newest[1] += n
        newest[2] += fails
        self.move(end_ms)

    def move(self, now_ms: int) -> None:
        """Leave behind what is older than the window. Counts are summed anew: differences of floats would drift."""
        kept = [pane for pane in self._panes if pane[0] > now_ms - self._window_ms - self._pane_ms]
        self._panes = kept
        self.n, self.fails = sum(pane[1] for pane in kept), sum(pane[2] for pane in kept)

    @property
    def since_ms(self) -> int:
        """When the oldest pane begins; 0 when there is none."""
        return int(self._panes[0][0]) if self._panes else 0

    def state(self) -> list[list[float]]:
        """All that `load` needs."""
        return self._panes

    def load(self, state: Iterable[Iterable[float]]) -> None:
        """The inverse of `state`."""
        self._panes = [[*pane] for pane in state]
        self.n, self.fails = sum(pane[1] for pane in self._panes), sum(pane[2] for pane in self._panes)
