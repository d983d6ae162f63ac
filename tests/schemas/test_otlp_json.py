"""OTLP/JSON as senders really write it: every spelling reads as the one span that is meant; a bad span costs itself."""

import base64
import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from schemas.otlp import InvalidOtlp, parse_resource, parse_scope, plain_of
from schemas.otlp_json import spans_of_json
from schemas.otlp_values import VALUE_DEPTH_MAX
from tests.shared import shared

TRACE, SPAN, PARENT = "8da608a2c202e8b2e650f5699aeabb5e", "00f067aa0ba902b7", "b7ad6b7169203331"
START = "1760000000000000001"


def spelled(**fields: Any) -> dict[str, Any]:
    """A good span, with some fields spelled otherwise (None leaves the field out)."""
    good = {"traceId": TRACE, "spanId": SPAN, "name": "chat", "startTimeUnixNano": START, "endTimeUnixNano": START}
    return {name: value for name, value in {**good, **fields}.items() if value is not None}


def export(*spans: Any, resource: Any = None, scope: Any = None) -> dict[str, Any]:
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": scope, "spans": list(spans)}]}]}


def read(document: Any) -> list[Span]:
    """The spans of a document in which nothing may be refused."""
    spans, refusals = spans_of_json(document if isinstance(document, bytes) else json.dumps(document).encode())
    assert refusals == []
    return [Span.FromString(raw.span) for raw in spans]


def read_one(**fields: Any) -> Span:
    (span,) = read(export(spelled(**fields)))
    return span


def value_of(given: Any) -> Any:
    """What an attribute's JSON value is read as."""
    (attribute,) = read_one(attributes=[{"key": "k", "value": given}]).attributes
    return plain_of(attribute.value.SerializeToString())


def refusal_of(span: Any) -> tuple[str, str]:
    """Why this span is refused, between two good ones that go through."""
    document = export(spelled(name="before"), span, spelled(name="after"))
    spans, refusals = spans_of_json(json.dumps(document).encode())
    assert [Span.FromString(raw.span).name for raw in spans] == ["before", "after"]
    (refusal,) = refusals
    return refusal


def test_a_whole_span_keeps_every_field() -> None:
    span = read_one(
        parentSpanId=PARENT,
        traceState="a=1",
        flags=257,
        kind=3,
        attributes=[{"key": "k", "value": {"stringValue": "v"}}],
        droppedAttributesCount=1,
        events=[
            {
                "timeUnixNano": START,
                "name": "exception",
                "attributes": [{"key": "exception.type", "value": {"stringValue": "E"}}],
                "droppedAttributesCount": 4,
            }
        ],
        droppedEventsCount=2,
        links=[{"traceId": TRACE, "spanId": PARENT, "traceState": "b=2", "flags": 1, "droppedAttributesCount": 5}],
        droppedLinksCount=3,
        status={"code": 2, "message": "no"},
    )
    wanted = Span(
        trace_id=bytes.fromhex(TRACE),
        span_id=bytes.fromhex(SPAN),
        parent_span_id=bytes.fromhex(PARENT),
        trace_state="a=1",
        flags=257,
        name="chat",
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=int(START),
        end_time_unix_nano=int(START),
        dropped_attributes_count=1,
        dropped_events_count=2,
        dropped_links_count=3,
        status=Status(code=Status.STATUS_CODE_ERROR, message="no"),
    )
    wanted.attributes.add(key="k").value.string_value = "v"
    event = wanted.events.add(time_unix_nano=int(START), name="exception", dropped_attributes_count=4)
    event.attributes.add(key="exception.type").value.string_value = "E"
    link = wanted.links.add(trace_id=bytes.fromhex(TRACE), span_id=bytes.fromhex(PARENT), flags=1)
    link.trace_state, link.dropped_attributes_count = "b=2", 5
    assert span == wanted


ID_SPELLINGS = [
    (TRACE.upper(), SPAN.upper()),
    (base64.b64encode(bytes.fromhex(TRACE)).decode(), base64.b64encode(bytes.fromhex(SPAN)).decode()),
    (base64.b64encode(bytes.fromhex(TRACE)).decode().rstrip("="), base64.urlsafe_b64encode(bytes.fromhex(SPAN)).decode()),
    ("8da608a2-c202-e8b2-e650-f5699aeabb5e", f" {SPAN} "),
    ({"type": "Buffer", "data": list(bytes.fromhex(TRACE))}, list(bytes.fromhex(SPAN))),
]  # fmt: skip


@pytest.mark.parametrize(("trace_id", "span_id"), ID_SPELLINGS)
def test_ids_are_read_from_every_spelling(trace_id: Any, span_id: Any) -> None:
    span = read_one(traceId=trace_id, spanId=span_id, parentSpanId=span_id)
    assert (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()) == (TRACE, SPAN, SPAN)


@pytest.mark.parametrize("parent", [None, "", "0000000000000000", "AAAAAAAAAAA=", {"type": "Buffer", "data": []}])
def test_every_way_to_say_no_parent_makes_a_root(parent: Any) -> None:
    assert read_one(parentSpanId=parent).parent_span_id == b""


TIMES = [
    (START, int(START)),
    (int(START), int(START)),
    (1.76e18, 1_760_000_000_000_000_000),
    ("1.76e18", 1_760_000_000_000_000_000),
    (None, 0),
    ("", 0),
    (0, 0),
    (2**64 - 1, 2**64 - 1),
    ("9214646400000000000", 9_214_646_400_000_000_000),  # 2262
]


@pytest.mark.parametrize(("given", "nanos"), TIMES)
def test_times_are_nanoseconds_from_numbers_and_text_without_loss(given: Any, nanos: int) -> None:
    assert read_one(startTimeUnixNano=given).start_time_unix_nano == nanos


@pytest.mark.parametrize(
    ("given", "kind"),
    [(2, 2), ("2", 2), ("SPAN_KIND_SERVER", 2), ("server", 2), (None, 0), ("SPAN_KIND_NEW", 0), (-1, 0), ([], 0)],
)
def test_kinds_are_read_by_number_and_by_name(given: Any, kind: int) -> None:
    assert read_one(kind=given).kind == kind


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"code": 2}, 2),
        ({"code": "STATUS_CODE_ERROR"}, 2),
        ({"code": "Error"}, 2),
        ("OK", 1),
        (1, 1),
        ({}, 0),
        (None, 0),
    ],
)
def test_status_codes_are_read_by_number_and_by_name(given: Any, code: int) -> None:
    assert read_one(status=given).status.code == code


FRAMES = [
    export(spelled()),
    {"batches": export(spelled())["resourceSpans"]},
    {"resource_spans": [{"scope_spans": [{"spans": [spelled()]}]}]},
    {"trace": export(spelled())},
    {"resourceSpans": [{"instrumentationLibrarySpans": [{"instrumentationLibrary": {}, "spans": [spelled()]}]}]},
    spelled(),
    [export(spelled())],
]


@pytest.mark.parametrize("document", FRAMES)
def test_every_frame_around_a_span_is_looked_into(document: Any) -> None:
    assert [span.name for span in read(document)] == ["chat"]


@pytest.mark.parametrize(
    "document", [{}, [], {"resourceSpans": []}, {"resourceSpans": None}, {"resourceSpans": [{"scopeSpans": None}]}]
)
def test_an_empty_export_holds_no_spans_and_is_no_error(document: Any) -> None:
    assert read(document) == []


def test_fields_in_snake_case_are_read_too() -> None:
    (span,) = read({"trace_id": TRACE, "span_id": SPAN, "start_time_unix_nano": 5, "parent_span_id": PARENT})
    assert (span.start_time_unix_nano, span.parent_span_id.hex()) == (5, PARENT)


@pytest.mark.parametrize("frame", ["export", "bare span"])
def test_resource_and_scope_go_with_their_spans(frame: str) -> None:
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    scope = {"name": "openinference", "version": "1"}
    whole = export(spelled(), resource=resource, scope=scope) if frame == "export" else None
    ((raw,), _) = spans_of_json(orjson.dumps(whole or spelled(resource=resource, scope=scope)))
    assert plain_of(parse_resource(raw.resource).attributes["service.name"]) == "shop"
    assert (parse_scope(raw.scope).name, parse_scope(raw.scope).version) == (b"openinference", b"1")


VALUES: list[tuple[Any, Any]] = [
    ({}, None),
    (None, None),
    ({"stringValue": ""}, ""),
    ({"stringValue": "x"}, "x"),
    ({"string_value": "x"}, "x"),
    ({"boolValue": False}, False),
    ({"boolValue": "true"}, True),
    ({"intValue": "0"}, 0),
    ({"intValue": 7}, 7),
    ({"intValue": "-9223372036854775808"}, -(2**63)),
    ({"intValue": "9223372036854775808"}, "9223372036854775808"),  # no int64: kept as text
    ({"intValue": "many"}, "many"),
    ({"doubleValue": 12.5}, 12.5),
    ({"doubleValue": "Infinity"}, float("inf")),
    ({"doubleValue": "-Infinity"}, float("-inf")),
    ({"doubleValue": "much"}, "much"),
    ({"bytesValue": "AQI="}, "0102"),
    ({"bytesValue": "not base64!"}, "not base64!"),
    ({"arrayValue": {}}, []),
    ({"arrayValue": {"values": [{"intValue": "1"}, {}, {"stringValue": "a"}]}}, [1, None, "a"]),
    ({"kvlistValue": {}}, {}),
    ({"kvlistValue": {"values": [{"key": "a", "value": {"intValue": 1}}, {"key": "b"}]}}, {"a": 1, "b": None}),
    ({"stringValueStrindex": 4}, None),
    ("plain", "plain"),
    (3, 3),
    ([1, "a"], [1, "a"]),
    ({"a": 1, "b": {"c": 2}}, {"a": 1, "b": {"c": 2}}),
]


@pytest.mark.parametrize(("given", "plain"), VALUES)
def test_a_value_is_what_its_sender_meant(given: Any, plain: Any) -> None:
    assert value_of(given) == plain


def test_nan_is_read_from_its_name_and_from_a_bare_word() -> None:
    named, bare = {"doubleValue": "NaN"}, b'{"doubleValue": NaN}'
    document = orjson.dumps(export(spelled(attributes=[{"key": "k", "value": named}])))
    for text in (document, document.replace(orjson.dumps(named), bare)):
        (span,) = read(text)
        number = span.attributes[0].value.double_value
        assert number != number


ATTRIBUTES = [
    [{"key": "a.b", "value": {"intValue": "1"}}, {"key": "c", "value": {"stringValue": "x"}}],
    {"a.b": 1, "c": "x"},
    {"a.b": {"intValue": "1"}, "c": {"stringValue": "x"}},
    {"a": {"b": 1}, "c": "x"},
]


@pytest.mark.parametrize("attributes", ATTRIBUTES)
def test_attributes_are_read_from_a_list_a_flat_map_and_nested_maps(attributes: Any) -> None:
    span = read_one(attributes=attributes)
    assert {a.key: plain_of(a.value.SerializeToString()) for a in span.attributes} == {"a.b": 1, "c": "x"}


@pytest.mark.parametrize(
    ("span", "reason", "sentence"),
    [
        (spelled(traceId=TRACE[:-2]), "bad_trace_id", "trace id must be 16 bytes"),
        (spelled(traceId=None), "no_trace_id", "trace id is missing"),
        (spelled(traceId="0" * 32), "no_trace_id", "all zero"),
        (spelled(traceId="x" * 32), "bad_trace_id", "not 'xxx"),
        (spelled(traceId=12), "bad_trace_id", "not '12'"),
        (spelled(spanId=SPAN + "00"), "bad_span_id", "span id must be 8 bytes"),
        (spelled(spanId=[1, 2, 300]), "bad_span_id", "span id must be 8 bytes"),
        (spelled(spanId=""), "no_span_id", "span id is missing"),
        (spelled(parentSpanId="ab"), "bad_parent_span_id", "parent span id must be 8 bytes"),
        (spelled(startTimeUnixNano="yesterday"), "bad_time", "startTimeUnixNano must be nanoseconds"),
        (spelled(endTimeUnixNano=-1), "bad_time", "endTimeUnixNano must be nanoseconds"),
        (spelled(endTimeUnixNano=2**64), "bad_time", "endTimeUnixNano must be nanoseconds"),
        (None, "not_an_object", "not NoneType"),
        ("span", "not_an_object", "not str"),
    ],
)
def test_a_bad_span_is_refused_with_a_sentence_and_its_neighbours_go_through(
    span: Any, reason: str, sentence: str
) -> None:
    found, detail, value = refusal_of(span)
    assert found == reason
    assert sentence in detail
    assert orjson.loads(value) == span, "its own bytes, not its neighbours'"


def test_a_refusal_never_repeats_more_than_a_glimpse_of_the_value() -> None:
    assert len(refusal_of(spelled(traceId="secret" * 10_000)).detail) < 200


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        (b"{", "not JSON"),
        (b"", "not JSON"),
        (b"null", "a JSON object is wanted, not NoneType"),
        (b"[1]", "a JSON object is wanted, not int"),
        (b'{"resourceLogs": [{}]}', "an OTLP logs export"),
        (b'{"resourceMetrics": [{}]}', "an OTLP metrics export"),
        (b'{"spans": []}', "fields 'spans', and no resourceSpans"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_no_trace_export_is_refused_as_a_whole(document: bytes, sentence: str) -> None:
    with pytest.raises(InvalidOtlp, match=sentence):
        spans_of_json(document)


def test_text_that_protobuf_cannot_hold_is_repaired() -> None:
    lone_surrogate = b'{"traceId":"%s","spanId":"%s","name":"a\\ud800b"}' % (TRACE.encode(), SPAN.encode())
    not_utf8 = lone_surrogate.replace(b"\\ud800", b"\xff")
    assert [read(document)[0].name for document in (lone_surrogate, not_utf8)] == ["a\ufffdb", "a\ufffdb"]


def deep(levels: int, kind: str) -> Any:
    value: Any = {"stringValue": "bottom"}
    for _ in range(levels):
        pair = {"key": "k", "value": value}
        value = {"arrayValue": {"values": [value]}} if kind == "array" else {"kvlistValue": {"values": [pair]}}
    return value


@pytest.mark.parametrize("kind", ["array", "map"])
@pytest.mark.parametrize("levels", [VALUE_DEPTH_MAX - 1, VALUE_DEPTH_MAX, 200])
def test_below_the_depth_bound_a_value_is_kept_as_text_so_that_every_reader_can_read_it(levels: int, kind: str) -> None:
    plain = value_of(deep(levels, kind))
    for _ in range(min(levels, VALUE_DEPTH_MAX - 1)):
        plain = plain[0] if kind == "array" else plain["k"]
    assert plain == "bottom" if levels < VALUE_DEPTH_MAX else "bottom" in plain


def test_nested_maps_of_attributes_are_bounded_too() -> None:
    nested: Any = 1
    for _ in range(500):
        nested = {"a": nested, "b": 0}
    span = read_one(attributes=nested)
    assert max(a.key.count(".") for a in span.attributes) < 64


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([TRACE, SPAN, START]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(max_size=4)
            | st.sampled_from(["stringValue", "arrayValue", "kvlistValue", "values", "intValue", "key"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)
FIELDS = ["traceId", "spanId", "parentSpanId", "name", "kind", "startTimeUnixNano", "attributes", "events", "links", "status",
          "flags", "droppedEventsCount", "resource", "scope"]  # fmt: skip


@given(st.lists(json_values | st.dictionaries(st.sampled_from(FIELDS), json_values), max_size=4))
def test_every_span_of_any_json_is_either_read_or_refused(spans: list[Any]) -> None:
    read_spans, refusals = spans_of_json(json.dumps(export(*spans)).encode())
    assert len(read_spans) + len(refusals) == len(spans)
    for raw in read_spans:
        span = Span.FromString(raw.span)
        assert (len(span.trace_id), len(span.span_id)) == (16, 8)


@given(json_values)
def test_any_value_is_written_so_that_the_real_schema_reads_it(value: Any) -> None:
    plain = read(json.dumps(export(spelled(attributes=[{"key": "k", "value": value}]))).encode())
    AnyValue.FromString(plain[0].attributes[0].value.SerializeToString())


def test_equal_documents_give_equal_bytes() -> None:
    document = orjson.dumps(export(spelled(attributes={"b": 1, "a": {"x": [1, 2]}})))
    assert spans_of_json(document) == spans_of_json(document)


def test_the_spans_of_real_frameworks_are_all_read() -> None:
    files = sorted(Path(shared("data/spans")).glob("*.jsonl"))
    documents = [line for file in files for line in file.read_bytes().splitlines()]
    assert sum(len(read(document)) for document in documents) == 971
