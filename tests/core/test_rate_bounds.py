"""The bounds of a rate against independent figures, and the sliding window against counting by hand."""

import random

import pytest

from streams.core.beta import beta_cdf, jeffreys_upper
from streams.core.rate_window import PANES, RateWindow, wilson_lower, z_of


@pytest.mark.parametrize(  # Wilson (1927) by hand: z = 1.96
    ("n", "fails", "lower"), [(10, 0, 0.0), (10, 5, 0.2366), (100, 5, 0.0215), (1_000, 50, 0.0382), (4, 4, 0.5101)]
)
def test_the_lower_wilson_bound(n: int, fails: int, lower: float) -> None:
    assert wilson_lower(n, fails, z_of(0.975)) == pytest.approx(lower, abs=1e-4)


def test_nothing_seen_has_no_bound() -> None:
    assert wilson_lower(0, 0, 3) == 0


@pytest.mark.parametrize(  # quantiles of SciPy's beta distribution
    ("n", "fails", "upper"),
    [(500, 10, 0.0351868741), (100_000, 3_000, 0.0310709330), (2, 1, 0.9391697241), (3_000, 2_990, 0.9982849370)],
)
def test_jeffreys_upper_bound(n: int, fails: int, upper: float) -> None:
    assert jeffreys_upper(n, fails, 0.975) == pytest.approx(upper, rel=1e-8)


def test_the_beta_function_is_symmetric_and_ends_at_its_ends() -> None:
    assert beta_cdf(0.3, 2.5, 7) == pytest.approx(1 - beta_cdf(0.7, 7, 2.5))
    assert (beta_cdf(0, 2, 3), beta_cdf(1, 2, 3)) == (0, 1)


@pytest.mark.parametrize("window_ms", [60_000, 300_000, 3_600_000])
def test_a_window_holds_what_came_within_it_to_one_pane(window_ms: int) -> None:
    rng, window, came, now_ms = random.Random(3), RateWindow(window_ms), [], 0
    pane_ms = max(10_000, window_ms // PANES)
    for _ in range(2_000):
        now_ms += 10_000 * rng.randint(1, 4)
        n = rng.randint(1, 9)
        came.append((now_ms, n))
        window.add(n, 0, now_ms)
        least = sum(n for ms, n in came if ms > now_ms - window_ms)
        most = sum(n for ms, n in came if ms > now_ms - window_ms - 2 * pane_ms)
        assert least <= window.n <= most
    window.move(now_ms + 2 * window_ms)
    assert (window.n, window.fails, window.since_ms) == (0, 0, 0)
