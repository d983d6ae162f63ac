"""What the gateway did since it started: the sender's side of the ledger.

Every span of a readable request is accepted (Kafka has it), refused by reason, or answered "try again" (not
acknowledged in time: the sender sends it again, and Kafka may have it already). Every other request is counted by its
HTTP status.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any

from schemas.signal import LOGS


@dataclass(slots=True)
class GatewayCounts:
    """Running totals; one writer, the event loop."""

    accepted_spans: int = 0
    refused_spans: Counter[str] = field(default_factory=Counter)  # by reason
    retried_spans: int = 0  # answered with 503 after they were read
    accepted_logs: int = 0
    refused_logs: Counter[str] = field(default_factory=Counter)  # by reason
    retried_logs: int = 0
    ignored_logs: int = 0  # records that hold nothing of a span: an application's own log
    throttled: Counter[str] = field(default_factory=Counter)  # requests over their tenant's limit, by tenant
    records: int = 0  # acknowledged by Kafka
    record_bytes: int = 0
    failed_records: int = 0  # sends that Kafka did not take
    requests: Counter[int] = field(default_factory=Counter)  # by HTTP status

    def settle(self, signal: str, accepted: int, refused: Iterable[str]) -> None:
        """Spans or log records of a request that was answered for good."""
        if signal == LOGS:
            self.accepted_logs += accepted
            self.refused_logs.update(refused)
        else:
            self.accepted_spans += accepted
            self.refused_spans.update(refused)

    def retry(self, signal: str, n: int) -> None:
        """Of a request that must come again."""
        if signal == LOGS:
            self.retried_logs += n
        else:
            self.retried_spans += n

    def as_json(self) -> dict[str, Any]:
        """The totals as plain data for `/stats`."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: dict(value) if isinstance(value, Counter) else value for name, value in values.items()}
