"""What a model said in one call: its thought, the calls that it asked for, the plan that it laid out.

Accepted are the messages of GenAI, OpenInference, OpenAI, Anthropic, LangChain and ADK, and ReAct text. The law: nothing
is guessed; what has another shape says nothing.
"""

import re
from typing import Any, Final, NamedTuple

import orjson

from schemas.payload import json_or_text, read_arguments

PLAN_STEPS_MAX: Final = 100
# Marks in the raw text, without which it is not parsed: of reasoning; of a requested call, and of a text beside it; of
# either. An expression that begins with one fixed character is as fast as two searches for a word.
_REASONING: Final = re.compile(r'"(?:reasoning|thinking|thought")')
_REQUEST: Final = re.compile(r'"(?:arg(?:s|uments)"|tool_use")')
_EITHER: Final = re.compile(r'"(?:arg(?:s|uments)"|tool_use"|reasoning"|thinking"|thought")')
_CALLS: Final = frozenset({"tool_call", "tool_use", "function_call", "server_tool_call", "function"})
_REASONS: Final = frozenset({"reasoning", "thinking"})
_OTHERS: Final = frozenset({"user", "system", "tool", "human", "developer", "tool_call_response", "tool_result"})
_INSIDE: Final = (
    "parts",
    "content",
    "text",
    "message",
    "messages",
    "choices",
    "kwargs",
    "tool_calls",
    "function_call",
    "output",
)
_REACT: Final = re.compile(
    r"Thought:(.*?)(?:\n[ \t]*Action:[ \t]*([\w.\-]+)(?:[ \t]*\n[ \t]*Action Input:(.*))?|\Z)", re.DOTALL
)
_FENCE: Final = re.compile(r"```(?:json)?\s*(.*?)```", re.DOTALL)
_PLAN_KEYS: Final = ("steps", "plan", "tasks", "actions")
_TOOL_KEYS: Final = ("tool", "tool_name", "function", "action", "name")


class Call(NamedTuple):
    """A call that was asked for; arguments None: not captured."""

    name: str
    arguments: Any

    def key(self) -> bytes | None:
        """That of `ToolCall`: None where the arguments are not known."""
        if self.arguments is None:
            return None
        try:
            text = orjson.dumps(self.arguments, option=orjson.OPT_SORT_KEYS)
        except TypeError:  # an integer beyond 64 bits
            return None
        return self.name.encode("utf-8", "replace") + b"\0" + text


class Said(NamedTuple):
    """One answer of a model. The thought is reasoning, or text that comes with calls; `text` is all that it said."""

    thought: str
    text: str
    calls: tuple[Call, ...]


def may_hold_thought(raw: str) -> bool:
    """Whether output messages may hold a thought; False is sure."""
    if _EITHER.search(raw) is None:
        return "Thought:" in raw
    if _REQUEST.search(raw) is not None and ('"text"' in raw or '"content"' in raw):
        return True
    return _REASONING.search(raw) is not None or "Thought:" in raw


def said_in(raw: str) -> Said:
    """What output messages say. Never throws, whatever they are."""
    texts: list[str] = []
    reasons: list[str] = []
    calls: list[Call] = []
    value = json_or_text(raw)
    if isinstance(value, str) and raw.lstrip()[:1] in ("[", "{"):
        return Said("", "", ())  # cut, or no JSON: nobody can say what of it is whose
    stack: list[Any] = [value]
    while stack:
        at = stack.pop()
        if isinstance(at, str):
            react = _REACT.search(at) if "Thought:" in at else None
            if react is not None:
                reasons.append(react.group(1))
                if react.group(2):
                    calls.append(_call(react.group(2), (react.group(3) or "").strip()))
            texts.append(at)
        elif isinstance(at, list):
            stack.extend(reversed(at))
        elif isinstance(at, dict):
            _read(at, stack, reasons, calls)
    text = "\n".join(texts)
    thought = "\n".join((*reasons, text) if calls else reasons)
    return Said(thought.strip(), text.strip(), tuple(calls))


def _read(message: dict[str, Any], stack: list[Any], reasons: list[str], calls: list[Call]) -> None:
    role, kind = message.get("role"), message.get("type")
    role, kind = role if isinstance(role, str) else "", kind if isinstance(kind, str) else ""
    if role in _OTHERS or kind in _OTHERS:
        return
    if kind in _REASONS or message.get("thought") is True:
        said = (message.get(key) for key in ("content", "text", "thinking", "reasoning"))
        reasons.extend(text for text in said if isinstance(text, str))
        return
    function = message.get("function")
    inner = function if isinstance(function, dict) else message
    name = inner.get("name")
    if isinstance(name, str) and name and (kind in _CALLS or "arguments" in inner or "args" in inner):
        calls.append(_call(name, next((inner[key] for key in ("arguments", "args", "input") if key in inner), None)))
        return
    reasoning = message.get("reasoning_content") or message.get("reasoning")
    if isinstance(reasoning, str):
        reasons.append(reasoning)
    stack.extend(message[key] for key in reversed(_INSIDE) if key in message)


def _call(name: str, arguments: Any) -> Call:
    return Call(name, read_arguments(arguments)[0] if isinstance(arguments, str) else arguments)


def planned_tools(text: str, tools: frozenset[str]) -> tuple[str, ...]:
    """The known tools that a structured plan names, in its order; empty when the text is no JSON plan."""
    fenced = _FENCE.search(text)
    plan = json_or_text((fenced.group(1) if fenced is not None else text).strip())
    if isinstance(plan, dict):
        plan = next((plan[key] for key in _PLAN_KEYS if isinstance(plan.get(key), list)), None)
    if not isinstance(plan, list):
        return ()
    named: list[str] = []
    for item in plan[:PLAN_STEPS_MAX]:
        if isinstance(item, dict):
            item = next((item[key] for key in _TOOL_KEYS if isinstance(item.get(key), str)), None)
        if isinstance(item, str) and item in tools:
            named.append(item)
    return tuple(named)
