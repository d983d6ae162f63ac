"""The redactor: a raw span or log record -> the one that is judged and stored (architecture 6.4, reliability S11).

Each span has the stricter level of its tenant and of its workflow. The workflow is what the span itself, its resource, or a
naming rule that fits them says; one that says nothing may belong to any, and has the strictest level of all.

    keep     as it came
    mask     patterns replaced by tokens, in every text; what no reader of ours knows (links, trace state) goes
    strict   of the attributes only those of `schemas.redaction.keys`, masked; content leaves a placeholder

The law: it is a function of (bytes, tenant, registry, secret), idempotent, and closed: what cannot be redacted is not kept.
"""

from collections import Counter
from functools import lru_cache
from typing import Any

import orjson
from google.protobuf.message import DecodeError

from schemas import dialects
from schemas.cut import string_value
from schemas.dialects.view import View
from schemas.failure import control_flow, tells_error
from schemas.naming import marks_of, named_by
from schemas.otlp import InvalidOtlp, parse_log, parse_resource, parse_scope, parse_span, text_of
from schemas.redaction.keys import (
    EVENT_CONTENT,
    EVENT_STRUCTURE,
    METADATA,
    TYPES,
    is_asked_for,
    is_result,
    is_structure,
)
from schemas.redaction.levels import Level, strictest
from schemas.redaction.patterns import WHOLE, Masker, key_of
from schemas.redaction.values import masked, masked_text
from schemas.registry import Registry
from schemas.span import REDACTED, RawSpan

_CACHE_MAX = 4_096
_WHOLE = string_value(WHOLE)
_FAILED = string_value('{"error":"[REDACTED]"}')
_PLAIN_CHARS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./: ")
_PLAIN_MAX = 64


def redactor_of(registry: Registry, secret: bytes) -> "Redactor | None":
    """The redactor of this registry; None where nobody wants anything but `keep`."""
    return Redactor(registry, secret) if registry.redacts else None


class Redactor:
    """One registry and one secret. `counts`: values taken away, by kind, since somebody took the counts."""

    def __init__(self, registry: Registry, secret: bytes) -> None:
        self.counts: Counter[str] = Counter()
        self._registry = registry
        self._secret = secret
        self._maskers: dict[str, Masker] = {}
        self._frames: dict[tuple[bool, str, Level, bytes], bytes] = {}
        self._any_workflow = strictest(registry.workflow_levels)

    def span(self, raw: RawSpan, tenant: str) -> tuple[RawSpan, int]:
        """The span as it may be kept, and the flag REDACTED where something was taken away. Raises InvalidOtlp for what is no
        span."""
        level = self._level(raw, tenant)
        return (raw, 0) if level == "keep" else self._kept(raw, tenant, level, parse_span)

    def log(self, raw: RawSpan, tenant: str) -> tuple[RawSpan, int]:
        """The same of a log record."""
        level = strictest((self._registry.tenants.of(tenant), self._workflow_level(_workflow_of(raw.resource))))
        return (raw, 0) if level == "keep" else self._kept(raw, tenant, level, parse_log)

    # Which level.

    def _level(self, raw: RawSpan, tenant: str) -> Level:
        of_tenant = self._registry.tenants.of(tenant)
        if strictest((of_tenant, self._any_workflow)) == of_tenant:
            return of_tenant  # no workflow wants more
        return strictest((of_tenant, *map(self._workflow_level, self._names(raw) or ("",))))

    def _workflow_level(self, name: str) -> Level:
        return self._registry.workflow(name).redaction if name else self._any_workflow

    def _names(self, raw: RawSpan) -> list[str]:
        """What this span and its resource call the workflow."""
        message = parse_span(raw.span)
        name, scope = message.name.decode("utf-8", "replace"), _scope_of(raw.scope)
        view = View(message.attributes, name, scope, not message.parent_span_id)
        said = [dialects.read(view)[1].workflow, _workflow_of(raw.resource)]
        rule = named_by(self._registry.names, [marks_of(view, raw.resource, self._registry.watched)])
        return [name for name in (*said, rule.workflow if rule else "") if name]

    # What is kept.

    def _kept(self, raw: RawSpan, tenant: str, level: Level, parse: Any) -> tuple[RawSpan, int]:
        masker = self._masker(tenant)
        before = self.counts.total()
        message = parse(raw.span)
        try:
            self._redact(message, masker, level)
        except Exception:  # closed: whatever went wrong, nothing of the content passes
            self.counts["unreadable"] += 1
            message = parse(raw.span)
            _bare(message)
        kept = RawSpan(
            self._frame(True, raw.resource, tenant, level, masker),
            self._frame(False, raw.scope, tenant, level, masker),
            bytes(message.SerializeToString(deterministic=True)),
        )
        return kept, REDACTED if self.counts.total() > before else 0

    def _masker(self, tenant: str) -> Masker:
        found = self._maskers.get(tenant)
        if found is None:
            found = Masker(key_of(self._secret, tenant), self.counts)
            if len(self._maskers) < _CACHE_MAX:
                self._maskers[tenant] = found
        return found

    def _redact(self, message: Any, masker: Masker, level: Level) -> None:
        message.DiscardUnknownFields()
        is_log = message.DESCRIPTOR.name == "Log"
        self._attributes(message.attributes, masker, level, is_event=is_log)
        if is_log:
            return self._body(message, masker, level)
        _mask_name(message, masker)
        for event in message.events:
            _mask_name(event, masker)
            self._attributes(event.attributes, masker, level, is_event=True)
        if message.HasField("status") and message.status.message:
            message.status.message = self._status(message.status.message, masker, level)
        return None

    def _body(self, message: Any, masker: Masker, level: Level) -> None:
        body = message.body
        if body.HasField("kvlist"):
            self._attributes(body.kvlist.values, masker, level, is_event=True)
        elif body.HasField("text"):
            if level == "strict":
                self.counts["content"] += 1
                body.text = WHOLE.encode()
            else:
                body.text = masked_text(body.text.decode("utf-8", "replace"), masker).encode()

    def _attributes(self, attributes: Any, masker: Masker, level: Level, *, is_event: bool = False) -> None:
        for key in list(attributes):
            value = bytes(attributes[key])
            found = self._value(key, value, masker, level, is_event) if isinstance(key, str) else None
            if found is None:
                self.counts["attribute"] += 1
                del attributes[key]
            elif found != value:
                attributes[key] = found
            if isinstance(key, str) and found is not None and (name := masker.plain(key)) != key:
                attributes[name] = bytes(attributes[key])
                del attributes[key]

    def _value(self, key: str, value: bytes, masker: Masker, level: Level, is_event: bool) -> bytes | None:
        """What stands in the place of a value; None: nothing."""
        if level == "strict" and key in TYPES and " " in (said := text_of(value) or ""):
            value = string_value(said.split()[0].rstrip(":"))  # a sentence where a type should be
            self.counts["content"] += 1
        if level == "mask" or self._is_kept(key) or (is_event and key in EVENT_STRUCTURE):
            return masked(value, masker, key)
        if key == "metadata":
            return _metadata(value, masker)
        if key == "exception.message":
            return string_value(self._status((text_of(value) or "").encode(), masker, level).decode())
        if not (is_asked_for(key) or (is_event and key in EVENT_CONTENT)):
            return None
        found = _FAILED if is_result(key) and tells_error(text_of(value)) else _WHOLE
        if value not in (_WHOLE, found):
            self.counts["content"] += 1
        return found

    def _is_kept(self, key: str) -> bool:
        watched, allow = self._registry.watched, self._registry.tenants.allow
        if is_structure(key) or key in watched.span or key in watched.resource:
            return True
        return allow is not None and allow.match(key) is not None

    def _status(self, message: bytes, masker: Masker, level: Level) -> bytes:
        text = message.decode("utf-8", "replace")
        if level == "mask":
            return masked_text(text, masker).encode("utf-8", "replace")
        said = control_flow(text)  # what was no failure must not become one
        found = f"{said} {WHOLE}".strip() if text else ""
        if found != text:
            self.counts["content"] += 1
        return found.encode()

    def _frame(self, is_resource: bool, frame: bytes, tenant: str, level: Level, masker: Masker) -> bytes:
        """The resource or scope that is shared by many spans, from one bounded cache."""
        known = self._frames.get((is_resource, tenant, level, frame))
        if known is None:
            known = self._framed(is_resource, frame, masker, level)
            if len(self._frames) < _CACHE_MAX:
                self._frames[is_resource, tenant, level, frame] = known
        return known

    def _framed(self, is_resource: bool, frame: bytes, masker: Masker, level: Level) -> bytes:
        try:
            message = parse_resource(frame) if is_resource else parse_scope(frame)
            message.DiscardUnknownFields()
            if is_resource:
                self._attributes(message.attributes, masker, level)
            else:
                _mask_name(message, masker)
            return bytes(message.SerializeToString(deterministic=True))
        except DecodeError:
            return (
                frame if is_resource else b""
            )  # decode refuses a broken resource, and reads on without a broken scope
        except Exception:  # closed, as above
            self.counts["unreadable"] += 1
            return b""


@lru_cache(maxsize=_CACHE_MAX)
def _workflow_of(resource: bytes) -> str:
    try:
        return View(parse_resource(resource).attributes, "", "", False).low("gen_ai.workflow.name")
    except DecodeError:
        return ""  # decode will refuse it


@lru_cache(maxsize=_CACHE_MAX)
def _scope_of(scope: bytes) -> str:
    try:
        return bytes(parse_scope(scope).name).decode("utf-8", "replace")
    except DecodeError:
        return ""


def _mask_name(message: Any, masker: Masker) -> None:
    if message.name:
        message.name = masker.plain(message.name.decode("utf-8", "replace")).encode()


def _metadata(value: bytes, masker: Masker) -> bytes | None:
    text = text_of(value)
    try:
        said = orjson.loads(text or "")
    except orjson.JSONDecodeError:
        return None
    if not isinstance(said, dict):
        return None
    kept = {key: said[key] for key in said if key in METADATA and isinstance(said[key], str | int)}
    return string_value(masked_text(orjson.dumps(kept).decode(), masker)) if kept else None


def _is_plain(value: bytes) -> bool:
    try:
        text = text_of(value) or ""
    except InvalidOtlp:
        return False
    return len(text) <= _PLAIN_MAX and set(text) <= _PLAIN_CHARS


def _bare(message: Any) -> None:
    """Leave of a message what no secret can stand in: ids, times, the status, and names and kinds that are plain words."""
    message.DiscardUnknownFields()
    for key in list(message.attributes):
        if not (isinstance(key, str) and is_structure(key) and _is_plain(bytes(message.attributes[key]))):
            del message.attributes[key]
    if message.DESCRIPTOR.name == "Log":
        message.ClearField("body")
        return
    del message.events[:]
    message.name = b"(not kept)"
    if message.HasField("status"):
        message.status.message = b""
