"""Sweep and backfill on a real ClickHouse: what is judged from the store is what the stream would have judged."""

import time
from collections.abc import Iterator
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
from clickhouse_connect.driver.client import Client
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from evaluators.catalogue import EVALUATORS
from schemas.decode import decode
from schemas.otlp import split
from schemas.registry import EMPTY, Registry, parse_registry
from schemas.rows import Published, TrajectoryRow
from schemas.span import RawSpan, Span
from schemas.trajectory import TraceKey
from streams.core.engine import EnginePolicy, TrajectoryEngine
from streams.core.flush import Flush
from streams.local.stack import LocalStack
from streams.store.client import connect
from streams.store.migrate import migrate
from streams.store.reader import Reader
from streams.store.unjudged import decided, overdue, unjudged
from streams.store.writer import Writer
from streams.upkeep.rejudge import Rejudge

NOW_MS = int(time.time() * 1000)
DAY_MS = 86_400_000
STRICT = """
workflows:
  - name: refund
    tools: [{name: pay, parameters: {type: object, properties: {id: {type: integer}}, required: [id]}}]
"""
RUNS = 30


class Store(NamedTuple):
    client: Client
    reader: Reader
    writer: Writer


@pytest.fixture
def store(stack: LocalStack) -> Iterator[Store]:
    settings = stack.settings.model_copy(update={"clickhouse_database": f"upkeep {uuid4().hex}"})
    migrate(settings)
    client = connect(settings)
    yield Store(client, Reader(client), Writer(client))
    client.command(f"DROP DATABASE `{settings.clickhouse_database}`")
    client.close()


def run_of(n: int, began_ms: int) -> list[tuple[Span, RawSpan]]:
    """A run: its root, a call that pays, and a call that comes last."""
    message = ExportTraceServiceRequest()
    spans = message.resource_spans.add().scope_spans.add().spans
    for at, name in enumerate(("invoke_workflow refund", "execute_tool pay", "execute_tool notify")):
        span = spans.add(trace_id=n.to_bytes(16, "big"), span_id=(10 * n + at + 1).to_bytes(8, "big"), name=name)
        span.parent_span_id = b"" if at == 0 else (10 * n + 1).to_bytes(8, "big")
        span.start_time_unix_nano, span.end_time_unix_nano = (began_ms + at) * 10**6, (began_ms + 10 + at) * 10**6
        operation, _, what = name.partition(" ")
        told = {"gen_ai.operation.name": operation, "gen_ai.tool.call.arguments": f'{{"id": "{n}"}}'}
        told["gen_ai.workflow.name" if at == 0 else "gen_ai.tool.name"] = what
        for key, value in told.items():
            span.attributes.add(key=key).value.string_value = value
    if n % 2:
        spans[2].status.code = 2  # the call that comes last fails
    return [decode(raw, "default", began_ms + 20 + at) for at, raw in enumerate(split(message.SerializeToString()))]


def judged(runs: list[list[tuple[Span, RawSpan]]], seq: int = 0, registry: Registry = EMPTY) -> Flush:
    """What a scorer makes of them."""
    engine = TrajectoryEngine(3, EnginePolicy(), seq, registry)
    for items in runs:
        for span, raw in items:
            engine.tick(span.received_ms)
            engine.fold(span, raw)
    engine.tick(engine.clock_ms + DAY_MS)
    return engine.take({})


def keep(store: Store, flush: Flush) -> None:
    store.writer.write_spans(flush.spans)
    store.writer.write_trajectories(flush.trajectories)
    store.writer.write_published([Published(r.tenant, r.anchor_ms, r.trace_id) for r in flush.trajectories])


def shown(store: Store) -> list[tuple[Any, ...]]:
    columns = "trace_id, revision, workflow, n_items, n_steps, " + ", ".join(
        f"results.{name}" for name in ("span_id", "evaluator", "verdict", "reason")
    )
    return sorted(
        tuple(map(str, row)) for row in store.client.query(f"SELECT {columns} FROM trajectories FINAL").result_rows
    )


def rejudge(store: Store, seq: int = 0, registry: Registry = EMPTY, *, writes: bool = True) -> Rejudge:
    return Rejudge(store.reader, store.writer if writes else None, EnginePolicy(), seq, registry, EVALUATORS)


def month(store: Store, **narrowed: Any) -> list[TraceKey]:
    return [key for keys in decided(store.client, NOW_MS - 20 * DAY_MS, NOW_MS, None, **narrowed) for key in keys]


def runs() -> list[list[tuple[Span, RawSpan]]]:
    return [run_of(n, NOW_MS - (n % 7 + 2) * DAY_MS - n) for n in range(1, RUNS + 1)]


def test_a_sweep_finds_exactly_the_runs_that_have_more_than_was_judged(store: Store) -> None:
    whole = runs()
    keep(store, judged([items if n < 20 else items[:2] for n, items in enumerate(whole)]))
    late = [run[2] for run in whole[20:]]
    store.writer.write_spans(judged([late]).spans)  # stored, and then nobody judged: what a crash leaves
    store.client.command("OPTIMIZE TABLE trace_ix FINAL")
    assert unjudged(store.client, NOW_MS - 20 * DAY_MS, NOW_MS, 0) == {}, "by their clock the rows came after all of it"
    store.client.command("ALTER TABLE trajectories UPDATE last_log_at = anchor WHERE 1 SETTINGS mutations_sync = 2")
    found = unjudged(store.client, NOW_MS - 20 * DAY_MS, NOW_MS, 0)[3]
    assert len(found) == RUNS, "what cannot be told apart by time is counted when it is read"
    assert unjudged(store.client, NOW_MS - 20 * DAY_MS, NOW_MS, 0, partitions=[3]) == {3: found}
    assert unjudged(store.client, NOW_MS - 20 * DAY_MS, NOW_MS, 0, partitions=[4]) == {}

    dry = rejudge(store, writes=False)
    dry.judge(found, always=False)
    assert (dry.sums.seen, dry.sums.judged) == (RUNS, 10)
    assert len(unjudged(store.client, NOW_MS - 20 * DAY_MS, NOW_MS, 0)[3]) == RUNS, "a dry run writes nothing"
    swept = rejudge(store)
    swept.judge(found, always=False)
    assert swept.sums == dry.sums
    assert shown(store) == _rows(judged(whole))
    told = store.client.query("SELECT uniqExact(trace_id) FROM v1_verdict_changes WHERE before = '' AND after = 'fail'")
    assert told.first_row[0] >= 5, "the failed last calls of five runs became results"


def test_a_backfill_judges_as_the_stream_would_have_under_the_new_registry_and_goes_on_where_it_ended(
    store: Store,
) -> None:
    whole = runs()
    keep(store, judged(whole))
    registry = parse_registry(STRICT, "workflows.yaml")
    wanted = month(store, below_seq=7)
    assert len(wanted) == RUNS
    backfilled = rejudge(store, 7, registry)
    backfilled.judge(wanted[:12], always=True)
    assert month(store, below_seq=7) == wanted[12:]
    backfilled.judge(wanted[12:], always=True)
    assert backfilled.sums.judged == RUNS
    assert shown(store) == _rows(judged(whole, 7, registry))
    kinds = {(evaluator, after) for _, evaluator, _, after in backfilled.sums.changes}
    assert ("ParameterValidation", "fail") in kinds, "an id that is text, where the registry wants a number"


def test_a_run_whose_spans_are_gone_stays_as_it_was(store: Store) -> None:
    whole = runs()
    keep(store, judged(whole))
    before = shown(store)
    store.client.command(
        f"ALTER TABLE spans DELETE WHERE trace_id = unhex('{1:032x}') AND name LIKE '%pay%' SETTINGS mutations_sync = 2"
    )
    again = rejudge(store, 7)
    again.judge([TraceKey("default", (1).to_bytes(16, "big"))], always=True)
    assert (again.sums.judged, again.sums.without_spans) == (0, 1)
    assert shown(store) == before


def test_open_runs_that_nobody_works_on_are_counted(store: Store) -> None:
    engine = TrajectoryEngine(3, EnginePolicy())
    span, raw = run_of(1, NOW_MS - DAY_MS)[1]
    engine.tick(span.received_ms)
    engine.fold(span, raw)
    store.writer.write_trajectories(engine.take({}).trajectories)
    assert overdue(store.client, NOW_MS - 20 * DAY_MS) == {}, "by the clock of its partition it is not due"
    keep(store, judged([run_of(2, NOW_MS - 1_000)]))
    assert overdue(store.client, NOW_MS - 20 * DAY_MS) == {3: 1}


def _rows(flush: Flush) -> list[tuple[Any, ...]]:
    def row(t: TrajectoryRow) -> tuple[Any, ...]:
        results = [r.span_id or bytes(8) for r in t.results], [r.evaluator for r in t.results]
        said = [r.verdict for r in t.results], [r.reason for r in t.results]
        return tuple(map(str, (t.trace_id, t.revision, t.workflow, t.n_items, t.n_steps, *results, *said)))

    return sorted(map(row, flush.trajectories))
