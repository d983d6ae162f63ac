"""Table 1.4: what counting spans instead of traces costs, when the attempts of a trace fail together."""

import numpy as np

from schemas.outcome import Outcome
from streams.core.counting import failed_share
from streams.core.detector import Detector
from tests.bench.alerts.draws import BUCKETS_A_DAY, DESIGN_EFFECT, Traces, generator, traces
from tests.bench.alerts.methods import DAY_MS, P0, evidence_alarms
from tests.bench.alerts.rates import Counted

TRACES_A_MINUTE = (1.7, 16.7, 167)
RATES = (0.03, 0.05)
BUDGET_DAYS = 30
UNITS = ("per span", "span / design effect", "any", "last_attempt", "mean")


def shares(unit: str, day: Traces) -> tuple[np.ndarray, np.ndarray]:
    """(n, fails) of each trace under one way of counting."""
    ones = np.ones(len(day.bucket))
    if unit.startswith(("per span", "span")):
        effect = DESIGN_EFFECT if "effect" in unit else 1.0
        return day.attempts / effect, day.failed / effect
    return ones, {"any": day.failed > 0, "last_attempt": day.last_failed, "mean": day.failed / day.attempts}[unit] * 1.0


def false_alarms(per_minute: float, rate: float, days: int) -> list[Counted]:
    """All ways of counting over the same days."""
    rng, alarms = generator("units", per_minute, rate), dict.fromkeys(UNITS, 0)
    detectors = {unit: Detector(P0) for unit in UNITS}
    for _ in range(days):
        day = traces(rng, per_minute, rate)
        for unit in UNITS:
            n, fails = (np.bincount(day.bucket, x, BUCKETS_A_DAY) for x in shares(unit, day))
            alarms[unit] += len(evidence_alarms(n, np.minimum(fails, n), BUDGET_DAYS * DAY_MS, detectors[unit]))
    return [Counted(unit, per_minute, rate, count, days) for unit, count in alarms.items()]


def check_counting() -> None:
    """The vectorised shares are those of the shipped code."""
    day = traces(generator("check"), 1, 0.3)
    for unit in ("any", "last_attempt", "mean"):
        _, fails = shares(unit, day)
        for attempts, failed, last, share in zip(day.attempts, day.failed, day.last_failed, fails, strict=True):
            assert failed_share(unit, [_outcome(int(attempts), int(failed), bool(last))]) == share


def _outcome(attempts: int, failed: int, last: bool) -> Outcome:
    verdicts = ("fail" if failed == attempts else "pass", "fail" if last else "pass")
    return Outcome("s", "tool_call", "E", "1", "", "", attempts, failed, *verdicts, 0.0, 0, "", "")
