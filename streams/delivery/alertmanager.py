"""Alertmanager API v2: an alert stands for as long as it is told so. Pure.

`Live` holds what Alertmanager was told and must be told again: what fires each minute, with an end four minutes off, so
that alerts end by themselves when we do; what is resolved for a quarter of an hour, in case an instance was away.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from schemas.alert import AlertEvent, spell_time
from streams.delivery.message import Request
from streams.delivery.webhook import authorization
from streams.delivery.wording import cause

PATH = "/api/v2/alerts"
RESEND_S = 60.0
FIRING_MS = 240_000  # four times RESEND_S
RESOLVED_MS = 900_000
TOGETHER_MAX = 64  # alerts of one request
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_]")


def request(alerts: Sequence[dict[str, Any]], root: str, bearer: str | None) -> Request:
    """Some alerts in one request."""
    headers = {"content-type": "application/json", **authorization(bearer)}
    return Request(root.rstrip("/") + PATH, headers, orjson.dumps(alerts))


def alert_of(event: AlertEvent, now_ms: int) -> dict[str, Any]:
    """The event as an alert. While it fires its end lies ahead."""
    ends_ms = now_ms + FIRING_MS if event.resolved_ms is None else event.resolved_ms
    annotations = {
        **dict(event.annotations),
        "cause": cause(event),
        "alert_key": event.alert_key,
        "runbook_url": event.rule.runbook_url,
    }
    traces = " ".join(exemplar.trace_id for exemplar in event.exemplars[:3])
    return {
        "labels": labels_of(event),
        "annotations": {_name(name): text for name, text in {**annotations, "traces": traces}.items() if text},
        "startsAt": spell_time(min(event.starts_ms, ends_ms)),
        "endsAt": spell_time(ends_ms),
    }


def labels_of(event: AlertEvent) -> dict[str, str]:
    """An alert's identity in Alertmanager. An empty value is no label there."""
    told = {**dict(event.labels), "tenant": event.tenant, "severity": event.rule.severity, "alertname": event.rule.uid}
    return {_name(name): text for name, text in told.items() if text}


def _name(name: str) -> str:
    word = _NOT_IN_NAMES.sub("_", name)
    return f"_{word}" if word[:1].isdigit() else word


class Live:
    """The newest delivered event of each alert that is still to be repeated."""

    def __init__(self, told: Iterable[AlertEvent] = ()) -> None:
        self._events = {event.alert_key: event for event in told}

    def alerts(self, event: AlertEvent, now_ms: int) -> list[dict[str, Any]]:
        """What to send for a new event. Its labels may have changed (severity): then the alert under the old ones ends."""
        before = self._events.get(event.alert_key)
        ended = []
        if before is not None and before.resolved_ms is None and labels_of(before) != labels_of(event):
            ended = [{**alert_of(before, now_ms), "endsAt": spell_time(max(before.starts_ms, now_ms))}]
        return [*ended, alert_of(event, now_ms)]

    def delivered(self, event: AlertEvent) -> None:
        """From now on it is repeated."""
        self._events[event.alert_key] = event

    def repeated(self, now_ms: int) -> list[list[dict[str, Any]]]:
        """All that is to be told again, in bounded requests; what need not be is forgotten."""
        self._events = {key: event for key, event in self._events.items() if _is_live(event, now_ms)}
        alerts = [alert_of(event, now_ms) for event in self._events.values()]
        return [alerts[i : i + TOGETHER_MAX] for i in range(0, len(alerts), TOGETHER_MAX)]


def _is_live(event: AlertEvent, now_ms: int) -> bool:
    """Whether it is to be repeated. An alert that nothing was heard of is not kept alive by us."""
    return event.expires_ms > now_ms if event.resolved_ms is None else event.resolved_ms + RESOLVED_MS > now_ms
