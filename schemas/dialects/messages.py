"""Messages of a model call, wherever a producer put them, as the JSON text of GenAI messages (span-conventions 1.3).

An attribute, a flattened prefix (`llm.input_messages.0.message.role`), an indexed one (`gen_ai.prompt.0.role`), or span events.
Indices are capped: a hostile one must not allocate. None is "not captured".
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final, NamedTuple

import orjson

from schemas.dialects.context import shape_of
from schemas.dialects.unwrap import dumped
from schemas.dialects.view import View

INDEX_MAX: Final = 512  # messages of one span, parts and calls of one message

_FLAT: Final = re.compile(
    r"(llm\.input_messages\.|llm\.output_messages\.|gen_ai\.input\.messages\.|gen_ai\.output\.messages\.|gen_ai\.prompt\."
    r"|gen_ai\.completion\.)([^.]*)\.(.+)",
    re.DOTALL,
)
_PLAIN: Final = {"role": "role", "content": "content", "tool_call_id": "call_id", "finish_reason": "finish"}
_FIRST_INDEXED: Final = frozenset(
    f"gen_ai.{side}.0.{field}" for side in ("prompt", "completion") for field in ("role", "content", "finish_reason")
)


def is_index(text: str) -> bool:
    """Whether a part of a key is an index within the bound; `isdigit` and `int` alone let "²" and 5,000 digits crash."""
    return len(text) <= 3 and text.isdecimal() and int(text) < INDEX_MAX


class _Draft:
    """A message while its keys are gathered, in any order."""

    __slots__ = ("call_id", "calls", "finish", "role", "texts", "thoughts")

    def __init__(self) -> None:
        self.role = ""
        self.texts: dict[int, str] = {}
        self.thoughts: dict[int, bool] = {}
        self.calls: dict[int, dict[str, str | None]] = {}
        self.call_id: str | None = None
        self.finish: str | None = None

    def message(self) -> dict[str, Any]:
        """As GenAI writes it."""
        if len(self.texts) == 1 and not self.calls and not self.thoughts and self.role != "tool" and not self.finish:
            (said,) = self.texts.values()  # nearly all are one text and no more
            return {"role": self.role, "parts": [{"type": "text", "content": said}] if said else []}
        order = sorted(self.texts) if len(self.texts) > 1 else self.texts
        if self.role == "tool":
            said = "\n".join(self.texts[at] for at in order)
            return {"role": "tool", "parts": [{"type": "tool_call_response", "id": self.call_id, "response": said}]}
        parts: list[dict[str, Any]] = [
            {"type": "reasoning" if self.thoughts.get(at) else "text", "content": self.texts[at]}
            for at in order
            if self.texts[at]
        ]
        for _, call in sorted(self.calls.items()):
            name = call.get("function.name") or call.get("name")
            given = call.get("function.arguments") or call.get("arguments")
            parts.append({"type": "tool_call", "id": call.get("id"), "name": name, "arguments": given})
        found: dict[str, Any] = {"role": self.role, "parts": parts}
        if self.finish:
            found["finish_reason"] = self.finish
        return found


class _Path(NamedTuple):
    """A key of a flattened message, taken apart once: `<prefix><at>.message.tool_calls.<part>.tool_call.<field>`."""

    prefix: str
    at: int
    what: str  # role, content, call_id, call, thought, finish
    part: int = 0
    field: str = ""


@lru_cache(maxsize=50_000)
def _path(key: str) -> _Path | None:
    """What a key says of which message; None when it is no key of a message, or its index is out of bounds."""
    found = _FLAT.fullmatch(key)
    if found is None or not is_index(found.group(2)):
        return None
    prefix, at, path = found.group(1), int(found.group(2)), found.group(3).removeprefix("message.")
    if path in _PLAIN:
        return _Path(prefix, at, _PLAIN[path])
    if path in ("function_call_name", "function_call_arguments_json"):
        return _Path(prefix, at, "call", 0, "name" if path == "function_call_name" else "arguments")
    head, _, rest = path.partition(".")
    index, _, field = rest.partition(".")
    if not is_index(index):
        return None
    if head == "tool_calls":
        return _Path(prefix, at, "call", int(index), field.removeprefix("tool_call."))
    if (head == "contents" and field == "message_content.text") or (head == "content" and not field):
        return _Path(prefix, at, "content", int(index))
    thought = head == "contents" and field == "message_content.type"
    return _Path(prefix, at, "thought", int(index)) if thought else None


def flattened(view: View, *prefixes: str) -> list[str | None]:
    """OpenInference's messages below each prefix, which traceAI took over; None where there are none."""
    shape = shape_of(view)
    if shape.messages is None:
        shape.messages = _keys_of_messages(view)
    if not shape.messages:
        return [None] * len(prefixes)
    return [_written(view, shape.messages.get(prefix)) for prefix in prefixes]


class _Message(NamedTuple):
    """The keys of one message. Nearly all have a role and a text, and no more: `plain`."""

    plain: tuple[str, str] | None
    keys: tuple[tuple[str, _Path], ...]


def _keys_of_messages(view: View) -> dict[str, list[_Message]]:
    """The keys that belong to messages: by prefix, the messages in their order."""
    found: dict[str, dict[int, list[tuple[str, _Path]]]] = {}
    for key in sorted(key for key in view.keys if type(key) is str):  # bytes: a key that is not UTF-8
        if (path := _path(key)) is not None:
            found.setdefault(path.prefix, {}).setdefault(path.at, []).append((key, path))
    return {prefix: [_keys_of(of[at]) for at in sorted(of)] for prefix, of in found.items()}


def _keys_of(keys: list[tuple[str, _Path]]) -> _Message:
    by_what = {path.what: key for key, path in keys}
    is_plain = len(keys) == 2 and by_what.keys() == {"role", "content"}
    return _Message((by_what["role"], by_what["content"]) if is_plain else None, tuple(keys))


def _written(view: View, messages: list[_Message] | None) -> str | None:
    """Messages as JSON text; None where there are none."""
    return None if messages is None else orjson.dumps([_message(view, *keys) for keys in messages]).decode()


def _message(view: View, plain: tuple[str, str] | None, keys: tuple[tuple[str, _Path], ...]) -> dict[str, Any]:
    if plain is not None and (role := view.low(plain[0])) != "tool":
        said = view.text(plain[1])
        return {"role": role, "parts": [{"type": "text", "content": said}] if said else []}
    draft = _Draft()
    for key, path in keys:
        if path.what == "content":
            draft.texts[path.part] = view.text(key) or ""
        elif path.what == "role":
            draft.role = view.low(key)
        else:
            _place(draft, path, key, view)
    return draft.message()


def _place(draft: _Draft, path: _Path, key: str, view: View) -> None:
    match path.what:
        case "call":
            draft.calls.setdefault(path.part, {})[path.field] = view.text(key)
        case "call_id":
            draft.call_id = view.text(key)
        case "thought":
            draft.thoughts[path.part] = view.low(key) in ("reasoning", "thinking")
        case "finish":
            draft.finish = view.text(key)


def indexed(view: View) -> tuple[str | None, str | None]:
    """`gen_ai.prompt.N.*` and `gen_ai.completion.N.*`, the first generation of the conventions: (input, output)."""
    if view.keys.isdisjoint(_FIRST_INDEXED):
        return None, None
    given, answered = flattened(view, "gen_ai.prompt.", "gen_ai.completion.")
    return given, answered


def tools(view: View, prefix: str) -> str | None:
    """Tool schemas below `prefix`N`.tool.json_schema`, as one JSON array; None when there are none."""
    if f"{prefix}0.tool.json_schema" not in view.keys:
        return None
    schemas: list[Any] = []
    for index in range(INDEX_MAX):
        text = view.text(f"{prefix}{index}.tool.json_schema")
        if text is None:
            break
        try:
            schemas.append(orjson.Fragment(text) if orjson.loads(text) is not None else None)
        except orjson.JSONDecodeError:
            continue
    return orjson.dumps(schemas).decode() if schemas else None


def as_message(role: str, content: Any, call_id: str | None) -> dict[str, Any]:
    """Content of any shape as one message: a text, or the blocks of Bedrock, Anthropic and OpenAI."""
    if role == "tool" and not isinstance(content, list):
        return {"role": role, "parts": [{"type": "tool_call_response", "id": call_id, "response": content}]}
    blocks = content if isinstance(content, list) else [content]
    return {"role": role, "parts": [part for block in blocks if (part := _part(block))]}


def _part(block: Any) -> dict[str, Any] | None:
    if block is None or block == "":
        return None
    if not isinstance(block, dict):
        return {"type": "text", "content": block if isinstance(block, str) else dumped(block)}
    use, answer = block.get("toolUse"), block.get("toolResult")
    if isinstance(use, dict):
        given = use.get("input")
        return {"type": "tool_call", "id": use.get("toolUseId"), "name": use.get("name"), "arguments": given}
    if isinstance(answer, dict):
        return {"type": "tool_call_response", "id": answer.get("toolUseId"), "response": answer.get("content")}
    if block.get("type") == "tool_use":
        return {"type": "tool_call", "id": block.get("id"), "name": block.get("name"), "arguments": block.get("input")}
    if isinstance(block.get("text"), str):
        return {"type": "text", "content": block["text"]}
    return call_part(block) or (block if "type" in block else {"type": "text", "content": dumped(block)})


def call_part(call: Any) -> dict[str, Any] | None:
    """A requested call in OpenAI's, Vercel's, LangChain's or ADK's shape."""
    if not isinstance(call, dict):
        return None
    function = call.get("function") or call.get("function_call") or call.get("functionCall")
    said = function if isinstance(function, dict) else call
    name = said.get("name") or call.get("toolName")
    if not isinstance(name, str):
        return None
    given = next((s[k] for s in (said, call) for k in ("arguments", "args", "input") if k in s), None)
    call_id = call.get("id") or call.get("toolCallId") or call.get("call_id") or said.get("id")
    return {"type": "tool_call", "id": call_id, "name": name, "arguments": given}


def answer(text: str | None, calls: str | None, finish: str | None = None, thought: str | None = None) -> str | None:
    """One assistant message out of its text and a JSON list of requested calls; None when neither was captured."""
    if text is None and calls is None:
        return None
    parts: list[dict[str, Any]] = [{"type": "reasoning", "content": thought}] if thought else []
    parts += [{"type": "text", "content": text}] if text else []
    asked = loaded(calls) if calls is not None else None
    parts += [part for call in (asked if isinstance(asked, list) else []) if (part := call_part(call))]
    message: dict[str, Any] = {"role": "assistant", "parts": parts}
    if finish:
        message["finish_reason"] = finish
    return dumped([message])


def gemini(contents: Any) -> list[dict[str, Any]]:
    """Gemini's contents, `{role, parts: [{text | function_call | function_response}]}`, as messages."""
    listed = contents if isinstance(contents, list) else [contents]
    return [
        {
            "role": _gemini_role(content.get("role")),
            "parts": [p for part in _parts(content) if (p := _gemini_part(part))],
        }
        for content in listed
        if isinstance(content, dict)
    ]


def _parts(content: dict[str, Any]) -> Iterable[Any]:
    parts = content.get("parts")
    return parts if isinstance(parts, list) else []


def _gemini_role(role: Any) -> str:
    return "assistant" if role == "model" else str(role or "user")


def _gemini_part(part: Any) -> dict[str, Any] | None:
    if not isinstance(part, dict):
        return None
    call = part.get("function_call")
    if isinstance(call, dict):
        return {"type": "tool_call", "id": call.get("id"), "name": call.get("name"), "arguments": call.get("args")}
    answer = part.get("function_response")
    if isinstance(answer, dict):
        return {"type": "tool_call_response", "id": answer.get("id"), "response": answer.get("response")}
    text = part.get("text")
    if not isinstance(text, str):
        return None
    return {"type": "reasoning" if part.get("thought") is True else "text", "content": text}


def loaded(text: str) -> Any:
    """The value of a text that is a JSON array or object; any other text is itself."""
    if text[:1] not in ("[", "{"):
        return text
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
