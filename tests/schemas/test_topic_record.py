"""A record of the spans topic is read in the encoding that it has, whatever its bytes happen to look like."""

import orjson
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from schemas.otlp import pack
from schemas.span import RawSpan
from schemas.topic_record import is_json, split_record

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
