"""Which runs are judged: by hash of the trace id, the same on every worker, after every crash and offline; and what else is."""

import hashlib
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.registry import Registry, parse_registry
from schemas.rows import TrajectoryRow
from schemas.span import RawSpan, Span
from schemas.trajectory import TraceKey
from streams.core.engine import EnginePolicy, TrajectoryEngine
from streams.core.judging import in_cohort
from streams.offline import score
from streams.spool import TraceSpool
from tests.builders import EPOCH_MS, root_span, tool_span

RAW = RawSpan(b"", b"", b"")
TRACES = [hashlib.md5(str(n).encode(), usedforsecurity=False).digest() for n in range(4_000)]


def registry(sample: float, *also: str) -> Registry:
    return parse_registry(f"defaults: {{sample: {sample}, judge_also: [{', '.join(also)}]}}", "workflows.yaml")


def run(trace: bytes, **root: object) -> list[Span]:
    call = tool_span(1, "pay", {"id": 7}, trace_id=trace, received_ms=EPOCH_MS)
    return [call, root_span(trace_id=trace, received_ms=EPOCH_MS, **root)]


def final(spans: Iterable[Span], under: Registry) -> TrajectoryRow:
    engine = TrajectoryEngine(0, EnginePolicy(), registry=under)
    for span in spans:
        engine.fold(span, RAW)
    engine.finish()
    return engine.take({}).trajectories[0]


def test_the_hash_decides_alike_everywhere() -> None:
    chosen = [n for n, trace in enumerate(TRACES) if in_cohort(trace, 0.005)][:5]
    assert chosen == [147, 200, 281, 385, 647], "another hash would judge other runs after an upgrade"


@pytest.mark.parametrize("sample", [0.0, 0.05, 0.5, 1.0])
def test_the_share_of_runs_is_that_asked_for(sample: float) -> None:
    share = sum(in_cohort(trace, sample) for trace in TRACES) / len(TRACES)
    assert abs(share - sample) <= 4 * (sample * (1 - sample) / len(TRACES)) ** 0.5


@given(st.binary(min_size=16, max_size=16), st.floats(0, 1), st.floats(0, 1))
def test_a_smaller_sample_is_part_of_a_greater_one(trace: bytes, one: float, other: float) -> None:
    assert in_cohort(trace, max(one, other)) or not in_cohort(trace, min(one, other))


@given(
    st.sampled_from(TRACES[:200]),
    st.sampled_from([0.0, 0.3, 0.6]),
    st.sets(st.sampled_from(["errors", "tasks"])),
    st.sampled_from([{}, {"status": 2}, {"task_id": "t1"}]),
    st.booleans(),
)
def test_a_worker_that_dies_and_score_say_the_same(
    trace: bytes, sample: float, also: set[str], root: dict[str, object], dies: bool
) -> None:
    under, spans = registry(sample, *sorted(also)), run(trace, **root)
    engine = TrajectoryEngine(3, EnginePolicy(), registry=under)
    engine.fold(spans[0], RAW)
    if dies:  # its successor reads the span back
        engine = TrajectoryEngine(3, EnginePolicy(), registry=under)
        engine.read_back(TraceKey("default", trace), None, spans[:1])
    engine.fold(spans[1], RAW)
    engine.tick(EPOCH_MS + 60_000)
    (streamed,) = engine.take({}).trajectories
    with TraceSpool() as spool:
        for span in spans:
            spool.add(span)
        (offline,) = score(spool, under, {}, EPOCH_MS)
    assert (streamed.weight, streamed.results) == (offline.weight, offline.results)
    assert streamed.weight == float(in_cohort(trace, sample))


def test_outside_the_sample_nothing_is_judged_and_nothing_told() -> None:
    row = final(run(TRACES[0], status=2), registry(0))
    assert (row.weight, row.results) == (0.0, ())
    assert row.outcomes is not None and (row.outcomes.weight, row.outcomes.outcomes) == (0.0, ())


@pytest.mark.parametrize(
    ("root", "also", "is_judged"),
    [
        ({"status": 2}, "errors", True),
        ({"status": 1}, "errors", False),
        ({"task_id": "t1"}, "tasks", True),
        ({"task_id": "t1"}, "errors", False),
    ],
)
def test_what_is_judged_beside_the_sample_counts_nowhere(root: dict[str, object], also: str, is_judged: bool) -> None:
    row = final(run(TRACES[0], **root), registry(0, also))
    assert bool(row.results) == is_judged
    assert row.outcomes is not None and (row.weight, row.outcomes.weight, row.outcomes.outcomes) == (0.0, 0.0, ())
