"""Builders of values for tests: spans, steps and trajectories at offsets from one fixed epoch.

Every builder has a default for everything, and takes the one thing that a test is about as a keyword. Times are offsets
in milliseconds from `EPOCH_NS`. Ids are made from small numbers: span 3 of trace 1 is the same everywhere.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from schemas.expectation import TaskTruth, parse_expectation
from schemas.log_record import LogRecord
from schemas.registry import EMPTY, Workflow, parse_registry
from schemas.result import Result
from schemas.span import Span, is_step, step_label
from schemas.trajectory import NO_ROOT, CloseReason, Step, TraceKey, Trajectory

EPOCH_NS = 1_760_000_000_000_000_000
EPOCH_MS = EPOCH_NS // 1_000_000
TENANT = "default"


def trace_id(n: int = 1) -> bytes:
    """The id of trace n."""
    return n.to_bytes(16, "big")


def span_id(n: int) -> bytes:
    """The id of span n of its trace."""
    return n.to_bytes(8, "big")


def text_of(value: Any) -> str | None:
    """Content as a span holds it: text stays, None is not captured, everything else becomes JSON."""
    return value if value is None or isinstance(value, str) else orjson.dumps(value).decode()


def span(n: int = 1, *, at_ms: float = 0, took_ms: float = 50, parent: int | None = 0, **fields: Any) -> Span:
    """Span n, by default a child of span 0; `parent=None` makes a root. Any field of Span may be given."""
    start = EPOCH_NS + int(at_ms * 1_000_000)
    values: dict[str, Any] = {
        "tenant": TENANT,
        "received_ms": EPOCH_MS + int(at_ms + took_ms),
        "trace_id": trace_id(),
        "span_id": span_id(n),
        "parent_id": b"" if parent is None else span_id(parent),
        "name": f"span {n}",
        "kind": "llm",
        "dialect": "genai",
        "service": "shop",
        "workflow": "",
        "agent": "executor",
        "tool": "",
        "call_id": "",
        "model": "",
        "provider": "",
        "session_id": "",
        "task_id": "",
        "start_ns": start,
        "end_ns": start + int(took_ms * 1_000_000),
        "status": 0,
        "status_message": "",
        "error_type": "",
        "input_tokens": 0,
        "output_tokens": 0,
        "flags": 0,
        "arguments": None,
        "result": None,
        "exception": "",
        "escaped": False,
        "cost_usd": None,
        "input_messages": None,
        "output_messages": None,
        "tool_definitions": None,
        "expectation": None,
        "is_end": parent is None,
        "release": "",
        "resource_id": 1,
    }
    values.update(fields)
    if "content_hash" not in values:
        values["content_hash"] = _hash(values)
    return Span(**values)


def _hash(values: dict[str, Any]) -> int:
    return int.from_bytes(hashlib.blake2b(repr(sorted(values.items())).encode(), digest_size=8).digest())


def log_record(n: int = 1, event: str = "gen_ai.user.message", *, at_ms: float = 0, **fields: Any) -> LogRecord:
    """A log record that tells of span n. Any field of LogRecord may be given; content may be a plain value."""
    values: dict[str, Any] = {
        "tenant": TENANT,
        "received_ms": EPOCH_MS + int(at_ms),
        "trace_id": trace_id(),
        "span_id": span_id(n),
        "name": event,
        "service": "shop",
        "time_ns": EPOCH_NS + int(at_ms * 1_000_000),
        "flags": 0,
        "arguments": None,
        "result": None,
        "place": 0,
        "input_messages": None,
        "output_messages": None,
        "tool_definitions": None,
        "exception": "",
        "resource_id": 1_001,
    }
    values.update(fields)
    for name in ("arguments", "result", "input_messages", "output_messages", "tool_definitions"):
        values[name] = text_of(values[name])
    values.setdefault("content_hash", _hash(values))
    return LogRecord(**values)


def tool_span(n: int, tool: str, arguments: Any = None, result: Any = "done", **fields: Any) -> Span:
    """A tool call. Arguments and result may be plain values; None is not captured."""
    values = {"kind": "tool_call", "name": f"execute_tool {tool}", "call_id": f"call_{n}", **fields}
    return span(n, tool=tool, arguments=text_of(arguments), result=text_of(result), **values)


def llm_span(n: int, said: str | None = "", *, finish_reason: str = "stop", **fields: Any) -> Span:
    """A model call that said something to the user; `said=None` captures no output."""
    fields.setdefault("output_messages", None if said is None else text_of(assistant(said, finish_reason)))
    return span(n, kind="llm", name="chat", **fields)


def assistant(said: str, finish_reason: str = "stop") -> list[dict[str, Any]]:
    """Output messages of one assistant text."""
    return [{"role": "assistant", "parts": [{"type": "text", "content": said}], "finish_reason": finish_reason}]


def root_span(n: int = 0, *, took_ms: float = 10_000, **fields: Any) -> Span:
    """The root of a run: an agent's frame around everything."""
    fields.setdefault("kind", "agent")
    fields.setdefault("name", "invoke_agent")
    return span(n, parent=None, took_ms=took_ms, **fields)


def step(index: int, of: Span, *, agent: str | None = None, parent: int | None = None) -> Step:
    """A span as the step at this place."""
    who = of.agent if agent is None else agent
    return Step(index, of, step_label(of.kind, who, of.tool, of.name), who, parent)


def steps(*spans: Span) -> tuple[Step, ...]:
    """The spans that are steps, in the order given."""
    return tuple(step(index, s) for index, s in enumerate(s for s in spans if is_step(s.kind)))


def trajectory(
    *spans: Span,
    workflow: Workflow | None = None,
    truth: TaskTruth | None = None,
    closed: CloseReason = "root_ended",
    flags: int = 0,
    root: Span | bool | None = True,
) -> Trajectory:
    """A trajectory of these spans in this order. `root=True` adds a root where there is none, `False` leaves it out."""
    roots = tuple(s for s in spans if not s.parent_id)
    if root is True and not roots:
        end_ms = (max((s.end_ns for s in spans), default=EPOCH_NS) - EPOCH_NS) / 1_000_000
        roots = (root_span(took_ms=end_ms + 1, kind="workflow"),)
    elif isinstance(root, Span):
        roots = (root,)
    elif root is False or root is None:
        roots = ()
    registered = workflow or EMPTY.defaults
    return Trajectory(
        key=TraceKey(TENANT, trace_id()),
        workflow_name=registered.name,
        workflow=registered,
        steps=steps(*spans),
        root=roots[0] if roots else None,
        n_items=len(spans),
        flags=flags if roots else flags | NO_ROOT,
        closed=closed,
        truth=truth,
        roots=roots,
    )


def workflow(name: str = "refund", **declared: Any) -> Workflow:
    """The workflow of this declaration, as workflows.yaml would say it."""
    text = orjson.dumps({"workflows": [{"name": name, **declared}]}).decode()
    return parse_registry(text, "workflows.yaml").workflow(name)


def tool(
    name: str, properties: dict[str, Any] | None = None, required: Sequence[str] = (), **declared: Any
) -> dict[str, Any]:
    """A tool as workflows.yaml declares it, with a schema where properties are given."""
    if properties is not None:
        schema = {"type": "object", "properties": properties, "required": list(required)}
        declared = {"parameters": schema, **declared}
    return {"name": name, **declared}


def truth(*calls: Any, outputs: Iterable[str] = (), **fields: Any) -> TaskTruth:
    """Task truth of these expected calls: `(name, arguments)` or a whole expected call as a dict."""
    expected = [{"name": c[0], "arguments": c[1]} if isinstance(c, tuple) else c for c in calls]
    line = {
        "workflow": "refund",
        "task_id": "t1",
        "expected_calls": expected,
        "required_outputs": list(outputs),
        **fields,
    }
    return parse_expectation(orjson.dumps(line), "expectations.jsonl", 1)


def result_of(results: Iterable[Result], evaluator: str, span: int | None = None) -> Result:
    """The one result of an evaluator about span n, or about the trajectory. Fails where there is none or several."""
    wanted = b"" if span is None else span_id(span)
    found = [r for r in results if r.evaluator == evaluator and r.span_id == wanted]
    assert len(found) == 1, f"{len(found)} results of {evaluator} about {span}: {found}"
    return found[0]
