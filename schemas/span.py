"""A span, normalised: what every room after decode speaks of.

`Span` is the canonical value all dialects are mapped to (span-conventions 6.1). It is a pure function of the raw span, its
resource and scope, the tenant and the append time of its Kafka record; nothing here knows of Kafka or ClickHouse.

"Not captured" is never "empty": a content field that the producer did not send is None, one it sent empty is "".
"""

import re
from typing import Final, Literal, NamedTuple, get_args

StepKind = Literal[
    "tool_call",  # an executed tool, successful or not
    "llm",  # one call of a model
    "planner",  # a call of a model, or a node, that plans or routes
    "verifier",  # a check of the work: guardrail, evaluator, reviewer agent
    "handoff",  # control or work passed from one agent to another
    "retrieval",  # documents looked up
    "human",  # a person was asked
    "agent",  # an agent's run (may also be the root of the trajectory)
    "workflow",  # the frame around a run; no step
    "memory",  # agent memory read or written; no step
    "internal",  # structure and noise; no step
]
STEP_KINDS: Final[frozenset[str]] = frozenset(get_args(StepKind)) - {"workflow", "memory", "internal"}

UNSET, OK, ERROR = 0, 1, 2  # OTLP status codes

# Flags of a span, a bit each. A bound that was hit, or content that could not be trusted, is never silent.
CLOCK_SUSPECT: Final = 1  # start or end lies more than a day from the received time, or end < start
TRUNCATED: Final = 2  # a value over 64 KiB or an attribute beyond the 256th was cut in decode
DROPPED_ATTRIBUTES: Final = 4  # the producer says that it dropped attributes
INVALID_UTF8: Final = 8  # bytes that are not UTF-8 were replaced by U+FFFD
BAD_VALUE: Final = 16  # an attribute value could not be read (too deep, broken) and was left out
REDACTED: Final = 32  # content was masked or taken away before anything was judged (docs/privacy.md)
FLAG_NAMES: Final = {
    CLOCK_SUSPECT: "clock_suspect",
    TRUNCATED: "truncated",
    DROPPED_ATTRIBUTES: "dropped_attributes",
    INVALID_UTF8: "invalid_utf8",
    BAD_VALUE: "bad_value",
    REDACTED: "redacted",
}


class RawSpan(NamedTuple):
    """A span as bytes: serialised OTLP `Span`, `Resource` and `InstrumentationScope` messages. Log records travel in the
    same three parts, a `LogRecord` in the place of the span."""

    resource: bytes
    scope: bytes
    span: bytes


class Span(NamedTuple):
    """One normalised span. The fields up to `result` are columns of the `spans` table, in this order."""

    tenant: str
    received_ms: int  # append time of its Kafka record, ms since the epoch
    trace_id: bytes  # 16 bytes
    span_id: bytes  # 8 bytes
    parent_id: bytes  # 8 bytes; b"" at a root
    content_hash: int  # XXH3-64 of the raw span as it came in: before redaction and truncation
    name: str
    kind: StepKind
    dialect: str  # which reading rule set understood it
    service: str
    workflow: str  # as this span or its resource says it; "" when it does not
    agent: str
    tool: str
    call_id: str
    model: str
    provider: str
    session_id: str
    task_id: str  # joins task truth
    start_ns: int
    end_ns: int
    status: int
    status_message: str
    error_type: str
    input_tokens: int
    output_tokens: int
    flags: int
    arguments: str | None  # of a tool call, JSON text as captured
    result: str | None
    # What only evaluators read; it is in the stored raw span.
    exception: str  # "type: message" of an exception event; "" without one
    escaped: bool  # that exception left the span
    cost_usd: float | None
    input_messages: str | None
    output_messages: str | None
    tool_definitions: str | None
    expectation: str | None  # task truth carried by the span itself, JSON text
    is_end: bool  # this span ends its trace: parentless, or marked `stepwatch.trajectory.end`
    release: str  # service.version of the resource; "" unknown
    resource_id: int  # equal for spans of one resource: how many exporters a trace has decides its settle time
    operation: StepKind | Literal[""] = ""  # the kind before an agent's name refined it: a planner may be a model call
    finish_reasons: str = ""  # why a model stopped, as captured: a word or a JSON list; "" not captured
    target: str = ""  # whom a handoff passes to, where attributes of its own say so
    marks: tuple[
        tuple[str, str, str], ...
    ] = ()  # what it and its resource say under the keys that naming rules look at


_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32}", re.IGNORECASE)

SPAN_COLUMNS: Final[tuple[str, ...]] = Span._fields[: Span._fields.index("result") + 1]


def step_label(kind: StepKind, agent: str, tool: str, name: str) -> str:
    """The label of low cardinality that rates are grouped by (architecture 6.1).

    `agent/tool` for tool calls and retrievals, `agent/llm`, `from/handoff`, `agent/human`; planner, verifier and agent
    steps are the agent itself. No agent: `-`.
    """
    who = agent or "-"
    match kind:
        case "tool_call" | "retrieval":
            return f"{who}/{tool or name}"
        case "llm" | "handoff" | "human":
            return f"{who}/{kind}"
        case _:
            return agent or _ID.sub("<id>", name)


def is_step(kind: str) -> bool:
    """Whether spans of this kind are steps of a trajectory (the others are structure)."""
    return kind in STEP_KINDS


def flag_names(flags: int) -> list[str]:
    """The names of the set bits, for people."""
    return [name for bit, name in FLAG_NAMES.items() if flags & bit]
