"""The script of the demonstration: which run begins when, under which release, and what is wrong with it.

Pure and seeded: the same seed, rate and schedule give the same runs, span for span. Time is the play's own, in seconds
from its start; the simulator maps it to the clock.
"""

import itertools
from collections.abc import Iterator
from random import Random
from typing import Literal, NamedTuple

from streams.demo.case import draw
from streams.demo.mishap import everyday, faulty
from streams.demo.play import play_of
from streams.demo.scribe import SpanPlan, spans_of

Phase = Literal["healthy", "broken", "repaired"]

RELEASES: dict[Phase, str] = {"healthy": "1.8.0", "broken": "1.9.0", "repaired": "1.9.1"}
SPANS_PER_RUN = 16  # about: planning 4, executor 2 a call, verifier 2, frames


class Schedule(NamedTuple):
    """When the executor of refund breaks and when it is repaired, in seconds of the play; it goes on for `length_s`."""

    broken_at_s: float = 40.0
    repaired_at_s: float = 75.0
    length_s: float = 180.0

    def phase(self, at_s: float) -> Phase:
        """The phase at that moment."""
        if at_s < self.broken_at_s:
            return "healthy"
        return "broken" if at_s < self.repaired_at_s else "repaired"


class Run(NamedTuple):
    """One run of a workflow: one trace. It begins at `at_s` of the play; its spans count from 0 ms."""

    number: int
    at_s: float
    phase: Phase
    workflow: str
    trace_id: int
    span_ids: tuple[int, ...]
    spans: tuple[SpanPlan, ...]

    @property
    def length_ms(self) -> float:
        """How long the run took, from the start of its root to its end."""
        return self.spans[0].end_ms


def runs(seed: int, spans_per_s: float, schedule: Schedule) -> Iterator[Run]:
    """The runs of the play in the order of their beginning, evenly spaced so as to make `spans_per_s`."""
    every_s = SPANS_PER_RUN / spans_per_s
    for number in itertools.count():
        at_s = number * every_s
        if at_s >= schedule.length_s:
            return
        yield run(seed, number, at_s, schedule.phase(at_s))


def run(seed: int, number: int, at_s: float, phase: Phase) -> Run:
    """The run with this number: it depends on nothing but what is given."""
    rng = Random(f"{seed}/{number}")  # noqa: S311 - a play, not a secret
    play = everyday(play_of(draw(rng)), rng)
    if phase == "broken" and play.case.workflow == "refund":
        play = faulty(play, rng)
    spans = tuple(spans_of(play, f"conv-{seed}-{number}", rng))
    ids = tuple(rng.getrandbits(64) or 1 for _ in spans)
    return Run(number, at_s, phase, play.case.workflow, rng.getrandbits(128) or 1, ids, spans)
