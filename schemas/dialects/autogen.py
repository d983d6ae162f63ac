"""AutoGen, native spans (span-conventions 5, 8.1).

`invoke_agent` and `execute_tool` say who and what, and no more. What was asked, answered and spent is in the attribute `message`
of the runtime's messaging spans, delivered several times: the delivery of one event to the group chat's manager is read as the
model call that it reports, every other delivery is structure. Calls find their arguments and results by call id.
"""

import re
from typing import Any, Final

from schemas.dialects import genai, messages
from schemas.dialects.reading import GENAI, read_fields
from schemas.dialects.unwrap import dumped
from schemas.dialects.view import Reading, View

NAME: Final = "autogen"
MARKERS: Final = frozenset({"recipient_agent_class", "sender_agent_class"})
SCOPES: Final = frozenset({"autogen-core"})
SCOPE: Final = re.compile(r"autogen \w+Runtime$")

_DELIVERY: Final = b"\n\x07process"  # an AnyValue: the string "process"


def read(view: View) -> Reading:
    """The span in canonical fields."""
    if view.has("gen_ai.operation.name", "gen_ai.tool.name"):
        return genai.read(view)
    view.rule = "0: messaging of the runtime"
    if view.get("messaging.operation") != _DELIVERY or not view.low("recipient_agent_class").endswith("Manager"):
        return read_fields(view, GENAI, "internal")
    delivered = messages.loaded(view.text("message") or "")
    event = delivered.get("message") if isinstance(delivered, dict) else None
    return _of_event(view, event) if isinstance(event, dict) else read_fields(view, GENAI, "internal")


def _of_event(view: View, event: dict[str, Any]) -> Reading:
    used = event.get("models_usage")
    said = _said(event)
    if event.get("type") == "ToolCallExecutionEvent":
        return read_fields(view, GENAI, "internal", agent=str(event.get("source") or ""), input_messages=said)
    if not isinstance(used, dict) or said is None:
        return read_fields(view, GENAI, "internal")
    view.rule = "9: an event of a model"
    return read_fields(
        view,
        GENAI,
        "llm",
        agent=str(event.get("source") or ""),
        input_tokens=_whole(used.get("prompt_tokens")),
        output_tokens=_whole(used.get("completion_tokens")),
        output_messages=said,
    )


def _said(event: dict[str, Any]) -> str | None:
    """The event as GenAI messages: calls asked for, their results, or a text."""
    content = event.get("content")
    if isinstance(content, str):
        return dumped([{"role": "assistant", "parts": [{"type": "text", "content": content}]}])
    if not isinstance(content, list):
        return None
    parts = [part for item in content if isinstance(item, dict) and (part := _part(item))]
    role = "tool" if event.get("type") == "ToolCallExecutionEvent" else "assistant"
    return dumped([{"role": role, "parts": parts}])


def _part(item: dict[str, Any]) -> dict[str, Any] | None:
    if "call_id" in item:
        failed = item.get("is_error") is True
        answer = {"is_error": True, "message": item.get("content")} if failed else item.get("content")
        return {"type": "tool_call_response", "id": item["call_id"], "response": answer}
    if "name" in item and "arguments" in item:
        return {"type": "tool_call", "id": item.get("id"), "name": item["name"], "arguments": item["arguments"]}
    return None


def _whole(value: Any) -> int:
    return max(0, value) if isinstance(value, int) and value < 1 << 62 else 0
