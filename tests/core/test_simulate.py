"""Seeded simulation of rules: its chance is fair, and its tables are those of the specification."""

import random
from statistics import fmean, pvariance

import pytest

from schemas.rules import parse_rules
from streams.core.simulate import Poisson, buckets, delays, false_alarms
from tests.outcomes import RULES

(EVIDENCE,) = parse_rules(RULES, "r").rules
(NAIVE,) = parse_rules(
    "rules: [{uid: naive, condition: {method: window, fail_rate_above: 0.05, window: 5m, min_events: 1, confidence: 0.5},"
    " resolve: {hold: 0s}}]",
    "r",
).rules


@pytest.mark.parametrize("mean", [0.04, 0.83, 8.3, 83.0])
def test_poisson_numbers_have_their_mean_and_variance(mean: float) -> None:
    chance, poisson = random.Random(1).random, Poisson(mean)
    drawn = [poisson.draw(chance) for _ in range(20_000)]
    assert fmean(drawn) == pytest.approx(mean, abs=5 * (mean / 20_000) ** 0.5)
    assert pvariance(drawn) == pytest.approx(mean, rel=0.08)


def test_a_poisson_of_nothing_is_nothing() -> None:
    assert Poisson(0).draw(random.Random(1).random) == 0


def test_buckets_are_ten_seconds_and_have_their_rate() -> None:
    found = list(buckets(random.Random(1).random, 50, 0.1, 0, 2))
    assert [end_ms for end_ms, _, _ in found] == list(range(10_000, 2 * 86_400_001, 10_000))
    n, fails = sum(b[1] for b in found), sum(b[2] for b in found)
    assert n / 2_880 == pytest.approx(50, rel=0.02)
    assert fails / n == pytest.approx(0.1, rel=0.05)


def test_a_healthy_step_pages_nobody_by_evidence_and_all_day_by_a_naive_window() -> None:
    chance = random.Random(1).random
    assert false_alarms(chance, EVIDENCE, "w", 5, 0.03, days=5).alarms == 0
    assert false_alarms(chance, NAIVE, "w", 5, 0.03, days=5).per_day > 20


def test_delays_are_those_of_the_specification() -> None:
    found = delays(random.Random(1).random, EVIDENCE, "w", 50, 0.03, 0.10, runs=15)
    assert 7 < found.quantile(0.5) < 14
    assert found.quantile(0.9) < 30


def test_a_change_that_is_not_seen_in_time_is_infinite() -> None:
    found = delays(random.Random(1).random, EVIDENCE, "w", 0.2, 0.03, 0.06, runs=2)
    assert found.quantile(0.5) == float("inf")
