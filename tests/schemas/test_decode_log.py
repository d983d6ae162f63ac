"""Raw log record to LogRecord: what of an event is content, and what bad input becomes."""

from typing import Any

import orjson
import pytest

from schemas.cut import ATTRIBUTES_MAX, VALUE_BYTES_MAX
from schemas.decode_log import decode_log
from schemas.log_record import LogRecord
from schemas.otlp import InvalidOtlp
from schemas.span import BAD_VALUE, DROPPED_ATTRIBUTES, TRUNCATED, RawSpan
from tests.builders import EPOCH_MS, EPOCH_NS, span_id, trace_id
from tests.otlp_logs import log

DETAILS = "gen_ai.client.inference.operation.details"
ASKED = [{"role": "user", "parts": [{"type": "text", "content": "where is my order?"}]}]
SAID = [{"role": "assistant", "parts": [{"type": "text", "content": "on its way"}]}]
CALL = {"id": "c1", "type": "function", "function": {"name": "lookup", "arguments": '{"id": 7}'}}
CALL_PART = {"type": "tool_call", "id": "c1", "name": "lookup", "arguments": '{"id": 7}'}


def read(event: str, attributes: dict[str, Any] | None = None, body: Any = None, **fields: Any) -> LogRecord:
    decoded = decode_log(log(event, attributes, body, **fields), "default", EPOCH_MS)
    assert decoded is not None
    return decoded[0]


def loaded(text: str | None) -> Any:
    return None if text is None else orjson.loads(text)


def test_the_ids_times_and_service_of_a_record():
    record = read("gen_ai.user.message", body={"content": "hello"})
    assert (record.trace_id, record.span_id, record.time_ns) == (trace_id(), span_id(1), EPOCH_NS)
    assert (record.name, record.service, record.received_ms, record.is_end) == (
        "gen_ai.user.message",
        "shop",
        EPOCH_MS,
        False,
    )


def test_without_a_time_of_its_own_it_has_the_time_it_was_observed():
    record = read("gen_ai.user.message", body={"content": "a"}, time_unix_nano=0, observed_time_unix_nano=EPOCH_NS + 5)
    assert record.time_ns == EPOCH_NS + 5


@pytest.mark.parametrize(
    ("event", "attributes", "body", "given", "answered"),
    [
        (DETAILS, {"gen_ai.input.messages": ASKED, "gen_ai.output.messages": SAID}, None, ASKED, SAID),
        (DETAILS, {"gen_ai.input.messages": orjson.dumps(ASKED).decode()}, None, ASKED, None),
        ("some.other.event", {"gen_ai.output.messages": SAID}, None, None, SAID),
        ("gen_ai.user.message", {"gen_ai.system": "openai"}, {"content": "where is my order?"}, ASKED, None),
        ("gen_ai.user.message", {}, '{"role": "user", "content": "where is my order?"}', ASKED, None),
        ("gen_ai.user.message", {"content": "where is my order?"}, None, ASKED, None),
        ("gen_ai.user.message", {}, "where is my order?", ASKED, None),
        ("", {"event.name": "gen_ai.user.message"}, {"content": "where is my order?"}, ASKED, None),
        (
            "gen_ai.assistant.message",
            {},
            {"tool_calls": [CALL]},
            [{"role": "assistant", "parts": [CALL_PART]}],
            None,
        ),
        (
            "gen_ai.tool.message",
            {},
            {"id": "c1", "content": "shipped"},
            [{"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "shipped"}]}],
            None,
        ),
        (
            "gen_ai.choice",
            {},
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "on its way"}},
            None,
            [{**SAID[0], "finish_reason": "stop"}],
        ),
        (
            "gen_ai.choice",
            {},
            {"finish_reason": "tool_calls", "message": {"role": "assistant", "tool_calls": [CALL]}},
            None,
            [{"role": "assistant", "parts": [CALL_PART], "finish_reason": "tool_calls"}],
        ),
    ],
)
def test_messages_wherever_the_event_holds_them(event, attributes, body, given, answered):
    record = read(event, attributes, body)
    assert (loaded(record.input_messages), loaded(record.output_messages)) == (given, answered)


@pytest.mark.parametrize(
    ("event", "body"),
    [
        ("gen_ai.user.message", None),
        ("gen_ai.user.message", {}),
        ("gen_ai.system.message", {"role": "system"}),
        ("gen_ai.assistant.message", {"content": None}),
        ("gen_ai.choice", {"index": 0, "finish_reason": "stop", "message": {"role": "assistant"}}),
        ("gen_ai.choice", {"index": 0, "message": {"role": "assistant", "content": None}}),
        ("gen_ai.choice", {"finish_reason": "stop"}),
        (DETAILS, None),
    ],
)
def test_an_event_without_its_content_is_not_captured_rather_than_empty(event, body):
    record = read(event, body=body)
    assert record.input_messages is None
    assert record.output_messages is None
    assert record.result is None


def test_content_that_was_sent_empty_is_empty():
    assert loaded(read("gen_ai.user.message", body={"content": ""}).input_messages) == [{"role": "user", "parts": []}]
    assert read("x", {"gen_ai.tool.call.result": ""}).result == ""


def test_arguments_and_result_of_a_tool():
    record = read("gen_ai.tool.details", {"gen_ai.tool.call.arguments": {"id": 7}, "gen_ai.tool.call.result": "ok"})
    assert (record.arguments, record.result) == ('{"id":7}', "ok")
    assert read("gen_ai.tool.message", body={"content": '{"id": 7}'}).arguments == '{"id": 7}'
    assert read("gen_ai.choice", {"message": "ok"}).result == "ok"


def test_an_exception_event_is_read_and_one_that_says_nothing_is_none():
    said = {"exception.type": "ValueError", "exception.message": "no such order"}
    assert read("exception", said).exception == "ValueError: no such order"
    assert read("gen_ai.client.operation.exception", said).exception == "ValueError: no such order"
    assert read("exception").exception == ""


@pytest.mark.parametrize(
    ("event", "attributes"),
    [
        ("", {}),
        ("", {"exception.type": "ValueError", "exception.message": "handled and logged"}),
        ("app.started", {"gen_ai.request.model": "m"}),
        ("gen_ai.evaluation.result", {"gen_ai.evaluation.name": "x", "gen_ai.evaluation.score.value": 0.5}),
        ("gen_ai.evaluation.result", {"gen_ai.output.messages": SAID}),
        ("", {"event.name": "gen_ai.evaluation.result"}),
    ],
)
def test_somebodys_log_line_and_an_evaluation_are_no_content_whatever_ids_they_have(event, attributes):
    assert decode_log(log(event, attributes, "a line"), "default", EPOCH_MS) is None
    assert decode_log(log(event, attributes, "a line", trace_id=b"", span_id=b""), "default", EPOCH_MS) is None


def test_a_stored_record_stays_a_record_under_rules_that_would_not_store_it():
    decoded = decode_log(log("app.started"), "default", EPOCH_MS, content_hash=5, flags=TRUNCATED)
    assert decoded is not None
    assert (decoded[0].content_hash, decoded[0].flags, decoded[0].input_messages) == (5, TRUNCATED, None)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"trace_id": b""}, "without a trace: trace id must be 16 bytes, not all zero: empty"),
        ({"trace_id": bytes(16)}, "without a trace"),
        ({"trace_id": b"short"}, "without a trace"),
        ({"span_id": b""}, "without a span: span id must be 8 bytes, not all zero: empty"),
        ({"span_id": bytes(8)}, "without a span"),
    ],
)
def test_content_that_names_no_span_is_invalid(fields, sentence):
    with pytest.raises(InvalidOtlp, match=sentence):
        read("gen_ai.user.message", body={"content": "a"}, **fields)


def test_bytes_that_are_no_record_are_invalid():
    with pytest.raises(InvalidOtlp, match="not an OTLP log record"):
        decode_log(RawSpan(b"", b"", b"\xff\xff\xff"), "default", EPOCH_MS)


def test_a_key_that_is_not_utf8_costs_this_record():
    spoilt = log("gen_ai.user.message", {"kkkk": "v"}, {"content": "a"})
    spoilt = spoilt._replace(span=spoilt.span.replace(b"kkkk", b"k\xff\xfek"))
    with pytest.raises(InvalidOtlp, match="not UTF-8"):
        decode_log(spoilt, "default", EPOCH_MS)


def test_values_are_cut_at_the_bound_and_flagged_before_anything_is_read():
    long = "x" * 10 * VALUE_BYTES_MAX
    for raw in (
        log("gen_ai.user.message", body={"content": long}),
        log("gen_ai.user.message", {"content": long}),
        log("gen_ai.user.message", body=long),
    ):
        decoded = decode_log(raw, "default", EPOCH_MS)
        assert decoded is not None
        record, stored = decoded
        assert record.flags & TRUNCATED
        assert len(stored.span) < 2 * VALUE_BYTES_MAX
        assert loaded(record.input_messages)[0]["parts"][0]["content"] == "x" * VALUE_BYTES_MAX
        again = decode_log(stored, "default", EPOCH_MS, record.content_hash, record.flags)
        assert again == (record, stored)


def test_attributes_and_fields_over_the_number_are_left_out():
    many = {f"k{n:05}": "v" * 300 for n in range(ATTRIBUTES_MAX + 50)}
    for raw in (log("gen_ai.user.message", many), log("gen_ai.user.message", body=many)):
        decoded = decode_log(raw, "default", EPOCH_MS)
        assert decoded is not None
        assert decoded[0].flags & TRUNCATED
        assert len(decoded[1].span) < ATTRIBUTES_MAX * 320


def test_what_stays_too_large_is_refused_with_a_sentence():
    whole = log("gen_ai.user.message", body=["x" * 60_000] * 20)
    with pytest.raises(InvalidOtlp, match="stays over 1048576 after cutting its values"):
        decode_log(whole, "default", EPOCH_MS)


def test_what_was_lost_on_the_way_is_flagged():
    assert read("gen_ai.user.message", body={"content": "a"}, dropped_attributes_count=3).flags & DROPPED_ATTRIBUTES
    raw = log("x", {"gen_ai.tool.call.result": "xxxx"})
    broken = raw._replace(span=raw.span.replace(b"\x0a\x04xxxx", b"\x2a\x04\x0a\xff\xff\xff"))  # an array that is none
    decoded = decode_log(broken, "default", EPOCH_MS)
    assert decoded is not None
    assert (decoded[0].result, decoded[0].flags & BAD_VALUE) == (None, BAD_VALUE)


def test_the_hash_is_of_the_bytes_as_they_came():
    raw = log("gen_ai.user.message", body={"content": "a"})
    other = log("gen_ai.user.message", body={"content": "b"})
    hashes = {decoded[0].content_hash for r in (raw, raw, other) if (decoded := decode_log(r, "default", 1))}
    assert len(hashes) == 2


def test_logs_come_by_an_exporter_of_their_own():
    from schemas.decode import resource_of

    raw = log("gen_ai.user.message", body={"content": "a"})
    assert read("gen_ai.user.message", body={"content": "a"}).resource_id != resource_of(raw.resource).id
