"""Slack, by an incoming webhook: a message an event, or one for many when they come too fast. Pure.

Names of others are never markup: they stand in `plain_text`, or have `&`, `<` and `>` escaped, so that no workflow
called `<!channel>` wakes everybody.
"""

from collections.abc import Sequence
from typing import Any

import orjson

from schemas.alert import AlertEvent, spell_time
from streams.delivery.message import Message, Request
from streams.delivery.wording import cut, description, runbook, series_name, summary

TOGETHER_FROM = 10  # more events than this waiting: they share a message
TOGETHER_MAX = 20
# Slack's own bounds.
HEADER_MAX, TEXT_MAX, FIELD_MAX = 150, 3_000, 2_000
LINE_MAX = 140  # of one event among many: all lines together stay below TEXT_MAX, escaped or not
TRACES_MAX = 3


def request(messages: Sequence[Message], url: str) -> Request:
    """One message for these events."""
    events = [message.event for message in messages]
    content = _one(events[0]) if len(events) == 1 else _many(events)
    return Request(url, {"content-type": "application/json"}, orjson.dumps(content))


def _one(event: AlertEvent) -> dict[str, Any]:
    fields = {
        "Severity": event.rule.severity,
        "Rule": event.rule.name,
        "Since": spell_time(event.starts_ms)[:16] + "Z",
        "Fired" if event.resolved_ms is None else "Resolved": spell_time(event.resolved_ms or event.fired_ms)[:16]
        + "Z",
    }
    shown = [{"type": "plain_text", "text": cut(f"{name}: {text}", FIELD_MAX)} for name, text in fields.items()]
    title = f"{event.type.upper()} {series_name(event)}"
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": cut(title, HEADER_MAX), "emoji": False}},
        _plain(cut(f"{summary(event)}\n{description(event)}".strip(), TEXT_MAX)),
        {"type": "section", "fields": shown},
    ]
    if details := _details(event):
        blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": cut(details, FIELD_MAX)}]})
    return {"text": escape(cut(f"{event.type.upper()} {summary(event)}", TEXT_MAX // 5)), "blocks": blocks}


def _details(event: AlertEvent) -> str:
    traces = " ".join(f"`{escape(exemplar.trace_id)}`" for exemplar in event.exemplars[:TRACES_MAX])
    link = runbook(event)
    said = [f"traces {traces}" if traces else "", f"<{escape(link)}|runbook>" if link and "|" not in link else ""]
    return "  ".join(text for text in said if text)


def _many(events: Sequence[AlertEvent]) -> dict[str, Any]:
    title = f"{len(events)} alert events"
    lines = [cut(f"{e.type.upper()} {e.rule.severity} {series_name(e)}", LINE_MAX) for e in events]
    header = {"type": "header", "text": {"type": "plain_text", "text": title, "emoji": False}}
    return {"text": title, "blocks": [header, _plain("\n".join(lines))]}


def _plain(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "plain_text", "text": text, "emoji": False}}


def escape(text: str) -> str:
    """Text that Slack shows as it is."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
