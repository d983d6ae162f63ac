"""Rows by which the pipeline accounts for itself: the ledger, and the index of dead letters. Pure values.

The law (promise P1): in every ledger row `spans == stored + duplicate + sampled_out + dead_lettered`, and of log records
`log_records == logs_stored + logs_duplicate + logs_ignored + logs_dead_lettered`. A record that cannot be split counts as
one span (or log record, where its header says so), dead-lettered.
"""

from typing import NamedTuple


class LedgerRow(NamedTuple):
    """What became of the records first_offset..last_offset of a partition, of one tenant, in one flush.

    `epoch` counts the assignments of the partition upward: rows of a later epoch supersede those of earlier ones from
    its first offset on, because a new owner starts again at the committed offset.
    """

    topic: str
    partition: int
    epoch: int
    first_offset: int
    last_offset: int
    tenant: str
    records: int
    spans: int
    stored: int
    duplicate: int
    sampled_out: int
    dead_lettered: int
    log_records: int = 0
    logs_stored: int = 0
    logs_duplicate: int = 0
    logs_ignored: int = 0  # they hold no content of a span
    logs_dead_lettered: int = 0

    @property
    def closes(self) -> bool:
        """Whether every span and log record is accounted for."""
        logs = self.logs_stored + self.logs_duplicate + self.logs_ignored + self.logs_dead_lettered
        spans = self.stored + self.duplicate + self.sampled_out + self.dead_lettered
        return (self.spans, self.log_records) == (spans, logs)


class DeadLetter(NamedTuple):
    """Where a dead letter came from, and why it is one. Its bytes are on the dlq topic."""

    topic: str
    partition: int
    offset: int
    item: int  # place of the span in its record
    tenant: str
    reason: str
    detail: str
    received_ms: int


class GatewayRow(NamedTuple):
    """What a gateway made of spans (or log records) since its word before: sent = in the log + refused + ignored.

    `alive` rows hold nothing: they say that it lives, and `is_last` that it ended well. Of what is in the log: the
    partition, and the range of offsets that its records lie in.
    """

    topic: str
    gateway: str
    seq: int
    started_ms: int
    told_ms: int
    is_last: int
    tenant: str
    signal: str
    outcome: str  # alive, in_log, refused, ignored
    reason: str = ""
    partition: int = 0
    first_offset: int = 0
    last_offset: int = 0
    n: int = 0
