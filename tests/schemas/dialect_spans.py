"""Builders of OTLP spans for the tests of dialects: attributes as plain values, a scope, events, a parent."""

from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span as OtlpSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from schemas.decode import decode
from schemas.span import RawSpan, Span
from tests.builders import EPOCH_MS, EPOCH_NS

TRACE, SPAN, PARENT = bytes(range(16)), bytes(range(1, 9)), bytes(range(2, 10))
ERROR = Status(code=Status.STATUS_CODE_ERROR, message="boom")

# Marks that span after span begins with.
OP = "gen_ai.operation.name"
TOOL = {OP: "execute_tool", "gen_ai.tool.name": "pay"}
CHAT = {OP: "chat", "gen_ai.request.model": "m"}
AGENT = {OP: "invoke_agent"}
OI, FI, TL, VERCEL = "openinference.span.kind", "gen_ai.span.kind", "traceloop.span.kind", "ai.operationId"
LC = '{"lc": 1, "type": "constructor", "kwargs": {"content": "done", "tool_call_id": "c1", "status": "success"}}'
ASSISTANT = '[{"role": "assistant", "parts": [{"type": "text", "content": "hi"}]}]'


def any_value(value: Any) -> AnyValue:
    """A plain value as OTLP's."""
    found = AnyValue()
    if isinstance(value, dict):
        found.kvlist_value.SetInParent()
        for key, inner in value.items():
            found.kvlist_value.values.append(KeyValue(key=key, value=any_value(inner)))
    elif isinstance(value, list):
        found.array_value.SetInParent()
        found.array_value.values.extend(any_value(inner) for inner in value)
    elif value is not None:
        kind = {bool: "bool_value", int: "int_value", float: "double_value", str: "string_value", bytes: "bytes_value"}
        setattr(found, kind[type(value)], value)
    return found


def pairs(attributes: dict[str, Any]) -> list[KeyValue]:
    """Attributes as OTLP's."""
    return [KeyValue(key=key, value=any_value(value)) for key, value in attributes.items()]


def raw(
    attributes: dict[str, Any],
    *,
    name: str = "a span",
    scope: str = "",
    root: bool = False,
    events: dict[str, dict[str, Any]] | None = None,
    status: Status | None = None,
) -> RawSpan:
    """A raw span, by default a child with these attributes."""
    span = OtlpSpan(
        trace_id=TRACE,
        span_id=SPAN,
        parent_span_id=b"" if root else PARENT,
        name=name,
        start_time_unix_nano=EPOCH_NS,
        end_time_unix_nano=EPOCH_NS + 5_000_000,
        attributes=pairs(attributes),
        events=[OtlpSpan.Event(name=event, attributes=pairs(said)) for event, said in (events or {}).items()],
        status=status,
    )
    return RawSpan(
        Resource().SerializeToString(), InstrumentationScope(name=scope).SerializeToString(), span.SerializeToString()
    )


def read(attributes: dict[str, Any], **fields: Any) -> Span:
    """That span, decoded."""
    return decode(raw(attributes, **fields), "default", EPOCH_MS)[0]
