"""OTLP log records as bytes, for tests."""

from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord as OtlpLog
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from schemas.span import RawSpan
from tests.builders import EPOCH_NS, span_id, trace_id

SCOPE = InstrumentationScope(name="lib").SerializeToString()


def any_value(value: Any) -> AnyValue:
    """A plain value as OTLP spells it, structured ones natively."""
    match value:
        case None:
            return AnyValue()
        case AnyValue():
            return value
        case dict():
            return AnyValue(kvlist_value=KeyValueList(values=key_values(value)))
        case list():
            return AnyValue(array_value=ArrayValue(values=[any_value(inner) for inner in value]))
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case bytes():
            return AnyValue(bytes_value=value)
        case _:
            return AnyValue(string_value=value)


def key_values(fields: dict[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=any_value(value)) for key, value in fields.items()]


def log(event: str, attributes: dict[str, Any] | None = None, body: Any = None, n: int = 1, **fields: Any) -> RawSpan:
    """A raw log record of span n of trace 1. `at_ms` is its offset from the epoch of the tests."""
    at_ms = fields.pop("at_ms", 0)
    values: dict[str, Any] = {
        "time_unix_nano": EPOCH_NS + at_ms * 1_000_000,
        "trace_id": trace_id(),
        "span_id": span_id(n),
        "event_name": event,
        **fields,
    }
    record = OtlpLog(attributes=key_values(attributes or {}), **values)
    if body is not None:
        record.body.CopyFrom(any_value(body))
    resource = Resource(attributes=key_values({"service.name": "shop"}))
    return RawSpan(resource.SerializeToString(), SCOPE, record.SerializeToString())
