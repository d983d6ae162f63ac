"""The row of `alert_events`: one transition of one alert, as published on the alert topic. A pure value."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from clickhouse_connect.driver.client import Client

from schemas.alert import AlertEvent
from schemas.alert_note import AlertNote
from schemas.cloud_event import from_body
from streams.store.errors import StoreUnavailable, sentence_of

FOUND_MAX = 20
FIND = """
SELECT type, toUnixTimestamp64Milli(event_time), payload FROM alert_events FINAL
WHERE id = {wanted:String} OR startsWith(alert_key, {wanted:String})
ORDER BY episode DESC, seq DESC LIMIT 1 BY alert_key LIMIT {most:UInt32}
"""


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


NOTES = """
SELECT alert_key, episode, toUnixTimestamp64Milli(at), kind, by, text FROM alert_notes FINAL
WHERE alert_key IN {keys:Array(String)} ORDER BY at, kind, by
"""


def notes_of(client: Client, keys: Sequence[str]) -> list[AlertNote]:
    """What people said of these alerts, of all their firings, oldest first. Raises StoreUnavailable."""
    try:
        rows = client.query(NOTES, parameters={"keys": list(keys)}).result_rows
    except Exception as error:
        raise StoreUnavailable(f"reading notes of alerts: {sentence_of(error)}") from error
    return [AlertNote(*row) for row in rows]


def find(client: Client, wanted: str) -> list[AlertEvent]:
    """The event with this id; or of each alert whose key begins so the newest. Raises StoreUnavailable, ValueError."""
    try:
        rows = client.query(FIND, parameters={"wanted": wanted, "most": FOUND_MAX}).result_rows
    except Exception as error:
        raise StoreUnavailable(f"reading alert events: {sentence_of(error)}") from error
    return [from_body(kind, time_ms, payload) for kind, time_ms, payload in rows]
