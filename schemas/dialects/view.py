"""What a dialect sees of a span, and what it says of it.

Attribute values stay bytes until a dialect asks for a key. Values of low cardinality (agent, tool, model) go through one bounded
cache of their wire bytes, because the same few come millions of times.
"""

import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

from schemas.otlp import InvalidOtlp, int_of, plain_of, text_of
from schemas.span import BAD_VALUE, StepKind

_LOW_MAX = 20_000
_low: dict[bytes, str] = {}


class Reading(NamedTuple):
    """The canonical fields that a dialect maps (span-conventions 6.1). None: not captured."""

    kind: StepKind
    workflow: str = ""
    agent: str = ""
    tool: str = ""
    call_id: str = ""
    model: str = ""
    provider: str = ""
    session_id: str = ""
    error_type: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    arguments: str | None = None
    result: str | None = None
    cost_usd: float | None = None
    input_messages: str | None = None
    output_messages: str | None = None
    tool_definitions: str | None = None


class View:
    """One span's attributes, name and scope, for reading. A value that cannot be read is None and sets a flag."""

    __slots__ = ("attributes", "flags", "get", "is_root", "name", "scope")

    def __init__(self, attributes: Any, name: str, scope: str, is_root: bool) -> None:
        self.attributes: Mapping[str, bytes] = attributes
        self.get = attributes.get
        self.name = name
        self.scope = scope
        self.is_root = is_root
        self.flags = 0

    def text(self, key: str) -> str | None:
        """The value as text (structured values as JSON text); None when absent."""
        value = self.get(key)
        if value is None:
            return None
        try:
            return text_of(value)
        except (InvalidOtlp, IndexError):
            self.flags |= BAD_VALUE
            return None

    def first(self, *keys: str) -> str | None:
        """The first of these that is present and not empty."""
        for key in keys:
            if found := self.text(key):
                return found
        return None

    def low(self, key: str) -> str:
        """A value of low cardinality, interned; "" when absent."""
        value = self.get(key)
        if value is None:
            return ""
        known = _low.get(value)
        if known is None:
            known = sys.intern(self.text(key) or "")
            if len(_low) < _LOW_MAX:
                _low[value] = known
        return known

    def lowest(self, *keys: str) -> str:
        """The first of these that is present and not empty, interned."""
        for key in keys:
            if found := self.low(key):
                return found
        return ""

    def number(self, *keys: str) -> int:
        """The first of these that is present, as a whole number; 0 when none is."""
        for key in keys:
            if (value := self.get(key)) is not None:
                try:
                    return max(0, int_of(value))
                except (InvalidOtlp, IndexError):
                    self.flags |= BAD_VALUE
        return 0

    def amount(self, *keys: str) -> float | None:
        """The first of these that is a number."""
        for key in keys:
            if (value := self.get(key)) is not None:
                try:
                    return float(plain_of(value))
                except (InvalidOtlp, TypeError, ValueError):
                    self.flags |= BAD_VALUE
        return None
