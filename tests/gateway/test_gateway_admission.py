"""Which spans the gateway takes, and where it puts them."""

import orjson
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from schemas.otlp import pack
from schemas.otlp_json import Refusal
from schemas.partition import Partitioner, partition_of_trace
from schemas.span import RawSpan
from streams.gateway.admission import Admitted, admit
from streams.gateway.answers import JSON, PROTOBUF, Refused, refused_sentence
from streams.gateway.limits import FRAME_BYTES_MAX, RECORD_BYTES_MAX, SPANS_MAX
from tests.gateway.fakes import request, serialised, span, trace_id


def admitted(body: bytes, partitioner: Partitioner = "sarama") -> Admitted:
    return admit(body, PROTOBUF, 48, partitioner)


def good_spans(found: Admitted) -> list[bytes]:
    return sorted(raw.span for spans in found.by_partition.values() for raw in spans)


@pytest.mark.parametrize("partitioner", ["sarama", "murmur2"])
def test_every_span_goes_to_the_partition_of_its_trace(partitioner: Partitioner) -> None:
    found = admitted(request(*(span(n, trace=n % 7 + 1) for n in range(1, 50))), partitioner)
    assert found.n_good == found.n_spans == 49
    for partition, spans in found.by_partition.items():
        for raw in spans:
            assert partition_of_trace(raw.span[2:18], 48, partitioner) == partition


def test_the_spans_of_a_trace_stay_in_order() -> None:
    spans = [span(n) for n in (3, 1, 2)]
    (found,) = admitted(request(*spans)).by_partition.values()
    assert [raw.span for raw in found] == [each.SerializeToString() for each in spans]


def test_spans_stay_beside_those_of_their_frame() -> None:
    """Two services in the same thousand traces: in each record their frames stand once, not once a span."""
    frames = [request(*(span(n, trace=n) for n in range(1, 1_001)), service=name * 2_000) for name in "ab"]
    found = admitted(b"".join(frames))
    assert sum(len(pack(spans)) for spans in found.by_partition.values()) < len(b"".join(frames)) + 48 * 2 * 2_100


BAD_SPANS = [
    (b"\xff\xff", "broken_span"),
    (span(1, trace_id=b"short").SerializeToString(), "bad_trace_id"),
    (span(1, trace_id=bytes(16)).SerializeToString(), "bad_trace_id"),
    (span(1, trace_id=b"x" * 24).SerializeToString(), "bad_trace_id"),
    (span(1, span_id=b"").SerializeToString(), "bad_span_id"),
    (span(1, span_id=bytes(8)).SerializeToString(), "bad_span_id"),
    (span(1, span_id=b"x" * 12).SerializeToString(), "bad_span_id"),
    (b"", "no_ids"),
    (b"\x2a\x01x", "no_ids"),
]


@pytest.mark.parametrize(("bad", "reason"), BAD_SPANS)
def test_a_bad_span_is_refused_by_reason_and_its_neighbours_are_taken(bad: bytes, reason: str) -> None:
    good = [span(n).SerializeToString() for n in (1, 2)]
    found = admitted(pack([RawSpan(b"", b"", each) for each in (good[0], bad, good[1])]))
    assert good_spans(found) == sorted(good)
    assert [refusal.reason for refusal in found.refusals] == [reason]
    assert found.n_spans == 3


def test_invalid_utf8_deep_values_and_odd_times_are_the_scorers_to_judge_and_go_through_unchanged() -> None:
    odd = [
        span(1).SerializeToString().replace(b"span 1", b"spa\xff 1"),
        span(2, start_time_unix_nano=0, end_time_unix_nano=1).SerializeToString(),
        span(3, start_time_unix_nano=9_214_646_400_000_000_000).SerializeToString(),
        span(4).SerializeToString() + b"\x4a\x07\x0a\x01k\x12\x02\xff\xff",  # an attribute value that is no AnyValue
    ]
    assert good_spans(admitted(pack([RawSpan(b"", b"", each) for each in odd]))) == sorted(odd)


def test_a_logs_export_decoded_as_traces_is_refused_span_by_span() -> None:
    logs = ExportLogsServiceRequest()
    records = [LogRecord(time_unix_nano=n, trace_id=trace_id(1)) for n in (1, 2)]
    logs.resource_logs.add().scope_logs.add(log_records=records)
    found = admitted(logs.SerializeToString())
    assert {refusal.reason for refusal in found.refusals} <= {"no_ids", "broken_span"}
    assert len(found.refusals) == found.n_spans == 2
    assert found.by_partition == {}


def test_a_broken_resource_costs_its_own_spans_only() -> None:
    good, bad = span(1).SerializeToString(), span(2).SerializeToString()
    found = admitted(pack([RawSpan(b"\xff", b"", bad), RawSpan(b"\xff", b"", bad), RawSpan(b"", b"", good)]))
    assert good_spans(found) == [good]
    assert [refusal.reason for refusal in found.refusals] == ["broken_resource"] * 2


def test_a_resource_over_its_bound_is_refused_because_every_record_would_repeat_it() -> None:
    (refusal,) = admitted(request(span(1), service="x" * FRAME_BYTES_MAX)).refusals
    assert refusal.reason == "resource_too_large"


def test_a_span_that_fits_no_record_is_refused_by_name() -> None:
    (refusal,) = admitted(request(span(1, name="x" * RECORD_BYTES_MAX), span(2))).refusals
    assert refusal.reason == "span_too_large"
    assert str(RECORD_BYTES_MAX) in refusal.detail


def test_too_many_spans_in_one_request_are_refused_as_a_whole() -> None:
    body = request(*([span(1)] * (SPANS_MAX + 1)))
    with pytest.raises(Refused, match="10001 in one request") as caught:
        admitted(body)
    assert caught.value.status == 413


@pytest.mark.parametrize("encoding", [PROTOBUF, JSON])
def test_a_broken_frame_is_bad_data(encoding: str) -> None:
    with pytest.raises(Refused, match="not") as caught:
        admit(b"\xff{", encoding, 48, "sarama")  # type: ignore[arg-type]
    assert caught.value.status == 400


@pytest.mark.parametrize("encoding", [PROTOBUF, JSON])
def test_an_empty_body_is_an_empty_export(encoding: str) -> None:
    assert admit(b"", encoding, 48, "sarama") == Admitted({}, [], 0)  # type: ignore[arg-type]


def test_json_spans_become_protobuf_and_bad_ones_are_refused() -> None:
    spans = [
        {"traceId": trace_id(1).hex(), "spanId": "0000000000000001", "name": "span 1"},
        {"traceId": "ab", "spanId": "0000000000000001"},
    ]
    found = admit(orjson.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}), JSON, 48, "sarama")
    assert [refusal.reason for refusal in found.refusals] == ["bad_trace_id"]
    ((raw,),) = found.by_partition.values()
    assert serialised(span(1, status={})) == [raw.span]


def test_the_sentence_counts_by_reason_with_one_example_each_the_most_frequent_first() -> None:
    refusals = [Refusal("a", "first a"), Refusal("b", "first b"), Refusal("b", "second b")]
    assert refused_sentence(refusals, 10) == "refused 3 of 10 spans: b (2): first b; a (1): first a"


def test_the_sentence_stays_short_however_many_reasons_there_are() -> None:
    assert len(refused_sentence([Refusal(f"reason {n}", "x") for n in range(1_000)], 1_000)) < 500


def test_our_own_telemetry_is_refused_and_nobody_elses() -> None:
    for service, refused in (("stepwatch-scorer", True), ("stepwatch-demo-agents", False), ("shop", False)):
        found = admitted(request(span(1), service=service))
        assert [refusal.reason for refusal in found.refusals] == ["own_telemetry"] * refused


def test_as_many_spans_as_a_body_can_name_are_counted_before_they_are_made() -> None:
    frame = ResourceSpans(scope_spans=[ScopeSpans(spans=[Span()] * 1_000_000)])
    with pytest.raises(Refused, match="1000000 in one request") as caught:
        admitted(ExportTraceServiceRequest(resource_spans=[frame]).SerializeToString())
    assert caught.value.status == 413
    document = orjson.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [0] * 1_000_000}]}]})
    with pytest.raises(Refused, match="more than 10000 in one request") as caught:
        admit(document, JSON, 48, "sarama")
    assert caught.value.status == 413
