"""The statistics of the bench: ranking quality with intervals clustered by task. Pure; randomness is seeded by the caller.

Runs of one task are no independent witnesses, so intervals resample tasks, never runs.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

RESAMPLES = 2_000
_Floats = npt.NDArray[np.float64]


class Interval(NamedTuple):
    """An estimate with its 95 % interval. NaN where there is nothing to rank."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return "nothing to rank" if np.isnan(self.value) else f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def _wins(scores: _Floats, labels: npt.NDArray[np.bool_]) -> _Floats:
    """For each success (row) and failure (column): 1 where the success scores higher, 1/2 at a tie, else 0."""
    high, low = scores[labels][:, None], scores[~labels][None, :]
    return np.where(high > low, 1.0, np.where(high == low, 0.5, 0.0))


def auc(scores: Sequence[float], labels: Sequence[bool]) -> float:
    """The chance that a success scores higher than a failure, ties half. NaN where one of the classes is empty."""
    wins = _wins(np.asarray(scores, float), np.asarray(labels, bool))
    return float(wins.mean()) if wins.size else float("nan")


def clustered_auc(scores: Sequence[float], labels: Sequence[bool], tasks: Sequence[int], seed: int) -> Interval:
    """AUC over all runs; the interval from resampling tasks with replacement."""
    right = np.asarray(labels, bool)
    wins = _wins(np.asarray(scores, float), right)
    if not wins.size:
        return Interval(*[float("nan")] * 3)
    names, cluster = np.unique(np.asarray(tasks), return_inverse=True)
    drawn = np.random.default_rng(seed).integers(0, len(names), (RESAMPLES, len(names)))
    weights = np.stack([(drawn == at).sum(axis=1) for at in range(len(names))], axis=1)[:, cluster].astype(float)
    success, failure = weights[:, right], weights[:, ~right]
    pairs = success.sum(axis=1) * failure.sum(axis=1)
    won = np.einsum("bs,sf,bf->b", success, wins, failure, optimize=True)
    drawn_aucs = won[pairs > 0] / pairs[pairs > 0]
    low, high = np.quantile(drawn_aucs, [0.025, 0.975])
    return Interval(float(wins.mean()), float(low), float(high))


def concordance(scores: Sequence[float], labels: Sequence[bool], tasks: Sequence[int]) -> tuple[float, int]:
    """Among pairs of runs of one task, one a success and one a failure: share ordered rightly (ties half), and pairs.

    It takes the difficulty of the tasks out: an evaluator that only knows which tasks are hard scores 1/2.
    """
    values, right, of = np.asarray(scores, float), np.asarray(labels, bool), np.asarray(tasks)
    wins = [_wins(values[of == task], right[of == task]) for task in np.unique(of)]
    pairs = sum(found.size for found in wins)
    return (sum(float(found.sum()) for found in wins) / pairs if pairs else float("nan")), pairs


def ranks(values: Sequence[float]) -> _Floats:
    """Ranks from 1, equal values sharing the mean of theirs."""
    _, inverse, counts = np.unique(np.asarray(values, float), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[inverse], float)


def spearman(one: Sequence[float], other: Sequence[float]) -> float:
    """Rank correlation; NaN where one of them is constant."""
    a, b = ranks(one), ranks(other)
    if len(a) < 2 or a.std() == 0 or b.std() == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def shuffled_auc(scores: Sequence[float], labels: Sequence[bool], seed: int, times: int = 200) -> float:
    """Mean AUC against labels that were shuffled: 1/2, unless labels leak into scores by another way."""
    shuffle = np.random.default_rng(seed)
    return float(np.mean([auc(scores, shuffle.permutation(np.asarray(labels, bool)).tolist()) for _ in range(times)]))
