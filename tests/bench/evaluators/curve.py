"""CPU per span from 10 to 10,000 spans a trace, through the engine of the stream, in the order of arrival.

Evaluation is what the engine costs with all evaluators on, less what it costs with every evaluator switched off in the
registry: same spans, same flushes. So everything that evaluating causes is counted, results carried through flushes included.
"""

import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from rich.progress import Progress

from evaluators.catalogue import EVALUATORS
from evaluators.folding.evaluation import Evaluation
from schemas.compiled import IS_COMPILED
from schemas.registry import Registry
from streams.core.engine import EnginePolicy, TrajectoryEngine
from streams.core.judging import Truths
from tests.bench.evaluators import long_traces
from tests.bench.evaluators.long_traces import Arrival, Shape
from tests.bench.evaluators.report import Figure, Section

POINT_SPANS = 10_000  # spans in all, at every length
SIZES: tuple[int | None, ...] = (10, None, 100, 1_000, 10_000)  # None: as generated
REPEATS = 3
STOP_AFTER_S = 10.0  # of one drive; a length that needs more is given up, and misses
ENOUGH_S = 5.0  # of all drives at one length: slow ones are not repeated
FLAT = 1.5  # no length may cost more than this times the cost at 10 spans a trace


class Cost(NamedTuple):
    """CPU microseconds per span; `stopped` when the measurement was given up."""

    evaluation: float
    whole: float
    stopped: bool = False


class Folds(NamedTuple):
    """How often traces were folded: per trace, and steps folded per step that there is."""

    traces: int
    steps: int
    started: int  # folds begun at the first step
    folded: int  # steps shown to the evaluators
    asked: int

    @property
    def cells(self) -> tuple[str, str, str]:
        """Folds a trace, asks a trace, how often each step was folded; nobody can count them in compiled code."""
        if IS_COMPILED:
            return "", "", ""
        return f"{self.started / self.traces:.1f}", f"{self.asked / self.traces:.1f}", f"{self.folded / self.steps:.2f}"


def drive(arrived: list[Arrival], registry: Registry, truths: Truths, every_flush: bool) -> float | None:
    """CPU seconds of the engine over all arrivals, to the decision; None when it was given up."""
    policy = EnginePolicy(provisional_every_ms=0) if every_flush else EnginePolicy()
    engine = TrajectoryEngine(0, policy, registry=registry)
    start = time.process_time()
    for arrival in arrived:
        engine.tick(arrival.received_ms)
        for span, raw in arrival.spans:
            engine.fold(span, raw)
        if every_flush:
            engine.acknowledged(engine.take(truths))
            if time.process_time() - start > STOP_AFTER_S:
                return None
    engine.tick(arrived[-1].received_ms + 60_000)
    flush = engine.take(truths)
    spent = time.process_time() - start
    assert all(row.state == "decided" for row in flush.trajectories), "the root came, so the trace is decided"
    return spent


def measure(made: Any, size: int | None, shape: Shape, every_flush: bool) -> tuple[Cost, Folds | None]:
    """Median costs at one length, and how often traces were folded."""
    traces = max(1, POINT_SPANS // (size or 19))
    on, off = long_traces.registry(made, True), long_traces.registry(made, False)
    truths = long_traces.truths(made)
    with_all, without = [], []
    exported = long_traces.exports(made, traces, size, shape)
    spans = long_traces.count(long_traces.arrivals(exported))
    for _ in range(REPEATS):
        spent = drive(long_traces.arrivals(exported), on, truths, every_flush)
        if spent is None:
            return Cost(float("inf"), float("inf"), stopped=True), None
        with_all.append(spent)
        rest = drive(long_traces.arrivals(exported), off, truths, every_flush)
        without.append(spent if rest is None else rest)
        if sum(with_all) > ENOUGH_S:
            break
    whole, rest = statistics.median(with_all), statistics.median(without)
    cost = Cost((whole - rest) / spans * 1e6, whole / spans * 1e6)
    with counting() as counted:  # a run of its own, not timed
        drive(long_traces.arrivals(exported), on, truths, every_flush)
    return cost, Folds(traces, spans, counted["started"], counted["folded"], counted["asked"])


@contextmanager
def counting() -> Iterator[Mapping[str, int]]:
    """Count folds of all evaluators while this is open (an evaluation of some of them only is none)."""
    counted = {"started": 0, "folded": 0, "asked": 0}
    begin, extend, results = Evaluation.__init__, Evaluation.extend, Evaluation.results

    def counted_begin(self: Evaluation, *args: Any, **kwargs: Any) -> None:
        begin(self, *args, **kwargs)
        counted["started"] += self._evaluators == EVALUATORS

    def counted_extend(self: Evaluation, steps: Any) -> None:
        before = len(self)
        extend(self, steps)
        counted["folded"] += (len(self) - before) * (self._evaluators == EVALUATORS)

    def counted_results(self: Evaluation, trajectory: Any) -> Any:
        counted["asked"] += self._evaluators == EVALUATORS
        return results(self, trajectory)

    Evaluation.__init__, Evaluation.extend, Evaluation.results = counted_begin, counted_extend, counted_results  # type: ignore[method-assign]
    try:
        yield counted
    finally:
        Evaluation.__init__, Evaluation.extend, Evaluation.results = begin, extend, results  # type: ignore[method-assign]


def sections(root: Path, progress: Progress) -> Iterator[Section]:
    """The curve for each shape: judged at the decision only, and with provisional results at every flush."""
    made = long_traces.generator(root)
    shapes: tuple[tuple[Shape, str], ...] = (("flat", "one root"), ("nested", "sub-agents below the root"))
    task = progress.add_task("engine, 10 to 10,000 spans a trace", total=2 * 2 * len(SIZES))
    for shape, words in shapes:
        figures = []
        for every_flush in (False, True):
            costs = []
            for size in SIZES:
                cost, counted = measure(made, size, shape, every_flush)
                costs.append(cost)
                figures.append(_figure(size, every_flush, cost, counted, costs[0]))
                progress.advance(task)
        yield Section(
            f"CPU per span by length of the trace: {words}",
            ("evaluation, us", "engine, us", "folds", "asks", "step folded"),
            figures,
            f"{POINT_SPANS:,} spans at each length through TrajectoryEngine, parts of {long_traces.PART} spans, containers last; "
            "all evaluators with registry, policy, budgets and task truth. Evaluation: the engine with all evaluators less "
            f"the engine with none, per span, carrying results through flushes and outcomes included. Folds begun at the first "
            "step and asks for results are per trace; step folded: how often a step was shown to the evaluators, on average "
            "(counted where the hot path is not compiled: after `make pure`). "
            f"Flat: at most {FLAT:g} times the cost at 10 spans. Median of {REPEATS}.",
        )


def _figure(size: int | None, every_flush: bool, cost: Cost, counted: Folds | None, first: Cost) -> Figure:
    length = "12-25 spans, as generated" if size is None else f"{size:,} spans"
    what = f"{length}, {'asked at every flush' if every_flush else 'at the decision'}"
    if cost.stopped:
        return Figure(what, ("", f"over {STOP_AFTER_S / POINT_SPANS * 1e6:,.0f}"), "flat", False)
    cells = (f"{cost.evaluation:.1f}", f"{cost.whole:.1f}", *(counted.cells if counted else ()))
    return Figure(what, cells, "flat", cost.evaluation <= FLAT * first.evaluation)
