"""CPU of our evaluation on the recorded runs: all evaluators, results as rows. Never part of a test.

Counted: everything from assembled steps to result rows, that is parsing of arguments, results and messages, all
evaluators of the list with registry and task truth, and the rows with their reasons and evidence as JSON text.
Not counted: decoding and assembling. Every repetition starts from steps that nobody has parsed yet.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from evaluators.catalogue import EVALUATORS
from evaluators.folding.evaluation import Evaluation
from evaluators.judge import judge
from evaluators.protocols import Evaluator
from schemas.span import Span
from schemas.trajectory import TraceKey, Trajectory
from streams.core.assemble import assemble
from tests.bench.evaluators import long_traces
from tests.bench.evaluators.data import TENANT, Recorded, turns, while_open
from tests.bench.evaluators.report import Figure, Section, at_least

REPEATS, REPEATS_EACH = 9, 5
GENERATED = 200  # traces
SPAN_US, RUNS_PER_S = 13.0, 4_000.0
AHEAD_ONCE, AHEAD_EVERY = 4.0, 25.0
T = TypeVar("T")
Asked = list[tuple[Trajectory, list[tuple[int, Trajectory]]]]


def cpu(work: Callable[[], object]) -> float:
    """CPU seconds of this process."""
    start = time.process_time()
    work()
    return time.process_time() - start


def asks(trajectories: Sequence[Trajectory]) -> Asked:
    """The runs with what they look like after each turn; the last time they are closed."""
    found = []
    for trajectory in trajectories:
        ends = turns(trajectory)
        frames = [(end, while_open(trajectory, end)) for end in ends[:-1]]
        found.append((trajectory, [*frames, (len(trajectory.steps), trajectory)]))
    return found


def every_turn(asked: Asked) -> None:
    """Every run folded on turn by turn, all results asked for after each."""
    for trajectory, frames in asked:
        evaluation, done = Evaluation(trajectory.workflow, trajectory.truth, EVALUATORS), 0
        for end, frame in frames:
            evaluation.extend(trajectory.steps[done:end])
            evaluation.results(frame)
            done = end


class Speeds:
    """CPU seconds for all recorded runs, each the median of the repetitions."""

    def __init__(self, data: Recorded) -> None:
        self.runs, self.spans = len(data.spans), sum(map(len, data.spans.values()))
        fresh = data.assembled
        self.once = _median(fresh, EVALUATORS, REPEATS)
        self.every = statistics.median(_timed(lambda: asks(fresh()), every_turn) for _ in range(REPEATS))
        self.turns = sum(len(turns(t)) for t in fresh()) / self.runs
        self.rows = sum(len(judge(t)) for t in fresh()) / self.runs


class Generated:
    """Traces of the shared generator as it makes them, and what judging them costs."""

    def __init__(self, root: Path) -> None:
        self._made = long_traces.generator(root)
        self._exported = long_traces.exports(self._made, GENERATED, None, "flat")
        self.spans = long_traces.count(long_traces.arrivals(self._exported))
        # A scorer reads its registry once: neither plans nor schemas are made for every run.
        self._registries = {
            hostile: long_traces.registry(self._made, evaluators_on=True, hostile=hostile) for hostile in (False, True)
        }

    def fresh(self, *, hostile: bool = False) -> list[Trajectory]:
        """Every trace decoded and put together anew."""
        registry = self._registries[hostile]
        spans: dict[bytes, list[Span]] = {}
        for arrival in long_traces.arrivals(self._exported):
            for span, _ in arrival.spans:
                spans.setdefault(span.trace_id, []).append(span)
        return [assemble(TraceKey(TENANT, t), held, registry, {}, "root_ended") for t, held in spans.items()]

    def us(self, *, hostile: bool = False) -> float:
        """CPU us per span of all evaluators."""
        return _median(lambda: self.fresh(hostile=hostile), EVALUATORS, REPEATS) / self.spans * 1e6


def each(data: Recorded, generated: Generated) -> Section:
    """What every evaluator costs by itself."""
    sources = ((data.assembled, sum(map(len, data.spans.values()))), (generated.fresh, generated.spans))

    def us(chosen: tuple[Evaluator, ...]) -> list[float]:
        return [_median(fresh, chosen, REPEATS_EACH) / spans * 1e6 for fresh, spans in sources]

    none = us(())
    costs = {}
    for name in dict.fromkeys(e.name for e in EVALUATORS):
        alone = us(tuple(e for e in EVALUATORS if e.name == name))
        costs[name] = [max(0.0, cost - fold) for cost, fold in zip(alone, none, strict=True)]
    dearest = sorted(costs.items(), key=lambda item: item[1], reverse=True)
    return Section(
        "What each evaluator costs alone, CPU us per span",
        ("recorded runs", "generated traces"),
        [
            *(Figure(name, tuple(f"{cost:.2f}" for cost in both)) for name, both in dearest),
            Figure("the fold without any", tuple(f"{cost:.2f}" for cost in none)),
        ],
        "The parsing of a call or a text counts with each evaluator that needs it; together they parse it once. "
        f"Median of {REPEATS_EACH}.",
    )


def _median(fresh: Callable[[], list[Trajectory]], chosen: tuple[Evaluator, ...], repeats: int) -> float:
    """CPU seconds of judging every trace once with these evaluators."""

    def judged(trajectories: Sequence[Trajectory]) -> None:
        for trajectory in trajectories:
            judge(trajectory, None, chosen)

    return statistics.median(_timed(fresh, judged) for _ in range(repeats))


def _timed(made: Callable[[], T], work: Callable[[T], None]) -> float:
    given = made()
    return cpu(lambda: work(given))


def section(speeds: Speeds, generated: Generated) -> Section:
    """Our speed by itself."""
    us_generated, us_hostile = generated.us(), generated.us(hostile=True)
    us, per_s = speeds.once / speeds.spans * 1e6, speeds.runs / speeds.once
    size = speeds.spans / speeds.runs
    return Section(
        f"Speed with all {len(EVALUATORS)} evaluators",
        ("measured",),
        [
            Figure("recorded runs: CPU us per span", (f"{us:.1f}",), f"<= {SPAN_US:g}", us <= SPAN_US),
            Figure(
                "generated traces: CPU us per span",
                (f"{us_generated:.1f}",),
                f"<= {SPAN_US:g}",
                us_generated <= SPAN_US,
            ),
            Figure("the same, when nearly every call breaks a policy", (f"{us_hostile:.1f}",)),
            at_least("recorded runs per CPU second", [f"{per_s:,.0f}"], per_s, RUNS_PER_S),
            Figure(
                "recorded runs per CPU second, asked again after every turn", (f"{speeds.runs / speeds.every:,.0f}",)
            ),
        ],
        f"{speeds.runs} recorded runs of {size:.1f} spans and {speeds.turns:.1f} turns, {speeds.rows:.0f} result rows a run. "
        f"{GENERATED} generated traces of 12-25 spans, with schemas, policy and budgets but no task truth. "
        "Counted: parsing of arguments, results and messages, all evaluators, result rows. "
        f"Not counted: decoding, assembling. Median of {REPEATS}.",
    )
