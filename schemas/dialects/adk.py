"""Google ADK (span-conventions 5): GenAI operations, and `gcp.vertex.agent.*` for content in its older schema.

`{}` is ADK's placeholder for content that was not captured. `call_llm` has no operation; its content is Gemini's request and
response, read as messages. Set-up spans without any key of its own are structure.
"""

from typing import Any

from schemas.dialects import genai, messages
from schemas.dialects.reading import CALLS, GENAI, read_fields
from schemas.dialects.unwrap import NOT_CAPTURED, dumped
from schemas.dialects.view import Reading, View
from schemas.span import StepKind

NAME = "adk"
MARKERS = frozenset(
    {
        "gcp.vertex.agent.event_id",
        "gcp.vertex.agent.invocation_id",
        "gcp.vertex.agent.llm_request",
        "gcp.vertex.agent.tool_call_args",
    }
)
SCOPES = frozenset({"gcp.vertex.agent"})

_ARGUMENTS, _RESULT = "gcp.vertex.agent.tool_call_args", "gcp.vertex.agent.tool_response"
_REQUEST, _RESPONSE = "gcp.vertex.agent.llm_request", "gcp.vertex.agent.llm_response"


def read(view: View) -> Reading:
    """The span in canonical fields."""
    operation = view.low("gen_ai.operation.name")
    kind = _kind(view, operation)
    if kind in CALLS:
        # An empty object is a call without arguments: a tool span always carries them, once content is on.
        given = view.captured("gen_ai.tool.call.arguments", _ARGUMENTS)
        call_id = view.first(*GENAI.call_id) or ""
        return read_fields(
            view,
            GENAI,
            kind,
            arguments=given,
            result=view.captured("gen_ai.tool.call.result", _RESULT),
        )._replace(call_id="" if call_id in genai.SENTINELS else call_id)
    asked, answered = _object(view, _REQUEST), _object(view, _RESPONSE)
    content = answered.get("content")
    return read_fields(
        view,
        GENAI,
        kind,
        input_messages=dumped(messages.gemini(asked["contents"])) if "contents" in asked else None,
        output_messages=dumped(messages.gemini(content)) if isinstance(content, dict) else None,
        tool_definitions=_tools(asked),
    )


def _kind(view: View, operation: str) -> StepKind:
    if operation == "invoke_workflow" and view.low("gen_ai.workflow.nested").lower() == "true":
        view.rule = "6: nested workflow"
        return "internal"
    if operation or view.has("gen_ai.tool.name"):
        return genai.kind_of(view, operation, view.low("gen_ai.tool.name"))
    view.rule = "9: span name"
    if view.name == "call_llm" or view.has("gen_ai.request.model"):
        return "llm"
    return "workflow" if view.name == "invocation" else "internal"


def _object(view: View, key: str) -> dict[str, Any]:
    text = view.text(key)
    value = messages.loaded(text) if text is not None and text not in NOT_CAPTURED else None
    return value if isinstance(value, dict) else {}


def _tools(asked: dict[str, Any]) -> str | None:
    config = asked.get("config")
    groups = config.get("tools") if isinstance(config, dict) else None
    found = [
        {
            "type": "function",
            "name": tool.get("name"),
            "parameters": tool.get("parameters_json_schema") or tool.get("parameters"),
        }
        for group in (groups if isinstance(groups, list) else [])
        if isinstance(group, dict) and isinstance(group.get("function_declarations"), list)
        for tool in group["function_declarations"]
        if isinstance(tool, dict)
    ]
    return dumped(found) if found else None
