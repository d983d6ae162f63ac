"""Mutated OTLP requests, protobuf and JSON, through decode, dialects and assembly.

Whatever arrives: no exception but InvalidOtlp, no more memory than a small multiple of the input, neighbours intact. A few
hundred requests in the suite; `STEPWATCH_FUZZ_CASES=100000` runs as many, `STEPWATCH_FUZZ_SEED` another sequence.
"""

import os
import random
import resource
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from schemas import dialects
from schemas.decode import decode
from schemas.dialects import reading
from schemas.dialects.context import SESSION, WORKFLOW
from schemas.dialects.explained import explain
from schemas.otlp import InvalidOtlp
from schemas.redaction.redactor import redactor_of
from schemas.registry import EMPTY, parse_registry
from schemas.span import RawSpan, Span
from schemas.toolcall import read_call
from schemas.topic_record import split_record
from schemas.trajectory import TraceKey
from streams.core.assemble import assemble
from tests.builders import EPOCH_MS, EPOCH_NS
from tests.schemas.dialect_spans import any_value
from tests.schemas.test_dialects_fields import FIELDS
from tests.schemas.test_dialects_kinds import KINDS

CASES = int(os.environ.get("STEPWATCH_FUZZ_CASES", "400"))
SEED = int(os.environ.get("STEPWATCH_FUZZ_SEED", "7"))
SPANS_A_REQUEST = 3
SECRET = "planted.secret@example.org"
GROWTH_MAX = 16  # characters that a span's fields may hold, for each byte of its record
SLACK = 4_096
MEMORY_GROWTH_MAX_KB = 300_000  # of the whole run, caches included

SCOPES = ["", *dialects._BY_SCOPE, "autogen SingleThreadedAgentRuntime", "openinference.instrumentation.openai_agents"]
NAMES = [
    "",
    "a",
    "handoff to x",
    "a → b.handoff",
    "Crew.kickoff",
    "invoke_agent x",
    "tools/call x",
    "ToolUsage._use",
    "\u2028",
]
EVENTS = [
    "exception", "gen_ai.choice", "gen_ai.tool.message", "gen_ai.user.message", "gen_ai.content.prompt",
    "gen_ai.client.inference.operation.details", "interrupt",
]  # fmt: skip
CONTENT = [
    "message", "content", "id", "role", "tool_calls", "finish_reason", "gen_ai.input.messages", "gen_ai.output.messages",
    "gen_ai.prompt", "gen_ai.completion", "exception.type", "exception.message", "exception.escaped",
]  # fmt: skip
PREFIXES = ["llm.input_messages", "llm.output_messages", "gen_ai.input.messages", "gen_ai.prompt", "gen_ai.completion"]
PATHS = ["role", "content", "message.content", "message.contents.{}.message_content.text", "message.tool_calls.{}.tool_call.id",
         "message.tool_calls.{}.tool_call.function.arguments", "message", "", "tool_calls.{}.name", "__proto__"]  # fmt: skip
KNOWN = sorted(
    {
        *(key for dialect in dialects.DIALECTS for key in dialect.MARKERS),
        *(key for keys in reading.GENAI for key in keys),
        *SESSION, *WORKFLOW, "metadata", "message", "messaging.operation", "gen_ai.operation.name", "error.type",
        "gen_ai.guardrail.result.type", "gen_ai.evaluation.score.label", "llm.tools.0.tool.json_schema", "tool.parameters",
        *(key for case in FIELDS for key in case[3]),
        *(key for case in KINDS for key in case[2]),
    }
)  # fmt: skip
HOSTILE: list[Any] = [
    "", "{}", "[]", "null", "{", '"', "{'a': 1}", "{'a': __import__('os')}", "content='", "content='a' tool_call_id='", "[" * 300,
    '{"a":' * 300, "{'a':" * 300, "(" * 300, "{'a': " + "-" * 5_000 + "1}", "9" * 5_000, '{"lc":1,"kwargs":{"tool_call_id":[]}}',
    '{"args":[1,2],"kwargs":null}', '{"args":{},"kwargs":{}}', '{"type":"tool","data":{"content":{}}}', '[{"text":1}]',
    '{"input_str":null,"tags":1}', '{"message":{"content":[{"name":1,"arguments":2}],"models_usage":{"prompt_tokens":1e400}}}',
    '{"message":{"content":"x","models_usage":{"prompt_tokens":-5}}}', '{"contents":[{"parts":[1,null,{"text":2}]}]}',
    '[{"role":"tool","parts":{"a":1}}]', '[{"role":1,"content":[[["x"]]]}]', "{'a': 1e999, 'b': {1, 2}}", "{1: b'x'}",
    '{"a":1e400}', "\ud7ff\uffff", "\x00", "null\u0000", "invoke_agent", "TOOL", "chat", "execute_tool", "process", "true",
    "ERROR", 0, -1, 2**63 - 1, -(2**63), 0.0, float("nan"), float("inf"), True, False, None, b"\xff\x00", [], {}, [[[]]],
    {"a": {"b": [None]}},
]  # fmt: skip


def hostile(rng: random.Random) -> Any:
    value = rng.choice(HOSTILE)
    if isinstance(value, str) and rng.random() < 0.1:
        value *= rng.choice([2, 50])
    return value


def attributes(rng: random.Random) -> dict[str, Any]:
    """A span as some producer writes it, with a few keys more, fewer or other."""
    base = rng.choice(FIELDS)[3] if rng.random() < 0.5 else rng.choice(KINDS)[2]
    found = dict(base)
    for _ in range(rng.randint(0, 5)):
        found[key(rng)] = hostile(rng)
    for gone in [k for k in found if rng.random() < 0.1]:
        del found[gone]
    return found


def key(rng: random.Random) -> str:
    if rng.random() < 0.3:
        path = rng.choice(PATHS).format(rng.choice(["0", "1", "999999999", "²", "-1", ""]))
        return f"{rng.choice(PREFIXES)}.{rng.choice(['0', '1', '511', '512', '9' * 40, '²', ''])}.{path}"
    return rng.choice(KNOWN)


def request(rng: random.Random) -> ExportTraceServiceRequest:
    message = ExportTraceServiceRequest()
    for number in range(1, SPANS_A_REQUEST + 1):
        scoped = message.resource_spans.add().scope_spans.add()
        scoped.scope.name = rng.choice(SCOPES)
        span = scoped.spans.add(
            trace_id=bytes(15) + b"\x01",
            span_id=number.to_bytes(8, "big"),
            parent_span_id=rng.choice([b"", (number - 1).to_bytes(8, "big"), bytes(7) + b"\x63"]),
            name=rng.choice(NAMES),
            start_time_unix_nano=EPOCH_NS,
            end_time_unix_nano=EPOCH_NS + rng.choice([-1, 0, 1]),
        )
        span.status.code = rng.choice([0, 1, 2])
        fill(span.attributes, attributes(rng))
        for _ in range(rng.choice([0, 0, 1, 3])):
            event = span.events.add(name=rng.choice(EVENTS))
            fill(event.attributes, {rng.choice(CONTENT): hostile(rng) for _ in range(2)})
    return message


def fill(target: Any, given: dict[str, Any]) -> None:
    for name, value in given.items():
        target.add(key=name).value.CopyFrom(any_value(value))


def damaged(rng: random.Random, data: bytes) -> bytes:
    """Bytes flipped, cut out, put in twice, or cut off."""
    found = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(found) + 1) if found else 0
        match rng.randint(0, 3):
            case 0 if at < len(found):
                found[at] = rng.randrange(256)
            case 1:
                del found[at : at + rng.randint(1, 8)]
            case 2:
                found[at:at] = found[at : at + 16] or b"\xff"
            case _ if rng.random() < 0.3:
                del found[at:]
    return bytes(found)


def taken(record: bytes) -> list[Span]:
    """What is read of a record. Anything but InvalidOtlp is a failure of ours."""
    try:
        raws, _ = split_record(record)
    except InvalidOtlp:
        return []
    spans = []
    for raw in raws:
        try:
            span, stored = decode(raw, "default", EPOCH_MS)
        except InvalidOtlp:
            continue
        assert explain(stored).dialect == span.dialect
        read_call(span)
        spans.append(span)
    by_trace: dict[bytes, list[Span]] = {}
    for span in spans:
        by_trace.setdefault(span.trace_id, []).append(span)
    for trace_id, mine in by_trace.items():
        assert len(assemble(TraceKey("default", trace_id), mine, EMPTY, {}, "marker").steps) <= len(mine)
    return spans


def held(span: Span) -> int:
    return sum(len(value) for value in span if isinstance(value, str | bytes))


def as_json(message: ExportTraceServiceRequest) -> bytes:
    """The request as OTLP/JSON: ids in hex, values plain (our reader takes both)."""
    spans = [
        {
            "scope": {"name": scoped.scope.name},
            "spans": [
                {
                    "traceId": span.trace_id.hex(), "spanId": span.span_id.hex(), "parentSpanId": span.parent_span_id.hex(),
                    "name": span.name, "status": {"code": span.status.code},
                    "attributes": {kv.key: plain(kv.value) for kv in span.attributes},
                }
                for span in scoped.spans
            ],
        }
        for frame in message.resource_spans for scoped in frame.scope_spans
    ]  # fmt: skip
    return orjson.dumps({"resourceSpans": [{"scopeSpans": spans}]}, default=str)


def plain(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(v) for v in value.array_value.values]
    if kind == "kvlist_value":
        return {kv.key: plain(kv.value) for kv in value.kvlist_value.values}
    return None if kind is None else getattr(value, kind)


def seeds(share: int) -> Iterator[random.Random]:
    return (random.Random(SEED * 1_000_003 + n) for n in range(CASES // share))


def test_hostile_attributes_are_read_or_refused() -> None:
    for rng in seeds(4):
        record = request(rng).SerializeToString()
        for span in taken(record):
            assert held(span) <= GROWTH_MAX * len(record) + SLACK


def test_damaged_protobuf_is_read_or_refused() -> None:
    for rng in seeds(4):
        record = damaged(rng, request(rng).SerializeToString())
        for span in taken(record):
            assert held(span) <= GROWTH_MAX * len(record) + SLACK


def test_damaged_json_is_read_or_refused() -> None:
    for rng in seeds(4):
        document = as_json(request(rng))
        record = damaged(rng, document) if rng.random() < 0.8 else document
        for span in taken(record):
            assert held(span) <= GROWTH_MAX * len(record) + SLACK


def test_a_damaged_span_costs_its_neighbours_nothing() -> None:
    for rng in seeds(4):
        message = request(rng)
        raws = split_record(message.SerializeToString())[0]
        before = [read_or_none(raw) for raw in raws]
        spoilt = raws[1]._replace(span=damaged(rng, raws[1].span))
        after = [read_or_none(raw) for raw in split_record(joined([raws[0], spoilt, raws[2]]))[0]]
        assert (after[0], after[2]) == (before[0], before[2])


def read_or_none(raw: RawSpan) -> Span | None:
    try:
        return decode(raw, "default", EPOCH_MS)[0]._replace(cost_usd=None)  # NaN is not equal to itself
    except InvalidOtlp:
        return None


def joined(raws: list[RawSpan]) -> bytes:
    """A request of raw spans, whatever their bytes hold."""
    return b"".join(
        field(1, field(1, raw.resource) + field(2, field(1, raw.scope) + field(2, raw.span))) for raw in raws
    )


def field(number: int, body: bytes) -> bytes:
    size, head = len(body), b""
    while size > 127:
        head += bytes([size & 127 | 128])
        size >>= 7
    return bytes([number << 3 | 2]) + head + bytes([size]) + body


@pytest.fixture(autouse=True, scope="module")
def bounded_memory() -> Iterator[None]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY_GROWTH_MAX_KB


def test_the_requests_are_what_the_dialects_speak() -> None:
    """The fuzz reaches every dialect: without that its silence would say nothing."""
    found = {span.dialect for rng in seeds(1) for span in taken(request(rng).SerializeToString())}
    assert found >= {dialect.NAME for dialect in dialects.DIALECTS} | {"generic", "openai_agents"}


BY_TENANT: list[dict[str, Any]] = [{"redaction": {"tenants": {"*": level}}} for level in ("mask", "strict")]
BY_WORKFLOW = {"workflows": [{"name": "w", "redaction": "strict"}], "redaction": {"tenants": {"*": "mask"}}}


@pytest.mark.parametrize("said", [*BY_TENANT, BY_WORKFLOW], ids=["mask", "strict", "by workflow"])
def test_hostile_and_damaged_requests_are_redacted_or_refused(said: dict[str, Any]) -> None:
    """No other exception; what is kept is redacted already; a secret that was put into every request is gone."""
    redactor = redactor_of(parse_registry(orjson.dumps(said).decode(), "workflows.yaml"), b"a secret of some length")
    assert redactor is not None
    for rng in seeds(4):
        message = request(rng)
        for frame in message.resource_spans:
            for span in frame.scope_spans[0].spans:
                span.attributes.add(key=key(rng)).value.string_value = f"I am {SECRET}"
                span.events.add(name=rng.choice(EVENTS)).attributes.add(
                    key=rng.choice(CONTENT)
                ).value.string_value = SECRET
        whole = message.SerializeToString()
        for record in (whole, damaged(rng, whole)):
            try:
                raws, _ = split_record(record)
            except InvalidOtlp:
                continue
            for raw in raws:
                try:
                    _, kept = decode(raw, "default", EPOCH_MS, redactor=redactor)
                except InvalidOtlp:
                    continue
                assert redactor.span(kept, "default")[0] == kept
                assert record is not whole or SECRET.encode() not in kept.span + kept.resource + kept.scope
