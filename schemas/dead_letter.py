"""A record of `eval.dlq`: bytes that could not be used, and why. Pure.

The scorer writes the span (or log record) alone in its frame (resource and scope), or the whole record where none could be
told from another; the alerter a record of the outcome log; delivery an alert event with its CloudEvents headers. Where it came
from stands in the headers, never in the value.
"""

from collections.abc import Iterable
from typing import NamedTuple

from schemas.signal import TRACES


class DeadLetterRecord(NamedTuple):
    """One record of the dlq topic."""

    dlq_partition: int
    dlq_offset: int
    value: bytes
    reason: str
    topic: str  # it came from; "": a row that the store refused
    partition: int  # there; -1: a row of ours, which came from no one record
    offset: int
    tenant: str
    target: str  # that delivery could not reach; "" for all others
    whole: bool  # False: the value was too long, only its beginning is kept
    logged_ms: int  # append time on the dlq topic
    signal: str = TRACES  # what a letter of the spans topic holds

    @property
    def place(self) -> str:
        """Its name at the command line."""
        return f"{self.dlq_partition}/{self.dlq_offset}"

    @property
    def origin(self) -> str:
        """Where it came from, for people."""
        return f"{self.topic}/{self.partition}/{self.offset}" if self.partition >= 0 else "a row of ours"

    @property
    def kind(self) -> str:
        """The reason without its particulars: of low cardinality."""
        return self.reason.partition(":")[0]


def read_dead_letter(
    partition: int, offset: int, logged_ms: int, value: bytes, headers: Iterable[tuple[str, bytes]]
) -> DeadLetterRecord:
    """A record as it lies on the topic. Headers that are missing or odd become empty: whatever lies there can be shown."""
    said = {name: text.decode("utf-8", "replace") for name, text in headers}
    return DeadLetterRecord(
        partition,
        offset,
        value,
        said.get("reason", ""),
        said.get("topic", ""),
        _number(said.get("partition")),
        _number(said.get("offset")),
        said.get("tenant") or "default",
        said.get("target", ""),
        _number(said.get("bytes", str(len(value)))) == len(value),
        logged_ms,
        said.get("signal") or TRACES,
    )


def read_place(text: str) -> tuple[int, int]:
    """`partition/offset` on the dlq topic. Raises ValueError with a sentence."""
    partition, slash, offset = text.partition("/")
    if not (slash and partition.isdecimal() and offset.isdecimal()):
        raise ValueError(f"{text!r} is no place on the dlq: `stepwatch dlq list` shows them as partition/offset")
    return int(partition), int(offset)


def _number(text: str | None) -> int:
    try:
        return int(text or "-1")
    except ValueError:
        return -1
