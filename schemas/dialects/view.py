"""What a dialect sees of a span, and what it says of it.

Attribute values stay bytes until a dialect asks for a key. Values of low cardinality (agent, tool, model) go through one bounded
cache of their wire bytes, because the same few come millions of times.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

from schemas.otlp import InvalidOtlp, int_of, plain_of, text_of
from schemas.span import BAD_VALUE, StepKind

_LOW_MAX: Final = 20_000
_low: Final[dict[bytes, str]] = {}
# An instrumentor writes few sets of keys, in few orders: the set of each is made once, and is then the very same one.
_SETS_MAX: Final = 4_096
_sets: Final[dict[tuple[str | bytes, ...], frozenset[str | bytes]]] = {}
_same: Final[dict[frozenset[str | bytes], frozenset[str | bytes]]] = {}


def _set_of(order: tuple[str | bytes, ...]) -> frozenset[str | bytes]:
    keys = frozenset(order)
    if len(_sets) < _SETS_MAX:
        keys = _sets[order] = _same.setdefault(keys, keys)
    return keys


class Reading(NamedTuple):
    """The canonical fields that a dialect maps (span-conventions 6.1). None: not captured."""

    kind: StepKind
    operation: StepKind | Literal[""] = ""  # the kind before an agent's name refined it; "": it was not refined
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
    finish_reasons: str = ""
    target: str = ""  # whom a handoff passes to, where attributes of its own say so


class View:
    """One span's attributes, name, scope and events, for reading. A value that cannot be read is None and sets a flag.

    `rule` is set by whoever decides the kind: a word for people, printed by `stepwatch dialects`.
    """

    __slots__ = ("attributes", "events", "flags", "get", "is_root", "keys", "name", "rule", "scope", "shape")

    def __init__(self, attributes: Any, name: str, scope: str, is_root: bool, events: Sequence[Any] = ()) -> None:
        self.attributes: Mapping[str, bytes] = attributes
        self.get = attributes.get
        order = tuple(attributes)
        self.keys: frozenset[str | bytes] = _sets.get(order) or _set_of(order)  # bytes: a key that is not UTF-8
        self.name = name
        self.scope = scope
        self.is_root = is_root
        self.events = events
        self.flags = 0
        self.rule = ""
        self.shape: Any = None  # what the set of keys alone says, once `schemas.dialects.context` was asked

    def text(self, key: str) -> str | None:
        """The value as text (structured values as JSON text); None when absent."""
        if key not in self.keys:
            return None
        value = self.get(key)
        if value[:1] == b"\n" and len(value) > 1 and value[1] == len(value) - 2 < 0x80:  # a short text, as most are
            return str(value[2:], "utf-8", "replace")
        try:
            return text_of(value)
        except (InvalidOtlp, IndexError):
            self.flags |= BAD_VALUE
            return None

    def first(self, *keys: str) -> str | None:
        """The first of these that is present and not empty."""
        there = self.keys
        for key in keys:
            if key in there and (found := self.text(key)):
                return found
        return None

    def captured(self, *keys: str) -> str | None:
        """The first of these that is present, even empty: an empty value was captured."""
        for key in keys:
            if key in self.keys and (found := self.text(key)) is not None:
                return found
        return None

    def low(self, key: str) -> str:
        """A value of low cardinality, interned; "" when absent."""
        if key not in self.keys:
            return ""
        known = _low.get(self.get(key))
        return known if known is not None else self._read_low(key)

    def _read_low(self, key: str) -> str:
        known = sys.intern(self.text(key) or "")
        if len(_low) < _LOW_MAX:
            _low[self.get(key)] = known
        return known

    def lowest(self, *keys: str) -> str:
        """The first of these that is present and not empty, interned."""
        there = self.keys
        for key in keys:
            if key in there and (found := self.low(key)):
                return found
        return ""

    def number(self, *keys: str) -> int:
        """The first of these that is present, as a whole number; 0 when none is."""
        for key in keys:
            if key in self.keys:
                try:
                    found = int_of(self.get(key))
                    return found if found > 0 else 0
                except (InvalidOtlp, IndexError):
                    self.flags |= BAD_VALUE
        return 0

    def amount(self, *keys: str) -> float | None:
        """The first of these that is a number."""
        for key in keys:
            if key in self.keys:
                try:
                    return float(plain_of(self.get(key)))
                except (InvalidOtlp, TypeError, ValueError):
                    self.flags |= BAD_VALUE
        return None

    def has(self, *keys: str) -> bool:
        """Whether any of these is present."""
        return not self.keys.isdisjoint(keys)

    def event(self, *names: bytes) -> Iterator["View"]:
        """The events of these names, in their order."""
        for event in self.events:
            if event.name in names:
                yield View(event.attributes, event.name.decode(), self.scope, False)
