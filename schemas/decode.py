"""Raw span -> `Span`: the one door through which every span enters, streaming, offline and read back.

Pure: the same bytes, tenant and append time give the same value. Values are cut at 64 KiB and attributes at 256 before anything
is judged or stored, so that read-back and replay see what was judged; the content hash is taken before that.
Broken spans raise `InvalidOtlp` with a sentence; the caller dead-letters or refuses that span alone.
"""

import sys
from typing import Any, Final, NamedTuple

from google.protobuf.message import DecodeError
from xxhash import xxh3_64_intdigest

from schemas import dialects
from schemas.cut import VALUE_BYTES_MAX, cut_count, cut_values
from schemas.dialects.truth import expectation_of, task_of
from schemas.dialects.view import View
from schemas.naming import NOTHING, Watched, marks_of
from schemas.otlp import InvalidOtlp, parse_resource, parse_scope, parse_span
from schemas.redaction.redactor import Redactor
from schemas.span import CLOCK_SUSPECT, DROPPED_ATTRIBUTES, INVALID_UTF8, TRUNCATED, RawSpan, Span

EVENTS_MAX: Final = 128
SPAN_BYTES_MAX: Final = 1024 * 1024  # after cutting; above it the span is dead-lettered
DAY_MS: Final = 86_400_000
_CACHE_MAX: Final = 4_096
_new: Final = tuple.__new__  # a named tuple's own constructor of so many fields takes twice as long

_ZERO_TRACE, _ZERO_SPAN = bytes(16), bytes(8)
_names: Final[dict[bytes, str]] = {}


class Resource(NamedTuple):
    """What every span and log record of a resource shares."""

    id: int
    service: str
    release: str
    workflow: str
    session_id: str


_resources: Final[dict[bytes, Resource]] = {}
_scopes: Final[dict[bytes, str]] = {}


def bound(raw: RawSpan) -> tuple[RawSpan, int]:
    """The raw span within the bounds, and the flags of what was cut. Most spans are returned as they are."""
    if len(raw.span) <= VALUE_BYTES_MAX:
        return raw, 0
    message = _parse(raw.span)
    cut = cut_values(message.attributes) + cut_count(message.attributes)
    for event in message.events:
        cut += cut_values(event.attributes)
    if len(message.events) > EVENTS_MAX:
        del message.events[EVENTS_MAX:]
        cut += 1
    if not cut:
        return raw, 0
    span = message.SerializeToString(deterministic=True)
    if len(span) > SPAN_BYTES_MAX:
        raise InvalidOtlp(f"span of {len(raw.span)} bytes stays over {SPAN_BYTES_MAX} after cutting its values")
    return raw._replace(span=span), TRUNCATED


def decode(
    raw: RawSpan,
    tenant: str,
    received_ms: int,
    content_hash: int | None = None,
    flags: int = 0,
    watched: Watched = NOTHING,
    redactor: Redactor | None = None,
) -> tuple[Span, RawSpan]:
    """The normalised span and the raw span as it is to be stored.

    `content_hash` and `flags` are given when a stored span is read back: it was cut and redacted already. `watched` are the keys
    that naming rules look at: their values are kept. Without a redactor all content is kept.
    """
    try:
        return _decode(raw, tenant, received_ms, content_hash, flags, watched, redactor)
    except UnicodeDecodeError as error:  # the map of attributes decodes its keys only when it is walked
        raise InvalidOtlp(f"an attribute key is not UTF-8: {error}") from error


def _decode(
    raw: RawSpan,
    tenant: str,
    received_ms: int,
    content_hash: int | None,
    flags: int,
    watched: Watched,
    redactor: Redactor | None,
) -> tuple[Span, RawSpan]:
    digest = xxh3_64_intdigest(raw.span) if content_hash is None else content_hash
    raw, cut = bound(raw)
    message = _parse(raw.span)
    if redactor is not None:
        raw, taken = redactor.span(raw, tenant)
        flags |= taken
        message = _parse(raw.span)
    trace_id, span_id, parent_id = message.trace_id, message.span_id, message.parent_span_id
    if len(trace_id) != 16 or trace_id == _ZERO_TRACE:
        raise InvalidOtlp(f"trace id must be 16 bytes, not all zero: {trace_id.hex() or 'empty'}")
    if len(span_id) != 8 or span_id == _ZERO_SPAN:
        raise InvalidOtlp(f"span id must be 8 bytes, not all zero: {span_id.hex() or 'empty'}")
    if len(parent_id) != 8 or parent_id == _ZERO_SPAN:
        parent_id = b""
    resource = resource_of(raw.resource)
    name = _names.get(message.name) or _read_name(message.name)
    view = View(
        message.attributes, name, _scopes.get(raw.scope) or _read_scope(raw.scope), not parent_id, message.events
    )
    dialect, said = dialects.read(view)
    marks = marks_of(view, raw.resource, watched) if watched is not NOTHING else ()
    start_ns, end_ns = message.start, message.end
    flags |= cut | view.flags | _clock_flags(start_ns, end_ns, received_ms)
    if message.dropped_attributes_count:
        flags |= DROPPED_ATTRIBUTES
    if "\ufffd" in name or "\ufffd" in (said.arguments or "") or "\ufffd" in (said.result or ""):
        flags |= INVALID_UTF8
    status = message.status
    exception, escaped = _exception(message) if message.events else ("", False)
    span = _new(
        Span,
        (
            tenant,
            received_ms,
            trace_id,
            span_id,
            parent_id,
            digest,
            name,
            said.kind,
            dialect,
            resource.service,
            said.workflow or resource.workflow,
            said.agent,
            said.tool,
            said.call_id,
            said.model,
            said.provider,
            said.session_id or resource.session_id,
            task_of(view),
            start_ns,
            max(start_ns, end_ns),
            status.code if status.code in (0, 1, 2) else 0,
            status.message.decode("utf-8", "replace"),
            said.error_type,
            said.input_tokens,
            said.output_tokens,
            flags,
            said.arguments,
            said.result,
            exception,
            escaped,
            said.cost_usd,
            said.input_messages,
            said.output_messages,
            said.tool_definitions,
            expectation_of(view),
            view.is_root or view.get("stepwatch.trajectory.end") is not None,
            resource.release,
            resource.id,
            said.operation,
            said.finish_reasons,
            said.target,
            marks,
        ),
    )
    return span, raw


def _parse(span: bytes) -> Any:
    try:
        return parse_span(span)
    except DecodeError as error:
        raise InvalidOtlp(f"not an OTLP span: {error}") from error


def _clock_flags(start_ns: int, end_ns: int, received_ms: int) -> int:
    suspect = abs(start_ns // 1_000_000 - received_ms) > DAY_MS or end_ns < start_ns
    return CLOCK_SUSPECT if suspect else 0


def _exception(message: Any) -> tuple[str, bool]:
    for event in message.events:
        if event.name == b"exception":
            view = View(event.attributes, "", "", False)
            kind, text = view.low("exception.type"), view.text("exception.message") or ""
            return f"{kind}: {text[:1000]}", (view.text("exception.escaped") or "").lower() == "true"
    return "", False


def _read_name(name: bytes) -> str:
    text = sys.intern(name.decode("utf-8", "replace"))
    if len(_names) < _CACHE_MAX:
        _names[name] = text
    return text


def resource_of(resource: bytes) -> Resource:
    """A resource read, from one bounded cache. Raises InvalidOtlp."""
    return _resources.get(resource) or _read_resource(resource)


def _read_resource(resource: bytes) -> Resource:
    try:
        view = View(parse_resource(resource).attributes, "", "", False)
    except DecodeError as error:
        raise InvalidOtlp(f"not an OTLP resource: {error}") from error
    known = Resource(
        xxh3_64_intdigest(resource),
        view.lowest("service.name", "openinference.project.name"),
        view.low("service.version"),
        view.low("gen_ai.workflow.name"),
        view.first("session.id") or "",
    )
    if len(_resources) < _CACHE_MAX:
        _resources[resource] = known
    return known


def _read_scope(scope: bytes) -> str:
    try:
        name = bytes(parse_scope(scope).name).decode("utf-8", "replace")
    except DecodeError:
        name = ""
    if len(_scopes) < _CACHE_MAX:
        _scopes[scope] = name
    return name
