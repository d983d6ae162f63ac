"""Content that only log records hold, put where its span lacks it.

What the span itself says wins; a log record fills what is None. Which records of a span come first is told by their own times,
then by the number that the producer gave them, then by their hash: never by arrival. So the joined span is a function of the
set of items, and an instrumentor that captures content as events gives the same steps as one that captures it in attributes.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from schemas.dialects.logged import is_piece
from schemas.dialects.reading import CALLS
from schemas.log_record import LogRecord
from schemas.span import TRUNCATED, Span

JOINED_CHARS_MAX = 1 << 20  # of the messages of one span, each way; what comes after is left out, and flagged


def joined(spans: Mapping[bytes, Span], logs: Iterable[LogRecord]) -> Mapping[bytes, Span]:
    """The spans with what their log records tell; those that lack nothing, or are told nothing, are the very same."""
    of_span: dict[bytes, list[LogRecord]] = {}
    for log in logs:
        if log.span_id in spans:
            of_span.setdefault(log.span_id, []).append(log)
    if not of_span:
        return spans
    filled = dict(spans)
    for span_id, records in of_span.items():
        records.sort(key=lambda log: (log.time_ns, log.place, log.content_hash))
        filled[span_id] = _filled(spans[span_id], records)
    return filled


def _filled(span: Span, records: list[LogRecord]) -> Span:
    said: dict[str, Any] = {}
    if span.kind in CALLS:
        for field in ("arguments", "result"):
            if getattr(span, field) is None:
                said[field] = _first(getattr(record, field) for record in records)
    else:
        for field in ("input_messages", "output_messages"):
            if getattr(span, field) is None:
                said[field], said["flags"] = _messages(records, field, said.get("flags", span.flags))
        if span.tool_definitions is None:
            said["tool_definitions"] = _first(record.tool_definitions for record in records)
    if not span.exception:
        said["exception"] = next((record.exception for record in records if record.exception), "")
    changed = {field: value for field, value in said.items() if value != getattr(span, field)}
    if not changed:
        return span
    for record in records:
        changed["flags"] = changed.get("flags", span.flags) | record.flags
    return span._replace(**changed)


def _messages(records: list[LogRecord], field: str, flags: int) -> tuple[str | None, int]:
    """The messages of a call: of the last record that holds all of them, else of all that hold one each."""
    texts = [(record.name, text) for record in records if (text := getattr(record, field)) is not None]
    whole = [text for name, text in texts if not is_piece(name)]
    if whole or not texts:
        return (whole[-1] if whole else None), flags
    kept = list(_within(text for _, text in texts))
    if len(kept) < len(texts):
        flags |= TRUNCATED
    return (kept[0] if len(kept) == 1 else f"[{','.join(text[1:-1] for text in kept)}]"), flags


def _within(texts: Iterable[str]) -> Iterator[str]:
    """The texts, JSON arrays each, as far as the bound on them all."""
    left = JOINED_CHARS_MAX
    for text in texts:
        left -= len(text)
        if left < 0:
            return
        yield text


def _first(values: Iterable[str | None]) -> str | None:
    return next((value for value in values if value is not None), None)
