"""A tool call as its span tells it: name, arguments, result, failure. Parsed once, read by every evaluator.

A pure function of the span. `None` is "not captured" everywhere; an empty text is an empty value.
"""

from typing import Any

import orjson

from schemas.failure import Failure, failure_of
from schemas.payload import arguments_of, has_placeholder, has_token, read_result
from schemas.span import REDACTED, Span

__all__ = ["Failure", "ToolCall", "read_call"]


class ToolCall:
    """One call. `arguments` is a dict where the producer kept to the rules, and any JSON value where it did not."""

    def __init__(
        self,
        name: str,
        arguments: Any,
        arguments_error: str | None,
        result: Any,
        failure: Failure | None,
        masked: bool = False,
        is_repr: bool = False,
    ) -> None:
        self.name = name
        self.arguments = arguments  # parsed; None: not captured, or not JSON
        self.arguments_error = arguments_error  # why they are not JSON, with the position
        self.result = result  # parsed or text; None: not captured
        self.failure = failure
        self.masked = masked  # our own redaction left tokens in the arguments
        self.is_repr = is_repr  # the arguments were logged as Python's repr, not as JSON: read, and worth a word
        self.failed = failure is not None and failure.severity == "failed"
        self.executed = failure is None or failure.severity == "suspect"
        # Kept by who compares arguments by value: see evaluators.views.matching.
        self.same: tuple[frozenset[str], bytes] | None = None
        self._key: bytes | None = None
        self._key_known = False
        self._redacted: bool | None = None

    @property
    def key(self) -> bytes | None:
        """Equal for calls of the same tool with the same arguments; None where arguments are not known."""
        if not self._key_known:
            self._key, self._key_known = self._made_key(), True
        return self._key

    def _made_key(self) -> bytes | None:
        if self.arguments is None or self.redacted:
            return None
        try:
            return self.name.encode("utf-8", "replace") + b"\0" + _canonical(self.arguments)
        except TypeError:  # nested deeper than can be written: what cannot be compared is not known
            return None

    @property
    def redacted(self) -> bool:
        """Whether a redactor replaced an argument, or all of them: their values are unknown."""
        found = self._redacted
        if found is None:
            found = self._redacted = self.masked or has_placeholder(self.arguments)
        return found


def _canonical(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def read_call(span: Span) -> ToolCall:
    """The call of a tool_call, retrieval or handoff span; of other spans only the failure means something."""
    value, fault, is_repr = arguments_of(span.arguments, span.tool)
    result = read_result(span.result)
    masked = bool(span.flags & REDACTED) and has_token(span.arguments)
    return ToolCall(span.tool or span.name, value, fault, result, failure_of(span, result), masked, is_repr)
