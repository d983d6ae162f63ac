"""Content as captured, read: arguments and results parsed once, frameworks' wrappings peeled, redaction recognised.

The law: nothing is guessed, and nothing unreadable is an exception. What is neither JSON nor the repr of plain data is
text; what is not captured is None and never empty; a placeholder that a redactor left is an unknown value, not a wrong
one. No value that is read here nests deeper than DEPTH_MAX: whoever walks it may recurse.
"""

import re
from itertools import accumulate
from typing import Any, Final

import orjson

from schemas.pyrepr import NotARepr, read_repr
from schemas.redaction.patterns import TOKEN

_WRAPPING_KEYS_MAX: Final = 4  # of an object that wraps a result
PEELS_MAX: Final = 3  # wrappings taken off; deeper ones are the tool's own data
DEPTH_MAX: Final = (
    100  # levels of nesting; no tool takes or gives more, and deeper values exhaust the stack of who walks them
)
_PLACEHOLDER: Final = re.compile(
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
_PLACEHOLDER_CHARS_MAX: Final = 80
_FIRST: Final = frozenset(("", *"_[<{*R \t\n"))  # what a placeholder can start with: spares most values the expression


def has_token(text: str | None) -> bool:
    """Whether one of our own redaction's tokens stands in a text, be it amid other words (`schemas.redaction.patterns`)."""
    return text is not None and TOKEN.search(text) is not None


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
    if depth >= 20:
        return False
    for item in value:  # texts are looked at here: most values are texts, and a call costs more than the look
        if type(item) is str:
            if item[:1] in _FIRST and is_placeholder(item):
                return True
        elif isinstance(item, dict | list) and has_placeholder(item, depth + 1):
            return True
    return False


def placeholder_paths(value: Any, path: str = "", depth: int = 0) -> list[str]:
    """Where in a parsed value placeholders stand, as `address.city` or `items[0]`; nothing beyond 20 levels."""
    if isinstance(value, str):
        return [path] if is_placeholder(value) or has_token(value) else []
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
    """The value of a JSON text; any other text is itself, and one that nests too deep."""
    try:
        return text if _too_deep(text) else orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


_BRACKETS: Final = bytes(set(range(256)) - set(b"{[]}"))  # what to delete
_LEVELS: Final = {ord("{"): 1, ord("["): 1, ord("]"): -1, ord("}"): -1}


def _too_deep(text: str) -> bool:
    """Whether it nests deeper than DEPTH_MAX. Brackets inside strings count: such a text is read as text, no more."""
    if len(text) <= DEPTH_MAX or text.count("{") + text.count("[") <= DEPTH_MAX:
        return False
    brackets = text.encode("utf-8", "replace").translate(None, _BRACKETS)
    return max(accumulate(map(_LEVELS.__getitem__, brackets)), default=0) > DEPTH_MAX


Read = tuple[Any, str | None, bool]  # value (None: not captured, or unreadable), why it is unreadable, was it a repr


def read_arguments(text: str | None) -> tuple[Any, str | None]:
    """Parsed arguments (None: not captured) and the fault of a text that is not JSON, with its position."""
    value, fault, _ = arguments_of(text, "")
    return value, fault


def arguments_of(text: str | None, tool: str) -> Read:
    """Parsed arguments of a call of this tool; else the fault, with its position; and whether they stood there as a repr.

    An empty text is a call without arguments. JSON inside a JSON string, and the usual wrappings of a call (OpenAI's
    `function`, `{name, arguments}` of this very tool, `{args: [], kwargs}`) are peeled. A repr is read as its value.
    """
    if text is None:
        return None, None, False
    if not text or text.isspace():
        return {}, None, False
    said: Any = text
    is_repr = False
    for _ in range(PEELS_MAX + 1):
        if isinstance(said, str):
            try:
                value, as_repr = _read(said)
            except orjson.JSONDecodeError as error:
                if is_placeholder(said):
                    return said.strip(), None, is_repr
                at = f"line {error.lineno} column {error.colno} (character {error.pos})"
                return None, f"not JSON: {error.msg} at {at}", is_repr
            is_repr = is_repr or as_repr
        else:
            value = said
        said = _wrapped_arguments(value, tool)
        if said is None:
            break
    return {} if value is None else value, None, is_repr


def _read(text: str) -> tuple[Any, bool]:
    """The value of a text that is JSON, or (True) the repr of plain data. Raises JSONDecodeError."""
    try:
        if _too_deep(text):
            raise orjson.JSONDecodeError(f"nested deeper than {DEPTH_MAX} levels", text, 0)
        return orjson.loads(text), False
    except orjson.JSONDecodeError as error:
        try:
            return _from_repr(text), True
        except NotARepr:
            raise error from None


def _from_repr(text: str) -> Any:
    """The value of a repr of an object, a list or a text. Raises NotARepr."""
    if text.lstrip()[:1] not in _STRUCTURED_REPR or _too_deep(text):
        raise NotARepr("it begins like none, or nests too deep")
    return read_repr(text)


_STRUCTURED: Final = frozenset(("{", "[", '"'))  # what a JSON text can begin with that holds more than a bare word
_STRUCTURED_REPR: Final = _STRUCTURED | {"(", "'"}


def _wrapped_arguments(value: Any, tool: str) -> Any:
    """What is inside one wrapping, or None when there is none."""
    if isinstance(value, str):
        return value if value.lstrip()[:1] in _STRUCTURED and not is_placeholder(value) else None
    if not isinstance(value, dict) or _WRAPPINGS.isdisjoint(value):
        return None
    function = value.get("function")
    if isinstance(function, dict) and "arguments" in function and value.keys() <= {"function", "type", "id"}:
        return {} if function["arguments"] is None else function["arguments"]
    if "arguments" in value and tool and value.get("name") == tool and value.keys() <= _CALL_KEYS:
        return {} if value["arguments"] is None else value["arguments"]
    if value.keys() == {"args", "kwargs"} and value["args"] in ([], None) and isinstance(value["kwargs"], dict):
        return value["kwargs"]
    return None


_WRAPPINGS: Final = frozenset({"function", "arguments", "kwargs"})
_CALL_KEYS: Final = frozenset({"name", "arguments", "id", "call_id", "type", "index"})


def read_result(text: str | None) -> Any:
    """A result as its tool gave it: parsed where it is JSON or a repr, wrappings of frameworks peeled; None: not captured."""
    if text is None or (text[:1] not in _STRUCTURED and text.lstrip()[:1] not in _STRUCTURED):
        return text  # a bare number or word stays the text that it is
    value = _structured(text)
    if type(value) is list or (type(value) is dict and len(value) > _WRAPPING_KEYS_MAX):
        return value  # no wrapping: most results are large
    for _ in range(PEELS_MAX):
        inner = _wrapped_result(value)
        if inner is value:
            break
        value = _structured(inner) if isinstance(inner, str) and inner[:1] in _STRUCTURED else inner
    return value


def _structured(text: str) -> Any:
    """The value of a text that begins like JSON, or like the repr of a dict or list; else the text itself."""
    value = json_or_text(text)
    if value is text and _REPR_START.match(text):
        try:
            return _from_repr(text)
        except NotARepr:
            return text
    return value


_REPR_START: Final = re.compile(r"\s*(?:\{\s*['}\d]|\[\s*[\]'{\[(\d-])")  # spares broken JSON the second reading


def _wrapped_result(value: Any) -> Any:
    """What is inside one wrapping, or the value itself when there is none."""
    if isinstance(value, str):
        return _structured(value) if value[:1] in _STRUCTURED else value
    if not isinstance(value, dict) or len(value) > _WRAPPING_KEYS_MAX:
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
