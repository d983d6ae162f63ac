"""Reading back: items and heads of known traces, and what a partition's new owner has to know.

All lookups take many keys and make few SELECTs. They see every acknowledged insert (on a cluster through
`select_sequential_consistency`). Any failure is StoreUnavailable: a read never has the rows' fault.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

from clickhouse_connect.driver.client import Client

from schemas.config import ConfigError
from schemas.expectation import TaskTruth, parse_expectation
from schemas.item import Item, decode_stored
from schemas.naming import Watched
from schemas.outcome import decode_trace
from schemas.signal import LOGS, TRACES
from schemas.span import RawSpan
from schemas.trajectory import TraceKey
from streams.core.flush import StoredHead
from streams.store.errors import StoreUnavailable, sentence_of
from streams.store.keys import Range, Slice, among, batches, instant, literal, slices, within

logger = logging.getLogger(__name__)

SETTINGS = {"select_sequential_consistency": 1}
BYTES: dict[str, str | dict[str, str]] = {
    "raw": "bytes",
    "resource": "bytes",
    "scope": "bytes",
    "outcomes": "bytes",
    "body": "bytes",
}
TRAJECTORY_SPAN = b"\0" * 8  # the span id of trajectory results, as a FixedString(8) holds it

RANGES = """
SELECT tenant, trace_id, toUnixTimestamp64Milli(min(first_received)), toUnixTimestamp64Milli(max(last_received))
FROM trace_ix WHERE (tenant, trace_id) IN {keys} GROUP BY tenant, trace_id
"""
ITEMS = """
SELECT tenant, trace_id, resource, scope, raw, toUnixTimestamp64Milli(received_at) AS received, content_hash, flags, signal
FROM ({union})
ORDER BY tenant, trace_id, span_id, content_hash, received_at
LIMIT 1 BY tenant, trace_id, span_id, content_hash
"""
ITEMS_OF_DAY = """
SELECT tenant, trace_id, span_id, content_hash, received_at, resource, scope, raw, flags, '{signal}' AS signal
FROM {table} WHERE {within}
"""
TABLES = {TRACES: "spans", LOGS: "log_records"}
HEADS_OF_DAY = """
SELECT tenant, trace_id, toUnixTimestamp64Milli(anchor), revision, state, close_reason, partition, n_items,
    toUnixTimestamp64Milli(last_log_at), toUnixTimestamp64Milli(deadline), config_seq, workflow, weight, outcomes,
    results.span_id, results.evaluator, results.step, results.verdict
FROM trajectories FINAL WHERE {within}
"""
PUBLISHED_OF_DAY = "SELECT DISTINCT tenant, trace_id FROM published WHERE {within}"
# Candidates by the newest row of each trace; what is read back of them decides.
UNFINISHED = """
WITH mine AS
(
    SELECT partition, tenant, trace_id, anchor, argMax(state, revision) AS newest
    FROM trajectories
    WHERE {touched}
    GROUP BY partition, tenant, trace_id, anchor
)
SELECT partition, tenant, trace_id, toUnixTimestamp64Milli(anchor)
FROM mine
WHERE newest = 'open' OR (tenant, trace_id) NOT IN
(
    SELECT tenant, trace_id FROM published
    WHERE anchor >= (SELECT min(anchor) FROM mine) AND trace_id IN (SELECT trace_id FROM mine)
)
ORDER BY anchor, tenant, trace_id
"""
KNOWN = "SELECT DISTINCT partition, tenant, trace_id FROM trajectories WHERE {touched}"
TOUCHED = "(partition = {partition} AND last_log_at >= {since})"
CLOCKS = """
SELECT partition, toUnixTimestamp64Milli(max(last_log_at)) FROM partition_clock
WHERE partition IN ({partitions}) GROUP BY partition
"""
EPOCHS = (
    "SELECT partition, max(epoch) FROM ledger WHERE topic = {topic} AND partition IN ({partitions}) GROUP BY partition"
)
TRUTHS = """
SELECT workflow, task_id, argMax(body, loaded_at) AS body
FROM expectations WHERE task_id IN {tasks} GROUP BY workflow, task_id
"""


class StoredItem(NamedTuple):
    """One item of a trace as stored: redacted bytes, and the earliest time it was received."""

    raw: RawSpan
    received_ms: int
    content_hash: int
    flags: int
    signal: str

    def decoded(self, tenant: str, watched: Watched) -> Item:
        """The item's value. `watched` are the keys that naming rules look at."""
        return decode_stored(self.signal, self.raw, tenant, self.received_ms, self.content_hash, self.flags, watched)


class Takeover(NamedTuple):
    """What the new owner of a partition has to know."""

    last_log_ms: int | None  # the greatest log clock that a row of the partition carries; None without rows
    unfinished: list[StoredHead]  # open, or decided with outcomes not yet acknowledged; oldest first
    known: list[TraceKey]  # touched within the horizon
    epoch: int = 0  # the greatest under which the ledger has rows; 0 without rows


class Reader:
    """Batched lookups. May be shared by threads."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def read_items(self, keys: Iterable[TraceKey]) -> dict[TraceKey, list[StoredItem]]:
        """All stored spans and log records of each trace, by span id and content; a trace without any is left out."""
        found: dict[TraceKey, list[StoredItem]] = {}
        for batch in batches(keys):
            for tenant, trace_id, resource, scope, raw, *rest in self._items(batch):
                item = StoredItem(RawSpan(resource, scope, raw), *rest)
                found.setdefault(TraceKey(tenant, trace_id), []).append(item)
        return found

    def read_heads(self, keys: Iterable[TraceKey]) -> dict[TraceKey, StoredHead]:
        """The row of each trace that has one."""
        found: dict[TraceKey, StoredHead] = {}
        for batch in batches(keys):
            found |= self._heads(self._ranges(batch))
        return found

    def take_over(self, topic: str, partitions: Sequence[int], horizon_ms: int) -> dict[int, Takeover]:
        """What the new owner of these partitions of the spans topic has to know, in five SELECTs for all of them together.

        Only traces touched within the horizon before the partition's own log clock. Raises StoreUnavailable.
        """
        numbers = ", ".join(str(int(partition)) for partition in partitions)
        clocks = {int(partition): int(ms) for partition, ms in self._select(CLOCKS.format(partitions=numbers))}
        asked = EPOCHS.format(topic=literal(topic), partitions=numbers)
        epochs = {int(partition): int(epoch) for partition, epoch in self._select(asked)}
        found = {n: Takeover(clocks.get(n), [], [], epochs.get(n, 0)) for n in partitions}
        if not clocks:
            return found
        touched = " OR ".join(
            TOUCHED.format(partition=partition, since=instant(max(0, last_ms - horizon_ms)))
            for partition, last_ms in clocks.items()
        )
        for partition, *key in self._select(KNOWN.format(touched=touched)):
            found[partition].known.append(TraceKey(*key))
        for partition, head in self._unfinished(touched):
            found[partition].unfinished.append(head)
        return found

    def _unfinished(self, touched: str) -> Iterator[tuple[int, StoredHead]]:
        """(partition, head) of traces that are open, or decided with outcomes not yet acknowledged; oldest first."""
        rows = self._select(UNFINISHED.format(touched=touched))
        candidates = [(partition, TraceKey(tenant, trace_id), anchor) for partition, tenant, trace_id, anchor in rows]
        anchors = {key: anchor for _, key, anchor in candidates}
        heads: dict[TraceKey, StoredHead] = {}
        for batch in batches(anchors):
            heads |= self._heads({key: Range(anchors[key], anchors[key]) for key in batch})
        for partition, key, _ in candidates:
            if key in heads and not (heads[key].state == "decided" and heads[key].published):
                yield partition, heads[key]

    def anchors(self, keys: Iterable[TraceKey]) -> dict[TraceKey, int]:
        """The received time of the first stored item of each trace that has any, ms since the epoch."""
        found: dict[TraceKey, int] = {}
        for batch in batches(keys):
            found |= {key: span.first_ms for key, span in self._ranges(batch).items()}
        return found

    def truths(self, task_ids: Iterable[str]) -> dict[tuple[str, str], TaskTruth]:
        """Task truth by (workflow, task id), of these task ids in whatever workflow."""
        found: dict[tuple[str, str], TaskTruth] = {}
        for batch in batches((task_id,) for task_id in task_ids):
            for workflow, task_id, body in self._select(TRUTHS.format(tasks=among(batch))):
                with _unusable_left_out(workflow, task_id):
                    found[workflow, task_id] = _truth(body)
        return found

    def _ranges(self, keys: Sequence[TraceKey]) -> dict[TraceKey, Range]:
        rows = self._select(RANGES.format(keys=among(keys)))
        return {TraceKey(tenant, trace_id): Range(first, last) for tenant, trace_id, first, last in rows}

    def _items(self, keys: Sequence[TraceKey]) -> Sequence[Sequence[Any]]:
        ranges = self._ranges(keys)
        if not ranges:
            return []
        days = [
            ITEMS_OF_DAY.format(signal=signal, table=table, within=within("received_at", part))
            for part in slices(ranges)
            for signal, table in TABLES.items()
        ]
        return self._select(ITEMS.format(union=" UNION ALL ".join(days)))

    def _heads(self, ranges: Mapping[TraceKey, Range]) -> dict[TraceKey, StoredHead]:
        found: dict[TraceKey, StoredHead] = {}
        for part in slices(ranges):
            published = self._published(part)
            for row in self._select(HEADS_OF_DAY.format(within=within("anchor", part))):
                head = _head(row, published)
                known = found.get(head.key)
                if known is None or head.revision > known.revision:
                    found[head.key] = head
        return found

    def _published(self, part: Slice) -> set[TraceKey]:
        return {TraceKey(*row) for row in self._select(PUBLISHED_OF_DAY.format(within=within("anchor", part)))}

    def _select(self, sql: str) -> Sequence[Sequence[Any]]:
        try:
            return self._client.query(sql, settings=SETTINGS, column_formats=BYTES).result_rows
        except Exception as error:
            raise StoreUnavailable(f"reading back: {sentence_of(error)}") from error


def _head(row: Sequence[Any], published: set[TraceKey]) -> StoredHead:
    tenant, trace_id, *numbers, outcomes, span_ids, evaluators, steps, verdicts = row
    key = TraceKey(tenant, trace_id)
    targets = ((b"" if span_id == TRAJECTORY_SPAN else span_id) for span_id in span_ids)
    said = zip(steps, verdicts, strict=True)
    judged = dict(zip(zip(targets, evaluators, strict=True), said, strict=True))
    return StoredHead._make((key, *numbers, key in published, decode_trace(outcomes) if outcomes else None, judged))


@lru_cache(maxsize=4_096)
def _truth(body: bytes) -> TaskTruth:
    """The truth of a stored line: one and the same value for one line, so that what is derived from it is kept."""
    return parse_expectation(body, "expectations", 1)


@contextmanager
def _unusable_left_out(workflow: str, task_id: str) -> Iterator[None]:
    """Task truth that was put into the table past `load` must not stop a partition: its task is judged without."""
    try:
        yield
    except ConfigError as error:
        logger.warning("task truth of %s/%s cannot be used: %s", workflow, task_id, error)
