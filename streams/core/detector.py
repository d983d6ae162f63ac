"""Has the fail rate crossed its line? The mixture Shiryaev-Roberts e-detector over buckets; an interval for display.

Null hypothesis: every outcome fails with a conditional probability of at most `p0`. For each odds ratio of a small
grid, evidence `R` is a sum of likelihood ratios over every possible moment of a change; `w` pays for each new moment:

    L_k = OR_k^f / (1 - p0 + p0 OR_k)^n        R_k <- (R_k + w) L_k        M = mean_k R_k        fire when M >= 1

With w = elapsed / T, M minus the sum of all w is a supermartingale under the null, so the mean time to a false alarm is
at least T of wall clock: for any volume and its pattern, looked at as often as we like. `f` may be fractional (OR^x
lies below its chord), so the same code takes shares of failed attempts. No clock here: times are what the caller says.
"""

from collections.abc import Callable, Sequence
from math import exp, inf, lgamma, log

ODDS_RATIOS = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0)
GAP_MS_MAX = 3_600_000  # an idle night must not load the detector
_LN_OR = tuple(log(odds) for odds in ODDS_RATIOS)
_K = len(ODDS_RATIOS)
_EXP_MAX = 690.0  # exp() overflows at 709; the excess is common to the grid and taken out before
_BISECTIONS = 40
_SETTLED = 0.2  # while firing, the share of `evidence_below` at which an all-pass series comes to rest


def weight(gap_ms: float, mean_time_ms: float) -> float:
    """`w` of a bucket: what the time since the last one that was not empty is worth, gap capped at an hour."""
    return min(gap_ms, GAP_MS_MAX) / mean_time_ms


class Detector:
    """The state of one series under one `p0`. Onsets are in the caller's milliseconds."""

    __slots__ = ("_cusum", "_fails", "_ln_null", "_n", "_onset_ms", "p0", "r")

    def __init__(self, p0: float) -> None:
        assert 0 < p0 < 1, p0
        self.p0 = p0
        self._ln_null = tuple(log(1 - p0 + p0 * odds) for odds in ODDS_RATIOS)
        self.reset()

    def reset(self) -> None:
        """Forget all evidence."""
        self.r = [0.0] * _K
        self._cusum = [0.0] * _K
        self._onset_ms = [0] * _K
        self._n: list[float] = [0] * _K
        self._fails = [0.0] * _K

    @property
    def evidence(self) -> float:
        """M: an alert fires at 1."""
        return sum(self.r) / _K

    def update(self, n: float, fails: float, w: float, began_ms: int) -> float:
        """Fold one bucket that is not empty; return M. `began_ms`: when its first fail happened.

        `n` is fractional where several outcomes are worth one. The one hot loop of the alerter: kept flat on purpose.
        """
        assert n > 0, n
        assert 0 <= fails <= n + 1e-9, (n, fails)
        r, cusum, excess = self.r, self._cusum, 0.0
        gains = [fails * up - n * null for up, null in zip(_LN_OR, self._ln_null, strict=True)]
        if fails * _LN_OR[-1] > _EXP_MAX:
            excess = max(0.0, max(gains) - _EXP_MAX)
        for k, gain in enumerate(gains):
            r[k] = (r[k] + w) * exp(gain - excess)
            if gain > 0 or cusum[k] > 0:  # else the component stays at zero, and what it saw there is never asked for
                self._trace_onset(k, gain, n, fails, began_ms)
        return sum(r) / _K

    def _trace_onset(self, k: int, gain: float, n: float, fails: float, began_ms: int) -> None:
        """A CUSUM per component: what it saw since its last zero is the change as it sees it."""
        if self._cusum[k] == 0:
            self._onset_ms[k], self._n[k], self._fails[k] = began_ms, 0, 0.0
        self._cusum[k] = max(0.0, self._cusum[k] + gain)
        self._n[k] += n
        self._fails[k] += fails

    def update_firing(self, n: float, fails: float, w: float, began_ms: int, evidence_below: float) -> float:
        """Fold a bucket of a series that is firing; return M, capped at 1 so that recovery shows at once.

        `w` is bounded so that a series that only passes comes to rest below `evidence_below`. Without that bound, at
        low volume or under a small budget, `w` alone would hold M above it and the alert would never end.
        """
        rest = _SETTLED * evidence_below
        bounded = [min(w, rest * _expm1_capped(n * null)) for null in self._ln_null]
        self.r = [r + b for r, b in zip(self.r, bounded, strict=True)]
        self.update(n, fails, 0.0, began_ms)
        self.cap()
        return self.evidence

    def cap(self) -> None:
        """Scale M down to 1."""
        m = self.evidence
        if m > 1:
            self.r = [r / m for r in self.r]

    def onset(self) -> tuple[int, float, float]:
        """(since when, outcomes, fails) of the change: the last zero of the CUSUM of the winning component."""
        k = max(range(_K), key=lambda i: self.r[i])
        return self._onset_ms[k], self._n[k], self._fails[k]

    @property
    def quiet(self) -> bool:
        """Whether no component sees a change at all."""
        return not any(self._cusum)

    def state(self) -> list[list[float]]:
        """All that `load` needs."""
        return [self.r, self._cusum, [*self._onset_ms], [*self._n], self._fails]

    def load(self, state: Sequence[Sequence[float]]) -> None:
        """The inverse of `state`."""
        r, cusum, onset_ms, n, fails = state
        self.r, self._cusum, self._fails = [*r], [*cusum], [*fails]
        self._onset_ms, self._n = [int(ms) for ms in onset_ms], [*n]


def _expm1_capped(x: float) -> float:
    return exp(min(x, _EXP_MAX)) - 1


def interval(n: float, fails: float, confidence: float) -> tuple[float, float]:
    """A confidence sequence for the fail rate: true at all times at once, so that people may peek.

    Beta-binomial (Robbins): all p with ln B(f+.5, n-f+.5) - ln B(.5, .5) - f ln p - (n-f) ln(1-p) < ln(1/alpha).
    """
    if n == 0:
        return 0.0, 1.0
    passes = max(0.0, n - fails)
    level = _ln_beta(fails + 0.5, passes + 0.5) - _ln_beta(0.5, 0.5) + log(1 - confidence)

    def outside(p: float) -> bool:
        return level - _times_ln(fails, p) - _times_ln(passes, 1 - p) >= 0

    rate = fails / n
    return _edge(rate, 0.0, outside), _edge(rate, 1.0, outside)


def _edge(inside: float, limit: float, outside: Callable[[float], bool]) -> float:
    """Where the interval ends between a point inside it and the limit of all rates, by bisection."""
    if not outside(limit):
        return limit
    for _ in range(_BISECTIONS):
        middle = (inside + limit) / 2
        inside, limit = (inside, middle) if outside(middle) else (middle, limit)
    return inside


def _times_ln(count: float, p: float) -> float:
    return count * log(p) if p > 0 else (0.0 if count == 0 else -inf)


def _ln_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
