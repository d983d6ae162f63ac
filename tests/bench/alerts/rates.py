"""Table 1.5: false alarms a day at and below the line of 5 %, and minutes to the alarm after a change, by volume and method."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.core.detector import Detector
from tests.bench.alerts.draws import BUCKETS_A_DAY, BUCKETS_A_MINUTE, Ints, counts, generator
from tests.bench.alerts.methods import DAY_MS, P0, beginnings, evidence_alarms, sliding, tumbling

VOLUMES = (5, 50, 500)
HEALTHY = 0.03
FALSE_RATES = (0.03, 0.04, 0.05)
TRUE_RATES = (0.07, 0.10, 0.20)
EVIDENCE_DAYS = {"e-detector, 30 d": 30, "e-detector, 1 d": 1}  # the budget: one false alarm in so many days
Windowed = Callable[[Ints, Ints], tuple[NDArray[np.bool_], int]]
WINDOWS: dict[str, Windowed] = {
    "naive 5 m, rate > line": lambda n, f: tumbling(n, f, None),
    "Wilson 95 %, 5 m": lambda n, f: tumbling(n, f, 0.95),
    "Wilson 99.9 %, 5 m": lambda n, f: tumbling(n, f, 0.999),
    "Wilson 99.9 %, 1 h sliding": lambda n, f: sliding(n, f, 0.999),
}


class Counted(NamedTuple):
    """Alarms of one method at one volume and rate."""

    method: str
    per_minute: float
    rate: float
    alarms: int
    days: int

    @property
    def per_day(self) -> float:
        return self.alarms / self.days


class Late(NamedTuple):
    """Minutes from the change to the alarm: median and nine in ten; infinite beyond a day."""

    method: str
    per_minute: float
    rate: float
    median: float
    p90: float
    runs: int


def false_alarms(per_minute: float, rate: float, days: int) -> list[Counted]:
    """All methods over the same series-days."""
    n, fails = counts(generator("false", per_minute, rate), per_minute, rate, days, 1)
    found = []
    for name, budget_days in EVIDENCE_DAYS.items():
        detector, alarms = Detector(P0), 0
        for key in range(days):
            alarms += len(evidence_alarms(n[key], fails[key], budget_days * DAY_MS, detector))
        found.append(Counted(name, per_minute, rate, alarms, days))
    for name, windowed in WINDOWS.items():
        found.append(Counted(name, per_minute, rate, int(beginnings(windowed(n, fails)[0]).sum()), days))
    return found


def delays(per_minute: float, runs: int) -> list[Late]:
    """All methods from the same healthy days into the same changes; a run that alarms before the change is left out."""
    rng = generator("delay", per_minute)
    n, fails = counts(rng, per_minute, HEALTHY, runs, 1)
    healthy = {name: _after_a_day(n, fails, days * DAY_MS) for name, days in EVIDENCE_DAYS.items()}
    found = []
    for rate in TRUE_RATES:
        later_n, later_fails = counts(rng, per_minute, rate, runs, 1)
        for name, days in EVIDENCE_DAYS.items():
            minutes = [
                _first(evidence_alarms(later_n[key], later_fails[key], days * DAY_MS, _copy(detector), stop=True))
                for key, detector in healthy[name].items()
            ]
            found.append(_late(name, per_minute, rate, minutes))
        both_n, both_fails = np.concatenate([n, later_n], axis=1), np.concatenate([fails, later_fails], axis=1)
        for name, windowed in WINDOWS.items():
            breach, step = windowed(both_n, both_fails)
            after = breach[:, BUCKETS_A_DAY // step :]
            hits = [_first([(int(row.argmax()) + 1) * step - 1] if row.any() else []) for row in after]
            found.append(_late(name, per_minute, rate, hits))
    return found


def _after_a_day(n: Ints, fails: Ints, mean_time_ms: float) -> dict[int, Detector]:
    found = {}
    for key in range(len(n)):
        detector = Detector(P0)
        if not evidence_alarms(n[key], fails[key], mean_time_ms, detector, stop=True):
            found[key] = detector
    return found


def _copy(detector: Detector) -> Detector:
    copy = Detector(detector.p0)
    copy.load(detector.state())
    return copy


def _first(buckets: list[int]) -> float:
    return (buckets[0] + 1) / BUCKETS_A_MINUTE if buckets else float("inf")


def _late(name: str, per_minute: float, rate: float, minutes: list[float]) -> Late:
    ordered = sorted(minutes)
    median, p90 = ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, int(0.9 * len(ordered)))]
    return Late(name, per_minute, rate, median, p90, len(ordered))
