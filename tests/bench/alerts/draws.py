"""Seeded outcomes for the bench: counts of ten-second buckets, and traces whose attempts fail together."""

import zlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BUCKETS_A_DAY = 8_640
BUCKETS_A_MINUTE = 6
ATTEMPTS = 3.0  # a trace, on average: one, and a Poisson number of retries
ICC = 0.3  # how much attempts of one trace fail together
# E[m^2]/E[m] for m = 1 + Poisson(2), in the usual formula 1 + (m - 1) ICC
DESIGN_EFFECT = 1 + (((ATTEMPTS - 1) + ATTEMPTS**2) / ATTEMPTS - 1) * ICC

Ints = NDArray[np.int64]


def generator(*name: object) -> np.random.Generator:
    """Chance of its own for every cell of a table: a cell does not change when another is added."""
    return np.random.default_rng(zlib.crc32(repr(name).encode()))


def counts(rng: np.random.Generator, per_minute: float, rate: float, keys: int, days: float) -> tuple[Ints, Ints]:
    """(n, fails), a row a series, a column a bucket."""
    n = rng.poisson(per_minute / BUCKETS_A_MINUTE, (keys, int(days * BUCKETS_A_DAY)))
    return n, rng.binomial(n, rate)


class Traces(NamedTuple):
    """Traces of one series-day: the bucket of each, its attempts, and how they went."""

    bucket: Ints
    attempts: Ints
    failed: Ints
    last_failed: Ints


def traces(rng: np.random.Generator, per_minute: float, rate: float) -> Traces:
    """A day of traces: the fail probability of each is Beta with this mean and correlation."""
    a_bucket = rng.poisson(per_minute / BUCKETS_A_MINUTE, BUCKETS_A_DAY)
    bucket = np.repeat(np.arange(BUCKETS_A_DAY), a_bucket)
    attempts = 1 + rng.poisson(ATTEMPTS - 1, len(bucket))
    spread = (1 - ICC) / ICC
    p = rng.beta(rate * spread, (1 - rate) * spread, len(bucket))
    before = rng.binomial(attempts - 1, p)
    last = rng.binomial(1, p)
    return Traces(bucket, attempts, before + last, last)
