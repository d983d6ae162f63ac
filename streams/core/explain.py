"""When would a rule fire? The rule of thumb of the e-detector, in outcomes and in time.

Outcomes needed ~ ln(T * rate * D) / D with D = KL(p1 || p0): how much one outcome at fail rate p1 says against p0.
"""

from math import ceil, log
from typing import NamedTuple

from schemas.rule import Rule


class Delay(NamedTuple):
    """How long a series at fail rate `rate` takes to fire at a volume."""

    per_minute: float
    rate: float
    outcomes: int
    minutes: float


def divergence(p1: float, p0: float) -> float:
    """KL(p1 || p0) of one outcome, in nats."""
    return sum(p * log(p / q) for p, q in ((p1, p0), (1 - p1, 1 - p0)) if p > 0)


def delay(rule: Rule, workflow: str, rate: float, per_minute: float, series: int = 1) -> Delay:
    """The expected delay when one of `series` series of a workflow goes to fail rate `rate`, above its line."""
    line = rule.threshold(workflow)
    assert line < rate <= 1, (line, rate)
    assert per_minute > 0, per_minute
    information = divergence(rate, line)
    budget_minutes = rule.budget_ms * series / 60_000
    outcomes = max(1, ceil(log(max(2.0, budget_minutes * per_minute * information)) / information))
    return Delay(per_minute, rate, outcomes, outcomes / per_minute)
