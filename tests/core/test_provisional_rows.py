"""Rows of open traces: when one is written, and that judging a trace again and again stays linear in its spans."""

import pytest

from evaluators.base import ALL_KINDS
from schemas.rows import TrajectoryRow, pack_revision
from schemas.span import RawSpan, Span
from schemas.trajectory import TraceKey
from streams.core.engine import EnginePolicy, TrajectoryEngine
from streams.core.flush import Flush, StoredHead
from streams.core.judging import FOLD_KEPT_FROM
from streams.core.window import WindowPolicy
from tests.builders import EPOCH_MS, TENANT, root_span, tool_span, trace_id

RAW = RawSpan(b"", b"", b"")
KEY = TraceKey(TENANT, trace_id())
WINDOW = WindowPolicy(settle_one_resource_ms=1_500, settle_many_resources_ms=8_000, abandon_after_ms=60_000)
EVERY_FLUSH = EnginePolicy(WINDOW, provisional_every_ms=0)


def call(n: int) -> Span:
    return tool_span(n, "look", {"id": n}, at_ms=n)


def flushed(engine: TrajectoryEngine, *spans: Span) -> list[TrajectoryRow]:
    """The rows of a flush after these spans."""
    return taken(engine, *spans).trajectories


def taken(engine: TrajectoryEngine, *spans: Span) -> Flush:
    for span in spans:
        engine.tick(span.received_ms)
        engine.fold(span, RAW)
    flush = engine.take({})
    engine.acknowledged(flush)
    return flush


def one_at_a_time(engine: TrajectoryEngine, count: int) -> list[TrajectoryRow]:
    """The rows of as many spans, a flush after each."""
    return [row for n in range(1, count + 1) for row in flushed(engine, call(n))]


def test_a_small_trace_has_a_row_of_all_its_spans_after_every_flush():
    rows = one_at_a_time(TrajectoryEngine(0, EVERY_FLUSH), 20)
    assert [row.n_items for row in rows] == list(range(1, 21))


def test_a_large_one_when_it_has_grown_by_a_tenth():
    rows = one_at_a_time(TrajectoryEngine(0, EVERY_FLUSH), 40)
    assert [row.n_items for row in rows][20:] == [22, 25, 28, 31, 35, 39]


@pytest.mark.parametrize("count", [10, 100, 1_000, 4_000])
def test_all_rows_of_a_trace_together_hold_at_most_eleven_times_its_spans(count: int):
    rows = one_at_a_time(TrajectoryEngine(0, EVERY_FLUSH), count)
    assert sum(row.n_items for row in rows) <= 11 * count


def test_a_root_is_in_the_row_at_the_next_flush_and_brings_the_deadline_forward():
    engine = TrajectoryEngine(0, EVERY_FLUSH)
    before = one_at_a_time(engine, 100)[-1]
    (row,) = flushed(engine, root_span(0, took_ms=200))
    assert (row.n_items, row.agent, row.deadline_ms) == (101, "executor", EPOCH_MS + 200 + 1_500)
    assert row.deadline_ms < before.deadline_ms
    assert flushed(engine, call(101)) == [], "the row says so already"


def test_the_decision_writes_all_and_a_span_that_brings_no_row_is_stored():
    engine = TrajectoryEngine(0, EVERY_FLUSH)
    one_at_a_time(engine, 100)
    flush = taken(engine, call(101))
    assert (len(flush.spans), flush.trajectories) == (1, [])
    engine.tick(EPOCH_MS + 100_000)
    (row,) = flushed(engine)
    assert (row.state, row.n_items, row.close_reason) == ("decided", 101, "abandoned")


@pytest.mark.parametrize(
    ("stored", "deadline", "written"),
    [
        (None, 0, True),  # spans without a row: a flush that died between the two
        (95, 60_000, False),
        (90, 60_000, True),
        (99, 90_000, True),  # the row would wake nobody in time
    ],
)
def test_a_trace_read_back_has_its_row_written_where_the_stored_one_is_not_good_enough(
    stored: int | None, deadline: int, written: bool
):
    spans = [call(n) for n in range(1, 101)]
    last_ms = spans[-1].received_ms
    engine = TrajectoryEngine(0, EVERY_FLUSH)
    head = None
    if stored is not None:
        head = StoredHead(
            KEY, spans[0].received_ms, 0, "open", "", 0, stored, last_ms, last_ms + deadline, 0, "", 1, False, None, {}
        )
        engine.recover([head], [KEY], last_ms)
    engine.read_back(KEY, head, spans)
    assert [row.n_items for row in flushed(engine)] == ([100] if written else [])
    engine.tick(last_ms + 60_000)
    assert [(row.state, row.n_items) for row in flushed(engine)] == [("decided", 100)]


def test_a_row_that_counted_what_could_not_be_stored_is_superseded_by_each_new_owners():
    spans = [root_span(0), call(1), call(2)]
    revision, engine, last_ms = pack_revision(5, False, 0), TrajectoryEngine(0, EVERY_FLUSH), spans[-1].received_ms
    for late in (3, 4):  # each time a new owner; the second finds the first one's row
        head = StoredHead(
            KEY, EPOCH_MS, revision, "open", "", 0, len(spans), last_ms, last_ms + 60_000, 0, "", 1, False, None, {}
        )
        engine = TrajectoryEngine(0, EVERY_FLUSH)
        engine.recover([head], [KEY], last_ms)
        engine.read_back(KEY, head, spans)
        spans.append(call(late))
        (row,) = flushed(engine, spans[-1])
        assert (row.n_items, row.revision > revision) == (len(spans), True)
        revision = row.revision
    engine.tick(last_ms + 100_000)
    (row,) = flushed(engine)
    assert (row.state, row.n_items, row.revision > revision) == ("decided", 5, True)


class Counting:
    """An evaluator that counts the steps it is shown."""

    name, version, reason_codes, kinds = "Counting", "1", frozenset[str](), ALL_KINDS

    def __init__(self) -> None:
        self.count = 0

    def applies(self, workflow: object) -> bool:
        return True

    def initial(self, context: object) -> None:
        return None

    def update(self, state: None, step: object) -> None:
        self.count += 1

    def finish(self, state: None, trajectory: object) -> tuple[()]:
        return ()


def test_a_long_trace_goes_on_from_its_last_fold_and_one_that_is_reordered_starts_again():
    counting = Counting()
    engine = TrajectoryEngine(0, EVERY_FLUSH, evaluators=(counting,))
    one_at_a_time(engine, 400)
    assert counting.count < 400 + 2 * FOLD_KEPT_FROM**2  # the first few are folded again and again, the rest once
    before = counting.count
    rows = flushed(engine, root_span(took_ms=10_000))  # sorts before all of them
    assert rows and counting.count == before + 401
