"""When a step failed: rules E1 to E10 of the span conventions, on the span alone, each answer naming its rule.

The law: no substring search for "error". A structured result is read by its keys, a text only at its anchored start,
and a tool whose business is errors (it reads logs, runs tests) is believed one degree less. E3 attributes reach us as
the `error_type` that decode makes of them; E8 and E9 need the other spans of the trace and are not decided here.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple

from schemas.errortext import doubtful_text, error_text
from schemas.payload import json_or_text, read_result
from schemas.span import ERROR, Span

Severity = Literal[
    "failed",  # it did not do its work
    "suspect",  # it may not have
    "handled",  # control flow, cancellation, or an exception dealt with inside: no failure of this step
]


class Failure(NamedTuple):
    """Why a step counts as failed. `swallowed`: its status does not say so, only its result does."""

    rule: str  # "E1".."E10"
    severity: Severity
    swallowed: bool
    message: str


_CONTROL_FLOW: Final = re.compile(
    r"GraphInterrupt|GraphBubbleUp|NodeInterrupt|ParentCommand|^Command\(|GuardrailTripwireTriggered"
    r"|CancelledError|GeneratorExit"
)
_ERROR_WORDS: Final = frozenset(
    {"error", "errored", "failed", "failure", "fatal", "exception", "denied", "unauthorized", "timeout"}
)
_NO_ERROR_WORDS: Final = frozenset(
    {"", "0", "false", "no", "none", "null", "nil", "undefined", "ok", "success", "n/a", "-", "no error", "no errors"}
)
_ERROR_KEYS: Final = ("error", "errors", "error_message", "errorMessage", "error_msg", "exception", "traceback")
_ERROR_CODE_KEYS: Final = ("error_code", "errorCode")
_EXPLAINING_KEYS: Final = ("message", "detail", "reason")
_WRAPPING_KEYS: Final = ("result", "response", "output")  # an error may stand one level deeper in these
_WRAPPING: Final = frozenset((*_WRAPPING_KEYS, "content"))
_FALSE_TEXTS: Final = ("false", "False", "FALSE")
_TRUE_TEXTS: Final = ("true", "True", "TRUE")
_HTTP_FAULT: Final = re.compile(r"[45]\d\d(?!\d)")
_DEPTH_MAX: Final = 5  # levels of an `error` value that are looked into
_DOCUMENT_CHARS: Final = 200  # a longer text that a retrieval gave is a document, whatever it begins with
_ERRORS_ARE_ITS_BUSINESS: Final = re.compile(
    r"(?:^|[^a-z])(?:logs?|errors?|exceptions?|diagnos[a-z]*|lint(?:er|ing)?|tests?|traces?|incidents?)(?:$|[^a-z])"
)
_MESSAGE_CHARS: Final = 200
_RESULT_KINDS: Final = frozenset({"tool_call", "retrieval", "handoff"})


def failure_of(span: Span, result: Any) -> Failure | None:
    """The failure of this step, or None. `result` is the parsed and unwrapped result, None when not captured."""
    if span.status == ERROR or span.exception or (span.error_type and _is_error(span.error_type)):
        said = _said_failure(span)
        if said is not None:
            return said
    if result is None or span.kind not in _RESULT_KINDS:
        return None
    if type(result) is dict and result and _SPEAKING.isdisjoint(result):
        return None  # most results: none of their keys can tell of an error
    return _result_failure(span, result)


def control_flow(text: str) -> str:
    """The words by which a status or an exception says that it was control flow or a cancellation; "" when it does not."""
    found = _CONTROL_FLOW.search(text)
    return found[0] if found else ""


def tells_error(text: str | None) -> bool:
    """Whether a result, as captured, says by itself that the call failed (E5, E6)."""
    found = None if text is None else _read(read_result(text))
    return found is not None and found[1] == "failed"


def _said_failure(span: Span) -> Failure | None:
    """E1 to E4: what the span itself says."""
    words = span.error_type, span.exception, span.status_message
    message = next((w for w in (span.status_message, span.exception, span.error_type) if w), "status ERROR")
    message = message[:_MESSAGE_CHARS]
    if any(_CONTROL_FLOW.search(word) for word in words if word):
        return Failure("E1" if span.status == ERROR else "E4", "handled", False, message)
    if span.status == ERROR:
        return Failure("E1", "failed", False, message)
    if span.error_type and _is_error(span.error_type):
        return Failure("E2", "failed", False, message)
    handled = span.kind not in _RESULT_KINDS
    return Failure("E4", "handled" if handled else "failed", False, message)


def _result_failure(span: Span, result: Any) -> Failure | None:
    found = _read(result)
    if found is not None and span.kind == "retrieval" and isinstance(result, str):
        if result == found[2] == "error":
            found = None  # a document may consist of that word
        elif len(result) > _DOCUMENT_CHARS:
            found = found[0], "suspect", found[2]
    if found is None:
        empty = span.kind == "retrieval" and result in ("", [], {})
        return Failure("E10", "suspect", False, "the result is empty") if empty else None
    rule, severity, message = found
    if severity == "failed" and errors_are_its_business(span.tool):
        severity = "suspect"
    swallowed = severity == "failed" and span.status != ERROR
    return Failure(rule, severity, swallowed, message[:_MESSAGE_CHARS])


Found = tuple[str, Severity, str]


def _read(result: Any) -> Found | None:
    """E5 and E6 on a result; of MCP-like content and of a wrapping key one level deeper."""
    if isinstance(result, str):
        return _read_text(result)
    if isinstance(result, dict):
        return _read_object(result) or _read_wrapped(result)
    return _read_parts(result)


def _read_wrapped(value: dict[str, Any]) -> Found | None:
    """What stands in `content` parts, or in the object that a result holds beside other keys."""
    if _WRAPPING.isdisjoint(value):
        return None
    for key in _WRAPPING_KEYS:
        inner = value.get(key)
        if isinstance(inner, dict) and (found := _read_object(inner)):
            return found
    return _read_parts(value.get("content"))


def _read_parts(parts: Any) -> Found | None:
    """Content parts, `[{"type": "text", "text": ...}]`: their text, or the object in it. One small object in a list."""
    if not isinstance(parts, list):
        return None
    lone = len(parts) == 1
    for part in parts:
        if not isinstance(part, dict):
            continue
        text = part.get("text")
        if not isinstance(text, str) or part.get("type", "text" if lone else "") != "text":
            continue
        value = read_result(text)
        found = _read_object(value) if isinstance(value, dict) else _read_text(text)
        if found is not None:
            return found
    if lone and isinstance(parts[0], dict) and len(parts[0]) <= 2:
        return _read_object(parts[0])
    return None


def _read_text(text: str) -> Found | None:
    said = error_text(text)
    if said:
        return "E6", "failed", said
    said = doubtful_text(text)
    return ("E6", "suspect", said) if said else None


def _read_object(value: dict[str, Any]) -> Found | None:
    """E5: the keys by which a result says that it is an error; the gravest of them where there are several."""
    if _TELLING.isdisjoint(value):
        return None
    told = [(place, tells(key, value)) for key in value if (rule := _TELLING_KEYS.get(key)) for place, tells in [rule]]
    return min(((place, found) for place, found in told if found is not None), default=(0, None))[1]


def _flag(key: str, value: dict[str, Any]) -> Found | None:
    said = value[key]
    return ("E5", "failed", f"{key} is true{_explained(value)}") if said is True or said in _TRUE_TEXTS else None


def _error_key(key: str, value: dict[str, Any]) -> Found | None:
    if not _is_error(value[key]):
        return None
    counted = key == "errors" and type(value[key]) is int  # a count of errors is data, as a rule
    return "E5", "suspect" if counted else "failed", f"{key}: {_text(value[key])}"


def _success_key(key: str, value: dict[str, Any]) -> Found | None:
    said = value[key]
    return ("E5", "failed", f"{key} is false{_explained(value)}") if said is False or said in _FALSE_TEXTS else None


def _type_key(key: str, value: dict[str, Any]) -> Found | None:
    return ("E5", "failed", f"type is error{_explained(value)}") if value[key] == "error" else None


def _http_key(key: str, value: dict[str, Any]) -> Found | None:
    if not _is_http_fault(value[key]):
        return None
    # 404 may be a room, and 450 a discount: sure only where the key says HTTP, or the object is about the call.
    sure = key not in ("code", "status") or _is_explained(value)
    return "E5", "failed" if sure else "suspect", f"{key} is {value[key]}{_explained(value)}"


def _is_http_fault(code: Any) -> bool:
    """400 to 599, as a number or at the start of a text: `503`, `"404 Not Found"`."""
    if isinstance(code, str):
        return _HTTP_FAULT.match(code) is not None
    return type(code) is int and 400 <= code <= 599  # a postal code or an amount is not one


def _error_code_key(key: str, value: dict[str, Any]) -> Found | None:
    if not _is_error(value[key]):
        return None
    return "E5", "failed" if _is_explained(value) else "suspect", f"{key}: {_text(value[key])}{_explained(value)}"


def _outcome_key(key: str, value: dict[str, Any]) -> Found | None:
    return ("E5", "failed", f"{key} is {value[key]}{_explained(value)}") if _is_error_word(value[key]) else None


def _status_key(key: str, value: dict[str, Any]) -> Found | None:
    if not _is_error_word(value[key]):
        return _http_key(key, value) if key == "status" else None
    # `status` is often domain data ("payment failed last month"): sure only where the object is about the call.
    sure = len(value) <= 3 or _is_explained(value) or any(k in value for k in _ERROR_CODE_KEYS)
    return "E5", "failed" if sure else "suspect", f"{key} is {value[key]}{_explained(value)}"


def _is_explained(value: dict[str, Any]) -> bool:
    return any(key in value for key in (*_EXPLAINING_KEYS, *_ERROR_KEYS))


# The keys that tell, and how: the first of this list that tells of an error names it.
_TELLING_KEYS: Final[dict[str, tuple[int, Callable[[str, dict[str, Any]], Found | None]]]] = {
    key: (place, tells)
    for place, (key, tells) in enumerate(
        [
            *((key, _flag) for key in ("isError", "is_error")),
            *((key, _error_key) for key in _ERROR_KEYS),
            *((key, _success_key) for key in ("success", "ok", "succeeded")),
            ("type", _type_key),
            *((key, _http_key) for key in ("status_code", "statusCode", "http_status", "code")),
            *((key, _error_code_key) for key in _ERROR_CODE_KEYS),
            *((key, _outcome_key) for key in ("response_status", "result")),
            *((key, _status_key) for key in ("status", "state")),
        ]
    )
}
_TELLING: Final = frozenset(_TELLING_KEYS)
_SPEAKING: Final = _TELLING | _WRAPPING


def _is_error_word(word: Any) -> bool:
    return isinstance(word, str) and word.strip().lower() in _ERROR_WORDS


def _is_error(value: Any, depth: int = 0) -> bool:
    """Whether the value of an `error` key says that there is one; null, empty, false, 0 and "none" say no.

    A fraction is a measure, such as a margin of error.
    """
    if isinstance(value, str):
        return value.strip(" .").lower() not in _NO_ERROR_WORDS
    if isinstance(value, dict) and depth < _DEPTH_MAX:
        return any(_is_error(inner, depth + 1) for inner in value.values())
    return bool(value) and not isinstance(value, float)


def _explained(value: dict[str, Any]) -> str:
    said = next((value[key] for key in (*_EXPLAINING_KEYS, *_ERROR_KEYS) if value.get(key)), None)
    return "" if said is None else f": {_text(said)}"


def _text(value: Any) -> str:
    if isinstance(value, dict):
        value = next((value[key] for key in _EXPLAINING_KEYS if isinstance(value.get(key), str)), value)
    return str(value)


@lru_cache(maxsize=4096)
def errors_are_its_business(tool: str) -> bool:
    """Whether a tool's name says that errors are what it reads: then an error in its result is data, not failure."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", tool).lower()
    return _ERRORS_ARE_ITS_BUSINESS.search(snake) is not None


CUT_OFF_REASONS: Final = frozenset({"length", "max_tokens", "content_filter", "error"})


def finish_reasons(span: Span) -> frozenset[str]:
    """E7: why a model stopped, as its own attribute or its captured output messages say; empty when neither does."""
    told = json_or_text(span.finish_reasons) if span.finish_reasons[:1] == "[" else span.finish_reasons
    said = told if isinstance(told, list) else [told]
    if span.output_messages is not None and '"finish_reason"' in span.output_messages:
        messages = json_or_text(span.output_messages)
        listed = messages if isinstance(messages, list) else [messages]
        said = said + [message.get("finish_reason") for message in listed if isinstance(message, dict)]
    return frozenset(reason for reason in said if isinstance(reason, str) and reason)
