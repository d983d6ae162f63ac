"""Rows turned into columns, as the driver wants them: which field is which column, and values brought into range.

Pure: no client, no clock. The law: a value that a producer can choose (times, counts) never fails an insert; it is
clamped to what its column holds, and decode has flagged it. A value of our own that does not fit is our bug and fails.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from schemas.log_record import LOG_COLUMNS
from schemas.outcome import encode_trace
from schemas.result import RESULT_COLUMNS
from schemas.rows import LogRow, SpanRow, TrajectoryRow
from schemas.span import SPAN_COLUMNS

Column = Sequence[Any]

MS_MAX: Final = 10_413_791_999_999  # 2299-12-31, the end of DateTime64(3)
NS_MAX: Final = 9_223_372_035_000_000_000  # 2262-04-11 23:47:15, the end of DateTime64(9)
RENAMED: Final = {
    "received_ms": "received_at",
    "anchor_ms": "anchor",
    "last_log_ms": "last_log_at",
    "deadline_ms": "deadline",
    "changed_log_ms": "changed_at",
    "start_ns": "start_time",
    "end_ns": "end_time",
    "time_ns": "time",
    "event_ns": "event_time",
    "starts_ms": "starts_at",
    "fired_ms": "fired_at",
    "resolved_ms": "resolved_at",
    "event_ms": "event_time",
    "at_ms": "at",
}
TIMES: Final = {
    "received_ms": MS_MAX,
    "anchor_ms": MS_MAX,
    "last_log_ms": MS_MAX,
    "deadline_ms": MS_MAX,
    "start_ns": NS_MAX,
    "end_ns": NS_MAX,
    "time_ns": NS_MAX,
}
CLAMPED: Final = TIMES | {
    "status": 255,
    "input_tokens": (1 << 63) - 1,
    "output_tokens": (1 << 63) - 1,
}


def column_of(field: str) -> str:
    """The column that holds a field of a row: times lose their unit, because the column has a type."""
    return RENAMED.get(field, field)


SPAN_NAMES: Final = (*map(column_of, SPAN_COLUMNS), "resource", "scope", "raw")
NESTED_NAMES: Final = tuple(f"results.{column_of(field)}" for field in RESULT_COLUMNS)
_HEAD: Final = tuple(field for field in TrajectoryRow._fields if field not in ("results", "outcomes"))
LOG_NAMES: Final = (*map(column_of, LOG_COLUMNS), "resource", "scope", "raw")
TRAJECTORY_NAMES: Final = (*map(column_of, _HEAD), *NESTED_NAMES, "outcomes")
_RESULTS: Final = TrajectoryRow._fields.index("results")
_EVENT_NS: Final = RESULT_COLUMNS.index("event_ns")
_NO_RESULTS: Final[tuple[Column, ...]] = ((),) * len(RESULT_COLUMNS)


def names_of(row: type[Any]) -> tuple[str, ...]:
    """The columns of a plain row type."""
    return tuple(map(column_of, row._fields))


def plain_columns(rows: Sequence[Any]) -> list[Column]:
    """Columns of rows whose fields are their columns, in order."""
    return _clamped(rows[0]._fields, zip(*rows, strict=True), TIMES)


def span_columns(rows: Sequence[SpanRow]) -> list[Column]:
    """Columns of spans, in the order of SPAN_NAMES."""
    columns = zip(*[row.span for row in rows], strict=True)
    return _clamped(SPAN_COLUMNS, columns, CLAMPED) + list(zip(*[row.raw for row in rows], strict=True))


def log_columns(rows: Sequence[LogRow]) -> list[Column]:
    """Columns of log records, in the order of LOG_NAMES."""
    columns = zip(*[row.log for row in rows], strict=True)
    return _clamped(LOG_COLUMNS, columns, CLAMPED) + list(zip(*[row.raw for row in rows], strict=True))


def trajectory_columns(rows: Sequence[TrajectoryRow]) -> list[Column]:
    """Columns of trajectories, in the order of TRAJECTORY_NAMES; each result column holds an array a row."""
    head = _clamped(_HEAD, zip(*[row[:_RESULTS] for row in rows], strict=True), CLAMPED)
    outcomes = [b"" if row.outcomes is None else encode_trace(row.outcomes) for row in rows]
    return [*head, *_nested(rows), outcomes]


def _nested(rows: Sequence[TrajectoryRow]) -> list[Column]:
    pivoted = [tuple(zip(*row.results, strict=True)) or _NO_RESULTS for row in rows]
    columns: list[Column] = list(zip(*pivoted, strict=True))
    columns[_EVENT_NS] = [clamp(times, NS_MAX) for times in columns[_EVENT_NS]]
    return columns


def _clamped(fields: Sequence[str], columns: Iterable[Column], highest: Mapping[str, int]) -> list[Column]:
    return [
        clamp(column, highest[field]) if field in highest else column
        for field, column in zip(fields, columns, strict=False)  # a span has more fields than columns
    ]


def clamp(values: Sequence[int], highest: int) -> Sequence[int]:
    """The values brought into [0, highest]; the very same sequence when they lie there, which is the usual case."""
    if not values or (min(values) >= 0 and max(values) <= highest):
        return values
    return [min(max(value, 0), highest) for value in values]
