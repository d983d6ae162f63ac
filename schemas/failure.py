"""When a step failed: rules E1 to E10 of the span conventions, on the span alone, each answer naming its rule.

The law: no substring search for "error". A structured result is read by its keys, a text only at its anchored start,
and a tool whose business is errors (it reads logs, runs tests) is believed one degree less. E3 attributes reach us as
the `error_type` that decode makes of them; E8 and E9 need the other spans of the trace and are not decided here.
"""

import re
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from schemas.payload import json_object, json_or_text
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


_CONTROL_FLOW = re.compile(
    r"GraphInterrupt|GraphBubbleUp|NodeInterrupt|ParentCommand|^Command\(|GuardrailTripwireTriggered"
    r"|CancelledError|GeneratorExit"
)
_ERROR_WORDS = frozenset(
    {"error", "errored", "failed", "failure", "fatal", "exception", "denied", "unauthorized", "timeout"}
)
_NO_ERROR_WORDS = frozenset({"", "0", "false", "no", "none", "null", "ok", "n/a"})
_ERROR_KEYS = ("error", "errors", "error_message", "exception")
_EXPLAINING_KEYS = ("message", "detail", "reason")
_ERROR_TEXT = re.compile(
    r"error(?::| executing| invoking| running| while |$)|exception:|traceback \(most recent call last\)|fatal:"
    r"|tool error|failed to |http error|[45]\d\d (?:client|server) error"
    # Sentences that frameworks put in the place of a result.
    r"|an error occurred while running the tool|i encountered an error|i tried reusing the same input"
    r"|you tried to use the tool .* but it doesn't exist|.{1,80} is not a valid tool, try one of"
    r"|unknown tool|tool .{1,80} (?:not found|execution failed)",
    re.IGNORECASE,
)
_ANCHOR_CHARS = 200
_ERRORS_ARE_ITS_BUSINESS = re.compile(
    r"(?:^|[^a-z])(?:logs?|errors?|exceptions?|diagnos[a-z]*|lint(?:er|ing)?|tests?|traces?|incidents?)(?:$|[^a-z])"
)
_MESSAGE_CHARS = 200
_RESULT_KINDS = frozenset({"tool_call", "retrieval", "handoff"})


def failure_of(span: Span, result: Any) -> Failure | None:
    """The failure of this step, or None. `result` is the parsed and unwrapped result, None when not captured."""
    if span.status == ERROR or span.error_type or span.exception:
        said = _said_failure(span)
        if said is not None:
            return said
    if result is None or span.kind not in _RESULT_KINDS:
        return None
    return _result_failure(span, result)


def _said_failure(span: Span) -> Failure | None:
    """E1 to E4: what the span itself says."""
    words = span.error_type, span.exception, span.status_message
    message = next((w for w in (span.status_message, span.exception, span.error_type) if w), "status ERROR")
    message = message[:_MESSAGE_CHARS]
    if any(_CONTROL_FLOW.search(word) for word in words if word):
        return Failure("E1" if span.status == ERROR else "E4", "handled", False, message)
    if span.status == ERROR:
        return Failure("E1", "failed", False, message)
    if span.error_type:
        return Failure("E2", "failed", False, message)
    handled = span.kind not in _RESULT_KINDS
    return Failure("E4", "handled" if handled else "failed", False, message)


def _result_failure(span: Span, result: Any) -> Failure | None:
    found = _read(result)
    if found is not None and span.kind == "retrieval" and result == found[2] == "error":
        found = None  # a document may consist of that word
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
    """E5 and E6 on a result; of MCP-like content one level deeper."""
    if isinstance(result, str):
        return _read_text(result)
    if isinstance(result, dict):
        return _read_object(result) or _read_parts(result.get("content"))
    return _read_parts(result)


def _read_parts(parts: Any) -> Found | None:
    """Content parts, `[{"type": "text", "text": ...}]`: their text, or the object in it."""
    if not isinstance(parts, list):
        return None
    for part in parts:
        text = part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None
        if not isinstance(text, str):
            continue
        value = json_object(text)
        found = _read_text(text) if value is None else _read_object(value)
        if found is not None:
            return found
    return None


def _read_text(text: str) -> Found | None:
    start = text[:_ANCHOR_CHARS].strip()
    return ("E6", "failed", start) if _ERROR_TEXT.match(start) else None


def _read_object(value: dict[str, Any]) -> Found | None:
    """E5: the keys by which a result says that it is an error."""
    for flag in ("isError", "is_error"):
        if value.get(flag) is True:
            return "E5", "failed", f"{flag} is true{_explained(value)}"
    for key in _ERROR_KEYS:
        if key in value and _is_error(value[key]):
            return "E5", "failed", f"{key}: {_text(value[key])}"
    for key in ("success", "ok", "succeeded"):
        if value.get(key) is False:
            return "E5", "failed", f"{key} is false{_explained(value)}"
    if value.get("type") == "error":
        return "E5", "failed", f"type is error{_explained(value)}"
    return _read_code(value) or _read_status(value)


def _read_code(value: dict[str, Any]) -> Found | None:
    for key in ("status_code", "statusCode", "http_status", "code"):
        code = value.get(key)
        if type(code) is int and 400 <= code <= 599:  # a postal code or an amount is not one
            return "E5", "failed", f"{key} is {code}{_explained(value)}"
    return None


def _read_status(value: dict[str, Any]) -> Found | None:
    for key in ("response_status", "result"):
        if _is_error_word(value.get(key)):
            return "E5", "failed", f"{key} is {value[key]}{_explained(value)}"
    for key in ("status", "state"):
        if _is_error_word(value.get(key)):
            # `status` is often domain data ("payment failed last month"): sure only where the object is about the call.
            sure = len(value) <= 3 or any(k in value for k in (*_EXPLAINING_KEYS, *_ERROR_KEYS, "error_code"))
            return "E5", "failed" if sure else "suspect", f"{key} is {value[key]}{_explained(value)}"
    return None


def _is_error_word(word: Any) -> bool:
    return isinstance(word, str) and word.lower() in _ERROR_WORDS


def _is_error(value: Any) -> bool:
    """Whether the value of an `error` key says that there is one; null, empty, false, 0 and "none" say no."""
    if isinstance(value, str):
        return value.strip().lower() not in _NO_ERROR_WORDS
    if isinstance(value, dict):
        return any(_is_error(inner) for inner in value.values())
    return bool(value)


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


CUT_OFF_REASONS = frozenset({"length", "max_tokens", "content_filter", "error"})


def finish_reasons(span: Span) -> frozenset[str]:
    """E7: why a model stopped, as its captured output messages say; empty when they do not."""
    if span.output_messages is None or '"finish_reason"' not in span.output_messages:
        return frozenset()
    messages = json_or_text(span.output_messages)
    listed = messages if isinstance(messages, list) else [messages]
    said = (message.get("finish_reason") for message in listed if isinstance(message, dict))
    return frozenset(reason for reason in said if isinstance(reason, str))
