"""Jaeger's JSON (`GET /api/traces/{id}`, or what its page downloads) as OTLP/JSON.

The mapping is that of the OpenTelemetry specification ("Trace data to Jaeger"), read backwards: scope, kind and status are tags
there, events are logs, the resource is the process. Pure: a value in, a value out; what is odd is left to the reader of OTLP.
"""

from collections.abc import Iterator, Mapping
from typing import Any

Json = Any
_SCOPE_NAME = ("otel.scope.name", "otel.library.name")
_SCOPE_VERSION = ("otel.scope.version", "otel.library.version")
_KIND, _STATUS, _SAID, _ERROR = "span.kind", "otel.status_code", "otel.status_description", "error"
_STATE = "w3c.tracestate"
_OURS = frozenset({*_SCOPE_NAME, *_SCOPE_VERSION, _KIND, _STATUS, _SAID, _STATE, "internal.span.format"})
_KINDS = {"client": 3, "server": 2, "producer": 4, "consumer": 5, "internal": 1}


def is_jaeger(document: Json) -> bool:
    """Whether this is an answer of Jaeger's API, or one of the traces in it."""
    if not isinstance(document, Mapping):
        return False
    if isinstance(document.get("spans"), list) and "processes" in document:
        return True
    data = document.get("data")
    return isinstance(data, list) and all(isinstance(t, Mapping) and "spans" in t for t in data) and "data" in document


def exports_of_jaeger(document: Mapping[str, Json]) -> Iterator[dict[str, Json]]:
    """An OTLP/JSON export a trace of it."""
    traces = [document] if "processes" in document else document["data"]
    for trace in traces:
        processes = trace.get("processes")
        known = processes if isinstance(processes, Mapping) else {}
        spans = trace.get("spans")
        yield {"resourceSpans": [_frame(span, known) for span in (spans if isinstance(spans, list) else [])]}


def _frame(span: Json, processes: Mapping[str, Json]) -> Json:
    if not isinstance(span, Mapping):
        return {"scopeSpans": [{"spans": [span]}]}
    process = span.get("process") or processes.get(str(span.get("processID"))) or {}
    tags = _tags(span.get("tags"))
    scope = {"name": _first(tags, _SCOPE_NAME), "version": _first(tags, _SCOPE_VERSION)}
    return {"resource": _resource(process), "scopeSpans": [{"scope": scope, "spans": [_span(span, tags)]}]}


def _resource(process: Json) -> Json:
    if not isinstance(process, Mapping):
        return {}
    attributes = _attributes(_tags(process.get("tags")))
    if process.get("serviceName"):
        attributes.append({"key": "service.name", "value": {"stringValue": process["serviceName"]}})
    return {"attributes": attributes}


def _span(span: Mapping[str, Json], tags: dict[str, Json]) -> dict[str, Json]:
    trace_id = _padded(span.get("traceID"), 32)
    start, duration = _us(span.get("startTime")), _us(span.get("duration"))
    parent, links = _references(span, trace_id)
    return {
        "traceId": trace_id,
        "spanId": _padded(span.get("spanID"), 16),
        "parentSpanId": parent,
        "traceState": _text(tags, _STATE),
        "name": span.get("operationName"),
        "kind": _KINDS.get(_text(tags, _KIND).lower(), 0),
        "startTimeUnixNano": str(start * 1000),
        "endTimeUnixNano": str((start + duration) * 1000),
        "attributes": _attributes({key: value for key, value in tags.items() if key not in _OURS}),
        "events": [_event(log) for log in _objects(span.get("logs"))],
        "links": links,
        "status": {"code": _status(tags), "message": _text(tags, _SAID)},
    }


def _references(span: Mapping[str, Json], trace_id: str) -> tuple[str, list[Json]]:
    """The parent's span id, and what else it refers to, as links. CHILD_OF beats FOLLOWS_FROM; some have `parentSpanID`."""
    references = _objects(span.get("references"))
    own = [one for one in references if _padded(one.get("traceID"), 32) == trace_id]
    own.sort(key=lambda one: one.get("refType") != "CHILD_OF")
    parent = own[0] if own else None
    links = [
        {"traceId": _padded(one.get("traceID"), 32), "spanId": _padded(one.get("spanID"), 16)}
        for one in references
        if one is not parent
    ]
    said = parent.get("spanID") if parent is not None else span.get("parentSpanID")
    return (_padded(said, 16) if said else ""), links


def _status(tags: dict[str, Json]) -> int:
    said = _text(tags, _STATUS).upper()
    if said in ("OK", "ERROR"):
        return 1 if said == "OK" else 2
    return 2 if _plain(tags.get(_ERROR)) in (True, "true") else 0


def _event(log: Mapping[str, Json]) -> dict[str, Json]:
    fields = _tags(log.get("fields"))
    name = _text(fields, "event") or _text(fields, "name")
    left = {key: value for key, value in fields.items() if key != "event"}
    return {"timeUnixNano": str(_us(log.get("timestamp")) * 1000), "name": name, "attributes": _attributes(left)}


def _tags(given: Json) -> dict[str, Json]:
    """Tags by key; of several with one key the last counts."""
    return {str(tag["key"]): tag for tag in _objects(given) if "key" in tag}


def _objects(given: Json) -> list[Mapping[str, Json]]:
    return [one for one in given if isinstance(one, Mapping)] if isinstance(given, list) else []


def _attributes(tags: Mapping[str, Json]) -> list[Json]:
    return [{"key": key, "value": _value(tag)} for key, tag in tags.items()]


def _value(tag: Mapping[str, Json]) -> Json:
    value, said = tag.get("value"), str(tag.get("type", "")).lower()
    if said in ("int64", "float64"):
        return {"intValue" if said == "int64" else "doubleValue": value}
    if said == "bool":
        return {"boolValue": value}
    return {"bytesValue": value} if said == "binary" else {"stringValue": value}


def _plain(tag: Json) -> Json:
    return tag.get("value") if isinstance(tag, Mapping) else None


def _text(tags: Mapping[str, Json], key: str) -> str:
    value = _plain(tags.get(key))
    return value if isinstance(value, str) else ""


def _first(tags: Mapping[str, Json], keys: tuple[str, ...]) -> str:
    return next((found for key in keys if (found := _text(tags, key))), "")


def _padded(given: Json, digits: int) -> str:
    """An id in full: Jaeger leaves out leading zeros, and half of a trace id."""
    return given.rjust(digits, "0") if isinstance(given, str) else ""


def _us(given: Json) -> int:
    try:
        return int(given)
    except (TypeError, ValueError):
        return 0
