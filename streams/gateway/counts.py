"""What the gateway did since it started: the sender's side of the ledger.

Every span of a readable request is accepted (Kafka has it), refused by reason, or answered "try again" (not
acknowledged in time: the sender sends it again, and Kafka may have it already). Every other request is counted by its
HTTP status.
"""

from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(slots=True)
class GatewayCounts:
    """Running totals; one writer, the event loop."""

    accepted_spans: int = 0
    refused_spans: Counter[str] = field(default_factory=Counter)  # by reason
    retried_spans: int = 0  # answered with 503 after they were read
    records: int = 0  # acknowledged by Kafka
    record_bytes: int = 0
    failed_records: int = 0  # sends that Kafka did not take
    requests: Counter[int] = field(default_factory=Counter)  # by HTTP status

    def as_json(self) -> dict[str, Any]:
        """The totals as plain data for `/stats`."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: dict(value) if isinstance(value, Counter) else value for name, value in values.items()}
