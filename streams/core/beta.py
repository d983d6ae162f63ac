"""Jeffreys' upper bound of a fail rate: the quantile of Beta(fails + 1/2, passes + 1/2). Pure arithmetic, no SciPy.

Used once a series, when its past is frozen as a baseline: exactness counts, speed does not.
"""

from math import exp, lgamma, log

_STEPS = 300  # of the continued fraction; it converges within O(sqrt(max(a, b))) of them
_TINY = 1e-300
_BISECTIONS = 60


def beta_cdf(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log(1 - x))
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(x, a, b) / a
    return 1 - front * _fraction(1 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    """Lentz's evaluation of the continued fraction (Numerical Recipes, 6.4)."""
    c, d = 1.0, 1 / _not_zero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _STEPS):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d, c = 1 / _not_zero(1 + term * d), _not_zero(1 + term / c)
            value *= d * c
        if abs(d * c - 1) < 1e-14:
            break
    return value


def _not_zero(x: float) -> float:
    return x if abs(x) > _TINY else _TINY


def jeffreys_upper(n: float, fails: float, confidence: float) -> float:
    """The rate that lies above the true one with this confidence."""
    a, b = fails + 0.5, max(0.0, n - fails) + 0.5
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if beta_cdf(middle, a, b) < confidence else (low, middle)
    return high
