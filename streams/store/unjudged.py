"""Which decided traces to judge again: those of which more is stored than was judged, and those of a span of time.

Answered a day of anchors at a time, so that a month of traces is never held at once.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from clickhouse_connect.driver.client import Client

from schemas.trajectory import TraceKey
from streams.store.errors import StoreUnavailable, sentence_of
from streams.store.keys import DAY_MS, instant, literal
from streams.store.reader import SETTINGS

# A row is judged at a log clock at or after everything that it holds: what was received since then it may lack. Who reads
# the trace back counts exactly.
UNJUDGED = """
SELECT partition, tenant, trace_id FROM
(
    SELECT partition, tenant, trace_id, argMax(state, revision) AS state, argMax(last_log_at, revision) AS judged_at
    FROM trajectories WHERE anchor >= {first} AND anchor < {end}{partitions}
    GROUP BY partition, tenant, trace_id
) AS judged
INNER JOIN
(
    SELECT tenant, trace_id, max(last_received) AS received FROM trace_ix
    WHERE last_received >= {since} GROUP BY tenant, trace_id
) AS seen USING (tenant, trace_id)
WHERE judged.state = 'decided' AND seen.received >= judged.judged_at
ORDER BY tenant, trace_id LIMIT {limit}
"""
DECIDED = """
SELECT tenant, trace_id FROM trajectories FINAL
WHERE anchor >= {first} AND anchor < {end} AND state = 'decided'{narrowed}
    AND (tenant, trace_id) IN (SELECT tenant, trace_id FROM published WHERE anchor >= {first} AND anchor < {end})
ORDER BY toStartOfFiveMinutes(anchor), tenant, trace_id
"""
OVERDUE = """
SELECT partition, count() FROM
(
    SELECT tenant, trace_id, argMax(partition, revision) AS partition, argMax(state, revision) AS state,
        argMax(deadline, revision) AS deadline
    FROM trajectories WHERE anchor >= {first} GROUP BY tenant, trace_id
) AS newest
INNER JOIN (SELECT partition, max(last_log_at) AS clock FROM partition_clock GROUP BY partition) AS clocks USING (partition)
WHERE state = 'open' AND deadline < clock - INTERVAL 10 MINUTE
GROUP BY partition ORDER BY partition
"""
LIMIT = 100_000  # of a day: the next sweep finds the others


def unjudged(
    client: Client, first_ms: int, end_ms: int, since_ms: int, partitions: Iterable[int] | None = None
) -> dict[int, list[TraceKey]]:
    """Decided traces with an anchor in [first, end) that have received something since `since_ms` which their row may
    lack, by partition; of these partitions, or of all. Raises StoreUnavailable."""
    numbers = None if partitions is None else ", ".join(str(int(partition)) for partition in partitions)
    mine = "" if numbers is None else f" AND partition IN ({numbers or -1})"
    found: dict[int, list[TraceKey]] = {}
    for first, end in days(first_ms, end_ms):
        sql = UNJUDGED.format(
            first=instant(first), end=instant(end), since=instant(max(since_ms, first)), partitions=mine, limit=LIMIT
        )
        for partition, tenant, trace_id in _rows(client, sql):
            found.setdefault(partition, []).append(TraceKey(tenant, trace_id))
    return found


def decided(
    client: Client, first_ms: int, end_ms: int, workflow: str | None, below_seq: int | None
) -> Iterator[list[TraceKey]]:
    """Decided and published traces with an anchor in [first, end), day by day, in the order of the table; of one workflow,
    and of those judged under an older config than `below_seq`, where given. Raises StoreUnavailable."""
    narrowed = "" if workflow is None else f" AND workflow = {literal(workflow)}"
    narrowed += "" if below_seq is None else f" AND config_seq < {int(below_seq)}"
    for first, end in days(first_ms, end_ms):
        sql = DECIDED.format(first=instant(first), end=instant(end), narrowed=narrowed)
        yield [TraceKey(tenant, trace_id) for tenant, trace_id in _rows(client, sql)]


def overdue(client: Client, first_ms: int) -> dict[int, int]:
    """Open traces by partition whose deadline is long past by their partition's own clock: nobody works on it."""
    rows = _rows(client, OVERDUE.format(first=instant(first_ms)))
    return {int(partition): int(n) for partition, n in rows}


def days(first_ms: int, end_ms: int) -> Iterator[tuple[int, int]]:
    """[first, end) cut at midnights UTC."""
    while first_ms < end_ms:
        midnight = min((first_ms // DAY_MS + 1) * DAY_MS, end_ms)
        yield first_ms, midnight
        first_ms = midnight


def _rows(client: Client, sql: str) -> Sequence[Sequence[Any]]:
    try:
        return client.query(sql, settings=SETTINGS).result_rows
    except Exception as error:
        raise StoreUnavailable(f"looking for traces to judge: {sentence_of(error)}") from error
