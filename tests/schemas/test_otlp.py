"""The slim OTLP schema against the real one: same bytes, same values, and hostile bytes cost one span."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from schemas.otlp import InvalidOtlp, int_of, pack, parse_span, plain_of, split, text_of, trace_id_of
from schemas.span import RawSpan

TRACE, SPAN = bytes(range(16)), bytes(range(1, 9))


def serialised(message: Any) -> bytes:
    return bytes(message.SerializeToString())


def resource(service: str) -> bytes:
    return serialised(Resource(attributes=[KeyValue(key="service.name", value=AnyValue(string_value=service))]))


def request(*frames: tuple[str, str, list[Span]]) -> bytes:
    """An export of (service, scope, spans)."""
    message = ExportTraceServiceRequest()
    for service, scope, spans in frames:
        frame = message.resource_spans.add(resource=Resource.FromString(resource(service)))
        frame.scope_spans.add(scope=InstrumentationScope(name=scope), spans=spans)
    return serialised(message)


def nested(levels: int) -> bytes:
    """An array in an array in an array, written as bytes: the real classes refuse to build it."""
    value = b""
    for _ in range(levels):
        array = b"\x0a" + varint(len(value)) + value  # ArrayValue.values
        value = b"\x2a" + varint(len(array)) + array  # AnyValue.array_value
    return value


def varint(n: int) -> bytes:
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    return bytes([*out, n])


def test_split_gives_each_span_with_the_bytes_of_its_own_resource_and_scope() -> None:
    first, second = Span(trace_id=TRACE, span_id=SPAN, name="a"), Span(trace_id=TRACE, span_id=SPAN[::-1], name="b")
    spans = split(request(("shop", "s1", [first]), ("crm", "s2", [second])))
    assert spans == [
        RawSpan(resource("shop"), serialised(InstrumentationScope(name="s1")), serialised(first)),
        RawSpan(resource("crm"), serialised(InstrumentationScope(name="s2")), serialised(second)),
    ]


raw_spans = st.lists(
    st.builds(
        RawSpan,
        st.sampled_from([b"", resource("shop"), resource("crm")]),
        st.sampled_from([b"", b"\n\x01s"]),
        st.binary(),
    ),
    max_size=20,
)


@given(raw_spans)
def test_what_is_packed_is_split_into_the_same_spans_in_the_same_order(spans: list[RawSpan]) -> None:
    assert split(pack(spans)) == spans


@given(raw_spans)
def test_a_packed_record_of_good_spans_is_read_by_any_otlp_reader(spans: list[RawSpan]) -> None:
    good = [raw._replace(span=serialised(Span(trace_id=TRACE, name=str(n)))) for n, raw in enumerate(spans)]
    read = ExportTraceServiceRequest.FromString(pack(good))
    names = [s.name for rs in read.resource_spans for ss in rs.scope_spans for s in ss.spans]
    assert names == [str(n) for n in range(len(good))]


def test_runs_of_one_resource_and_scope_share_their_frame() -> None:
    spans = [RawSpan(resource("shop"), b"", bytes([10, 1, n])) for n in range(100)]
    assert len(pack(spans)) < 100 * 6 + 100


def test_a_broken_span_does_not_cost_its_neighbours() -> None:
    good = serialised(Span(trace_id=TRACE, span_id=SPAN, name="good"))
    spans = split(pack([RawSpan(b"", b"", good), RawSpan(b"", b"", b"\xff\xff\xff"), RawSpan(b"", b"", good)]))
    assert [raw.span for raw in spans] == [good, b"\xff\xff\xff", good]


@pytest.mark.parametrize("record", [b"\xff", b"\n\x05ab", b"\x0a\x02\x12\x09", b"not protobuf at all"])
def test_a_broken_frame_is_refused_as_a_whole(record: bytes) -> None:
    with pytest.raises(InvalidOtlp, match="not an OTLP trace export"):
        split(record)


def test_every_field_that_we_read_is_where_the_real_schema_puts_it() -> None:
    real = Span(
        trace_id=TRACE,
        span_id=SPAN,
        parent_span_id=SPAN[::-1],
        name="chat",
        start_time_unix_nano=2**63 + 1,
        end_time_unix_nano=2**64 - 1,
        dropped_attributes_count=3,
        status=Status(code=Status.STATUS_CODE_ERROR, message="no"),
        attributes=[
            KeyValue(key="k", value=AnyValue(string_value="v")),
            KeyValue(key="n", value=AnyValue(int_value=-1)),
        ],
        events=[Span.Event(name="exception", attributes=[KeyValue(key="t", value=AnyValue(string_value="E"))])],
    )
    slim = parse_span(serialised(real))
    assert (slim.trace_id, slim.span_id, slim.parent_span_id) == (TRACE, SPAN, SPAN[::-1])
    assert (slim.name, slim.start, slim.end) == (b"chat", 2**63 + 1, 2**64 - 1)
    assert (slim.dropped_attributes_count, slim.status.code, slim.status.message) == (3, 2, b"no")
    assert {key: plain_of(value) for key, value in slim.attributes.items()} == {"k": "v", "n": -1}
    assert [(e.name, plain_of(e.attributes["t"])) for e in slim.events] == [(b"exception", "E")]


VALUES: list[tuple[AnyValue, Any, str | None, int]] = [
    (AnyValue(), None, None, 0),
    (AnyValue(string_value=""), "", "", 0),
    (AnyValue(string_value="12.0"), "12.0", "12.0", 12),
    (AnyValue(string_value="x" * 127), "x" * 127, "x" * 127, 0),
    (AnyValue(string_value="x" * 128), "x" * 128, "x" * 128, 0),
    (AnyValue(string_value="ü" * 20_000), "ü" * 20_000, "ü" * 20_000, 0),
    (AnyValue(bool_value=False), False, "false", 0),
    (AnyValue(int_value=0), 0, "0", 0),
    (AnyValue(int_value=127), 127, "127", 127),
    (AnyValue(int_value=300), 300, "300", 300),
    (AnyValue(int_value=-5), -5, "-5", -5),
    (AnyValue(double_value=12.0), 12.0, "12.0", 12),
    (AnyValue(double_value=float("inf")), float("inf"), "null", 0),
    (AnyValue(bytes_value=b"\x01\xff"), "01ff", "01ff", 0),
    (AnyValue(array_value=ArrayValue()), [], "[]", 0),
    (
        AnyValue(kvlist_value=KeyValueList(values=[KeyValue(key="a", value=AnyValue(int_value=1)), KeyValue(key="b")])),
        {"a": 1, "b": None},
        '{"a":1,"b":null}',
        0,
    ),
]


@pytest.mark.parametrize(("value", "plain", "text", "whole"), VALUES)
def test_a_value_is_read_as_the_real_schema_reads_it(value: AnyValue, plain: Any, text: str | None, whole: int) -> None:
    data = serialised(value)
    assert (plain_of(data), text_of(data), int_of(data)) == (plain, text, whole)


def test_an_absent_value_has_no_text_and_counts_as_zero() -> None:
    assert (text_of(None), int_of(None)) == (None, 0)


@pytest.mark.parametrize("read", [text_of, plain_of])
def test_text_that_is_not_utf8_is_repaired(read: Any) -> None:
    assert read(b"\n\x04ab\xff\xfe") == "ab\ufffd\ufffd"


@pytest.mark.parametrize("value", [b"\n", b"\n\xff\xff", b"\n\x09short", b"\x2a\xff", b"\xff"])
@pytest.mark.parametrize("read", [text_of, plain_of, int_of])
def test_a_broken_value_is_invalid_and_never_a_crash(read: Any, value: bytes) -> None:
    with pytest.raises(InvalidOtlp, match="cannot be read"):
        read(value)


@given(st.binary(max_size=40))
def test_any_bytes_are_a_value_or_invalid(value: bytes) -> None:
    for read in (text_of, plain_of, int_of):
        with contextlib.suppress(InvalidOtlp):
            read(value)


@pytest.mark.parametrize("levels", [60, 10_000])
def test_a_value_nested_too_deeply_is_invalid(levels: int) -> None:
    with pytest.raises(InvalidOtlp, match="cannot be read"):
        plain_of(nested(levels))


def test_a_value_nested_deeply_does_not_stop_its_span_from_being_read() -> None:
    entry = b"\x0a\x01k" + b"\x12" + varint(len(nested(10_000))) + nested(10_000)
    span = serialised(Span(trace_id=TRACE, span_id=SPAN)) + b"\x4a" + varint(len(entry)) + entry
    assert parse_span(span).trace_id == TRACE


@pytest.mark.parametrize(
    ("span", "trace"),
    [
        (serialised(Span(trace_id=TRACE, span_id=SPAN)), TRACE),
        (b"\x12\x08" + SPAN + b"\x0a\x10" + TRACE, TRACE),  # another order of fields
        (serialised(Span(trace_id=TRACE[:3])), TRACE[:3]),
        (b"", b""),
    ],
)
def test_the_trace_id_is_found_wherever_the_encoder_put_it(span: bytes, trace: bytes) -> None:
    assert trace_id_of(span) == trace


def test_a_broken_span_has_no_trace_id() -> None:
    with pytest.raises(InvalidOtlp, match="not an OTLP span"):
        trace_id_of(b"\xff")
