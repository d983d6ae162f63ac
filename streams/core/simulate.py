"""A rule under seeded random outcomes: how often it is wrong, and how late it is. The shipped gauges, not a model of them.

Pure: chance comes in as a function that gives uniform numbers in [0, 1). Arrivals are Poisson, outcomes independent given
the rate; a bucket is ten seconds, as in the fold. The law: the same numbers in give the same table out.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import accumulate
from math import exp, lgamma, log
from typing import NamedTuple

from schemas.rule import Rule, WindowMethod
from streams.core.detector import weight
from streams.core.gauge import Bucketed, gauge_of
from streams.core.rungs import Rungs

BUCKET_MS = 10_000
DAY_MS = 86_400_000
_TAIL = 1e-12
_START_MS = 1_000_000_000_000
Chance = Callable[[], float]
Sampled = tuple[int, float, float]  # (end of the bucket in ms, outcomes, fails)


class Poisson:
    """Draws from one Poisson distribution by its inverse."""

    def __init__(self, mean: float) -> None:
        top = int(mean + 12 * mean**0.5 + 30)
        probabilities = [exp(k * log(mean) - mean - lgamma(k + 1)) for k in range(top)] if mean > 0 else [1.0]
        self._cumulated = list(accumulate(probabilities))

    def draw(self, chance: Chance) -> int:
        """One number."""
        return min(bisect_left(self._cumulated, chance()), len(self._cumulated) - 1)


def buckets(chance: Chance, per_minute: float, rate: float, start_ms: int, days: float) -> Iterator[Sampled]:
    """The buckets of one series, empty ones too."""
    mean = per_minute * BUCKET_MS / 60_000
    passing, failing = Poisson(mean * (1 - rate)), Poisson(mean * rate)
    for i in range(1, int(days * DAY_MS / BUCKET_MS) + 1):
        fails = failing.draw(chance)
        yield start_ms + i * BUCKET_MS, passing.draw(chance) + fails, fails


class Life:
    """One series of a rule, alone: its alarms, as the fold would have them."""

    def __init__(self, rule: Rule, workflow: str, series: int = 1, start_ms: int = _START_MS) -> None:
        self._rule = rule
        self._gauge = gauge_of(rule, workflow)
        self._rungs = Rungs(max(1, len(rule.ladder_of(workflow))))
        self._mean_time_ms = rule.budget_ms * series * len(self._rungs.rungs)
        self._for_ms = rule.method.for_ms if isinstance(rule.method, WindowMethod) else 0
        self.last_ms = start_ms

    def take(self, end_ms: int, n: float, fails: float) -> bool:
        """Fold a bucket, as at its end a tick would come; whether an alert begins."""
        fired = self._rungs.top is not None
        if n:
            effect, w = self._rule.design_effect, weight(end_ms - self.last_ms, self._mean_time_ms)
            self.last_ms = end_ms
            signals = self._gauge.fold(Bucketed(n / effect, fails / effect, 0, end_ms, w), self._rungs.held())
        elif fired or self._rungs.is_pending:
            signals = self._gauge.look(end_ms, self._rungs.held())
        else:
            return False
        for line in self._rungs.hear(signals, end_ms, self._for_ms):
            self._gauge.begin(line)
        for line in self._rungs.let_go(end_ms, self._rule.hold_ms):
            self._gauge.end(line)
        return not fired and self._rungs.top is not None

    @property
    def fires(self) -> bool:
        """Whether it has an alert."""
        return self._rungs.top is not None


class FalseAlarms(NamedTuple):
    """Alerts of a series whose rate is at or below its line."""

    per_minute: float
    rate: float
    days: float
    alarms: int

    @property
    def per_day(self) -> float:
        """Alerts a day."""
        return self.alarms / self.days


class Delays(NamedTuple):
    """Minutes from the moment a rate goes up to the alert; infinite where none came within the time given."""

    per_minute: float
    rate: float
    minutes: tuple[float, ...]  # sorted

    def quantile(self, q: float) -> float:
        """A sample quantile."""
        return self.minutes[min(len(self.minutes) - 1, int(q * len(self.minutes)))]


def false_alarms(
    chance: Chance, rule: Rule, workflow: str, per_minute: float, rate: float, days: int, series: int = 1
) -> FalseAlarms:
    """Count the alerts of so many days; each day is a series of its own, so that one long alert spoils one day."""
    alarms = 0
    for _ in range(days):
        life = Life(rule, workflow, series)
        alarms += sum(life.take(*bucket) for bucket in buckets(chance, per_minute, rate, life.last_ms, 1))
    return FalseAlarms(per_minute, rate, days, alarms)


def delays(
    chance: Chance,
    rule: Rule,
    workflow: str,
    per_minute: float,
    healthy: float,
    rate: float,
    runs: int,
    series: int = 1,
    before_days: float = 0.25,
    after_days: float = 1.0,
) -> Delays:
    """From `healthy` to `rate`, again and again; a series that fires before the change is left out."""
    found: list[float] = []
    for _ in range(runs):
        life = Life(rule, workflow, series)
        for bucket in buckets(chance, per_minute, healthy, life.last_ms, before_days):
            life.take(*bucket)
        if life.fires:
            continue
        changed_ms = _START_MS + int(before_days * DAY_MS)
        after = buckets(chance, per_minute, rate, changed_ms, after_days)
        fired_ms = next((bucket[0] for bucket in after if life.take(*bucket)), None)
        found.append(float("inf") if fired_ms is None else (fired_ms - changed_ms) / 60_000)
    return Delays(per_minute, rate, tuple(sorted(found)) or (float("nan"),))
