"""A tool call as its span tells it: name, arguments, result, failure. Parsed once, read by every evaluator.

A pure function of the span. `None` is "not captured" everywhere; an empty text is an empty value.
"""

from dataclasses import dataclass, field
from typing import Any

import orjson

from schemas.failure import Failure, failure_of
from schemas.lazy import lazy
from schemas.payload import arguments_of, has_placeholder, has_token, read_result
from schemas.span import REDACTED, Span

__all__ = ["Failure", "ToolCall", "read_call"]


@dataclass(eq=False)
class ToolCall:
    """One call. `arguments` is a dict where the producer kept to the rules, and any JSON value where it did not."""

    name: str
    arguments: Any  # parsed; None: not captured, or not JSON
    arguments_error: str | None  # why they are not JSON, with the position
    result: Any  # parsed or text; None: not captured
    failure: Failure | None
    masked: bool = False  # our own redaction left tokens in the arguments
    is_repr: bool = False  # the arguments were logged as Python's repr, not as JSON: read, and worth a word
    failed: bool = field(init=False)  # it did not do its work. A suspect call counts as one that did
    executed: bool = field(init=False)  # it did its work: neither failed nor interrupted by control flow
    same: tuple[frozenset[str], bytes] | None = (
        None  # kept by who compares arguments by value: see evaluators.views.matching
    )

    def __post_init__(self) -> None:
        failure = self.failure
        self.failed = failure is not None and failure.severity == "failed"
        self.executed = failure is None or failure.severity == "suspect"

    @lazy
    def key(self) -> bytes | None:
        """Equal for calls of the same tool with the same arguments; None where arguments are not known."""
        if self.arguments is None or self.redacted:
            return None
        try:
            return self.name.encode("utf-8", "replace") + b"\0" + _canonical(self.arguments)
        except TypeError:  # nested deeper than can be written: what cannot be compared is not known
            return None

    @lazy
    def redacted(self) -> bool:
        """Whether a redactor replaced an argument, or all of them: their values are unknown."""
        return self.masked or has_placeholder(self.arguments)


def _canonical(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def read_call(span: Span) -> ToolCall:
    """The call of a tool_call, retrieval or handoff span; of other spans only the failure means something."""
    value, fault, is_repr = arguments_of(span.arguments, span.tool)
    result = read_result(span.result)
    masked = bool(span.flags & REDACTED) and has_token(span.arguments)
    return ToolCall(span.tool or span.name, value, fault, result, failure_of(span, result), masked, is_repr)
