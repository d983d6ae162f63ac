"""OpenInference (span-conventions 2): `openinference.span.kind` and flattened attributes.

The kind is AGENT whenever "agent" occurs in a LangChain run's name, so a tool's own name beats it. Spans that dual-write gen_ai.*
are one span: an explicit `gen_ai.operation.name` wins the kind, OpenInference's keys win the content.
"""

import re
from typing import Any

import orjson

from schemas.dialects import genai
from schemas.dialects.kinds import kind_of_tool, refine
from schemas.dialects.view import Reading, View
from schemas.span import StepKind

NAME = "openinference"

_KINDS: dict[str, StepKind] = {
    "LLM": "llm",
    "DECISION": "llm",
    "TOOL": "tool_call",
    "AGENT": "agent",
    "RETRIEVER": "retrieval",
    "RERANKER": "retrieval",
    "GUARDRAIL": "verifier",
    "EVALUATOR": "verifier",
}
_FRAME = re.compile(r"\.kickoff$|^LangGraph$|^Crew")
_HANDOFF_NAME = re.compile(r"^handoff to (.+)$", re.IGNORECASE)
_INDEX_MAX = 512  # messages of one span; a hostile index must not allocate


def claims(view: View) -> bool:
    """Its kind attribute."""
    return view.get("openinference.span.kind") is not None


def read(view: View) -> Reading:
    """The span in canonical fields."""
    metadata = _metadata(view)
    tool = view.lowest("tool.name", "gen_ai.tool.name")
    kind = _kind(view, tool)
    agent = _agent(view, kind, metadata)
    common: dict[str, Any] = {
        "workflow": view.low("gen_ai.workflow.name") or _of(metadata, "workflow_name", "workflow"),
        "agent": agent,
        "session_id": view.first("session.id", "gen_ai.conversation.id") or _of(metadata, "session_id", "thread_id"),
        "error_type": view.low("error.type"),
    }
    if kind in ("tool_call", "handoff", "human", "retrieval"):
        return Reading(
            kind=kind,
            tool=tool or view.name,
            call_id=view.first("tool_call.id", "gen_ai.tool.call.id", "tool.id") or "",
            arguments=_first_captured(view, "gen_ai.tool.call.arguments", "input.value"),
            result=_first_captured(view, "gen_ai.tool.call.result", "output.value"),
            **common,
        )
    return Reading(
        kind=refine(kind, agent),
        model=view.lowest("llm.response.model_name", "llm.model_name", "gen_ai.response.model", "gen_ai.request.model"),
        provider=view.lowest("llm.provider", "llm.system", "gen_ai.provider.name"),
        input_tokens=view.number("llm.token_count.prompt", "gen_ai.usage.input_tokens"),
        output_tokens=view.number("llm.token_count.completion", "gen_ai.usage.output_tokens"),
        cost_usd=view.amount("llm.cost.total"),
        input_messages=_messages(view, "llm.input_messages.") or view.first("gen_ai.input.messages", "input.value"),
        output_messages=_messages(view, "llm.output_messages.") or view.first("gen_ai.output.messages", "output.value"),
        tool_definitions=_tools(view),
        **common,
    )


def _kind(view: View, tool: str) -> StepKind:
    operation = view.low("gen_ai.operation.name")
    if operation:
        return genai.kind_of(view, operation, tool)
    said = view.low("openinference.span.kind").upper()
    if said == "TOOL" and _HANDOFF_NAME.match(view.name):
        return "handoff"
    if said == "TOOL" or (said == "AGENT" and tool):
        return kind_of_tool(tool or view.name)
    if said == "CHAIN":
        return "workflow" if view.is_root or _FRAME.search(view.name) else "internal"
    return _KINDS.get(said, "internal")


def _agent(view: View, kind: StepKind, metadata: dict[str, Any]) -> str:
    said = view.lowest("agent.name", "gen_ai.agent.name", "graph.node.name", "graph.node.id", "tool.agent_role")
    return said or _of(metadata, "lc_agent_name", "langgraph_node") or (view.name if kind == "agent" else "")


def _metadata(view: View) -> dict[str, Any]:
    text = view.text("metadata")
    if not text:
        return {}
    try:
        parsed = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _of(metadata: dict[str, Any], *keys: str) -> str:
    for key in keys:
        if isinstance(value := metadata.get(key), str) and value:
            return value
    return ""


def _first_captured(view: View, *keys: str) -> str | None:
    for key in keys:
        if (value := view.text(key)) is not None:
            return value
    return None


def _messages(view: View, prefix: str) -> str | None:
    """Flattened messages as the JSON of GenAI messages; None when there are none."""
    messages: dict[int, dict[str, Any]] = {}
    for key in view.attributes:
        if isinstance(key, str) and key.startswith(prefix):  # bytes: a key that is not UTF-8
            index, _, rest = key[len(prefix) :].partition(".")
            if _is_index(index):
                _place(messages.setdefault(int(index), {"role": "", "texts": {}, "calls": {}}), rest, view.text(key))
    return orjson.dumps([_message(m) for _, m in sorted(messages.items())]).decode() if messages else None


def _is_index(text: str) -> bool:
    """Whether a part of a key is an index within the bound; `isdigit` and `int` alone let "²" and 5,000 digits crash."""
    return len(text) <= len(str(_INDEX_MAX)) and text.isdecimal() and int(text) < _INDEX_MAX


def _place(message: dict[str, Any], path: str, value: str | None) -> None:
    match path.removeprefix("message.").split("."):
        case ["role"]:
            message["role"] = value or ""
        case ["tool_call_id"]:
            message["call_id"] = value
        case ["content"]:
            message["texts"][0] = value or ""
        case ["contents", index, "message_content", "text"] if _is_index(index):
            message["texts"][int(index)] = value or ""
        case ["tool_calls", index, "tool_call", *field] if _is_index(index):
            message["calls"].setdefault(int(index), {})[".".join(field)] = value


def _message(message: dict[str, Any]) -> dict[str, Any]:
    texts = [text for _, text in sorted(message["texts"].items())]
    if message["role"] == "tool":
        return {
            "role": "tool",
            "parts": [{"type": "tool_call_response", "id": message.get("call_id"), "response": "\n".join(texts)}],
        }
    parts: list[dict[str, Any]] = [{"type": "text", "content": text} for text in texts if text]
    parts += [
        {
            "type": "tool_call",
            "id": call.get("id"),
            "name": call.get("function.name"),
            "arguments": call.get("function.arguments"),
        }
        for _, call in sorted(message["calls"].items())
    ]
    return {"role": message["role"], "parts": parts}


def _tools(view: View) -> str | None:
    schemas = []
    for index in range(_INDEX_MAX):
        text = view.text(f"llm.tools.{index}.tool.json_schema")
        if text is None:
            break
        try:
            schemas.append(orjson.loads(text))
        except orjson.JSONDecodeError:
            continue
    return orjson.dumps(schemas).decode() if schemas else view.text("gen_ai.tool.definitions")
