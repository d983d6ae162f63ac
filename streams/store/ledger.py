"""The ledger of losses, read: what became of every span and log record of the log, and whether the sum closes."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from clickhouse_connect.driver.client import Client

from streams.store.errors import StoreUnavailable, sentence_of
from streams.store.reader import SETTINGS

SUMS = """
SELECT partition, tenant, first_offset, last_offset, spans, stored, duplicate, sampled_out, dead_lettered, missing,
    log_records, logs_stored, logs_duplicate, logs_ignored, logs_dead_lettered, logs_missing
FROM v1_ledger WHERE topic = {topic:String} ORDER BY partition, tenant
"""
# Flushes of a partition that are in force follow one another; where one begins later than the one before has ended, records
# were never accounted for.
GAPS = """
SELECT partition, sum(gap) FROM
(
    SELECT partition, greatest(0, toInt64(first_offset) - toInt64(any(last_offset) OVER before) - 1)
        * (row_number() OVER before_all > 1) AS gap
    FROM
    (
        SELECT DISTINCT partition, first_offset, last_offset FROM
        (
            SELECT *, min(toNullable(first_offset)) OVER
                (PARTITION BY partition ORDER BY epoch RANGE BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS superseded_from
            FROM ledger FINAL WHERE topic = {topic:String}
        )
        WHERE superseded_from IS NULL OR first_offset < superseded_from
    )
    WINDOW before AS (PARTITION BY partition ORDER BY first_offset ROWS BETWEEN 1 PRECEDING AND 1 PRECEDING),
        before_all AS (PARTITION BY partition ORDER BY first_offset)
)
GROUP BY partition HAVING sum(gap) > 0 ORDER BY partition
"""


class Sum(NamedTuple):
    """What became of the spans and log records of one tenant in one partition, as far as the ledger goes."""

    partition: int
    tenant: str
    first_offset: int
    last_offset: int
    spans: int
    stored: int
    duplicate: int
    sampled_out: int
    dead_lettered: int
    missing: int  # of spans: 0 where the sum closes
    log_records: int = 0
    logs_stored: int = 0
    logs_duplicate: int = 0
    logs_ignored: int = 0
    logs_dead_lettered: int = 0
    logs_missing: int = 0


def sums(client: Client, topic: str) -> list[Sum]:
    """All sums of a topic, by partition and tenant. Raises StoreUnavailable."""
    return [Sum(*row) for row in select(client, SUMS, topic)]


def gaps(client: Client, topic: str) -> dict[int, int]:
    """Records of a topic by partition that lie between accounted ones and are not accounted for. Raises StoreUnavailable."""
    return {int(partition): int(n) for partition, n in select(client, GAPS, topic)}


def unaccounted(found: Sequence[Sum], committed: dict[int, int]) -> dict[int, int]:
    """Records by partition that are committed and beyond the end of the ledger: it is written before each commit."""
    ends: dict[int, int] = {}
    for each in found:
        ends[each.partition] = max(ends.get(each.partition, 0), each.last_offset + 1)
    # A partition of which the ledger knows nothing may have outlived it: rows are kept for 30 days.
    return {p: offset - ends[p] for p, offset in committed.items() if p in ends and offset > ends[p]}


def select(client: Client, sql: str, topic: str, **parameters: str | int) -> Sequence[Sequence[Any]]:
    """Rows of a question about a topic. Raises StoreUnavailable."""
    try:
        return client.query(sql, parameters={"topic": topic, **parameters}, settings=SETTINGS).result_rows
    except Exception as error:
        raise StoreUnavailable(f"reading the ledger: {sentence_of(error)}") from error
