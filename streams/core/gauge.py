"""How a series measures itself against its lines: one gauge a method, all answering with a signal per line.

    breach     the line is crossed            between     neither
    calm       it is over, if it stays so

A gauge is asked with what is held (fires already), since evidence is weighed otherwise then. The law: gauges see
buckets and the log clock alone, so that their state is a function of the log. An empty list of signals: nothing known.
"""

from collections.abc import Sequence
from math import log
from typing import Any, Literal, NamedTuple, Protocol

from schemas.rule import BaselineMethod, Rule, WindowMethod
from streams.core.beta import jeffreys_upper
from streams.core.detector import Detector
from streams.core.rate_window import RateWindow, wilson_lower, z_of

Signal = Literal["breach", "calm", "between"]
_LOG_E_MAX = 700.0  # JSON has no infinity
BASELINE_CONFIDENCE = 0.975
BASELINE_LINE_MAX = 0.95


class Bucketed(NamedTuple):
    """A bucket that is over: n outcomes (fractional where several are worth one), of which `fails` failed."""

    n: float
    fails: float
    began_ms: int  # when its first fail happened
    end_ms: int
    w: float  # what the time since the bucket before is worth


class Onset(NamedTuple):
    """Since when, and what came since then."""

    ms: int
    n: float
    fails: float


class Gauge(Protocol):
    """What a series asks of its method."""

    @property
    def lines(self) -> Sequence[float]:
        """The lines it measures against now, growing."""

    def fold(self, bucket: Bucketed, held: Sequence[bool]) -> list[Signal]:
        """Take a bucket in."""

    def look(self, now_ms: int, held: Sequence[bool]) -> list[Signal]:
        """What time alone has changed."""

    def begin(self, line: int) -> None:
        """The line of this number fires from now on."""

    def end(self, line: int) -> None:
        """It fires no more: what it knew of this episode is forgotten."""

    def onset(self) -> Onset:
        """The change as it stands, when a line is crossed."""

    def log_e(self, line: int) -> float | None:
        """The logarithm of the evidence, where the method has one."""

    @property
    def quiet(self) -> bool:
        """Whether it sees no sign of a change at all."""

    def state(self) -> list[Any]:
        """All that `load` needs."""

    def load(self, state: list[Any]) -> None:
        """The inverse of `state`."""


def gauge_of(rule: Rule, workflow: str) -> Gauge:
    """The gauge of a new series."""
    lines = [rung.rate for rung in rule.ladder_of(workflow)]
    if isinstance(rule.method, WindowMethod):
        return WindowGauge(rule.method, lines)
    if isinstance(rule.method, BaselineMethod):
        return BaselineGauge(rule.method, lines, rule.evidence_below)
    return EvidenceGauge(lines, rule.evidence_below)


class EvidenceGauge:
    """A detector a line."""

    def __init__(self, lines: Sequence[float], evidence_below: float) -> None:
        self.lines = lines
        self.detectors = [Detector(line) for line in lines]
        self._below = evidence_below

    def fold(self, bucket: Bucketed, held: Sequence[bool]) -> list[Signal]:
        """Weigh a bucket."""
        return [self._signal(detector, bucket, h) for detector, h in zip(self.detectors, held, strict=False)]

    def _signal(self, detector: Detector, bucket: Bucketed, held: bool) -> Signal:
        n, fails, began_ms, _, w = bucket
        if not held:
            return "breach" if detector.update(n, fails, w, began_ms) >= 1 else "between"
        m = detector.update_firing(n, fails, w, began_ms, self._below)
        return "between" if m > self._below else "calm"

    def look(self, now_ms: int, held: Sequence[bool]) -> list[Signal]:
        """Evidence does not change with time alone."""
        return []

    def begin(self, line: int) -> None:
        """Recovery must show at once, however long the breach."""
        self.detectors[line].cap()

    def end(self, line: int) -> None:
        """Start anew."""
        self.detectors[line].reset()

    def onset(self) -> Onset:
        """As the detector of the lowest line that is crossed sees it."""
        crossed = next((d for d in self.detectors if d.evidence >= 1), self.detectors[0])
        return Onset(*crossed.onset())

    def log_e(self, line: int) -> float | None:
        """ln M: an alert fires at 0."""
        m = self.detectors[line].evidence
        return max(-_LOG_E_MAX, min(log(m), _LOG_E_MAX)) if m > 0 else -_LOG_E_MAX

    @property
    def quiet(self) -> bool:
        """No detector sees anything."""
        return all(detector.quiet for detector in self.detectors)

    def state(self) -> list[Any]:
        """A state a detector."""
        return [detector.state() for detector in self.detectors]

    def load(self, state: list[Any]) -> None:
        """The inverse of `state`."""
        for detector, saved in zip(self.detectors, state, strict=True):
            detector.load(saved)


class WindowGauge:
    """One sliding window for all lines."""

    def __init__(self, method: WindowMethod, lines: Sequence[float]) -> None:
        self.lines = lines
        self._method = method
        self._z = z_of(method.confidence)
        self._window = RateWindow(method.window_ms)

    def fold(self, bucket: Bucketed, held: Sequence[bool]) -> list[Signal]:
        """Count a bucket."""
        self._window.add(bucket.n, bucket.fails, bucket.end_ms)
        return self._signals(held)

    def look(self, now_ms: int, held: Sequence[bool]) -> list[Signal]:
        """The window moves on; an empty one says nothing."""
        self._window.move(now_ms)
        return self._signals(held)

    def _signals(self, held: Sequence[bool]) -> list[Signal]:
        n, fails = self._window.n, self._window.fails
        if not n:
            return []
        lower = wilson_lower(n, fails, self._z) if n >= self._method.min_events else 0.0
        below = self._method.recover_below
        return [
            self._signal(lower, fails / n, line, min(line, below or line), h)
            for line, h in zip(self.lines, held, strict=False)
        ]

    def _signal(self, lower: float, rate: float, line: float, recovered: float, held: bool) -> Signal:
        if held:
            return "calm" if rate <= recovered else "between"
        return "breach" if lower > line else "between"

    def begin(self, line: int) -> None:
        """The window goes on."""

    def end(self, line: int) -> None:
        """The window goes on: its rate is below the line."""

    def onset(self) -> Onset:
        """All that is in the window."""
        return Onset(self._window.since_ms, self._window.n, self._window.fails)

    def log_e(self, line: int) -> float | None:
        """A window weighs no evidence."""
        return None

    @property
    def quiet(self) -> bool:
        """Nothing in the window failed."""
        return not self._window.fails

    def state(self) -> list[Any]:
        """The window's panes."""
        return self._window.state()

    def load(self, state: list[Any]) -> None:
        """The inverse of `state`."""
        self._window.load(state)


class BaselineGauge:
    """Evidence against a line of the series' own past: learnt once, then frozen for the life of the series.

    Until then it measures against the rule's own line, where it has one. Never the rate itself but an upper bound of it
    is multiplied, so that a short past does not make a nervous line.
    """

    def __init__(self, method: BaselineMethod, lines: Sequence[float], evidence_below: float) -> None:
        self._method = method
        self._below = evidence_below
        self._inner = EvidenceGauge(lines, evidence_below)
        self.past: tuple[int, float, float] | None = (0, 0.0, 0.0)  # since when, n, fails; None: frozen

    @property
    def lines(self) -> Sequence[float]:
        """One line, or none yet."""
        return self._inner.lines

    def fold(self, bucket: Bucketed, held: Sequence[bool]) -> list[Signal]:
        """Weigh a bucket and learn from it; an alert of the rule's own line is seen through before the past is frozen."""
        signals = self._inner.fold(bucket, held)
        if self.past:
            since_ms, n, fails = self.past
            self.past = since_ms or bucket.end_ms, n + bucket.n, fails + bucket.fails
            if self._is_enough(bucket.end_ms) and not any(held) and "breach" not in signals:
                self._freeze()
        return signals

    def _is_enough(self, now_ms: int) -> bool:
        assert self.past is not None
        return self.past[1] >= self._method.min_events and now_ms - self.past[0] >= self._method.reference_ms

    def _freeze(self) -> None:
        assert self.past is not None
        upper = jeffreys_upper(self.past[1], self.past[2], BASELINE_CONFIDENCE)
        line = min(BASELINE_LINE_MAX, max(self._method.floor, self._method.ratio * upper))
        self._inner, self.past = EvidenceGauge([line], self._below), None

    def look(self, now_ms: int, held: Sequence[bool]) -> list[Signal]:
        """Evidence does not change with time alone."""
        return []

    def begin(self, line: int) -> None:
        """As evidence does."""
        self._inner.begin(line)

    def end(self, line: int) -> None:
        """As evidence does; the frozen past stays."""
        self._inner.end(line)

    def onset(self) -> Onset:
        """As evidence does."""
        return self._inner.onset()

    def log_e(self, line: int) -> float | None:
        """As evidence does."""
        return self._inner.log_e(line) if self._inner.detectors else None

    @property
    def quiet(self) -> bool:
        """As evidence does."""
        return self._inner.quiet

    def state(self) -> list[Any]:
        """The past, the line, its detector."""
        return [self.past, list(self._inner.lines), self._inner.state()]

    def load(self, state: list[Any]) -> None:
        """The inverse of `state`."""
        past, lines, inner = state
        self.past = tuple(past) if past else None
        self._inner = EvidenceGauge(lines, self._below)
        self._inner.load(inner)
