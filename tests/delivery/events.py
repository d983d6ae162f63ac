"""Alert events for the tests of delivery: a real fold's, and messages of them."""

from typing import Any

from schemas.alert import AlertEvent, Pipeline
from schemas.cloud_event import to_cloud_event
from streams.delivery.message import Message
from tests.outcomes import RULES, alerts, new_fold, run, timeline

LABELLED = RULES + "    labels: {team: ops}\n    runbook_url: https://example.com/runbook\n    severity: critical\n"
EVENTS = alerts(run(new_fold(LABELLED), timeline((100, 0), (700, 0.9), (400, 0))))
FIRING = next(e for e in EVENTS if e.type == "firing")
UPDATED = next(e for e in EVENTS if e.type == "updated")
RESOLVED = next(e for e in EVENTS if e.type == "resolved")


def message(event: AlertEvent = FIRING, offset: int = 0, partition: int = 0, **fields: Any) -> Message:
    """The event as it lies on the topic."""
    event = event._replace(**fields)
    _, headers, value = to_cloud_event(event, Pipeline(event.time_ms + 1_000, "0.1.0"))
    return Message(event, tuple(headers), value, partition, offset)


def series(key: str, seq: int = 1, offset: int = 0, **fields: Any) -> Message:
    """An event of some alert, by a short name."""
    return message(offset=offset, alert_key=key, seq=seq, **fields)
