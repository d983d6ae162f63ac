"""What instrumentors wrap around arguments and results, taken off: from the text as captured to JSON text of the content.

The law: nothing is guessed and nothing is lost. A text that is no known wrapping is returned as it is; None stays None,
for what was not captured is not empty. Only shapes that a framework makes itself are peeled, never a tool's own object.
"""

import ast
import json
import re
from typing import Any, Final, NamedTuple

import orjson

PEELS_MAX: Final = 3
REPR_CHARS_MAX: Final = 64 * 1024  # of a Python repr that is read
NOT_CAPTURED: Final = frozenset({"", "{}", "null", "<not serializable>", '"<not serializable>"', "[REDACTED]"})
_ENVELOPE: Final = frozenset({"input_str", "inputs", "input", "tags", "metadata", "kwargs", "name", "run_id"})
# What every wrapping has somewhere: a text without any of these is not parsed to find that out.
_ARGUMENT_MARKS: Final = ('"kwargs"', '"tool_', '"input', "{'")
_RESULT_MARKS: Final = ('"output', '"tool_call_id"', '"response"', '"data"')
_MESSAGE_REPR: Final = re.compile(r"content=('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")(.*)", re.DOTALL)
_CALL_ID_REPR: Final = re.compile(r"tool_call_id='([^']*)'")


class Unwrapped(NamedTuple):
    """A result without its wrapping, and the call id that the wrapping knew ("" when it did not)."""

    text: str | None
    call_id: str = ""


def arguments(text: str | None, schema: str | None = None) -> str | None:
    """Arguments as the tool got them. `schema` names positional ones, where the producer sends it."""
    if text is None or text[:1] != "{" or not _has(text, _ARGUMENT_MARKS):
        return text
    value = _json_or_repr(text)
    if not isinstance(value, dict):
        return text
    peeled: Any = value
    for _ in range(PEELS_MAX):
        inner = _inner_arguments(peeled, schema)
        if inner is None:
            break
        peeled = _json_or_repr(inner) if isinstance(inner, str) and inner[:1] == "{" else inner
    if peeled is value and text[1:2] != "'":
        return text
    return peeled if isinstance(peeled, str) else dumped(peeled)


def _has(text: str, marks: tuple[str, ...]) -> bool:
    return any(mark in text for mark in marks)


def _inner_arguments(value: Any, schema: str | None) -> Any:
    """What is inside one wrapping, or None where there is none."""
    if not isinstance(value, dict):
        return None
    keys = value.keys()
    calling = value.get("calling")
    if isinstance(calling, dict) and "tool_string" in keys and isinstance(calling.get("arguments"), dict | None):
        return calling.get("arguments") or {}  # CrewAI's ToolCalling
    if keys == {"tool_name", "arguments"}:
        return value["arguments"]
    if keys == {"input"} and isinstance(value["input"], dict | str):
        return value["input"]
    if ("input_str" in keys or "inputs" in keys) and keys <= _ENVELOPE and len(keys) > 1:
        inputs = value.get("inputs")
        return inputs if isinstance(inputs, dict) else value.get("input_str", inputs)
    if {"args", "kwargs"} <= keys <= {"args", "kwargs", "sanitize_inputs_outputs"} and isinstance(value["args"], list):
        return _named(value["args"], value["kwargs"], schema)
    return None


def _named(positional: list[Any], named: Any, schema: str | None) -> Any:
    """Keyword arguments, the positional ones among them by the order of the schema's names."""
    found = dict(named) if isinstance(named, dict) else {}
    if not positional:
        return found
    if len(positional) == 1 and isinstance(positional[0], dict) and not found:
        return positional[0]
    declared = _json_or_repr(schema) if schema else None
    if isinstance(declared, dict):
        properties = declared.get("properties", declared)
        names = list(properties) if isinstance(properties, dict) else []
        if len(names) >= len(positional):
            return {**dict(zip(names, positional, strict=False)), **found}
    return None


def result(text: str | None) -> Unwrapped:
    """A result as the tool gave it. A LangChain message that says `error` keeps saying so."""
    if text is None:
        return Unwrapped(None)
    if text[:1] == "{":
        if not _has(text, _RESULT_MARKS):
            return Unwrapped(text)
    elif not text.startswith("content="):
        return Unwrapped(text)
    call_id = ""
    value: Any = text
    for _ in range(PEELS_MAX + 1):
        inner, said = _inner_result(value)
        call_id = call_id or said
        if inner is value:
            break
        value = inner
    return Unwrapped(value if isinstance(value, str) else dumped(value), call_id)


def _inner_result(value: Any) -> tuple[Any, str]:
    if isinstance(value, str):
        if value.startswith("content="):
            return _of_repr(value)
        parsed = _json_or_repr(value) if value[:1] == "{" else value
        if not isinstance(parsed, dict):
            return value, ""
        inner, call_id = _inner_result(parsed)
        return (value, call_id) if inner is parsed else (inner, call_id)
    if not isinstance(value, dict):
        return value, ""
    keys = value.keys()
    if keys <= {"output", "outputs", "kwargs"} and ("output" in keys or "outputs" in keys):
        return value.get("output", value.get("outputs")), ""
    if keys == {"id", "name", "response"}:
        return value["response"], str(value["id"] or "")
    message = _tool_message(value)
    if message is None:
        return value, ""
    known, content = message.get("tool_call_id"), message.get("content")
    inner = {"status": "error", "message": content} if message.get("status") == "error" else content
    return inner, known if isinstance(known, str) else ""


def _tool_message(value: dict[str, Any]) -> dict[str, Any] | None:
    """The fields of a serialised LangChain ToolMessage, in its three spellings."""
    kwargs, data = value.get("kwargs"), value.get("data")
    if value.get("lc") == 1 and isinstance(kwargs, dict) and "tool_call_id" in kwargs:
        return kwargs
    if value.get("type") == "tool" and isinstance(data, dict) and "content" in data:
        return data
    return value if value.get("type") == "tool" and "content" in value and "tool_call_id" in value else None


def _of_repr(text: str) -> tuple[Any, str]:
    """The content of a message that was printed instead of serialised: `content='...' name='x' tool_call_id='c'`."""
    found = _MESSAGE_REPR.match(text) if len(text) <= REPR_CHARS_MAX else None
    if found is None:
        return text, ""
    content, rest = _literal(found.group(1)), found.group(2)
    call_id = _CALL_ID_REPR.search(rest)
    if "status='error'" in rest:
        content = {"status": "error", "message": content}
    return content, call_id.group(1) if call_id else ""


def is_tool_message(text: str | None) -> bool:
    """Whether a value is a LangChain ToolMessage: its producer ran a tool, whatever it calls the span."""
    if text is None or text[:1] != "{" or "tool_call_id" not in text:
        return False
    value = _json_or_repr(text)
    return isinstance(value, dict) and _tool_message(value) is not None


def json_prefix(text: str | None) -> str | None:
    """The JSON value or Python repr at the beginning of a text, quoted or not, where a prompt was appended to it; else the text
    itself."""
    if text is None:
        return None
    plain = _json_or_repr(text) if text[:1] == '"' else text
    if not isinstance(plain, str) or plain[:1] not in ("{", "["):
        return text
    end = _end_of_value(plain)
    return plain[:end] if end > 0 and not _is_value(plain) and _is_value(plain[:end]) else text


def _end_of_value(text: str) -> int:
    """Where the first bracketed value of a text ends; 0 when it does not."""
    depth, quote, skip = 0, "", False
    for at, char in enumerate(text):
        if skip:
            skip = False
        elif quote:
            skip, quote = char == "\\", "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char in "{[":
            depth += 1
        elif char in "}]":
            depth -= 1
            if depth == 0:
                return at + 1
    return 0


def _is_value(text: str) -> bool:
    return isinstance(_json_or_repr(text), dict | list)


def blocks(text: str | None) -> str | None:
    """Bedrock's content blocks, `[{"text": ...}]` or `[{"json": ...}]`, as what they hold when there is one."""
    value = _json_or_repr(text) if text is not None and text[:2] == "[{" else None
    if not isinstance(value, list) or len(value) != 1 or not isinstance(value[0], dict) or len(value[0]) != 1:
        return text
    kind, inner = next(iter(value[0].items()))
    if kind not in ("text", "json"):
        return text
    return inner if isinstance(inner, str) else dumped(inner)


def _json_or_repr(text: str) -> Any:
    """The value of a JSON text, or of a Python repr of plain values; any other text is itself."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return _literal(text) if text[:1] in ("{", "[") and "'" in text else text


def _literal(text: str) -> Any:
    """A Python literal, read without running it; the text itself where it is none or is nested too deeply."""
    if len(text) > REPR_CHARS_MAX or text.count("(") + text.count("[") + text.count("{") > 2_000:
        return text
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return text


def dumped(value: Any) -> str:
    """JSON text of a plain value. What JSON has no form for becomes its text; it never fails."""
    try:
        return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # a whole number over 64 bits, a lone surrogate, nesting deeper than 254
        return _dumped_odd(value)


def _dumped_odd(value: Any) -> str:
    try:
        return json.dumps(value, default=str, skipkeys=True, check_circular=False)
    except RecursionError:
        return '"(nested too deeply to be shown)"'
