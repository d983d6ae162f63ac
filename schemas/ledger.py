"""Rows by which the pipeline accounts for itself: the ledger, and the index of dead letters. Pure values.

The law (promise P1): in every ledger row `spans == stored + duplicate + sampled_out + dead_lettered`. A record that
cannot be split counts as one span, dead-lettered.
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

    @property
    def closes(self) -> bool:
        """Whether every span is accounted for."""
        return self.spans == self.stored + self.duplicate + self.sampled_out + self.dead_lettered


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
