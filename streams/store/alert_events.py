"""The row of `alert_events`: one transition of one alert, as published on the alert topic. A pure value."""

from collections.abc import Mapping
from typing import NamedTuple


class AlertEventRow(NamedTuple):
    """One transition. (alert_key, episode, seq) is its identity: an event published again replaces itself."""

    alert_key: str
    episode: int
    seq: int
    id: str
    type: str
    status: str
    reason: str
    tenant: str
    workflow: str
    step: str
    evaluator: str
    rule_uid: str
    rule_version: str
    severity: str
    starts_ms: int
    fired_ms: int | None
    resolved_ms: int | None
    event_ms: int
    labels: Mapping[str, str]
    n: int
    fails: int
    rate: float | None
    lo: float | None
    hi: float | None
    payload: str  # the published JSON
