"""Raw span to Span: what each dialect says, and what bad input becomes."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span as OtlpSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from schemas.cut import ATTRIBUTES_MAX, VALUE_BYTES_MAX
from schemas.decode import decode
from schemas.otlp import InvalidOtlp
from schemas.span import BAD_VALUE, CLOCK_SUSPECT, DROPPED_ATTRIBUTES, INVALID_UTF8, TRUNCATED, RawSpan, Span
from schemas.toolcall import read_call
from schemas.topic_record import split_record
from tests.builders import EPOCH_MS, EPOCH_NS
from tests.shared import shared

TRACE, SPAN = bytes(range(16)), bytes(range(1, 9))


def any_value(value: Any) -> AnyValue:
    if isinstance(value, AnyValue):
        return value
    kind = {bool: "bool_value", int: "int_value", float: "double_value", str: "string_value", bytes: "bytes_value"}
    return AnyValue(**{kind[type(value)]: value})


def raw(attributes: dict[str, Any], **fields: Any) -> RawSpan:
    """A raw span, by default a well-formed child span with these attributes."""
    values: dict[str, Any] = {
        "trace_id": TRACE,
        "span_id": SPAN,
        "parent_span_id": bytes(range(2, 10)),
        "name": "a span",
        "start_time_unix_nano": EPOCH_NS,
        "end_time_unix_nano": EPOCH_NS + 5_000_000,
        **fields,
    }
    span = OtlpSpan(attributes=[KeyValue(key=k, value=any_value(v)) for k, v in attributes.items()], **values)
    resource = Resource(
        attributes=[
            KeyValue(key="service.name", value=any_value("shop")),
            KeyValue(key="service.version", value=any_value("2.1")),
        ]
    )
    scope = InstrumentationScope(name="lib")
    return RawSpan(resource.SerializeToString(), scope.SerializeToString(), span.SerializeToString())


def read(attributes: dict[str, Any], **fields: Any) -> Span:
    return decode(raw(attributes, **fields), "default", EPOCH_MS)[0]


TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "pay", "gen_ai.agent.name": "executor"}
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.agent.name": "executor"}


@pytest.mark.parametrize(
    ("attributes", "kind"),
    [
        (TOOL, "tool_call"),
        ({"gen_ai.tool.name": "pay"}, "tool_call"),
        ({**TOOL, "gen_ai.tool.type": "datastore"}, "retrieval"),
        ({**TOOL, "gen_ai.tool.name": "transfer_to_billing"}, "handoff"),
        ({**TOOL, "gen_ai.transfer.mode": "pass_control"}, "handoff"),
        ({**TOOL, "gen_ai.tool.name": "ask_human"}, "human"),
        ({**TOOL, "gen_ai.tool.name": "ask_user_for_order_id"}, "human"),
        ({**TOOL, "gen_ai.tool.name": "request_approval"}, "human"),
        ({**TOOL, "gen_ai.tool.name": "get_user_input"}, "human"),
        ({**TOOL, "gen_ai.tool.name": "wait_for_confirmation"}, "human"),
        ({**TOOL, "gen_ai.tool.name": "get_user_details"}, "tool_call"),
        ({**TOOL, "gen_ai.tool.name": "get_users"}, "tool_call"),
        ({**TOOL, "gen_ai.tool.name": "request_user_data_export"}, "tool_call"),
        (CHAT, "llm"),
        ({**CHAT, "gen_ai.agent.name": "planner"}, "planner"),
        ({**CHAT, "gen_ai.agent.name": "verifier"}, "verifier"),
        ({"gen_ai.operation.name": "plan"}, "planner"),
        ({"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "executor"}, "agent"),
        ({"gen_ai.operation.name": "invoke_agent", "gen_ai.tool.name": "x"}, "agent"),
        ({"gen_ai.operation.name": "invoke_workflow", "gen_ai.workflow.name": "refund"}, "workflow"),
        ({"gen_ai.operation.name": "create_agent"}, "internal"),
        ({"gen_ai.operation.name": "search_memory"}, "memory"),
        ({"http.method": "GET"}, "internal"),
        ({"openinference.span.kind": "TOOL", "tool.name": "pay"}, "tool_call"),
        ({"openinference.span.kind": "llm"}, "llm"),
        ({"openinference.span.kind": "AGENT", "tool.name": "route_to_agent"}, "tool_call"),
        ({"openinference.span.kind": "CHAIN"}, "internal"),
        ({"openinference.span.kind": "GUARDRAIL"}, "verifier"),
        ({"openinference.span.kind": "TOOL", "gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}, "llm"),
    ],
)
def test_the_kind_is_the_first_rule_that_fires(attributes: dict[str, Any], kind: str) -> None:
    assert read(attributes).kind == kind


def test_a_genai_tool_call_in_canonical_fields() -> None:
    span = read(
        {
            **TOOL,
            "gen_ai.tool.call.id": "c1",
            "gen_ai.tool.call.arguments": '{"id": 1}',
            "gen_ai.tool.call.result": "ok",
        }
    )
    assert (span.tool, span.agent, span.call_id, span.arguments, span.result) == (
        "pay",
        "executor",
        "c1",
        '{"id": 1}',
        "ok",
    )
    assert (span.service, span.release, span.dialect, span.is_end) == ("shop", "2.1", "genai", False)


def test_an_openinference_tool_call_in_canonical_fields() -> None:
    span = read({"openinference.span.kind": "TOOL", "tool.name": "pay", "input.value": "{}", "output.value": "ok",
                 "metadata": '{"langgraph_node": "executor"}'})  # fmt: skip
    assert (span.tool, span.agent, span.arguments, span.result) == ("pay", "executor", "{}", "ok")


def test_flattened_messages_become_genai_messages() -> None:
    span = read({
        "openinference.span.kind": "LLM",
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.content": "hello",
        "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "pay",
        "llm.output_messages.999999999.message.content": "must not allocate",
    })  # fmt: skip
    messages = orjson.loads(span.output_messages or "")
    assert [part["type"] for part in messages[0]["parts"]] == ["text", "tool_call"]
    assert len(messages) == 1


def test_not_captured_is_not_empty() -> None:
    assert read(TOOL).arguments is None
    assert read({**TOOL, "gen_ai.tool.call.arguments": ""}).arguments == ""


def test_structured_arguments_become_json_text() -> None:
    nested = AnyValue()
    nested.kvlist_value.values.add(key="id").value.int_value = 7
    assert orjson.loads(read({**TOOL, "gen_ai.tool.call.arguments": nested}).arguments or "") == {"id": 7}


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"trace_id": b"short"}, "trace id must be 16 bytes"),
        ({"trace_id": bytes(16)}, "trace id must be 16 bytes"),
        ({"span_id": b""}, "span id must be 8 bytes"),
    ],
)
def test_a_wrong_id_is_refused_with_a_sentence(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidOtlp, match=sentence):
        read({}, **fields)


def test_broken_protobuf_is_refused_with_a_sentence() -> None:
    with pytest.raises(InvalidOtlp, match="not an OTLP span"):
        decode(raw({})._replace(span=b"\x0a\xff\xff"), "default", EPOCH_MS)


@pytest.mark.parametrize("start", [0, 9_223_372_036_854_775_807], ids=["1970", "2262"])
def test_a_clock_far_off_is_flagged_and_harmless(start: int) -> None:
    span = read({}, start_time_unix_nano=start, end_time_unix_nano=start)
    assert span.flags & CLOCK_SUSPECT
    assert span.received_ms == EPOCH_MS


def test_an_end_before_the_start_is_flagged() -> None:
    span = read({}, end_time_unix_nano=EPOCH_NS - 1)
    assert span.flags & CLOCK_SUSPECT
    assert span.end_ns == span.start_ns


def test_invalid_utf8_is_replaced_and_flagged() -> None:
    good = raw({**TOOL, "gen_ai.tool.call.result": "ok?"})
    bad = good._replace(span=good.span.replace(b"ok?", b"ok\xff"))
    span, _ = decode(bad, "default", EPOCH_MS)
    assert span.flags & INVALID_UTF8
    assert span.result == "ok\ufffd"


def spoilt_key(attributes: dict[str, Any]) -> RawSpan:
    good = raw({"k1": "v", **attributes})
    return good._replace(span=good.span.replace(b"\x02k1", b"\x02k\xff"))


@pytest.mark.parametrize("attributes", [TOOL, {"openinference.span.kind": "LLM"}])
def test_an_attribute_key_that_is_not_utf8_is_nobodys_key(attributes: dict[str, Any]) -> None:
    span, _ = decode(spoilt_key(attributes), "default", EPOCH_MS)
    assert span.kind == read(attributes).kind


@pytest.mark.parametrize("index", ["²", "9" * 5_000, "-1", "", "__proto__"])
def test_an_index_that_is_none_is_left_alone(index: str) -> None:
    keys = (
        f"llm.input_messages.{index}.message.role",
        f"llm.input_messages.0.message.contents.{index}.message_content.text",
    )
    span = read({"openinference.span.kind": "LLM", **dict.fromkeys(keys, "user")})
    assert span.kind == "llm"


def test_a_span_that_must_be_cut_and_has_a_key_that_is_not_utf8_is_invalid_and_never_a_crash() -> None:
    with pytest.raises(InvalidOtlp, match="an attribute key is not UTF-8"):
        decode(spoilt_key({"k2": "x" * 2 * VALUE_BYTES_MAX}), "default", EPOCH_MS)


def test_a_long_value_is_cut_before_it_is_stored_and_the_hash_is_of_the_whole() -> None:
    long = raw({**TOOL, "gen_ai.tool.call.result": "x" * 10 * VALUE_BYTES_MAX})
    span, stored = decode(long, "default", EPOCH_MS)
    assert span.flags & TRUNCATED
    assert len(span.result or "") == VALUE_BYTES_MAX
    assert len(stored.span) < 2 * VALUE_BYTES_MAX
    again, _ = decode(stored, "default", EPOCH_MS, span.content_hash, span.flags)
    assert again == span, "read back it is the same span"


def test_attributes_beyond_the_bound_are_left_out_and_flagged() -> None:
    many = raw({f"k{n:05}": "v" * 300 for n in range(ATTRIBUTES_MAX + 50)})
    assert decode(many, "default", EPOCH_MS)[0].flags & TRUNCATED


@pytest.mark.parametrize(("levels", "flag"), [(1_000, BAD_VALUE), (10_000, TRUNCATED)])
def test_a_value_nested_too_deep_is_left_out_and_its_span_kept(levels: int, flag: int) -> None:
    deep = AnyValue(string_value="bottom").SerializeToString()
    for _ in range(levels):
        deep = b"\x2a" + _delimited(b"\x0a" + _delimited(deep))
    attribute = b"\x0a" + _delimited(b"gen_ai.tool.call.result") + b"\x12" + _delimited(deep)
    span = raw(TOOL)
    span = span._replace(span=span.span + b"\x4a" + _delimited(attribute))
    read_span, _ = decode(span, "default", EPOCH_MS)
    assert read_span.tool == "pay"
    assert read_span.result is None
    assert read_span.flags & flag


def _delimited(body: bytes) -> bytes:
    size, out = len(body), b""
    while size > 127:
        out += bytes([size & 127 | 128])
        size >>= 7
    return out + bytes([size]) + body


def test_dropped_attributes_are_flagged() -> None:
    assert read({}, dropped_attributes_count=3).flags & DROPPED_ATTRIBUTES


def test_an_exception_event_is_read() -> None:
    event = OtlpSpan.Event(name="exception")
    event.attributes.add(key="exception.type").value.string_value = "TimeoutError"
    event.attributes.add(key="exception.message").value.string_value = "too slow"
    span = read(TOOL, events=[event], status=Status(code=Status.STATUS_CODE_ERROR, message="boom"))
    assert (span.exception, span.status, span.status_message) == ("TimeoutError: too slow", 2, "boom")


# What the instrumentors really send (../shared/data/spans): in every dirty run one raised and one swallowed call can be seen,
# in a clean run none. The files are those whose content lies where the two dialects of today look for it.
REAL = [
    "crewai-openinference-events.jsonl",
    "crewai-openinference.jsonl",
    "langgraph-openinference.jsonl",
    "openai-agents-openinference.jsonl",
    "openai-agents-otel-v2.jsonl",
    "pydantic-ai-v5.jsonl",
    "smolagents-openinference.jsonl",
    "vercel-ai-otel.jsonl",
]


@pytest.mark.parametrize("name", REAL)
def test_real_spans_show_one_raised_and_one_swallowed_failure_in_the_dirty_run(name: str) -> None:
    path: Path = shared(f"data/spans/{name}")
    failures = []
    for line in path.read_bytes().splitlines():
        for raw_span in split_record(line)[0]:
            span, _ = decode(raw_span, "default", EPOCH_MS)
            if span.kind == "tool_call" and (failure := read_call(span).failure) and failure.severity == "failed":
                failures.append((span.trace_id, span.tool, failure.swallowed))
    assert sorted(f[1:] for f in failures) == [("issue_refund", False), ("update_crm", True)]
    assert len({f[0] for f in failures}) == 1, "both in the dirty run"
