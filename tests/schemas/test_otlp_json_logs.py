"""OTLP/JSON logs to raw log records, and records of either signal told apart."""

from typing import Any

import orjson
import pytest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord as OtlpLog

from schemas.otlp import InvalidOtlp, pack
from schemas.otlp_json_logs import logs_of_json
from schemas.signal import LOGS, TRACES
from schemas.topic_record import split_parts
from tests.builders import EPOCH_NS, trace_id
from tests.otlp_logs import log

TRACE, SPAN = trace_id().hex(), "0000000000000001"
RECORD = {
    "timeUnixNano": str(EPOCH_NS),
    "observedTimeUnixNano": EPOCH_NS + 1,
    "severityNumber": "SEVERITY_NUMBER_WARN2",
    "severityText": "WARN",
    "eventName": "gen_ai.choice",
    "traceId": TRACE,
    "spanId": SPAN,
    "flags": 1,
    "body": {"kvlistValue": {"values": [{"key": "index", "value": {"intValue": "0"}}]}},
    "attributes": [{"key": "gen_ai.system", "value": {"stringValue": "openai"}}],
}


def document(*records: Any, **fields: Any) -> bytes:
    frame = {
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
        "scopeLogs": [{"scope": {"name": "lib"}, "logRecords": records}],
    }
    return orjson.dumps({"resourceLogs": [frame], **fields})


SPANS = {"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": TRACE, "spanId": SPAN, "name": "a"}]}]}]}


def parsed(record: Any) -> OtlpLog:
    logs, refusals = logs_of_json(document(record))
    assert not refusals
    return OtlpLog.FromString(logs[0].span)


def test_every_field_of_a_record_is_read():
    read = parsed(RECORD)
    assert (read.time_unix_nano, read.observed_time_unix_nano) == (EPOCH_NS, EPOCH_NS + 1)
    assert (read.severity_number, read.severity_text, read.flags) == (14, "WARN", 1)
    assert (read.event_name, read.trace_id.hex(), read.span_id.hex()) == ("gen_ai.choice", TRACE, SPAN)
    assert read.body.kvlist_value.values[0].value.int_value == 0
    assert read.attributes[0].value.string_value == "openai"


def test_snake_case_plain_values_and_missing_ids_are_read_too():
    read = parsed({"time_unix_nano": EPOCH_NS, "event_name": "x", "body": "a line", "attributes": {"a": {"b": 1}}})
    assert (read.time_unix_nano, read.body.string_value, read.trace_id) == (EPOCH_NS, "a line", b"")
    assert (read.attributes[0].key, read.attributes[0].value.int_value) == ("a.b", 1)


def test_one_bad_record_costs_its_neighbours_nothing():
    logs, refusals = logs_of_json(document(RECORD, {**RECORD, "traceId": "abc"}, 7, RECORD))
    assert [len(logs), [r.reason for r in refusals]] == [2, ["bad_trace_id", "not_an_object"]]


@pytest.mark.parametrize("text", [b"[]", b"{}", b'{"resourceLogs": null}', b'{"resourceLogs": []}'])
def test_nothing_is_nothing(text):
    assert logs_of_json(text) == ([], [])


@pytest.mark.parametrize("text", [b"7", orjson.dumps(SPANS), b'{"resourceMetrics": []}', b"not json"])
def test_what_is_no_logs_export_is_refused_whole(text):
    with pytest.raises(InvalidOtlp):
        logs_of_json(text)


PROTOBUF = pack([log("gen_ai.choice"), log("gen_ai.user.message")])


@pytest.mark.parametrize(
    ("value", "signal", "n_spans", "n_logs"),
    [
        (PROTOBUF, LOGS, 0, 2),
        (PROTOBUF, TRACES, 0, 2),  # a Collector sets no header
        (pack([log("x", time_unix_nano=0, observed_time_unix_nano=EPOCH_NS)]), TRACES, 0, 1),
        (pack([log("x", time_unix_nano=0, severity_number=9)]), TRACES, 0, 1),
        (pack([log("x", time_unix_nano=0)]), LOGS, 0, 1),
        (document(RECORD), LOGS, 0, 1),
        (document(RECORD), TRACES, 0, 1),
        (orjson.dumps(SPANS), TRACES, 1, 0),
        (orjson.dumps([SPANS, orjson.loads(document(RECORD))]), TRACES, 1, 1),
        (b"", LOGS, 0, 0),
        (b"", TRACES, 0, 0),
    ],
)
def test_spans_and_log_records_are_told_apart(value, signal, n_spans, n_logs):
    parts = split_parts(value, signal)
    assert (len(parts.spans), len(parts.logs), parts.refused) == (n_spans, n_logs, [])


def test_what_is_refused_is_told_by_its_signal():
    bad_span = {"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "x"}]}]}]}
    parts = split_parts(orjson.dumps([bad_span, orjson.loads(document({"traceId": "y"}))]))
    assert [(r.reason.split(":")[0], r.signal) for r in parts.refused] == [
        ("bad_trace_id", TRACES),
        ("bad_trace_id", LOGS),
    ]


def test_a_signal_that_is_neither_is_refused_with_a_sentence():
    with pytest.raises(InvalidOtlp, match="unknown signal: the header stepwatch-signal says 'metrics'"):
        split_parts(PROTOBUF, "metrics")
    with pytest.raises(InvalidOtlp, match="no resourceLogs"):
        split_parts(orjson.dumps(SPANS), LOGS)


def test_an_equal_document_gives_equal_bytes():
    assert logs_of_json(document(RECORD)) == logs_of_json(document(dict(reversed(RECORD.items()))))
