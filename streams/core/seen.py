"""Which traces were counted lately: outcomes are published at least once, and a trace counts once.

A rotating filter of two halves, an hour of append time each, so that a repetition within an hour is always seen. It
holds every id seen, counted or dropped. It is not part of a checkpoint (ids do not compress): it is rebuilt by reading
the log again from `since`, where its older half began. The law: the same records from there give the same filter.
"""

from typing import NamedTuple

from xxhash import xxh3_64_intdigest

HALF_MS = 3_600_000
HALF_IDS_MAX = 1_000_000  # about 100 MB in all; a fuller half is rotated early, and counted


class Since(NamedTuple):
    """Where the filter's older half begins in the log."""

    offset: int
    hour: int  # of append time, since the epoch


START = Since(0, 0)


class SeenTraces:
    """The filter of one partition."""

    def __init__(self, since: Since = START) -> None:
        self.since = since
        self.rotated_early = 0
        self._newer_since = since
        self._older: set[int] = set()
        self._newer: set[int] = set()

    def advance(self, append_ms: int, offset: int) -> None:
        """Make room before the record at `offset` is taken; called for every record, in order."""
        hour = append_ms // HALF_MS
        if hour > self._newer_since.hour + 1:
            self._rotate(Since(offset, hour))
            self._rotate(Since(offset, hour))
        elif hour > self._newer_since.hour:
            self._rotate(Since(offset, hour))
        elif len(self._newer) >= HALF_IDS_MAX:
            self.rotated_early += 1
            self._rotate(Since(offset, self._newer_since.hour))

    def _rotate(self, now: Since) -> None:
        self._older, self._newer = self._newer, set()
        self.since, self._newer_since = self._newer_since, now

    def add(self, tenant: str, trace_id: str) -> bool:
        """Remember a trace; whether it is new."""
        key = xxh3_64_intdigest(f"{tenant}\x00{trace_id}".encode())
        is_new = key not in self._newer and key not in self._older
        self._newer.add(key)  # a repetition too: else what a half holds would depend on what came before `since`
        return is_new
