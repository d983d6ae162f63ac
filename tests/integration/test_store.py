"""The store on a real ClickHouse: what was acknowledged is there, once, as it was, in its newest form."""

import dataclasses
import gc
import random
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, get_args
from uuid import uuid4

import orjson
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.insert import InsertContext

from schemas.expectation import parse_expectation
from schemas.ledger import DeadLetter, GatewayRow, LedgerRow
from schemas.outcome import Outcome, TraceOutcomes
from schemas.result import TRAJECTORY_STEP, Result, Verdict
from schemas.rows import LogRow, Published, SpanRow, TrajectoryRow, VerdictChange, pack_revision
from schemas.span import RawSpan, Span
from schemas.trajectory import TraceKey
from streams.console.errors import UserError
from streams.local.stack import LocalStack
from streams.settings import Settings
from streams.store import expectations
from streams.store.alert_events import AlertEventRow
from streams.store.client import connect
from streams.store.columns import LOG_NAMES, MS_MAX, NS_MAX, SPAN_NAMES, TRAJECTORY_NAMES, names_of
from streams.store.errors import DataError, StoreUnavailable
from streams.store.migrate import FOLDER, migrate, migrations, status
from streams.store.queries import named, shipped
from streams.store.reader import Reader
from streams.store.writer import Writer
from tests.builders import log_record, span, span_id, trace_id

DAY_MS = 86_400_000
DOCS = Path(__file__).parents[2] / "docs" / "sql.md"
HOSTILE = ["'; DROP TABLE spans; --", "a\\'b\\\\", "tab\tnewline\nnul\0", "{x:String}", "%s %(a)s", "ünï ☃ 𝕏", '`"', ""]


@dataclasses.dataclass
class Store:
    """A migrated database of this module's own, and the two ways into it."""

    settings: Settings
    client: Client
    writer: Writer
    reader: Reader
    now_ms: int

    def rows(self, sql: str, **parameters: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self.client.query(sql, parameters=parameters or None).result_rows]

    def ask(self, name: str, **parameters: str) -> list[dict[str, Any]]:
        query = named(name)
        return list(self.client.query(query.sql, parameters=query.bind(parameters)).named_results())


def database(stack: LocalStack) -> Settings:
    return stack.settings.model_copy(update={"clickhouse_database": f"store test {uuid4().hex}"})


def drop(settings: Settings) -> None:
    client = connect(settings, "default")
    client.command(f"DROP DATABASE IF EXISTS `{settings.clickhouse_database}`")
    client.close()


@pytest.fixture(scope="module")
def store(stack: LocalStack) -> Iterator[Store]:
    settings = database(stack)
    migrate(settings)
    client = connect(settings)
    now_ms = client.query("SELECT toUnixTimestamp64Milli(now64(3))").first_row[0]
    yield Store(settings, client, Writer(client), Reader(client), now_ms)
    client.close()
    drop(settings)


@pytest.fixture
def tenant() -> str:
    """Each test its own tenant: they share the tables."""
    return f"tenant-{uuid4().hex[:8]}"


def spans_of(*spans: Span) -> list[SpanRow]:
    return [SpanRow(s, RawSpan(b"\x00resource\xff", b"scope", b"raw " + s.span_id)) for s in spans]


def result(n: int | None = 1, verdict: Verdict = "pass", **fields: Any) -> Result:
    step, evaluator = (
        ("executor/update_crm", "ToolCallSuccess") if n is not None else (TRAJECTORY_STEP, "TrajectoryScore")
    )
    score = {"pass": 1.0, "fail": 0.0}.get(verdict)
    said = ("trace", "swallowed", "the tool failed", '{"a": 1}') if verdict == "fail" else ("trace", "", "", "")
    target = b"" if n is None else span_id(n)
    row = Result(target, step, "executor", evaluator, "1", verdict, score, *said, 1_700_000_000_123_456_789)
    return row._replace(**fields)


def trajectory(tenant: str, anchor_ms: int, n: int, *results: Result, **fields: Any) -> TrajectoryRow:
    final = fields.get("state", "decided") == "decided"
    row = TrajectoryRow(
        tenant=tenant,
        anchor_ms=anchor_ms,
        trace_id=trace_id(n),
        revision=pack_revision(fields.get("n_items", 2), final, fields.get("config_seq", 0)),
        state="decided",
        close_reason="root_ended" if final else "",
        partition=7,
        workflow="refund",
        agent="planner",
        task_id="task-1",
        session_id="session-1",
        release="r1",
        n_items=2,
        n_spans=2,
        n_steps=2,
        n_tool_calls=1,
        input_tokens=10,
        output_tokens=20,
        start_ns=anchor_ms * 1_000_000,
        end_ns=anchor_ms * 1_000_000 + 5_000_000,
        last_log_ms=anchor_ms + 10,
        deadline_ms=anchor_ms + 20,
        config_seq=0,
        flags=3,
        weight=1.0,
        results=results,
        outcomes=None,
    )
    return row._replace(**fields)


def outcomes(n: int, anchor_ms: int) -> TraceOutcomes:
    step = Outcome(
        "a/t", "tool_call", "E", "1", "a", "t", 2, 1, "fail", "pass", 0.5, anchor_ms, span_id(1).hex(), "why"
    )
    return TraceOutcomes(trace_id(n).hex(), anchor_ms, 2, "root_ended", 0, 1.0, "r1", (step,))


def alert(key: str, seq: int, **fields: Any) -> AlertEventRow:
    head = (key, 1, seq, f"{key}-{seq}", "dev.stepwatch.alert.firing.v1", "firing", "", "t", "refund", "s", "E")
    row = AlertEventRow(*head, "u", "v", "page", 1, 2, None, 3, {"step": "s"}, 10, 5, 0.5, 0.2, 0.8, "{}")
    return row._replace(**fields)


# Migrations.


def test_migrations_are_applied_once_and_again_means_nothing(stack: LocalStack):
    settings = database(stack)
    try:
        assert migrate(settings) == [m.name for m in migrations()]
        assert migrate(settings) == []
        assert {s.state for s in status(connect(settings))} == {"applied"}
    finally:
        drop(settings)


def test_two_processes_may_migrate_at_once(stack: LocalStack):
    settings = database(stack)
    try:
        with ThreadPoolExecutor(3) as pool:
            applied = [name for names in pool.map(migrate, [settings] * 3) for name in names]
        assert set(applied) == {m.name for m in migrations()}
        assert migrate(settings) == []
    finally:
        drop(settings)


def test_a_changed_migration_is_refused_with_its_cure(stack: LocalStack, tmp_path: Path):
    settings = database(stack)
    file = tmp_path / "0001_spans.sql"
    try:
        file.write_text("CREATE TABLE IF NOT EXISTS a (x UInt8) ENGINE = {engine_prefix}MergeTree ORDER BY x;")
        assert migrate(settings, tmp_path) == ["0001_spans"]
        file.write_text("CREATE TABLE IF NOT EXISTS a (x UInt16) ENGINE = {engine_prefix}MergeTree ORDER BY x;")
        with pytest.raises(UserError, match="0001_spans was changed after it was applied: restore the file"):
            migrate(settings, tmp_path)
    finally:
        drop(settings)


def test_an_interrupted_migration_is_finished_by_the_next(stack: LocalStack, tmp_path: Path):
    settings = database(stack)
    text = (FOLDER / "0001_spans.sql").read_text()
    file = tmp_path / "0001_spans.sql"
    try:
        file.write_text(
            text + "\nCREATE TABLE IF NOT EXISTS broken (x Nonsense) ENGINE = {engine_prefix}MergeTree ORDER BY x;"
        )
        with pytest.raises(UserError, match="migration 0001_spans fails: Unknown data type family: Nonsense"):
            migrate(settings, tmp_path)
        file.write_text(text)
        assert migrate(settings, tmp_path) == ["0001_spans"]
    finally:
        drop(settings)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"clickhouse_url": "http://127.0.0.1:1"}, "no ClickHouse answers at http://127.0.0.1:1"),
        ({"clickhouse_database": "nowhere"}, "has no database 'nowhere': create it with `stepwatch schema migrate`"),
        ({"clickhouse_user": "stranger"}, "refuses user 'stranger': set STEPWATCH_CLICKHOUSE_USER"),
    ],
)
def test_what_keeps_us_from_connecting_is_one_sentence(stack: LocalStack, changed: dict[str, str], sentence: str):
    with pytest.raises(UserError, match=re.escape(sentence)):
        connect(stack.settings.model_copy(update=changed))


# The schema and its declarations.


@pytest.mark.parametrize(
    ("table", "names", "beside"),
    [
        ("spans", SPAN_NAMES, {"earliest_wins"}),
        ("trajectories", TRAJECTORY_NAMES, {"scored_at"}),
        ("log_records", LOG_NAMES, {"earliest_wins"}),
        ("published", names_of(Published), set()),
        ("verdict_changes", names_of(VerdictChange), set()),
        ("ledger", names_of(LedgerRow), {"written_at"}),
        ("dlq_index", names_of(DeadLetter), set()),
        ("alert_events", names_of(AlertEventRow), {"written_at"}),
    ],
)
def test_the_columns_of_a_table_are_the_fields_of_its_row(
    store: Store, table: str, names: tuple[str, ...], beside: set[str]
):
    columns = [
        row[0]
        for row in store.rows(
            f"SELECT name FROM system.columns WHERE database = currentDatabase() AND table = '{table}'"
        )
    ]
    assert set(columns) == set(names) | beside
    assert len(columns) == len(names) + len(beside)


def test_the_store_knows_exactly_our_verdicts(store: Store):
    ((type_,),) = store.rows(
        "SELECT type FROM system.columns WHERE database = currentDatabase() AND name = 'results.verdict'"
    )
    assert set(re.findall(r"'(\w+)'", type_)) == set(get_args(Verdict))


def test_every_column_of_every_view_is_documented(store: Store):
    documented = {
        section[0]: re.findall(r"^\| `(\w+)` \| \S.* \|$", section[1], re.MULTILINE)
        for section in re.findall(r"^## (v1_\w+)\n(.*?)(?=^## |\Z)", DOCS.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    }
    views = [name for (name,) in store.rows("SHOW TABLES LIKE 'v1\\_%'")]
    assert documented == {view: [row[0] for row in store.rows(f"DESCRIBE TABLE {view}")] for view in views} | {}


def test_partitions_and_sort_keys_know_no_client_time(store: Store):
    keys = store.rows("SELECT name, partition_key, sorting_key FROM system.tables WHERE database = currentDatabase()")
    assert not [key for key in keys if re.search("start_time|end_time|event_time", " ".join(key[1:]))]


# Spans.


def test_spans_read_back_are_the_spans_written(store: Store, tenant: str):
    given = [span(n, tenant=tenant, received_ms=store.now_ms + n, content_hash=(1 << 64) - n) for n in range(1, 4)]
    store.writer.write_spans(spans_of(*given))
    key = TraceKey(tenant, trace_id())
    found = store.reader.read_items([key, TraceKey(tenant, trace_id(99))])
    assert found == {
        key: [
            (
                RawSpan(b"\x00resource\xff", b"scope", b"raw " + s.span_id),
                s.received_ms,
                s.content_hash,
                s.flags,
                "traces",
            )
            for s in given
        ]
    }


def test_log_records_are_read_back_with_the_spans_and_take_part_in_the_anchor(store: Store, tenant: str):
    record = log_record(1, tenant=tenant, received_ms=store.now_ms - DAY_MS, result="", content_hash=9)
    raw = RawSpan(b"\x00resource\xff", b"scope", b"raw log")
    for received_ms in (store.now_ms, store.now_ms - DAY_MS):  # twice, the first one second
        store.writer.write_logs([LogRow(record._replace(received_ms=received_ms), raw)])
    call = span(1, tenant=tenant, received_ms=store.now_ms, content_hash=5)
    store.writer.write_spans(spans_of(call))
    key = TraceKey(tenant, trace_id())
    found = store.reader.read_items([key])[key]
    assert [(i.signal, i.content_hash, i.received_ms) for i in found] == [
        ("traces", 5, store.now_ms),
        ("logs", 9, store.now_ms - DAY_MS),
    ]
    assert found[1].raw == raw
    assert store.reader.anchors([key]) == {key: store.now_ms - DAY_MS}
    columns = "name, service, arguments, result, toUnixTimestamp64Milli(received_at)"
    assert store.rows(f"SELECT {columns} FROM v1_log_records WHERE tenant = '{tenant}'") == [
        ("gen_ai.user.message", "shop", None, "", store.now_ms - DAY_MS)
    ]
    assert store.rows(f"SELECT count() FROM v1_spans WHERE tenant = '{tenant}'") == [(1,)]


def test_what_was_not_captured_is_not_what_was_empty(store: Store, tenant: str):
    given = [
        span(1, tenant=tenant, received_ms=store.now_ms, arguments=None, result=""),
        span(2, tenant=tenant, received_ms=store.now_ms, arguments="", result=None),
    ]
    store.writer.write_spans(spans_of(*given))
    assert store.rows(f"SELECT arguments, result FROM v1_spans WHERE tenant = '{tenant}' ORDER BY span_id") == [
        (None, ""),
        ("", None),
    ]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
@pytest.mark.parametrize("merge", [False, True])
def test_of_equal_spans_the_one_received_first_is_kept_whatever_came_first(
    store: Store, tenant: str, order: tuple[int, ...], merge: bool
):
    for later in order:  # a day apart: duplicates lie in different partitions
        store.writer.write_spans(
            spans_of(span(tenant=tenant, received_ms=store.now_ms - (2 - later) * DAY_MS, content_hash=5))
        )
    if merge:
        store.client.command("OPTIMIZE TABLE spans FINAL")
    key = TraceKey(tenant, trace_id())
    assert [(s.received_ms, s.content_hash) for s in store.reader.read_items([key])[key]] == [
        (store.now_ms - 2 * DAY_MS, 5)
    ]
    assert store.rows(f"SELECT toUnixTimestamp64Milli(received_at) FROM v1_spans WHERE tenant = '{tenant}'") == [
        (store.now_ms - 2 * DAY_MS,)
    ]
    assert store.reader.anchors([key]) == {key: store.now_ms - 2 * DAY_MS}


def test_one_span_id_with_two_contents_is_two_items(store: Store, tenant: str):
    store.writer.write_spans(spans_of(*(span(tenant=tenant, received_ms=store.now_ms, content_hash=h) for h in (1, 2))))
    key = TraceKey(tenant, trace_id())
    assert [s.content_hash for s in store.reader.read_items([key])[key]] == [1, 2]


def test_150_client_days_go_in_one_insert_and_1970_and_2262_are_harmless(store: Store, tenant: str):
    starts = [store.now_ms * 1_000_000 - day * DAY_MS * 1_000_000 for day in range(150)] + [
        0,
        -1,
        NS_MAX,
        (1 << 64) - 1,
    ]
    given = [span(n + 1, tenant=tenant, received_ms=store.now_ms, start_ns=s, end_ns=s) for n, s in enumerate(starts)]
    store.writer.write_spans(spans_of(*given))
    store.client.command("OPTIMIZE TABLE spans FINAL")
    found = store.rows(
        "SELECT toUnixTimestamp64Nano(start_time), toUnixTimestamp64Nano(end_time) "
        f"FROM v1_spans WHERE tenant = '{tenant}' ORDER BY span_id"
    )
    clamped = [min(max(s, 0), NS_MAX) for s in starts]
    assert found == [(s, s) for s in clamped]


def test_hostile_text_is_data(store: Store):
    tenants = [f"{text}{uuid4().hex[:6]}" for text in HOSTILE]
    given = [
        span(
            tenant=t,
            received_ms=store.now_ms,
            name=text,
            tool=text,
            agent=text,
            task_id=text,
            arguments=text,
            result=text,
        )
        for t, text in zip(tenants, HOSTILE, strict=True)
    ]
    store.writer.write_spans(spans_of(*given))
    keys = [TraceKey(t, trace_id()) for t in tenants]
    assert list(store.reader.read_items(keys)) == sorted(keys)
    for t, text in zip(tenants, HOSTILE, strict=True):
        found = store.rows(
            "SELECT name, tool, agent, task_id, arguments, result FROM v1_spans WHERE tenant = unhex({t:String})",
            t=t.encode().hex(),
        )
        assert found == [(text,) * 6]


def test_a_row_that_cannot_be_stored_is_a_data_error_and_its_neighbours_go_through_without_it(
    store: Store, tenant: str
):
    good, bad = (
        span(1, tenant=tenant, received_ms=store.now_ms),
        span(2, tenant=tenant, received_ms=store.now_ms, name="\ud800"),
    )
    with pytest.raises(DataError, match="INSERT INTO spans"):
        store.writer.write_spans(spans_of(good, bad))
    store.writer.write_spans(spans_of(good))
    assert store.rows(f"SELECT span_id FROM v1_spans WHERE tenant = '{tenant}'") == [(span_id(1).hex(),)]


def test_too_many_received_days_in_one_batch_are_the_batchs_fault(store: Store, tenant: str):
    given = [span(n + 1, tenant=tenant, received_ms=store.now_ms - n * DAY_MS) for n in range(150)]
    with pytest.raises(DataError, match="Too many partitions"):
        store.writer.write_spans(spans_of(*given))


def test_a_store_that_is_gone_is_unavailable_to_writer_and_reader(store: Store, tenant: str):
    elsewhere = connect(store.settings)
    elsewhere.database = "no_such_database"
    with pytest.raises(StoreUnavailable, match="INSERT INTO spans"):
        Writer(elsewhere).write_spans(spans_of(span(tenant=tenant)))
    with pytest.raises(StoreUnavailable, match="reading back"):
        Reader(elsewhere).read_heads([TraceKey(tenant, trace_id())])


def test_no_rows_are_no_insert_and_no_keys_no_select(store: Store):
    store.writer.write_spans([])
    store.writer.write_trajectories([])
    store.writer.write_ledger([])
    assert store.reader.read_items([]) == store.reader.read_heads([]) == store.reader.truths([]) == {}


def test_no_batch_outlives_its_insert(store: Store, tenant: str):
    gc.collect()
    gc.disable()  # the driver's context is a reference cycle: only a collection would free what it holds
    try:
        store.writer.write_spans(spans_of(span(tenant=tenant, received_ms=store.now_ms)))
        assert not [kept for kept in gc.get_objects() if isinstance(kept, InsertContext) and kept.__dict__]
    finally:
        gc.enable()


# Trajectories.


def anchored(store: Store, tenant: str, *numbers: int) -> None:
    """The first span of each trace: its row is looked for around the times at which its spans were received."""
    store.writer.write_spans(
        spans_of(*(span(tenant=tenant, trace_id=trace_id(n), received_ms=store.now_ms) for n in numbers))
    )


def test_a_head_read_back_is_the_row_written(store: Store, tenant: str):
    anchored(store, tenant, 1)
    published = outcomes(1, store.now_ms)
    row = trajectory(
        tenant,
        store.now_ms,
        1,
        result(1),
        result(2, "fail"),
        result(None, "unscored"),
        outcomes=published,
        config_seq=4,
    )
    store.writer.write_trajectories([row])
    key = TraceKey(tenant, trace_id(1))
    head = store.reader.read_heads([key])[key]
    for field in set(head._fields) & set(row._fields):
        assert getattr(head, field) == getattr(row, field), field
    assert (head.key, head.published) == (key, False)
    assert head.verdicts == {
        (span_id(1), "ToolCallSuccess"): ("executor/update_crm", "pass"),
        (span_id(2), "ToolCallSuccess"): ("executor/update_crm", "fail"),
        (b"", "TrajectoryScore"): (TRAJECTORY_STEP, "unscored"),
    }


def test_results_read_through_the_view_are_the_results_written(store: Store, tenant: str):
    given = [
        result(1),
        result(2, "fail", score=None),
        result(3, "error", reason="\0'\\", evidence="{}", event_ns=0),
        result(None, "unscored", event_ns=NS_MAX),
    ]
    store.writer.write_trajectories([trajectory(tenant, store.now_ms, 1, *given), trajectory(tenant, store.now_ms, 2)])
    columns = ", ".join(f for f in Result._fields if f != "event_ns")
    found = store.rows(
        f"SELECT {columns}, toUnixTimestamp64Nano(event_time) FROM v1_results WHERE tenant = '{tenant}' ORDER BY position"
    )
    assert found == [(r.span_id.hex(), *r[1:]) for r in given]


REVISIONS = [
    {"n_items": 2, "state": "open"},
    {"n_items": 2, "state": "decided"},
    {"n_items": 2, "state": "decided", "config_seq": 3},
    {"n_items": 3, "state": "open", "config_seq": 3},
    {"n_items": 3, "state": "decided", "config_seq": 3},
]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("merge", [False, True])
def test_the_greatest_revision_is_the_one_seen_in_whatever_order_rows_come(
    store: Store, tenant: str, seed: int, merge: bool
):
    rows = [
        trajectory(tenant, store.now_ms, 1, *[result(n) for n in range(i + 1)], **r) for i, r in enumerate(REVISIONS)
    ]
    arrivals = rows * 2
    random.Random(seed).shuffle(arrivals)
    for row in arrivals:
        store.writer.write_trajectories([row])
    if merge:
        store.client.command("OPTIMIZE TABLE trajectories FINAL")
    assert store.rows(
        f"SELECT n_items, final, config_seq, n_results FROM v1_trajectories WHERE tenant = '{tenant}'"
    ) == [(3, 1, 3, 5)]
    assert store.rows(f"SELECT count() FROM v1_results WHERE tenant = '{tenant}'") == [(5,)]


def test_a_forced_merge_keeps_everything(store: Store, tenant: str):
    anchored(store, tenant, *range(1, 40))
    year_ns = 365 * DAY_MS * 1_000_000  # client times of imported history are old; that must not let them expire
    rows = [
        trajectory(tenant, store.now_ms, n, result(1), start_ns=store.now_ms * 1_000_000 - year_ns)
        for n in range(1, 40)
    ]
    store.writer.write_trajectories(rows)
    store.writer.write_published([Published(tenant, store.now_ms, trace_id(n)) for n in range(1, 40)])
    seen = "v1_spans", "v1_results", "published FINAL"
    counts = " UNION ALL ".join(f"SELECT count() FROM {table} WHERE tenant = '{tenant}'" for table in seen)
    assert store.rows(counts) == [(39,)] * 3
    for table in ("spans", "trajectories", "published", "trace_ix"):
        store.client.command(f"OPTIMIZE TABLE {table} FINAL")
    assert store.rows(counts) == [(39,)] * 3
    assert len(store.reader.read_heads([TraceKey(tenant, trace_id(n)) for n in range(1, 40)])) == 39


def test_one_trace_id_of_two_tenants_is_two_traces(store: Store, tenant: str):
    other = tenant + "-other"
    for t, n in ((tenant, 1), (other, 2)):
        anchored(store, t, 1)
        store.writer.write_trajectories([trajectory(t, store.now_ms, 1, n_items=n)])
    heads = store.reader.read_heads([TraceKey(tenant, trace_id(1)), TraceKey(other, trace_id(1))])
    assert {key.tenant: head.n_items for key, head in heads.items()} == {tenant: 1, other: 2}


# Recovery.


def test_a_new_owner_finds_what_is_open_or_unpublished_of_its_partition_and_nothing_else(store: Store, tenant: str):
    mine, now = random.randrange(1_000, 1 << 31), store.now_ms
    rows = [
        trajectory(tenant, now, 1, state="open", partition=mine),
        trajectory(tenant, now + 1, 2, partition=mine, outcomes=outcomes(2, now + 1)),  # decided, not published
        trajectory(tenant, now, 3, partition=mine),  # decided and published
        trajectory(tenant, now, 4, state="open", partition=mine + 1),
        trajectory(tenant, now - DAY_MS, 5, state="open", partition=mine),  # its anchor is old, its last touch is not
        trajectory(tenant, now - DAY_MS, 6, state="open", partition=mine, last_log_ms=now - DAY_MS),
        trajectory(tenant, now, 7, state="open", partition=mine, n_items=1),  # superseded by the next
        trajectory(tenant, now, 7, partition=mine, n_items=2),
    ]
    rows[4] = rows[4]._replace(last_log_ms=now)
    for row in rows:
        store.writer.write_trajectories([row])
    store.writer.write_published([Published(tenant, now, trace_id(n)) for n in (3, 7)])
    store.writer.write_ledger([LedgerRow("spans", mine, epoch, 0, 1, tenant, 2, 2, 2, 0, 0, 0) for epoch in (5, 9, 7)])
    store.writer.write_ledger([LedgerRow("another", mine, 11, 0, 1, tenant, 2, 2, 2, 0, 0, 0)])
    taken = store.reader.take_over("spans", [mine, mine + 2, mine + 1], 1_000)
    found = taken[mine].unfinished
    assert [(h.key.trace_id, h.state, h.published) for h in found] == [
        (trace_id(5), "open", False),
        (trace_id(1), "open", False),
        (trace_id(2), "decided", False),
    ]
    assert found[2].outcomes == outcomes(2, now + 1)
    assert {k.trace_id for k in taken[mine].known} == {trace_id(n) for n in (1, 2, 3, 5, 7)}
    assert (taken[mine].last_log_ms, taken[mine].epoch) == (now + 11, 9)
    assert [h.key.trace_id for h in taken[mine + 1].unfinished] == [trace_id(4)]
    assert taken[mine + 2] == (None, [], [], 0)
    older = store.reader.take_over("spans", [mine], 2 * DAY_MS)[mine]
    assert {h.key.trace_id for h in older.unfinished} == {trace_id(n) for n in (1, 2, 5, 6)}


def test_a_mark_makes_a_head_published(store: Store, tenant: str):
    anchored(store, tenant, 1, 2)
    store.writer.write_trajectories([trajectory(tenant, store.now_ms, n) for n in (1, 2)])
    for _ in range(2):
        store.writer.write_published([Published(tenant, store.now_ms, trace_id(1))])
    heads = store.reader.read_heads([TraceKey(tenant, trace_id(n)) for n in (1, 2)])
    assert {key.trace_id: head.published for key, head in heads.items()} == {trace_id(1): True, trace_id(2): False}


def test_times_at_the_ends_of_their_columns_are_read_back(store: Store, tenant: str):
    anchored(store, tenant, 1)
    store.writer.write_trajectories(
        [trajectory(tenant, store.now_ms, 1, deadline_ms=1 << 60, last_log_ms=-1, start_ns=-1, end_ns=1 << 64)]
    )
    (head,) = store.reader.read_heads([TraceKey(tenant, trace_id(1))]).values()
    assert (head.deadline_ms, head.last_log_ms) == (MS_MAX, 0)


# What the pipeline says of itself.


def test_a_change_written_twice_is_one_change(store: Store, tenant: str):
    change = VerdictChange(
        tenant, store.now_ms, trace_id(1), 9, "refund", b"", TRAJECTORY_STEP, "E", "pass", "", store.now_ms
    )
    store.writer.write_verdict_changes([change])
    store.writer.write_verdict_changes([change, change._replace(span_id=span_id(1))])
    found = store.rows(
        f"SELECT span_id, before, after FROM v1_verdict_changes WHERE tenant = '{tenant}' ORDER BY span_id"
    )
    assert found == [("", "pass", ""), (span_id(1).hex(), "pass", "")]


def ledger(topic: str, epoch: int, first: int, last: int, **counts: int) -> LedgerRow:
    n = last - first + 1
    return LedgerRow(topic, 0, epoch, first, last, "t", n, n, n, 0, 0, 0)._replace(**counts)


def test_the_ledger_closes_and_a_later_owner_supersedes_what_it_read_again(store: Store):
    topic = uuid4().hex
    store.writer.write_ledger([ledger(topic, 1, 0, 9), ledger(topic, 1, 10, 19), ledger(topic, 1, 20, 29)])
    store.writer.write_ledger([ledger(topic, 1, 0, 9)])  # an insert repeated
    store.writer.write_ledger(
        [ledger(topic, 5, 10, 29, stored=15, duplicate=5), ledger(topic, 5, 30, 39, stored=9, dead_lettered=1)]
    )
    columns = (
        "first_offset, last_offset, records, spans, stored, duplicate, sampled_out, dead_lettered, missing, closes"
    )
    sql = f"SELECT {columns} FROM v1_ledger WHERE topic = '{topic}'"
    assert store.rows(sql) == [(0, 39, 40, 40, 34, 5, 0, 1, 0, 1)]
    store.writer.write_ledger([ledger(topic, 5, 40, 49, stored=8), ledger(topic, 5, 50, 59, duplicate=2)])
    assert store.rows(sql)[0][-2:] == (0, 0)  # two errors of opposite sign do not make it close


def test_the_sums_of_log_records_close_too(store: Store):
    topic = uuid4().hex
    told = {"log_records": 9, "logs_stored": 4, "logs_duplicate": 1, "logs_ignored": 3}
    store.writer.write_ledger([ledger(topic, 1, 0, 9, **told, logs_dead_lettered=1)])
    sql = f"SELECT spans, log_records, logs_stored, logs_ignored, logs_missing, closes FROM v1_ledger WHERE topic = '{topic}'"
    assert store.rows(sql) == [(10, 9, 4, 3, 0, 1)]
    store.writer.write_ledger([ledger(topic, 1, 10, 19, **told)])
    assert store.rows(sql) == [(20, 18, 8, 6, 1, 0)]


def test_what_gateways_were_sent_is_one_sum_each_whatever_is_written_twice(store: Store):
    topic = uuid4().hex

    def word(gateway: str, seq: int, outcome: str, reason: str = "", *rest: int) -> GatewayRow:
        return GatewayRow(topic, gateway, seq, 1, store.now_ms + seq, 0, "t", "traces", outcome, reason, *rest)

    words = [
        word("a", 1, "alive"),
        word("a", 1, "in_log", "", 3, 10, 19, 50),
        word("a", 1, "refused", "bad_trace_id", 0, 0, 0, 2),
        word("b", 7, "in_log", "", 3, 12, 40, 60),
        word("b", 7, "in_log", "", 0, 0, 0, 1),
        word("b", 8, "ignored", "", 0, 0, 0, 4),
        word("b", 9, "alive"),
    ]
    store.writer.write_gateway_ledger(words)
    store.writer.write_gateway_ledger(words[:3])  # a word that was not heard is said again
    told = f"toUnixTimestamp64Milli(told_at) - {store.now_ms}"
    columns = f"outcome, reason, partition, n, first_offset, last_offset, gateways, {told}"
    found = store.rows(f"SELECT {columns} FROM v1_gateway_ledger WHERE topic = '{topic}' ORDER BY outcome, partition")
    assert found == [
        ("ignored", "", None, 4, None, None, 1, 8),
        ("in_log", "", 0, 1, 0, 0, 1, 7),
        ("in_log", "", 3, 110, 10, 40, 2, 7),
        ("refused", "bad_trace_id", None, 2, None, None, 1, 1),
    ]


def test_an_alert_event_published_again_is_one_row(store: Store):
    key = uuid4().hex
    event = alert(key, 1)
    resolved = alert(key, 2, status="resolved", resolved_ms=9, rate=None, labels={"tenant": HOSTILE[0], "b": ""})
    for _ in range(2):
        store.writer.write_alert_events([event, resolved])
    found = store.rows(
        "SELECT seq, status, toUnixTimestamp64Milli(resolved_at), rate, labels, toUnixTimestamp64Milli(event_time) "
        f"FROM v1_alerts WHERE alert_key = '{key}' ORDER BY seq"
    )
    assert found == [(1, "firing", None, 0.5, event.labels, 3), (2, "resolved", 9, None, resolved.labels, 3)]


def test_dead_letters_are_indexed_once(store: Store):
    letter = DeadLetter(uuid4().hex, 1, 2, 3, "t", "invalid_span", "it's broken", store.now_ms)
    for _ in range(2):
        store.writer.write_dlq_index([letter])
    found = store.rows(
        f"SELECT topic, partition, offset, item, tenant, reason, detail FROM v1_dead_letters WHERE topic = '{letter.topic}'"
    )
    assert found == [letter[:-1]]


def test_task_truth_is_read_back_and_a_second_load_replaces_it(store: Store):
    def truth(task_id: str, **fields: Any) -> Any:
        line = {
            "workflow": "w'\\",
            "task_id": task_id,
            "expected_calls": [{"name": "f", "arguments": {"a": "☃"}}],
            **fields,
        }
        return parse_expectation(orjson.dumps(line), "here", 1)

    a, b = uuid4().hex, uuid4().hex + "'\n"
    assert expectations.load(store.client, [truth(a), truth(b)]) == 2
    expectations.load(store.client, [truth(a, task="again", required_outputs=["x"])])
    found = store.reader.truths([a, b, "unknown"])
    as_plain = {key: (t.task, t.required_outputs, dict(t.expected_calls[0].arguments)) for key, t in found.items()}
    assert as_plain == {("w'\\", a): ("again", ("x",), {"a": "☃"}), ("w'\\", b): ("", (), {"a": "☃"})}


def test_task_truth_put_there_past_us_is_left_out(store: Store, caplog: pytest.LogCaptureFixture):
    task = uuid4().hex
    store.client.insert("expectations", [("w", task, "not json")], column_names=["workflow", "task_id", "body"])
    assert store.reader.truths([task]) == {}
    assert f"task truth of w/{task} cannot be used" in caplog.text


# Rates and the queries people ask first.


def refresh(store: Store) -> None:
    store.client.command("SYSTEM REFRESH VIEW step_rates_refresh")
    store.client.command("SYSTEM WAIT VIEW step_rates_refresh")


def rates(store: Store, tenant: str) -> list[tuple[Any, ...]]:
    refresh(store)
    return store.rows(
        "SELECT workflow, step, evaluator, n, fails, fail_rate, score_mean "
        f"FROM v1_step_rates WHERE tenant = '{tenant}' ORDER BY step"
    )


def test_step_rates_equal_the_final_rows_through_rejudging_and_vanishing(store: Store, tenant: str):
    at = store.now_ms
    store.writer.write_trajectories(
        [
            trajectory(tenant, at, 1, result(1), result(2, "fail"), result(None)),
            trajectory(tenant, at, 2, result(1), result(2, "unscored"), result(3, "error")),
            trajectory(tenant, at, 3, result(1, "fail"), state="open"),
            trajectory(tenant, at, 4, result(1, "fail"), weight=0.0),
        ]
    )
    step, total = ("refund", "executor/update_crm", "ToolCallSuccess"), ("refund", TRAJECTORY_STEP, "TrajectoryScore")
    assert rates(store, tenant) == [(*total, 1, 0, 0.0, 1.0), (*step, 3, 1, 1 / 3, 2 / 3)]
    store.writer.write_trajectories(
        [trajectory(tenant, at, 1, result(1, "fail"), n_items=3)]
    )  # late span: no total any more
    assert rates(store, tenant) == [(*step, 2, 1, 0.5, 0.5)]
    store.writer.write_trajectories([trajectory(tenant, at, 1, result(1, "fail"), n_items=3)])  # a redelivery
    assert rates(store, tenant) == [(*step, 2, 1, 0.5, 0.5)]


@pytest.fixture(scope="module")
def story(store: Store) -> tuple[str, int]:
    """A refund executor that was healthy for 60 traces, then failed three times of four; another step that never did."""
    workflow, begin = f"refund-{uuid4().hex[:6]}", store.now_ms - 2_400_000
    rows = []
    for n in range(100):
        bad = n >= 60 and n % 4 != 3
        other = result(2, "fail" if n == 30 else "pass", step="verifier", agent="verifier", evaluator="LatencyBudget")
        results = (result(1, "fail" if bad else "pass"), other, result(None, "fail" if bad else "pass"))
        rows.append(trajectory("default", begin + n * 20_000, 10_000 + n, *results, workflow=workflow))
    store.writer.write_trajectories(rows)
    first = [
        span(0, kind="agent", name="refund", agent="planner", parent=None),
        span(1, kind="tool_call", tool="update_crm", at_ms=40, arguments='{"id": 7}', result="error: no such customer"),
    ]
    store.writer.write_spans(
        spans_of(*(s._replace(trace_id=trace_id(10_060), received_ms=begin + 60 * 20_000) for s in first))
    )
    return workflow, begin + 60 * 20_000


def test_what_began_to_fail_names_agent_step_time_and_first_trace(store: Store, story: tuple[str, int]):
    workflow, since_ms = story
    found = store.ask("what-began-to-fail", workflow=workflow)
    tool, total = sorted(found, key=lambda row: row["step"], reverse=True)
    assert len(found) == 2
    assert (tool["agent"], tool["step"], tool["evaluator"]) == ("executor", "executor/update_crm", "ToolCallSuccess")
    assert (tool["first_bad_trace"], tool["reason_code"]) == (trace_id(10_060).hex(), "swallowed")
    assert round(tool["since"].timestamp() * 1000) == since_ms
    assert (tool["n_before"], tool["rate_before"], tool["n_after"], tool["rate_after"]) == (60, 0, 40, 0.75)
    assert total["step"] == TRAJECTORY_STEP


def test_fail_rates_count_final_rows_per_bucket(store: Store, story: tuple[str, int]):
    found = store.ask("fail-rates", workflow=story[0], evaluator="ToolCallSuccess")
    assert sum(row["n"] for row in found) == 100
    assert sum(row["fails"] for row in found) == 30
    assert [row["time"] for row in found] == sorted({row["time"] for row in found})
    assert found[0]["fail_rate"] == 0
    assert max(row["fail_rate"] for row in found) > 0.5


def test_worst_steps_are_ranked_by_what_is_sure(store: Store, story: tuple[str, int]):
    found = store.ask("worst-steps", workflow=story[0])
    assert [(row["step"], row["n"], row["fails"]) for row in found] == [
        (TRAJECTORY_STEP, 100, 30),
        ("executor/update_crm", 100, 30),
        ("verifier", 100, 1),
    ]
    assert (found[1]["usual_reason"], found[1]["newest_bad_trace"]) == ("swallowed", trace_id(10_098).hex())
    assert found[1]["surely_above"] == pytest.approx(0.2189, abs=1e-3)  # Wilson's interval of 30 in 100


def test_the_first_bad_trace_of_a_step(store: Store, story: tuple[str, int]):
    (found,) = store.ask("first-bad-trace", workflow=story[0], step="executor/%")
    assert (found["trace_id"], found["reason"]) == (trace_id(10_060).hex(), "the tool failed")


def test_a_trajectory_is_shown_step_by_step_with_its_verdicts(store: Store, story: tuple[str, int]):
    frame, tool, total = store.ask("trajectory", trace_id=trace_id(10_060).hex())
    assert (frame["kind"], frame["at_ms"], frame["verdicts"]) == ("agent", 0, "")
    assert (tool["step"], tool["at_ms"]) == ("executor/update_crm", 40)
    assert (tool["verdicts"], tool["reasons"]) == ("ToolCallSuccess fail", "ToolCallSuccess: the tool failed")
    assert (tool["arguments"], tool["result"]) == ('{"id": 7}', "error: no such customer")
    assert (total["step"], total["kind"], total["verdicts"]) == (TRAJECTORY_STEP, "trajectory", "TrajectoryScore fail")


def test_every_shipped_query_is_tested_here():
    asked = set(re.findall(r'store\.ask\("([\w-]+)"', Path(__file__).read_text("utf-8")))
    assert asked == {query.name for query in shipped()}


@pytest.mark.parametrize("view", ["v1_spans", "v1_results", "v1_trajectories"])
def test_a_trace_is_found_through_its_view_without_a_scan(store: Store, tenant: str, view: str):
    store.client.command(
        "INSERT INTO trajectories (tenant, anchor, trace_id) "
        f"SELECT '{tenant}', now64(3), reinterpretAsFixedString(generateUUIDv4()) FROM numbers(50000)"
    )
    store.client.command(
        "INSERT INTO spans (tenant, received_at, trace_id) "
        f"SELECT '{tenant}', now64(3), reinterpretAsFixedString(generateUUIDv4()) FROM numbers(50000)"
    )
    where = f"tenant = '{tenant}' AND trace_key = unhex('{'7f' * 16}')"
    answer = store.client.query(f"SELECT count() FROM {view} WHERE {where}")
    assert int(answer.summary["read_rows"]) < 20_000
