"""The gate: measured false alarms against the budget that was promised, with the interval that their number allows."""

from typing import NamedTuple

from scipy.stats import chi2

from tests.bench.alerts.rates import Counted

CONFIDENCE = 0.99  # one-sided, of each comparison


class Held(NamedTuple):
    """One promise and what was measured."""

    what: str
    allowed_per_day: float
    measured: Counted
    at_least_per_day: float  # the true rate is above this with the confidence

    @property
    def is_kept(self) -> bool:
        return self.at_least_per_day <= self.allowed_per_day


def held(what: str, budget_days: float, measured: Counted) -> Held:
    """Whether a budget of one alarm in so many days was kept, as far as the count can tell (Garwood's interval)."""
    least = float(chi2.ppf(1 - CONFIDENCE, 2 * measured.alarms)) / 2 if measured.alarms else 0.0
    return Held(what, 1 / budget_days, measured, least / measured.days)
