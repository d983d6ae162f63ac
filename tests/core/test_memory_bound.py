"""What a partition counts as its memory, and what it gives up: only what is acknowledged, and never a verdict."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.item import Item
from schemas.rows import TrajectoryRow
from schemas.span import RawSpan
from schemas.trajectory import TraceKey
from streams.core.engine import KNOWN_BYTES, EnginePolicy, TrajectoryEngine
from streams.core.trace import TRACE_BYTES
from tests.builders import EPOCH_MS, root_span, tool_span, trace_id

RAW = RawSpan(b"", b"", b"")
TRACES = 12


def call(trace: int, n: int = 1, **fields: object) -> Item:
    return tool_span(n, "pay", {"id": n}, trace_id=trace_id(trace), received_ms=EPOCH_MS, **fields)


def opened(engine: TrajectoryEngine, traces: int = TRACES) -> None:
    for trace in range(1, traces + 1):
        engine.fold(call(trace), RAW)


def test_what_is_not_acknowledged_stays_however_little_memory_there_may_be() -> None:
    engine = TrajectoryEngine(0, EnginePolicy())
    opened(engine)
    engine.evict(0)
    flush = engine.take({})
    engine.evict(0)
    assert engine.spans_held == TRACES, "written, but nobody said that it is durable"
    engine.acknowledged(flush)
    engine.fold(call(1, 2), RAW)
    engine.evict(0)
    assert (engine.spans_held, engine.open_traces) == (2, TRACES), "the one that has a new span"


def test_as_much_goes_as_must_the_longest_untouched_first() -> None:
    engine = TrajectoryEngine(0, EnginePolicy())
    opened(engine)
    engine.acknowledged(engine.take({}))
    engine.fold(call(1, 2), RAW)
    engine.acknowledged(engine.take({}))
    engine.evict(engine.bytes_held - TRACE_BYTES)
    assert TRACES - 2 <= engine.spans_held - 1 < TRACES
    engine.evict(engine.bytes_held // 2)
    assert engine.absent([TraceKey("default", trace_id(1))]) == [], "touched last, it is kept"
    assert engine.open_traces == TRACES


def test_ids_are_forgotten_too_and_then_the_store_is_asked_for_every_one() -> None:
    engine = TrajectoryEngine(0, EnginePolicy())
    opened(engine)
    engine.finish()
    engine.acknowledged(engine.take({}))
    firsts = [(TraceKey("default", trace_id(n)), EPOCH_MS, EPOCH_MS) for n in range(1, TRACES + 5)]
    assert [key for key, *_ in firsts[:TRACES]] == engine.unknown(firsts), "known ones; the others are new"
    engine.evict(engine.bytes_held)
    assert engine.bytes_held < TRACES * KNOWN_BYTES / 2
    assert [key for key, *_ in firsts] == engine.unknown(firsts)


def test_a_trace_that_is_over_leaves_only_its_name() -> None:
    engine = TrajectoryEngine(0, EnginePolicy())
    opened(engine)
    engine.acknowledged(engine.take({}))
    before = engine.bytes_held
    engine.finish()
    engine.acknowledged(engine.take({}))
    assert engine.spans_held == 0 and engine.bytes_held < before / 10


@given(st.lists(st.integers(1, 3), max_size=6), st.integers(0, 60_000))
def test_rows_are_the_same_whatever_was_given_up(evicting_after: list[int], bytes_max: int) -> None:
    assert _rows(set(evicting_after), bytes_max) == _rows(set(), 0)


def _rows(evicting_after: set[int], bytes_max: int) -> list[TrajectoryRow]:
    """Final rows of traces whose spans come in three rounds; a store stands behind the engine."""
    engine, stored = TrajectoryEngine(0, EnginePolicy()), dict[TraceKey, list[Item]]()
    rows: dict[TraceKey, TrajectoryRow] = {}
    for turn in (1, 2, 3):
        for trace in range(1, TRACES + 1):
            key = TraceKey("default", trace_id(trace))
            made = root_span(9, trace_id=trace_id(trace), received_ms=EPOCH_MS) if turn == 3 else call(trace, turn)
            for asked in engine.unknown([(key, EPOCH_MS, EPOCH_MS)]):
                engine.read_back(asked, None, stored.get(asked, []))
            engine.fold(made, RAW)
            stored.setdefault(key, []).append(made)
        flush = engine.take({})
        rows |= {TraceKey(row.tenant, row.trace_id): row for row in flush.trajectories}
        engine.acknowledged(flush)
        if turn in evicting_after:
            engine.evict(bytes_max)
    for asked in engine.due(EPOCH_MS + 60_000):
        engine.read_back(asked, None, stored[asked])
    engine.tick(EPOCH_MS + 60_000)
    flush = engine.take({})
    rows |= {TraceKey(row.tenant, row.trace_id): row for row in flush.trajectories}
    return [row._replace(outcomes=None) for _, row in sorted(rows.items())]
