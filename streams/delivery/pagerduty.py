"""PagerDuty Events API v2: an alert's key is the incident's, so repetitions join it and its end resolves it. Pure."""

from typing import Any

import orjson

from schemas.alert import spell_time
from streams.delivery.message import Message, Request
from streams.delivery.wording import cut, description, runbook, summary

SUMMARY_MAX = 1_024
BODY_BYTES_MAX = 512 * 1024  # beyond it PagerDuty refuses the event
CLASSES = {"info": "info", "warning": "warning", "error": "error", "critical": "critical"}


def request(message: Message, url: str, routing_key: str) -> Request:
    """Trigger or resolve."""
    event = message.event
    action = "resolve" if event.type == "resolved" else "trigger"
    content: dict[str, Any] = {"routing_key": routing_key, "event_action": action, "dedup_key": event.alert_key}
    if action == "trigger":
        content |= _trigger(message)
    body = orjson.dumps(content)
    if len(body) > BODY_BYTES_MAX:
        del content["payload"]["custom_details"]
        body = orjson.dumps(content)
    return Request(url, {"content-type": "application/json"}, body)


def _trigger(message: Message) -> dict[str, Any]:
    event, labels = message.event, dict(message.event.labels)
    payload = {
        "summary": cut(summary(event), SUMMARY_MAX),
        "source": event.source,
        "severity": CLASSES.get(event.rule.severity, "error"),
        "timestamp": spell_time(event.fired_ms),
        "component": labels.get("step", ""),
        "group": labels.get("workflow", ""),
        "class": labels.get("evaluator", ""),
        "custom_details": {"description": description(event), "event": orjson.Fragment(message.value)},
    }
    link = runbook(event)
    links = [{"href": link, "text": "Runbook"}] if link else []
    return {"payload": payload, "client": "Stepwatch", "links": links}
