"""OTLP spans as Jaeger's and Tempo's APIs answer with them: the mapping of the OpenTelemetry specification, forwards."""

import base64
import json
from collections.abc import Iterable
from typing import Any

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from schemas.span import RawSpan

Parts = tuple[Resource, InstrumentationScope, Span]
_TYPES = {"string_value": "string", "bool_value": "bool", "int_value": "int64", "double_value": "float64"}
_KINDS = {1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}


def span_of(raw: RawSpan) -> Parts:
    """The messages of a raw span."""
    return Resource.FromString(raw.resource), InstrumentationScope.FromString(raw.scope), Span.FromString(raw.span)


def as_jaeger(parts: Iterable[Parts]) -> dict[str, Any]:
    """What Jaeger's `GET /api/traces` answers."""
    traces: dict[str, dict[str, Any]] = {}
    for resource, scope, span in parts:
        trace_id = span.trace_id.hex()
        trace = traces.setdefault(trace_id, {"traceID": trace_id, "spans": [], "processes": {}, "warnings": None})
        process = f"p{len(trace['processes']) + 1}"
        tags = [_tag(a.key, a.value) for a in resource.attributes if a.key != "service.name"]
        service = next((a.value.string_value for a in resource.attributes if a.key == "service.name"), "")
        trace["processes"][process] = {"serviceName": service, "tags": tags}
        trace["spans"].append(_span(trace_id, process, scope, span))
    return {"data": list(traces.values()), "total": 0, "limit": 0, "offset": 0, "errors": None}


def _span(trace_id: str, process: str, scope: InstrumentationScope, span: Span) -> dict[str, Any]:
    tags = [_tag(a.key, a.value) for a in span.attributes]
    said = {
        "otel.scope.name": scope.name,
        "otel.scope.version": scope.version,
        "span.kind": _KINDS.get(span.kind, ""),
        "otel.status_code": {1: "OK", 2: "ERROR"}.get(span.status.code, ""),
        "otel.status_description": span.status.message,
    }
    tags += [{"key": key, "type": "string", "value": value} for key, value in said.items() if value]
    parent = {"refType": "CHILD_OF", "traceID": trace_id, "spanID": span.parent_span_id.hex()}
    return {
        "traceID": trace_id,
        "spanID": span.span_id.hex(),
        "operationName": span.name,
        "references": [parent] if span.parent_span_id else [],
        "startTime": span.start_time_unix_nano // 1000,
        "duration": (span.end_time_unix_nano - span.start_time_unix_nano) // 1000,
        "tags": tags,
        "logs": [
            {
                "timestamp": event.time_unix_nano // 1000,
                "fields": [{"key": "event", "type": "string", "value": event.name}]
                + [_tag(a.key, a.value) for a in event.attributes],
            }
            for event in span.events
        ],
        "processID": process,
        "warnings": None,
    }


def _tag(key: str, value: AnyValue) -> dict[str, Any]:
    kind = value.WhichOneof("value")
    if kind == "bytes_value":
        return {"key": key, "type": "binary", "value": base64.b64encode(value.bytes_value).decode()}
    if kind not in _TYPES:
        plain = [v.string_value for v in value.array_value.values]
        return {"key": key, "type": "string", "value": json.dumps(plain)}
    return {"key": key, "type": _TYPES[kind], "value": getattr(value, kind)}


def as_tempo(parts: Iterable[Parts]) -> dict[str, Any]:
    """What Tempo's `GET /api/traces/{id}` answers: protobuf's JSON, ids in base64."""
    frames = [
        {"resource": MessageToDict(r), "scopeSpans": [{"scope": MessageToDict(s), "spans": [MessageToDict(span)]}]}
        for r, s, span in parts
    ]
    return {"batches": frames}
