"""Trace keys as SQL, and how a batch of them is cut so that the store reads little. Pure: text in, text out.

The law: no text of a producer is ever pasted into SQL as it is. Every byte becomes a `\\xNN` escape, so that a tenant
named `'; DROP TABLE` is a tenant.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from schemas.trajectory import TraceKey

Key = TypeVar("Key", bound=tuple[str | bytes, ...])

DAY_MS = 86_400_000
KEYS_MAX = 500  # of one SELECT: its text stays far below ClickHouse's 256 KiB


class Range(NamedTuple):
    """Received times of a trace's first and last span, ms since the epoch."""

    first_ms: int
    last_ms: int


class Slice(NamedTuple):
    """Keys that have something received between two times of one day."""

    first_ms: int
    last_ms: int
    keys: list[TraceKey]


def batches(keys: Iterable[Key]) -> Iterator[list[Key]]:
    """The distinct keys, in batches of one SELECT."""
    distinct = list(dict.fromkeys(keys))
    for at in range(0, len(distinct), KEYS_MAX):
        yield distinct[at : at + KEYS_MAX]


def slices(ranges: Mapping[TraceKey, Range]) -> list[Slice]:
    """The keys by day: one SELECT over ten days would look for every key in the parts of all ten."""
    by_day: dict[int, list[tuple[int, int, TraceKey]]] = {}
    for key, (first, last) in ranges.items():
        for day in range(first // DAY_MS, last // DAY_MS + 1):
            part = max(first, day * DAY_MS), min(last, (day + 1) * DAY_MS - 1)
            by_day.setdefault(day, []).append((*part, key))
    return [_slice(parts) for _, parts in sorted(by_day.items())]


def _slice(parts: list[tuple[int, int, TraceKey]]) -> Slice:
    return Slice(min(p[0] for p in parts), max(p[1] for p in parts), [p[2] for p in parts])


def literal(value: bytes | str) -> str:
    """A String literal of these bytes."""
    data = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    return "'" + (f"\\x{data.hex('~')}".replace("~", "\\x") if data else "") + "'"


def instant(ms: int) -> str:
    """A DateTime64(3) literal."""
    return f"fromUnixTimestamp64Milli({int(ms)}, 'UTC')"


def among(keys: Sequence[tuple[str | bytes, ...]]) -> str:
    """The keys as the right side of IN. There is at least one."""
    return "(" + ", ".join("(" + ", ".join(map(literal, key)) + ")" for key in keys) + ")"


def within(column: str, part: Slice) -> str:
    """The condition that a row belongs to this slice; `column` is its partition time."""
    between = f"{column} BETWEEN {instant(part.first_ms)} AND {instant(part.last_ms)}"
    return f"{between} AND (tenant, trace_id) IN {among(part.keys)}"
