"""OTLP protobuf through a slim schema: spans split as bytes, attributes left as bytes until a key is wanted.

The wire format is OTLP's; only the declaration differs. `repeated bytes spans` keeps one bad span from costing its
neighbours; `map<string, bytes>` makes an attribute lookup one dict access; string fields are declared as bytes so that
invalid UTF-8 is ours to repair. (KeyValue is wire-compatible with a map entry; duplicate keys: the last wins.)
"""

from collections.abc import Iterator
from typing import Any, Final

import orjson
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from schemas.otlp_frames import has_more_fields
from schemas.span import RawSpan

Message = Any  # a protobuf message of a class made at run time
Plain = Any  # None, bool, int, float, str, list or dict

_VARINT_MAX: Final = 10  # bytes of a varint
_TYPES: Final = {"bytes": 12, "string": 9, "fixed64": 6, "uint32": 13, "uint64": 4}
_MESSAGES: Final[dict[str, list[tuple[str, int, str]]]] = {
    "Traces": [("resource_spans", 1, "*ResourceSpans")],
    "ResourceSpans": [("resource", 1, "bytes"), ("scope_spans", 2, "*ScopeSpans")],
    "ScopeSpans": [("scope", 1, "bytes"), ("spans", 2, "*bytes")],
    "Span": [
        ("trace_id", 1, "bytes"),
        ("span_id", 2, "bytes"),
        ("parent_span_id", 4, "bytes"),
        ("name", 5, "bytes"),
        ("start", 7, "fixed64"),
        ("end", 8, "fixed64"),
        ("attributes", 9, "map"),
        ("dropped_attributes_count", 10, "uint32"),
        ("events", 11, "*Event"),
        ("status", 15, "Status"),
    ],
    "Event": [("name", 2, "bytes"), ("attributes", 3, "map")],
    "Status": [("message", 2, "bytes"), ("code", 3, "uint64")],
    "Resource": [("attributes", 1, "map")],
    "Scope": [("name", 1, "bytes"), ("version", 2, "bytes")],
    "Head": [("trace_id", 1, "bytes"), ("span_id", 2, "bytes")],
    "Log": [
        ("time", 1, "fixed64"),
        ("body", 5, "Body"),
        ("attributes", 6, "map"),
        ("dropped_attributes_count", 7, "uint32"),
        ("trace_id", 9, "bytes"),
        ("span_id", 10, "bytes"),
        ("observed", 11, "fixed64"),
        ("event_name", 12, "bytes"),
    ],
    "Body": [("text", 1, "bytes"), ("kvlist", 6, "Fields")],  # of AnyValue what an event's body may be
    "Fields": [("values", 1, "map")],
}


_ENTRY: Final = {
    "attributes": "AttributesEntry",
    "values": "ValuesEntry",
}  # protobuf's name of a map's entry, by the field's


def _build() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="stepwatch_otlp.proto", package="stepwatch", syntax="proto2")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            many, kind = kind.startswith("*"), kind.removeprefix("*")
            if kind == "map":
                entry = message.nested_type.add(name=_ENTRY[field])
                entry.options.map_entry = True
                entry.field.add(name="key", number=1, label=1, type=_TYPES["string"])
                entry.field.add(name="value", number=2, label=1, type=_TYPES["bytes"])
                message.field.add(
                    name=field, number=number, label=3, type=11, type_name=f".stepwatch.{name}.{_ENTRY[field]}"
                )
            elif kind in _TYPES:
                message.field.add(name=field, number=number, label=3 if many else 1, type=_TYPES[kind])
            else:
                message.field.add(
                    name=field, number=number, label=3 if many else 1, type=11, type_name=f".stepwatch.{kind}"
                )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"stepwatch.{name}")) for name in _MESSAGES
    }


_CLASSES: Final = _build()
parse_traces = _CLASSES["Traces"].FromString
parse_span = _CLASSES["Span"].FromString
parse_head = _CLASSES["Head"].FromString
parse_resource = _CLASSES["Resource"].FromString
parse_scope = _CLASSES["Scope"].FromString
parse_log = _CLASSES["Log"].FromString
Traces = _CLASSES["Traces"]


_FEW_FRAMES_BYTES = 64 * 1024  # what is smaller cannot hold so many that it matters
_FIELDS = 8  # of the frames around a span, when each span has its own


class InvalidOtlp(ValueError):
    """A record or span that is not OTLP. Not our fault: the shell refuses or dead-letters it with this sentence."""


class TooManySpans(InvalidOtlp):
    """An export of more spans, or log records, than its reader takes at once."""


def split(record: bytes, spans_max: int | None = None) -> list[RawSpan]:
    """Spans of one export request or TracesData record, undecoded; of a logs request its log records.

    The frames of both have the same field numbers, so one reader serves, and `pack` too. Raises InvalidOtlp when the frame
    around the spans is broken (then no span can be told from another), TooManySpans before it makes more than `spans_max`.
    """
    if spans_max is not None and len(record) > _FEW_FRAMES_BYTES and has_more_fields(record, _FIELDS * spans_max):
        raise TooManySpans(f"frames for more than {spans_max} spans in one request: send smaller batches")
    try:
        message = parse_traces(record)
    except DecodeError as error:
        raise InvalidOtlp(f"not an OTLP trace export: {error}") from error
    if spans_max is not None:
        n = sum(len(scope.spans) for resource in message.resource_spans for scope in resource.scope_spans)
        if n > spans_max:
            raise TooManySpans(f"{n} in one request, {spans_max} at most: send smaller batches")
    return [
        RawSpan(resource, scope, span)
        for resource_spans in message.resource_spans
        for resource in (resource_spans.resource,)  # bound once: each access copies the bytes
        for scope_spans in resource_spans.scope_spans
        for scope in (scope_spans.scope,)
        for span in scope_spans.spans
    ]


def pack(spans: list[RawSpan]) -> bytes:
    """The inverse of `split`: one record of these spans, runs of equal resource and scope sharing their frame."""
    message = Traces()
    resource = scope = None
    resource_spans = scope_spans = None
    for raw in spans:
        if resource_spans is None or raw.resource != resource:
            resource_spans, resource, scope = message.resource_spans.add(resource=raw.resource), raw.resource, None
        if scope_spans is None or raw.scope != scope:
            scope_spans, scope = resource_spans.scope_spans.add(scope=raw.scope), raw.scope
        scope_spans.spans.append(raw.span)
    return bytes(message.SerializeToString())


def trace_id_of(span: bytes) -> bytes:
    """Trace id of a raw span; encoders write it first, so the parse is rarely needed. b"" when there is none."""
    if span[:2] == b"\n\x10" and len(span) >= 18:
        return span[2:18]
    try:
        return bytes(parse_head(span).trace_id)
    except DecodeError as error:
        raise InvalidOtlp(f"not an OTLP span: {error}") from error


def text_of(value: bytes | None) -> str | None:
    """An AnyValue's string, or its JSON text when it is structured; None when absent or null.

    Invalid UTF-8 is replaced. Raises InvalidOtlp on broken or too deeply nested bytes.
    """
    if value is None:
        return None
    text = _string_bytes(value)
    if text is not None:
        return text.decode("utf-8", "replace")
    plain = plain_of(value)
    if plain is None or isinstance(plain, str):
        return plain
    return orjson.dumps(plain, default=str).decode()


def _string_bytes(value: bytes) -> bytes | None:
    """The text's bytes when the value is one `string_value` (tag 0x0A, a varint length, the text) and nothing else."""
    if value[:1] != b"\n":
        return None
    if len(value) > 1 and value[1] == len(value) - 2 < 0x80:  # most values are short
        return value[2:]
    length, end = _varint(value)
    return value[end:] if end and end + length == len(value) else None


def _varint(value: bytes) -> tuple[int, int]:
    """The varint behind the first tag, and the place where it ends; place 0 when it does not end."""
    found = shift = 0
    for at in range(1, min(len(value), _VARINT_MAX + 1)):
        byte = value[at]
        found |= (byte & 0x7F) << shift
        if byte < 0x80:
            return found, at + 1
        shift += 7
    return 0, 0


def int_of(value: bytes | None) -> int:
    """An AnyValue as a whole number, doubles and numeric strings coerced (JS SDKs send 12.0); 0 when absent or odd."""
    if value is None:
        return 0
    size = len(value)
    if (
        2 <= size <= 4 and value[0] == 0x18 and value[-1] < 0x80
    ):  # a small int_value and nothing else, as nearly all are
        if size == 2:
            return value[1]
        if size == 3 and value[1] >= 0x80:
            return value[1] & 0x7F | value[2] << 7
        if size == 4 and value[1] >= 0x80 and value[2] >= 0x80:
            return value[1] & 0x7F | (value[2] & 0x7F) << 7 | value[3] << 14
    if value[:1] == b"\x18":
        found, end = _varint(value)
        if end == len(value) and found < 1 << 63:
            return found
    plain = plain_of(value)
    try:
        return int(float(plain)) if isinstance(plain, str | float) else int(plain) if isinstance(plain, int) else 0
    except (ValueError, OverflowError):
        return 0


def plain_of(value: bytes) -> Plain:
    """An AnyValue as plain Python. Raises InvalidOtlp on broken or too deep bytes (upb stops at 100 levels)."""
    try:
        return _plain(AnyValue.FromString(value))
    except (DecodeError, RecursionError) as error:
        text = _string_bytes(value)
        if text is not None:  # a string that is not UTF-8
            return text.decode("utf-8", "replace")
        raise InvalidOtlp(f"attribute value cannot be read: {error}") from error


def _plain(value: Message) -> Plain:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain(v) for v in value.array_value.values]
    if kind == "kvlist_value":
        return {kv.key: _plain(kv.value) for kv in value.kvlist_value.values}
    if kind == "bytes_value":
        return value.bytes_value.hex()
    return None if kind is None else getattr(value, kind)


def attribute_items(attributes: Message) -> Iterator[tuple[str, bytes]]:
    """Key and AnyValue bytes of a slim attribute map."""
    yield from attributes.items()
