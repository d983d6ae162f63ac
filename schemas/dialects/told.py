"""What span events tell: messages of a model call, arguments and result of a tool (span-conventions 1.3 b, d, e).

Producers put content there where attributes are silent: Strands, Semantic Kernel, the conventions before v1.37.
Events are moving to log records, which `logged` reads the same way. An event without its content (a producer that may not
capture any still says that there was a message) tells nothing: "not captured" is never "empty".
"""

from typing import Any, Final

from schemas.dialects.messages import as_message, call_part, loaded
from schemas.dialects.unwrap import dumped
from schemas.dialects.view import View

DETAILS: Final = b"gen_ai.client.inference.operation.details"
_INPUT_EVENTS: Final = {
    b"gen_ai.system.message": "system",
    b"gen_ai.user.message": "user",
    b"gen_ai.assistant.message": "assistant",
    b"gen_ai.tool.message": "tool",
}
_CHOICE: Final = b"gen_ai.choice"
_MESSAGE: Final = frozenset({"role", "content", "tool_calls"})
_PROMPT, _COMPLETION = b"gen_ai.content.prompt", b"gen_ai.content.completion"
PIECES: Final = (_CHOICE, _PROMPT, _COMPLETION, *_INPUT_EVENTS)  # each one message of several
EVENTS: Final = (DETAILS, *PIECES)


class Told:
    """What span events tell: messages in and out, and a tool's arguments and result."""

    __slots__ = ("arguments", "input", "output", "result")

    def __init__(self, view: View) -> None:
        self.input: str | None = None
        self.output: str | None = None
        self.arguments: str | None = None
        self.result: str | None = None
        if view.events:
            self._read(view)

    def _read(self, view: View) -> None:
        asked: list[Any] = []
        answered: list[Any] = []
        for event in view.event(*EVENTS):
            name = event.name.encode()
            if name == DETAILS:
                asked += _listed(event.text("gen_ai.input.messages"))
                answered += _listed(event.text("gen_ai.output.messages"))
            elif name == _CHOICE:
                said = _choice(event)
                if said:
                    self.result = self.result or event.captured("message", "content")
                answered += said
            elif name in (_PROMPT, _COMPLETION):
                text = event.captured("gen_ai.prompt", "gen_ai.completion")
                role = "user" if name == _PROMPT else "assistant"
                (asked if name == _PROMPT else answered).extend(_listed(text, role))
            else:
                if name == b"gen_ai.tool.message":
                    self.arguments = event.captured("content")
                asked += _message(event, _INPUT_EVENTS[name])
        self.input = dumped(asked) if asked else None
        self.output = dumped(answered) if answered else None


def _listed(text: str | None, role: str = "") -> list[Any]:
    """The messages of a text: a JSON array of them, one of them, or what was said."""
    if text is None:
        return []
    value = loaded(text)
    if isinstance(value, list):
        return value
    return [value if isinstance(value, dict) else {"role": role, "parts": [{"type": "text", "content": text}]}]


def _message(event: View, role: str) -> list[dict[str, Any]]:
    """One legacy message event: the message, or none where neither content nor calls were captured."""
    text, called = event.text("content"), event.text("tool_calls")
    if text is None and called is None:
        return []
    found = as_message(event.low("role") or role, loaded(text or ""), event.text("id"))
    calls = loaded(called or "")
    if isinstance(calls, list):
        found["parts"] += [part for call in calls if (part := call_part(call))]
    return [found]


def _choice(event: View) -> list[dict[str, Any]]:
    """A `gen_ai.choice` event: its message is a text, content blocks, or a message with a role; none where not captured."""
    text = event.captured("message", "content")
    value = loaded(text or "")
    if text is None or _is_silent(value):
        return []
    if isinstance(value, dict) and ("content" in value or "tool_calls" in value):
        found = as_message(str(value.get("role") or "assistant"), value.get("content"), None)
        calls = value.get("tool_calls")
        found["parts"] += [part for call in calls if (part := call_part(call))] if isinstance(calls, list) else []
    else:
        found = as_message("assistant", text if isinstance(value, dict) else value, None)
    if reason := event.text("finish_reason"):
        found["finish_reason"] = reason
    return [found]


def _is_silent(value: Any) -> bool:
    """Whether a message says who spoke and not what."""
    silent = isinstance(value, dict) and value.keys() <= _MESSAGE
    return silent and value.get("content") is None and not value.get("tool_calls")
