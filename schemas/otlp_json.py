"""OTLP/JSON to raw spans: strict where an error would join the wrong things, liberal in spelling.

Not `json_format.Parse`: hex ids are valid base64, so it would silently read 24-byte trace ids. What senders really
write is accepted (span-conventions 7), several frames around the spans among it. A span that cannot be read is a
`Refusal` with a sentence; its neighbours go through. The spans come out as serialised OTLP, complete with events, links
and dropped counts; equal documents give equal bytes.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import orjson
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from schemas.jaeger import exports_of_jaeger, is_jaeger
from schemas.json_depth import shallow
from schemas.otlp import InvalidOtlp, TooManySpans
from schemas.otlp_values import (
    Json,
    Message,
    Unreadable,
    count,
    elements,
    enum,
    fill_attributes,
    get,
    identifier,
    json_text,
    nanos,
    text,
)
from schemas.span import RawSpan

FRAMES = ("resourceSpans", "resource_spans", "batches")
IDS = ("traceId", "trace_id", "spanId", "span_id")
OTHER_SIGNALS = {"resourceLogs": "logs", "resourceMetrics": "metrics", "resourceProfiles": "profiles"}
KINDS = {"INTERNAL": 1, "SERVER": 2, "CLIENT": 3, "PRODUCER": 4, "CONSUMER": 5}
STATUS_CODES = {"OK": 1, "ERROR": 2}


class Refusal(NamedTuple):
    """A span that was not taken: a reason of low cardinality, to count by, and a sentence for the sender."""

    reason: str
    detail: str
    value: bytes = b""  # the span as JSON text, where it was read as JSON


class _Found(NamedTuple):
    resource: bytes
    scope: bytes
    span: Json  # whatever stands where a span should


def spans_of_json(document: bytes, spans_max: int | None = None) -> tuple[list[RawSpan], list[Refusal]]:
    """The spans of one OTLP/JSON document, and those that were refused; together they are all that it holds.

    A document is an export request, `{"trace": request}`, a bare span, or a list of these. Raises InvalidOtlp when it
    is not JSON or holds something else: then no span can be told from another.
    """
    return spans_of(exports_in(load(document)), spans_max)


def spans_of(exports: Iterable[Json], spans_max: int | None = None) -> tuple[list[RawSpan], list[Refusal]]:
    """The same of exports that were read. Raises TooManySpans before it makes more than there may be."""
    spans: list[RawSpan] = []
    refusals: list[Refusal] = []
    for found in (found for export in exports for found in _of_export(export)):
        if spans_max is not None and len(spans) + len(refusals) >= spans_max:
            raise TooManySpans(f"more than {spans_max} in one request: send smaller batches")
        try:
            spans.append(RawSpan(found.resource, found.scope, _span(found.span)))
        except Unreadable as error:
            refusals.append(Refusal(error.reason, str(error), json_text(found.span).encode("utf-8", "replace")))
    return spans, refusals


def load(document: bytes) -> Json:
    """A document's value; what is nested too deeply to be read is a text that says so. Raises InvalidOtlp when it is not JSON."""
    try:
        return orjson.loads(document)
    except orjson.JSONDecodeError:
        return _load_odd(shallow(document))


def _load_odd(document: bytes) -> Json:
    """What orjson refuses but senders write: bare NaN, lone surrogates, bytes that are not UTF-8."""
    try:
        return json.loads(document.decode("utf-8", "replace"))
    except RecursionError as error:
        raise InvalidOtlp("not OTLP/JSON: nested too deeply") from error
    except ValueError as error:
        raise InvalidOtlp(f"not JSON: {error}") from error


def exports_in(document: Json) -> Iterator[Json]:
    """The exports of a document: itself, its elements, what lies under `trace` (Tempo) or `result` (Jaeger's v3), and the traces
    of Jaeger's older answers."""
    for export in document if isinstance(document, list) else [document]:
        if is_jaeger(export):
            yield from exports_of_jaeger(export)
            continue
        inner = (export.get("trace") or export.get("result")) if isinstance(export, Mapping) else None
        yield inner if isinstance(inner, Mapping) else export


def _of_export(export: Json) -> Iterator[_Found]:
    if not isinstance(export, Mapping):
        raise InvalidOtlp(f"not an OTLP trace export: a JSON object is wanted, not {type(export).__name__}")
    if any(name in export for name in FRAMES):
        for frame in elements(get(export, *FRAMES)):
            yield from _of_resource(frame)
    elif any(name in export for name in IDS):
        scope = get(export, "scope", "instrumentationScope", "instrumentationLibrary")
        yield _Found(resource_bytes(export.get("resource")), scope_bytes(scope), export)
    elif export:
        signal = next((signal for name, signal in OTHER_SIGNALS.items() if get(export, name)), None)
        what = f"an OTLP {signal} export" if signal else f"fields {', '.join(map(repr, sorted(export)[:5]))}"
        raise InvalidOtlp(f"not an OTLP trace export: {what}, and no resourceSpans")


def _of_resource(frame: Json) -> Iterator[_Found]:
    if not isinstance(frame, Mapping):
        yield _Found(b"", b"", frame)
        return
    resource = resource_bytes(frame.get("resource"))
    for scope_frame in elements(get(frame, "scopeSpans", "instrumentationLibrarySpans")):
        if not isinstance(scope_frame, Mapping):
            yield _Found(resource, b"", scope_frame)
            continue
        scope = scope_bytes(get(scope_frame, "scope", "instrumentationLibrary"))
        for span in elements(scope_frame.get("spans")):
            yield _Found(resource, scope, span)


def resource_bytes(given: Json) -> bytes:
    """A resource, serialised; b"" for what is none."""
    if not isinstance(given, Mapping):
        return b""
    resource = Resource(dropped_attributes_count=count(get(given, "droppedAttributesCount")))
    fill_attributes(resource.attributes, given.get("attributes"))
    return serialised(resource)


def scope_bytes(given: Json) -> bytes:
    """An instrumentation scope, serialised; b"" for what is none."""
    if not isinstance(given, Mapping):
        return b""
    scope = InstrumentationScope(
        name=text(given.get("name")),
        version=text(given.get("version")),
        dropped_attributes_count=count(get(given, "droppedAttributesCount")),
    )
    fill_attributes(scope.attributes, given.get("attributes"))
    return serialised(scope)


def _span(given: Json) -> bytes:
    if not isinstance(given, Mapping):
        raise Unreadable("not_an_object", f"a span must be a JSON object, not {type(given).__name__}")
    span: Message = Span(
        trace_id=_required(given, "traceId", 16, "trace id"),
        span_id=_required(given, "spanId", 8, "span id"),
        trace_state=text(get(given, "traceState")),
        parent_span_id=identifier(get(given, "parentSpanId"), 8, "parent span id"),
        flags=count(given.get("flags")),
        name=text(given.get("name")),
        start_time_unix_nano=nanos(get(given, "startTimeUnixNano"), "startTimeUnixNano"),
        end_time_unix_nano=nanos(get(given, "endTimeUnixNano"), "endTimeUnixNano"),
        dropped_attributes_count=count(get(given, "droppedAttributesCount")),
        dropped_events_count=count(get(given, "droppedEventsCount")),
        dropped_links_count=count(get(given, "droppedLinksCount")),
    )
    span.kind = enum(given.get("kind"), KINDS, "SPAN_KIND_")
    fill_attributes(span.attributes, given.get("attributes"))
    for event in elements(given.get("events")):
        _add_event(span, event)
    for link in elements(given.get("links")):
        _add_link(span, link)
    _set_status(span, given.get("status"))
    return serialised(span)


def _required(given: Mapping[str, Json], name: str, size: int, what: str) -> bytes:
    found = identifier(get(given, name), size, what)
    if not found:
        raise Unreadable(f"no_{what.replace(' ', '_')}", f"{what} is missing or all zero")
    return found


def _add_event(span: Message, given: Json) -> None:
    if isinstance(given, Mapping):
        event = span.events.add(
            time_unix_nano=nanos(get(given, "timeUnixNano"), "timeUnixNano of an event"),
            name=text(given.get("name")),
            dropped_attributes_count=count(get(given, "droppedAttributesCount")),
        )
        fill_attributes(event.attributes, given.get("attributes"))


def _add_link(span: Message, given: Json) -> None:
    if isinstance(given, Mapping):
        link = span.links.add(
            trace_id=identifier(get(given, "traceId"), 16, "trace id of a link"),
            span_id=identifier(get(given, "spanId"), 8, "span id of a link"),
            trace_state=text(get(given, "traceState")),
            flags=count(given.get("flags")),
            dropped_attributes_count=count(get(given, "droppedAttributesCount")),
        )
        fill_attributes(link.attributes, given.get("attributes"))


def _set_status(span: Message, given: Json) -> None:
    status = given if isinstance(given, Mapping) else {"code": given}
    span.status.code = enum(status.get("code"), STATUS_CODES, "STATUS_CODE_")
    span.status.message = text(status.get("message"))


def serialised(message: Message) -> bytes:
    """Equal messages give equal bytes."""
    return bytes(message.SerializeToString(deterministic=True))
