"""The golden table of failures: each rule of span-conventions 6.3 has a case that names it, from the span to the verdict."""

from typing import Any

import pytest

from schemas.failure import Failure
from schemas.span import Span
from schemas.toolcall import read_call
from tests.schemas.dialect_spans import AGENT, CHAT, ERROR, FI, LC, OI, OP, TOOL, VERCEL, read


def failure(span: Span) -> Failure | None:
    return read_call(span).failure


RESULT = "gen_ai.tool.call.result"
EXCEPTION = {"exception": {"exception.type": "RuntimeError", "exception.message": "m"}}
CANCELLED = {"exception": {"exception.type": "CancelledError", "exception.message": ""}}

# 6.3: (rule, severity and swallowed, attributes, anything else of the span). E3 is told to the rules as E2 is.
FAILURES: list[tuple[str, tuple[str, str, bool] | None, dict[str, Any], dict[str, Any]]] = [
    ("none", None, {**TOOL, RESULT: "done"}, {}),
    ("E1", ("E1", "failed", False), TOOL, {"status": ERROR}),
    ("E2", ("E2", "failed", False), {**TOOL, "error.type": "timeout"}, {}),
    *(("E3", ("E2", "failed", False), {**TOOL, key: value}, {})
      for key, value in (("gen_ai.tool.status", "error"), ("gen_ai.task.status", "failure"),
                         ("pydantic_ai.tool.failure_stage", "validation"), ("gen_ai.tool.execution.success", False),
                         ("gen_ai.tool.error", "no such order"), ("gen_ai.response.status", "failed"),
                         ("langfuse.observation.level", "ERROR"), ("logfire.level_num", 17),
                         ("langsmith.metadata.is_error", "true"), ("lk.function_tool.is_error", True),
                         ("http.response.status_code", 503), ("http.status_code", 404))),
    ("E3, mcp", ("E2", "failed", False), {"mcp.method.name": "tools/call", "rpc.response.status_code": "-32602"}, {}),
    *(("E3, a good outcome", None, {**TOOL, key: value}, {})
      for key, value in (("gen_ai.tool.status", "success"), ("gen_ai.tool.status", "async_launched"),
                         ("gen_ai.tool.execution.success", True), ("langfuse.observation.level", "DEFAULT"),
                         ("logfire.level_num", 9), ("langsmith.metadata.is_error", "false"), ("http.status_code", 200))),
    ("E4", ("E4", "failed", False), TOOL, {"events": EXCEPTION}),
    ("E4, an agent dealt with it", ("E4", "handled", False), AGENT, {"events": EXCEPTION}),
    *(("E5", ("E5", "failed", True), {**TOOL, RESULT: result}, {})
      for result in ('{"isError": true}',
                     '{"error": "500 upstream"}', '{"success": false}', '{"status": "error", "message": "m"}',
                     '{"status_code": 503}', '{"type": "error"}', '{"result": {"error": "x"}}',
                     '{"content": [{"type": "text", "text": "{\\"error\\": \\"x\\"}"}]}')),
    ("E5, a message that says error", ("E5", "failed", True),
     {OI: "TOOL", "output.value": LC.replace("success", "error")}, {}),
    ("E5, null is no error", None, {**TOOL, RESULT: '{"error": null}'}, {}),
    ("E5, a message that was printed", ("E5", "failed", True),
     {FI: "TOOL", "output.value": '{"output": "content=\'x\' tool_call_id=\'c\' status=\'error\'"}'}, {}),
    ("E6", ("E6", "failed", True), {**TOOL, RESULT: "Error: no such order"}, {}),
    ("E6", ("E6", "failed", True), {**TOOL, RESULT: "An error occurred while running the tool. Please try again."}, {}),
    ("E6, not at the start", None, {**TOOL, RESULT: "found 3 pages, one says Error: x"}, {}),
    ("E10", ("E10", "suspect", False), {OP: "retrieval", RESULT: "[]"}, {}),
    ("control flow", ("E4", "handled", False), TOOL,
     {"events": {"exception": {"exception.type": "GraphInterrupt", "exception.message": ""}}}),
    ("cancelled", ("E4", "handled", False), TOOL, {"events": CANCELLED}),
    ("cancelled", ("E4", "handled", False), {**TOOL, "strands.cancellation.type": "user"}, {}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("expected", "attributes", "span"),
    [pytest.param(*case[1:], id=f"6.3 {case[0]} {n}") for n, case in enumerate(FAILURES)],
)
def test_a_failure_names_its_rule(
    expected: tuple[str, str, bool] | None, attributes: dict[str, Any], span: dict[str, Any]
) -> None:
    found = failure(read(attributes, **span))
    assert (None if found is None else (found.rule, found.severity, found.swallowed)) == expected


# Rules of 6.3 that need more than one span.
NEED_THE_TRACE = {
    "E7": "finish_reasons of the span: test_why_a_model_stopped_is_kept",
    "E8": "tests/core/test_exchange.py",
    "E9": "evaluators see calls without a span",
}


def test_every_failure_rule_has_a_case_or_a_place() -> None:
    named = {case[0].partition(",")[0] for case in FAILURES} | set(NEED_THE_TRACE)
    assert named >= {f"E{n}" for n in range(1, 11)}


@pytest.mark.parametrize(
    ("attributes", "reasons"),
    [
        ({**CHAT, "gen_ai.response.finish_reasons": ["length"]}, '["length"]'),
        ({OI: "LLM", "llm.finish_reason": "content_filter"}, "content_filter"),
        ({VERCEL: "ai.x.doGenerate", "ai.response.finishReason": "error"}, "error"),
    ],
    ids=["6.3 E7 GenAI", "6.3 E7 OpenInference", "6.3 E7 Vercel"],
)
def test_why_a_model_stopped_is_kept(attributes: dict[str, Any], reasons: str) -> None:
    assert read(attributes).finish_reasons == reasons


def test_structure_is_never_a_failure_and_never_a_step() -> None:
    span = read({"http.request.method": "GET"}, scope="opentelemetry.instrumentation.httpx", status=ERROR)
    assert span.kind == "internal"
