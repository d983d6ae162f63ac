"""The gate of `make bench-alerts` keeps a detector that keeps its promise, and fails one that does not."""

import pytest

from streams.core.detector import Detector
from tests.bench.alerts import methods, units
from tests.bench.alerts.budget import held
from tests.bench.alerts.draws import counts, generator
from tests.bench.alerts.methods import DAY_MS, P0, evidence_alarms
from tests.bench.alerts.rates import Counted

DAYS = 20


def measured(mean_time_ms: float) -> Counted:
    n, fails = counts(generator("gate"), 5, P0, DAYS, 1)
    detector = Detector(P0)
    alarms = sum(len(evidence_alarms(n[key], fails[key], mean_time_ms, detector)) for key in range(DAYS))
    return Counted("e", 5, P0, alarms, DAYS)


def test_a_detector_within_its_budget_is_kept() -> None:
    assert held("one a day", 1, measured(DAY_MS)).is_kept


def test_a_detector_that_spends_its_budget_six_times_over_is_told() -> None:
    """As one that took the sum of its grid for the mean would."""
    assert not held("one a day", 1, measured(DAY_MS / 6)).is_kept


@pytest.mark.parametrize(("alarms", "kept"), [(0, True), (1, True), (20, True), (29, True), (34, False), (60, False)])
def test_more_alarms_than_the_budget_are_told_only_beyond_their_interval(alarms: int, kept: bool) -> None:
    assert held("one a day", 1, Counted("e", 5, P0, alarms, DAYS)).is_kept is kept


def test_what_the_bench_counts_by_itself_is_what_the_shipped_code_counts() -> None:
    methods.check_wilson()
    units.check_counting()
