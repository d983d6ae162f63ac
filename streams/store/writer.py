"""Rows into ClickHouse: one INSERT per table and call, column by column, never row by row.

One thread may write at a time. A call that returns means that its rows are queryable (`async_insert=0`, and on a
cluster `distributed_foreground_insert=1`); a call that raises may be repeated, because every row is idempotent by its
key. There are no dedup tokens: a token drops rows whose content has changed under it.
"""

from collections.abc import Sequence
from typing import Any

from clickhouse_connect.datatypes.base import ClickHouseType
from clickhouse_connect.datatypes.registry import get_from_name
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.insert import InsertContext

from schemas.alert_note import AlertNote
from schemas.ledger import DeadLetter, GatewayRow, LedgerRow
from schemas.rows import LogRow, Published, SpanRow, TrajectoryRow, VerdictChange
from streams.store.alert_events import AlertEventRow
from streams.store.client import quote
from streams.store.columns import (
    LOG_NAMES,
    SPAN_NAMES,
    TRAJECTORY_NAMES,
    Column,
    log_columns,
    names_of,
    plain_columns,
    span_columns,
    trajectory_columns,
)
from streams.store.errors import classify

# Small blocks keep the encoded bytes of a flush from being held twice: 512 spans are about a megabyte.
BLOCK_ROWS = 512
SETTINGS = {"async_insert": 0, "insert_deduplicate": 0, "distributed_foreground_insert": 1}


class Writer:
    """Inserts. Each method takes any number of rows (none: nothing is sent); raises DataError or StoreUnavailable."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._types: dict[str, dict[str, ClickHouseType]] = {}

    def write_spans(self, rows: Sequence[SpanRow]) -> None:
        """Spans with their bytes. The one received first wins among equal (trace, span id, content)."""
        if rows:
            self._insert("spans", SPAN_NAMES, span_columns, rows)

    def write_logs(self, rows: Sequence[LogRow]) -> None:
        """Log records with their bytes. The one received first wins among equal (trace, span id, content)."""
        if rows:
            self._insert("log_records", LOG_NAMES, log_columns, rows)

    def write_trajectories(self, rows: Sequence[TrajectoryRow]) -> None:
        """Traces with their results. The greatest revision wins."""
        if rows:
            self._insert("trajectories", TRAJECTORY_NAMES, trajectory_columns, rows)

    def write_published(self, rows: Sequence[Published]) -> None:
        """Marks of traces whose outcomes the outcome log has acknowledged."""
        self._insert_plain("published", rows)

    def write_verdict_changes(self, rows: Sequence[VerdictChange]) -> None:
        """What late spans changed."""
        self._insert_plain("verdict_changes", rows)

    def write_ledger(self, rows: Sequence[LedgerRow]) -> None:
        """What became of the records of a flush."""
        self._insert_plain("ledger", rows)

    def write_gateway_ledger(self, rows: Sequence[GatewayRow]) -> None:
        """What a gateway made of what it was sent."""
        self._insert_plain("gateway_ledger", rows)

    def write_alert_events(self, rows: Sequence[AlertEventRow]) -> None:
        """Transitions of alerts."""
        self._insert_plain("alert_events", rows)

    def write_alert_notes(self, rows: Sequence[AlertNote]) -> None:
        """What people say of alerts."""
        self._insert_plain("alert_notes", rows)

    def write_dlq_index(self, rows: Sequence[DeadLetter]) -> None:
        """Where dead letters came from."""
        self._insert_plain("dlq_index", rows)

    def _insert_plain(self, table: str, rows: Sequence[Any]) -> None:
        if rows:
            self._insert(table, names_of(type(rows[0])), plain_columns, rows)

    def _insert(self, table: str, names: Sequence[str], pivot: Any, rows: Sequence[Any]) -> None:
        try:
            types = self._types_of(table)
            self._send(table, names, [types[name] for name in names], pivot(rows))
        except Exception as error:
            raise classify(error, f"INSERT INTO {table}") from error

    def _send(self, table: str, names: Sequence[str], types: Sequence[ClickHouseType], columns: list[Column]) -> None:
        context = InsertContext(
            f"{quote(self._client.database or 'default')}.{table}",
            names,
            types,
            columns,
            column_oriented=True,
            settings=SETTINGS,
            compression=self._client.write_compression or False,
            block_size=BLOCK_ROWS,
        )
        try:
            self._client.data_insert(context)
        finally:
            # The context holds a method bound to itself: a cycle that keeps the whole batch until a collection.
            context.__dict__.clear()

    def _types_of(self, table: str) -> dict[str, ClickHouseType]:
        if table not in self._types:
            described = self._client.query(f"DESCRIBE TABLE {table}").result_rows
            self._types[table] = {row[0]: get_from_name(row[1]) for row in described}
        return self._types[table]
