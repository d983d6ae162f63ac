"""Content as captured, read: arguments and results parsed once, frameworks' wrappings peeled, redaction recognised.

The law: nothing is guessed. What is not JSON is text; what is not captured is None and never empty; a placeholder that
a redactor left is an unknown value, not a wrong one.
"""

import re
from typing import Any

import orjson

PEELS_MAX = 3  # wrappings taken off; deeper ones are the tool's own data
_PLACEHOLDER = re.compile(
    r"""\s*(?:
        __[A-Z][A-Z_]*__                                  # __REDACTED__
      | \[(?:[A-Z][A-Z_ ]*|redacted|masked|filtered|removed)(?::[^\]]{0,40})?\]  # [REDACTED], [EMAIL]
      | <[A-Z][A-Z0-9_ ]*>                                # <PHONE_NUMBER>
      | <(?:redacted|masked)>
      | \{\{?(?:[A-Z][A-Z_]*|redacted)\}?\}               # {{EMAIL}}
      | \*{3,}                                            # ***
      | REDACTED
    )\s*""",
    re.VERBOSE,
)
_PLACEHOLDER_CHARS_MAX = 80
_FIRST = frozenset(("", *"_[<{*R \t\n"))  # what a placeholder can start with: spares most values the expression


def is_placeholder(value: object) -> bool:
    """Whether this value is what a redactor leaves in place of content: the whole value, or one inside a text."""
    if not isinstance(value, str) or not value:
        return False
    return value[0] in _FIRST and len(value) <= _PLACEHOLDER_CHARS_MAX and _PLACEHOLDER.fullmatch(value) is not None


def has_placeholder(value: Any, depth: int = 0) -> bool:
    """Whether a placeholder stands anywhere in a parsed value (not looked for beyond 20 levels)."""
    if isinstance(value, str):
        return value[:1] in _FIRST and is_placeholder(value)
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return False
    return depth < 20 and any(has_placeholder(item, depth + 1) for item in value)


def placeholder_paths(value: Any, path: str = "", depth: int = 0) -> list[str]:
    """Where in a parsed value placeholders stand, as `address.city` or `items[0]`; nothing beyond 20 levels."""
    if isinstance(value, str):
        return [path] if is_placeholder(value) else []
    if depth > 20 or not isinstance(value, dict | list):
        return []
    if isinstance(value, dict):
        inner = ((f"{path}.{key}" if path else str(key), item) for key, item in value.items())
    else:
        inner = ((f"{path}[{index}]", item) for index, item in enumerate(value))
    return [found for at, item in inner for found in placeholder_paths(item, at, depth + 1)]


def json_object(text: str) -> dict[str, Any] | None:
    """The JSON object that a text is, else None."""
    value = json_or_text(text) if text.lstrip()[:1] == "{" else None
    return value if isinstance(value, dict) else None


def json_or_text(text: str) -> Any:
    """The value of a JSON text; any other text is itself."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def read_arguments(text: str | None) -> tuple[Any, str | None]:
    """Parsed arguments (None: not captured) and the fault of a text that is not JSON, with its position.

    An empty text is a call without arguments. JSON inside a JSON string and an OpenAI `function` wrapping are peeled.
    """
    if text is None:
        return None, None
    if not text or text.isspace():
        return {}, None
    try:
        value = orjson.loads(text)
        for _ in range(PEELS_MAX):
            inner = _wrapped_arguments(value)
            if inner is None:
                break
            value = orjson.loads(inner) if isinstance(inner, str) else inner
    except orjson.JSONDecodeError as error:
        if is_placeholder(text):
            return text.strip(), None
        return None, f"not JSON: {error.msg} at line {error.lineno} column {error.colno} (character {error.pos})"
    return ({} if value is None else value), None


def _wrapped_arguments(value: Any) -> Any:
    """What is inside one wrapping, or None when there is none."""
    if isinstance(value, str):
        return value if value.lstrip()[:1] in ("{", "[", '"') and not is_placeholder(value) else None
    if not isinstance(value, dict):
        return None
    function = value.get("function")
    if isinstance(function, dict) and "arguments" in function and value.keys() <= {"function", "type", "id"}:
        return function["arguments"]
    if value.keys() == {"args", "kwargs"} and value["args"] in ([], None) and isinstance(value["kwargs"], dict):
        return value["kwargs"]
    return None


def read_result(text: str | None) -> Any:
    """A result as its tool gave it: parsed where it is JSON, wrappings of frameworks peeled; None: not captured."""
    if text is None or text.lstrip()[:1] not in ("{", "[", '"'):
        return text  # a bare number or word stays the text that it is
    value = json_or_text(text)
    for _ in range(PEELS_MAX):
        inner = _wrapped_result(value)
        if inner is value:
            break
        value = json_or_text(inner) if isinstance(inner, str) and inner[:1] in ("{", "[", '"') else inner
    return value


def _wrapped_result(value: Any) -> Any:
    """What is inside one wrapping, or the value itself when there is none."""
    if isinstance(value, str):
        return json_or_text(value) if value[:1] in ("{", "[", '"') else value
    if not isinstance(value, dict) or len(value) > 4:
        return value
    if value.keys() == {"result"}:
        return value["result"]
    kwargs = value.get("kwargs")
    if isinstance(kwargs, dict) and value.get("lc") == 1 and "content" in kwargs:
        return kwargs if kwargs.get("status") == "error" else kwargs["content"]
    data = value.get("data")
    if value.keys() == {"type", "data"} and value["type"] == "tool" and isinstance(data, dict) and "content" in data:
        return data if data.get("status") == "error" else data["content"]
    if value.keys() == {"output", "kwargs"}:
        return value["output"]
    if value.get("type") == "tool" and "content" in value and value.get("status") != "error":
        return value["content"]
    return value
