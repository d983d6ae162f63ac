"""Pydantic AI and Logfire (span-conventions 5): GenAI operations, older names for a tool's content, and Logfire's own spans.

A pending span is a placeholder of a span that will come, a log is none; output functions look like tools and are not; a deferred
tool waits for a person. A validation failure is a call that never ran.
"""

import re

from schemas.dialects import genai
from schemas.dialects.kinds import kind_of_tool
from schemas.dialects.reading import GENAI, read_fields
from schemas.dialects.view import Reading, View
from schemas.span import StepKind

NAME = "pydantic_ai"
MARKERS = frozenset({"logfire.span_type", "logfire.json_schema", "logfire.msg", "pydantic_ai.all_messages"})
SCOPES = frozenset({"pydantic-ai"})

_FIELDS = GENAI.before(
    tool=("gen_ai.tool.name", "tool_name"),
    arguments=("gen_ai.tool.call.arguments", "tool_arguments"),
    result=("gen_ai.tool.call.result", "tool_response"),
    input=("gen_ai.input.messages", "pydantic_ai.all_messages", "all_messages_events"),
    output=("gen_ai.output.messages", "final_result"),
    definitions=("gen_ai.tool.definitions", "model_request_parameters"),
)
_OPENAI_AGENTS: tuple[tuple[re.Pattern[str], StepKind], ...] = (  # Logfire's names for the OpenAI Agents SDK
    (re.compile(r"Agent run: "), "agent"),
    (re.compile(r"Function: "), "tool_call"),
    (re.compile(r"Handoff: "), "handoff"),
    (re.compile(r"Guardrail"), "verifier"),
)


def read(view: View) -> Reading:
    """The span in canonical fields."""
    kind = _kind(view)
    said = {}
    if view.name.startswith("Function: "):
        said = {"tool": view.low("name"), "arguments": view.text("input"), "result": view.text("output")}
    return read_fields(view, _FIELDS, kind, **said)


def _kind(view: View) -> StepKind:
    if view.low("logfire.span_type") in ("pending_span", "log"):
        view.rule = "0: logfire.span_type"
        return "internal"
    if view.has("pydantic_ai.tool.deferral.name"):
        view.rule = "2: pydantic_ai.tool.deferral.name"
        return "human"
    if (view.text("logfire.msg") or "").startswith("running output function:"):
        view.rule = "5: output function"
        return "internal"
    operation, tool = view.low("gen_ai.operation.name"), view.low("gen_ai.tool.name")
    if operation or tool or view.has("gen_ai.request.model"):
        return genai.kind_of(view, operation, tool)
    view.rule = "9: span name"
    if view.name.startswith("running tool"):
        return kind_of_tool(view.low("tool_name"))
    if view.name == "agent run" or view.has("pydantic_ai.all_messages"):
        return "agent"
    return next((kind for name, kind in _OPENAI_AGENTS if name.match(view.name)), "internal")
