"""Pydantic AI and Logfire (span-conventions 5): GenAI operations, older names for a tool's content, and Logfire's own spans.

A pending span is a placeholder of a span that will come, a log is none; output functions look like tools and are not; a deferred
tool waits for a person. A validation failure is a call that never ran.
"""

import re
from typing import Final

from schemas.dialects import genai
from schemas.dialects.kinds import kind_of_tool
from schemas.dialects.reading import CALLS, GENAI, read_fields
from schemas.dialects.view import Reading, View
from schemas.span import StepKind

NAME: Final = "pydantic_ai"
MARKERS: Final = frozenset(
    {
        "logfire.span_type",
        "logfire.json_schema",
        "logfire.msg",
        "pydantic_ai.all_messages",
        "pydantic_ai.tool.deferral.name",
    }
)
SCOPES: Final = frozenset({"pydantic-ai"})

_ARGUMENTS, _RESULT = "tool_arguments", "tool_response"  # before their conventions had keys for them
_FIELDS: Final = GENAI.before(
    tool=("gen_ai.tool.name", "tool_name"),
    arguments=(_ARGUMENTS,),
    result=(_RESULT,),
    input=("pydantic_ai.all_messages", "all_messages_events"),
    output=("final_result",),
)
_OPENAI_AGENTS: Final[tuple[tuple[re.Pattern[str], StepKind], ...]] = (  # Logfire's names for the OpenAI Agents SDK
    (re.compile(r"Agent run: "), "agent"),
    (re.compile(r"Function: "), "tool_call"),
    (re.compile(r"Handoff: "), "handoff"),
    (re.compile(r"Guardrail"), "verifier"),
)


def read(view: View) -> Reading:
    """The span in canonical fields."""
    if (kind := _special(view)) is not None:
        return read_fields(view, _FIELDS, kind)
    if view.has("gen_ai.operation.name", "gen_ai.tool.name", "gen_ai.request.model"):
        return _filled(view, genai.read(view))
    view.rule = "9: span name"
    if view.name.startswith("Function: "):
        said = {"tool": view.low("name"), "arguments": view.text("input"), "result": view.text("output")}
        return read_fields(view, _FIELDS, kind_of_tool(view.low("name")), **said)
    return read_fields(view, _FIELDS, _by_name(view))


def _special(view: View) -> StepKind | None:
    """What looks like a step and is none, or another one."""
    if "logfire.span_type" in view.keys and view.low("logfire.span_type") in ("pending_span", "log"):
        view.rule = "0: logfire.span_type"
        return "internal"
    if "pydantic_ai.tool.deferral.name" in view.keys:
        view.rule = "2: pydantic_ai.tool.deferral.name"
        return "human"
    if "gen_ai.tool.name" in view.keys and (view.text("logfire.msg") or "").startswith("running output function:"):
        view.rule = "5: output function"
        return "internal"
    return None


def _by_name(view: View) -> StepKind:
    if view.name.startswith("running tool"):
        return kind_of_tool(view.low("tool_name"))
    if view.name == "agent run" or view.has("pydantic_ai.all_messages"):
        return "agent"
    return next((kind for name, kind in _OPENAI_AGENTS if name.match(view.name)), "internal")


def _filled(view: View, found: Reading) -> Reading:
    """What GenAI's keys do not hold, by the library's own."""
    if found.kind in CALLS:
        if found.arguments is not None and found.result is not None:
            return found
        given = view.text(_ARGUMENTS) if found.arguments is None else found.arguments
        return found._replace(arguments=given, result=view.text(_RESULT) if found.result is None else found.result)
    if found.operation != "agent":
        return found
    return found._replace(
        model=found.model or view.low("model_name"),
        input_messages=found.input_messages or view.first(*_FIELDS.input),
        output_messages=found.output_messages or view.text("final_result"),
    )
