"""A record of the spans topic is read in the encoding that it has, whatever its bytes happen to look like."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from schemas.otlp import pack
from schemas.span import RawSpan
from schemas.topic_record import is_json, split_parts, split_record
from tests.schemas.dialect_spans import pairs

TRACE, SPAN = bytes(range(16)), bytes(range(1, 9))
DOCUMENT = orjson.dumps({"traceId": TRACE.hex(), "spanId": SPAN.hex()})


def of_name_length(n: int) -> RawSpan:
    return RawSpan(b"", b"", Span(trace_id=TRACE, span_id=SPAN, name="x" * n).SerializeToString())


def test_a_protobuf_record_of_any_size_is_read_as_protobuf() -> None:
    """At one size its second byte is a brace and its first a line feed: it looks like JSON after an empty line."""
    records = [pack([of_name_length(n)]) for n in range(200)]
    assert b"\n{" in [record[:2] for record in records]
    assert [split_record(record) for record in records] == [([of_name_length(n)], []) for n in range(200)]


@pytest.mark.parametrize("document", [DOCUMENT, b"\n" + DOCUMENT, b" \r\n\t" + DOCUMENT, b"[" + DOCUMENT + b"]"])
def test_a_json_record_is_read_as_json(document: bytes) -> None:
    ((raw,), refused) = split_record(document)
    assert (Span.FromString(raw.span).span_id, refused) == (SPAN, [])


@pytest.mark.parametrize("value", [b"", b"\n", b"\x0a\x10", b"text"])
def test_what_has_no_brace_is_not_json(value: bytes) -> None:
    assert not is_json(value)


def backwards(message: bytes) -> bytes:
    """The same message with its fields from the last to the first, as newer Collectors write."""
    fields, at = [], 0
    while at < len(message):
        tag, start = message[at], at
        at += 1
        if tag >= 0x80:
            at += 1
        kind = tag & 7
        if kind == 2:
            size = shift = 0
            while True:
                byte = message[at]
                at += 1
                size |= (byte & 0x7F) << shift
                shift += 7
                if byte < 0x80:
                    break
            at += size
        elif kind == 0:
            while message[at] >= 0x80:
                at += 1
            at += 1
        else:
            at += 8 if kind == 1 else 4
        fields.append(message[start:at])
    return b"".join(reversed(fields))


@pytest.mark.parametrize("turn", [bytes, backwards])
@pytest.mark.parametrize("status", [None, Status(), Status(code=2, message="no")])
@pytest.mark.parametrize("attributes", [{}, {"a": "x" * 10}, {"k": 7}])
def test_a_record_without_a_header_is_told_from_its_first_field_in_any_order(
    turn: Callable[[bytes], bytes], status: Status | None, attributes: dict[str, Any]
) -> None:
    span = Span(
        trace_id=TRACE, span_id=SPAN, name="s", attributes=pairs(attributes), status=status, end_time_unix_nano=9
    )
    parts = split_parts(pack([RawSpan(b"", b"", turn(span.SerializeToString()))]))
    assert (len(parts.spans), len(parts.logs)) == (1, 0)
    body = {"body": AnyValue(string_value="b")}
    for fields in (
        {"event_name": "e"},
        {"observed_time_unix_nano": 3},
        {"time_unix_nano": 3},
        {"severity_number": 9},
        body,
        {},
    ):
        log = LogRecord(trace_id=TRACE, span_id=SPAN if fields else b"", attributes=pairs(attributes), **fields)  # type: ignore[arg-type]
        parts = split_parts(pack([RawSpan(b"", b"", turn(log.SerializeToString()))]))
        assert (len(parts.spans), len(parts.logs)) == (0, 1), fields


def test_a_document_of_spans_and_log_records_gives_both() -> None:
    ids = {"traceId": TRACE.hex(), "spanId": SPAN.hex()}
    spans = {"resourceSpans": [{"scopeSpans": [{"spans": [ids]}]}]}
    logs = {"resourceLogs": [{"scopeLogs": [{"logRecords": [{**ids, "body": {"stringValue": "said"}}]}]}]}
    parts, apart = split_parts(orjson.dumps(spans | logs)), split_parts(orjson.dumps([spans, logs]))
    assert (len(parts.spans), len(parts.logs), parts.refused) == (1, 1, [])
    assert parts == apart
