"""Counting results: per workflow, step and evaluator, and the gates that a build may depend on.

The law: a rate is over final pass and fail alone; unscored is not zero, and an evaluator that judged nothing has no rate.
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from streams.console.errors import UserError

SERIES_MAX = 10_000  # counted apart; steps beyond are counted together
OTHERS = "(other steps)"

Key = tuple[str, str, str]  # workflow, step, evaluator


@dataclass(slots=True)
class Count:
    """What one series came to."""

    verdicts: dict[str, int] = field(default_factory=lambda: {"pass": 0, "fail": 0, "unscored": 0, "error": 0})
    scores: int = 0
    score_sum: float = 0.0

    def add(self, verdict: str, score: float | None) -> None:
        """One more result."""
        self.verdicts[verdict] += 1
        if score is not None:
            self.scores += 1
            self.score_sum += score

    @property
    def judged(self) -> int:
        """Pass and fail."""
        return self.verdicts["pass"] + self.verdicts["fail"]

    @property
    def fail_rate(self) -> float | None:
        """Fails among what was judged; None: nothing was."""
        return self.verdicts["fail"] / self.judged if self.judged else None

    @property
    def mean_score(self) -> float | None:
        """Mean of the scores there are."""
        return self.score_sum / self.scores if self.scores else None


class Tally:
    """Counts of all results that were shown to it."""

    def __init__(self) -> None:
        self.series: dict[Key, Count] = {}
        self.evaluators: dict[str, Count] = {}
        self.traces = 0

    def add(self, result: dict[str, Any]) -> None:
        """One more result, as `streams.offline` makes it."""
        name, verdict, score = result["evaluator"], result["verdict"], result["score"]
        key = (result["workflow"], result["step"], name)
        if key not in self.series and len(self.series) >= SERIES_MAX:
            key = ("", OTHERS, name)
        self.series.setdefault(key, Count()).add(verdict, score)
        if result["final"]:
            self.evaluators.setdefault(name, Count()).add(verdict, score)


class Gate(NamedTuple):
    """The share of results of an evaluator that must pass."""

    evaluator: str
    share: float

    def failure(self, tally: Tally) -> str | None:
        """Why the gate is shut; None: it is open."""
        count = tally.evaluators.get(self.evaluator, Count())
        if not count.judged:
            return f"{self.evaluator} judged nothing, so it is not at {self.share:g}"
        rate = count.verdicts["pass"] / count.judged
        if rate >= self.share:
            return None
        passed = f"{count.verdicts['pass']:,} of {count.judged:,} passed"
        return f"{self.evaluator} is at {_below(rate, self.share)}, under {self.share:g}: {passed}"


def _below(rate: float, share: float) -> str:
    """The rate with as many digits as show that it lies below."""
    return next((text for digits in range(3, 12) if float(text := f"{rate:.{digits}f}") < share), repr(rate))


def read_gate(text: str, known: Iterable[str]) -> Gate:
    """The gate that `NAME=SHARE` says. Raises UserError."""
    name, equals, number = text.partition("=")
    try:
        share = float(number)
    except ValueError:
        share = -1.0
    if not equals or not 0 <= share <= 1:
        raise UserError(f"--fail-under {text}: write NAME=SHARE with a share from 0 to 1, as ParameterValidation=0.99")
    return Gate(known_evaluator(name.strip(), known, "--fail-under"), share)


def known_evaluator(name: str, known: Iterable[str], option: str) -> str:
    """The name, which must be an evaluator's. Raises UserError with the nearest right spelling."""
    names = sorted(set(known))
    if name in names:
        return name
    lower = {n.lower(): n for n in names}
    close = difflib.get_close_matches(name.lower(), lower, n=1)
    cure = f"did you mean {lower[close[0]]}?" if close else f"there are {', '.join(names)}"
    raise UserError(f"{option}: no evaluator is called {name!r}; {cure}")
