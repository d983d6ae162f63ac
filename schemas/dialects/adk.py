"""Google ADK (span-conventions 5): GenAI operations, and `gcp.vertex.agent.*` for content in its older schema.

`{}` is ADK's placeholder for content that was not captured. `call_llm` has no operation; its content is Gemini's request and
response, read as messages. Set-up spans without any key of its own are structure.
"""

from typing import Any, Final

from schemas.dialects import genai, messages
from schemas.dialects.reading import CALLS, GENAI, read_fields
from schemas.dialects.unwrap import NOT_CAPTURED, dumped
from schemas.dialects.view import Reading, View

NAME: Final = "adk"
MARKERS: Final = frozenset(
    {
        "gcp.vertex.agent.event_id",
        "gcp.vertex.agent.invocation_id",
        "gcp.vertex.agent.llm_request",
        "gcp.vertex.agent.llm_response",
        "gcp.vertex.agent.tool_response",
        "gcp.vertex.agent.tool_call_args",
    }
)
SCOPES: Final = frozenset({"gcp.vertex.agent"})

_ARGUMENTS, _RESULT = "gcp.vertex.agent.tool_call_args", "gcp.vertex.agent.tool_response"
_REQUEST, _RESPONSE = "gcp.vertex.agent.llm_request", "gcp.vertex.agent.llm_response"


def read(view: View) -> Reading:
    """The span in canonical fields."""
    if view.has("gen_ai.operation.name", "gen_ai.tool.name", "gen_ai.request.model"):
        return _filled(view, genai.read(view))
    view.rule = "9: span name"
    return read_fields(view, GENAI, "workflow" if view.name == "invocation" else "internal")


def _filled(view: View, found: Reading) -> Reading:
    """What GenAI's keys do not hold, by ADK's own."""
    if found.kind in CALLS:
        # An empty object is a call without arguments here: a tool span always carries them, once content is on.
        given = view.text(_ARGUMENTS) if found.arguments is None else found.arguments
        return found._replace(arguments=given, result=view.text(_RESULT) if found.result is None else found.result)
    if found.kind == "workflow" and view.low("gen_ai.workflow.nested").lower() == "true":
        view.rule = "6: nested workflow"
        return found._replace(kind="internal", operation="internal")
    if not view.has(_REQUEST, _RESPONSE):
        return found
    asked, answered = _object(view, _REQUEST), _object(view, _RESPONSE)
    given, content = found.input_messages, answered.get("content")
    return found._replace(
        input_messages=dumped(messages.gemini(asked["contents"])) if given is None and "contents" in asked else given,
        output_messages=dumped(messages.gemini(content)) if isinstance(content, dict) else found.output_messages,
        tool_definitions=found.tool_definitions or _tools(asked),
    )


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
