"""The ways to raise an alarm that the tables compare. The e-detector is the shipped one; windows are vectorised."""

import numpy as np
from numpy.typing import NDArray

from streams.core.detector import Detector, weight
from streams.core.rate_window import wilson_lower, z_of
from tests.bench.alerts.draws import Ints

P0 = 0.05
BUCKET_MS = 10_000
DAY_MS = 86_400_000
FIVE_MINUTES, HOUR, MINUTE = 30, 360, 6  # in buckets
Alarms = list[int]  # buckets


def evidence_alarms(
    n: NDArray[np.generic], fails: NDArray[np.generic], mean_time_ms: float, detector: Detector, stop: bool = False
) -> Alarms:
    """Buckets in which the shipped detector alarms over one series; it starts anew after each."""
    alarms: Alarms = []
    last, update = -1, detector.update
    filled = np.flatnonzero(n)
    for bucket, n_, fails_ in zip(filled.tolist(), n[filled].tolist(), fails[filled].tolist(), strict=True):
        w = weight((bucket - last) * BUCKET_MS, mean_time_ms)
        last = bucket
        if update(n_, fails_, w, 0) >= 1:
            alarms.append(bucket)
            if stop:
                break
            detector.reset()
    return alarms


def beginnings(breach: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where a series goes from in order to in breach."""
    before = np.concatenate([np.zeros((breach.shape[0], 1), bool), breach[:, :-1]], axis=1)
    return breach & ~before


def tumbling(n: Ints, fails: Ints, confidence: float | None) -> tuple[NDArray[np.bool_], int]:
    """Whether each five minutes are in breach: the plain rate, or Wilson's lower bound of it."""
    windows = n.shape[1] // FIVE_MINUTES
    n5, f5 = (x[:, : windows * FIVE_MINUTES].reshape(len(x), windows, -1).sum(axis=2) for x in (n, fails))
    return _breach(n5, f5, confidence), FIVE_MINUTES


def sliding(n: Ints, fails: Ints, confidence: float) -> tuple[NDArray[np.bool_], int]:
    """Whether the last hour is in breach, looked at each minute."""
    minutes = n.shape[1] // MINUTE
    sums = []
    for x in (n, fails):
        cumulated = np.cumsum(x[:, : minutes * MINUTE].reshape(len(x), minutes, -1).sum(axis=2), axis=1)
        hour = HOUR // MINUTE
        sums.append(cumulated - np.concatenate([np.zeros((len(x), hour), np.int64), cumulated[:, :-hour]], axis=1))
    return _breach(sums[0], sums[1], confidence), MINUTE


def _breach(n: Ints, fails: Ints, confidence: float | None) -> NDArray[np.bool_]:
    if confidence is None:
        return (n > 0) & (fails > P0 * n)
    z = z_of(confidence)
    m = np.maximum(n, 1)
    p = fails / m
    lower = (p + z * z / 2 / m - z * np.sqrt(p * (1 - p) / m + z * z / 4 / m / m)) / (1 + z * z / m)
    return (n > 0) & (lower > P0)


def check_wilson() -> None:
    """The vectorised bound is the shipped one."""
    z = z_of(0.999)
    for n in (1, 7, 25, 250, 2_500):
        for fails in range(0, n + 1, max(1, n // 20)):
            array = np.array([[n]]), np.array([[fails]])
            assert bool(_breach(*array, 0.999)[0, 0]) == (wilson_lower(n, fails, z) > P0), (n, fails)
