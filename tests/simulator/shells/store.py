"""ClickHouse in miniature, behind the real `Writer` and in the place of the real `Reader`.

Rows by key: of spans the one received first, of traces the one of the greatest revision, of the ledger the last. An insert is not
atomic: one that fails may have stored all of its rows, the first of them, or none.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from schemas.expectation import TaskTruth
from schemas.ledger import LedgerRow
from schemas.rows import LogRow, Published, SpanRow, TrajectoryRow
from schemas.signal import LOGS, TRACES
from schemas.trajectory import TraceKey
from streams.core.flush import StoredHead
from streams.store.errors import DataError, StoreUnavailable
from streams.store.reader import Reader, StoredItem, Takeover
from streams.store.writer import Writer
from tests.properties.world import head_of
from tests.simulator.shells.servers import Servers

Identity = tuple[TraceKey, bytes, int]  # of an item: its trace, span id and content
PARTLY = 0.3  # of the inserts that fail


class Store:
    """The tables."""

    def __init__(self, servers: Servers, poison: frozenset[Identity], problem: Callable[[str], None]) -> None:
        self._servers = servers
        self._problem = problem
        self._poison = poison  # spans that it never takes
        self.items: dict[Identity, StoredItem] = {}
        self.rows: dict[tuple[TraceKey, int], TrajectoryRow] = {}  # by trace and anchor
        self.published: set[TraceKey] = set()
        self.ledger: dict[tuple[Any, ...], LedgerRow] = {}
        self.dead: set[tuple[int, int, int]] = set()  # the index of dead letters: partition, offset, item
        self.refused: set[Identity] = set()  # spans of which it said that they cannot be stored

    def insert(self, table: str, rows: Sequence[Any]) -> None:
        """One INSERT. Raises DataError or StoreUnavailable."""
        weather, draw = self._servers.weather, self._servers.draw
        if not weather.store_up:
            raise StoreUnavailable("the store is away")
        if table in ("spans", "log_records") and (bad := self._bad(rows)):
            self.refused |= bad
            if draw.random() < PARTLY:
                self._take(table, [row for row in rows if _identity(row) not in bad])
            self._servers.happened["a span that cannot be stored"] += len(rows) == 1
            raise DataError("a value is out of range")
        if draw.random() < weather.trouble:
            stored = draw.choice((0, len(rows), draw.randint(0, len(rows))))
            self._servers.happened["an insert fails after it was stored"] += stored == len(rows)
            self._take(table, rows[:stored])
            raise StoreUnavailable("timed out")
        self._take(table, rows)

    def _bad(self, rows: Sequence[SpanRow | LogRow]) -> set[Identity]:
        found = {_identity(row) for row in rows}
        return found if self._servers.weather.mad else found & self._poison

    def _take(self, table: str, rows: Sequence[Any]) -> None:
        taken: Callable[[Any], None] = getattr(self, f"_take_{table}", lambda row: None)
        for row in rows:
            taken(row)

    def _take_spans(self, row: SpanRow) -> None:
        self._take_item(row, StoredItem(row.raw, row.span.received_ms, row.span.content_hash, row.span.flags, TRACES))

    def _take_log_records(self, row: LogRow) -> None:
        self._take_item(row, StoredItem(row.raw, row.log.received_ms, row.log.content_hash, row.log.flags, LOGS))

    def _take_item(self, row: SpanRow | LogRow, item: StoredItem) -> None:
        known = self.items.get(_identity(row))
        if known is None or item.received_ms < known.received_ms:
            self.items[_identity(row)] = item

    def _take_trajectories(self, row: TrajectoryRow) -> None:
        key = TraceKey(row.tenant, row.trace_id)
        at = key, row.anchor_ms
        if len(self.items_of(key)) < row.n_items and not any(owner == key for owner, _, _ in self.refused):
            self._problem("a row is there before the spans that it was judged from")
        known = self.rows.get(at)
        if known is None or known.revision <= row.revision:
            self.rows[at] = row

    def _take_published(self, mark: Published) -> None:
        self.published.add(TraceKey(mark.tenant, mark.trace_id))

    def _take_ledger(self, row: LedgerRow) -> None:
        self.ledger[row.partition, row.epoch, row.first_offset, row.tenant] = row

    def _take_dlq_index(self, row: Any) -> None:
        self.dead.add((row.partition, row.offset, row.item))

    # Questions.

    def answer(self, question: Callable[[], Any]) -> Any:
        """The answer to a SELECT. Raises StoreUnavailable."""
        weather = self._servers.weather
        if not weather.store_up or self._servers.draw.random() < weather.trouble:
            raise StoreUnavailable("the store does not answer")
        return question()

    def items_of(self, key: TraceKey) -> list[StoredItem]:
        """All that is stored of a trace."""
        return [item for (owner, _, _), item in self.items.items() if owner == key]

    def row(self, key: TraceKey) -> TrajectoryRow | None:
        """The row of a trace that is in force."""
        rows = [row for (owner, _), row in self.rows.items() if owner == key]
        return max(rows, key=lambda row: row.revision, default=None)

    def head(self, key: TraceKey) -> StoredHead | None:
        """What a reader sees of it."""
        row = self.row(key)
        return None if row is None else head_of(key, row, key in self.published)


def _identity(row: SpanRow | LogRow) -> Identity:
    item = row.span if isinstance(row, SpanRow) else row.log
    return TraceKey(item.tenant, item.trace_id), item.span_id, item.content_hash


class SimulatedWriter(Writer):
    """The real methods, of which the last step goes to the tables."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def _insert(self, table: str, names: Sequence[str], pivot: Any, rows: Sequence[Any]) -> None:
        self._store.insert(table, rows)


class SimulatedReader(Reader):
    """The same answers, from the tables."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def read_items(self, keys: Iterable[TraceKey]) -> dict[TraceKey, list[StoredItem]]:
        """All stored items of each trace that has any."""
        return self._store.answer(lambda: {key: items for key in keys if (items := self._store.items_of(key))})

    def read_heads(self, keys: Iterable[TraceKey]) -> dict[TraceKey, StoredHead]:
        """The row of each trace that has one."""
        return self._store.answer(lambda: {key: head for key in keys if (head := self._store.head(key))})

    def truths(self, task_ids: Iterable[str]) -> dict[tuple[str, str], TaskTruth]:
        """There are none."""
        return self._store.answer(dict)

    def take_over(self, topic: str, partitions: Sequence[int], horizon_ms: int) -> dict[int, Takeover]:
        """What the new owner of these partitions has to know."""
        return self._store.answer(lambda: {number: self._takeover(number, horizon_ms) for number in partitions})

    def _takeover(self, number: int, horizon_ms: int) -> Takeover:
        mine = [row for row in self._store.rows.values() if row.partition == number]
        last = max((row.last_log_ms for row in mine), default=None)
        touched = [row for row in mine if last is not None and row.last_log_ms >= last - horizon_ms]
        keys = list(dict.fromkeys(TraceKey(row.tenant, row.trace_id) for row in touched))
        heads = [head for key in keys if (head := self._store.head(key))]
        unfinished = [h for h in heads if h.state == "open" or not h.published]
        epoch = max((row.epoch for row in self._store.ledger.values() if row.partition == number), default=0)
        return Takeover(last, sorted(unfinished, key=lambda h: h.anchor_ms), keys, epoch)
