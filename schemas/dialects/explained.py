"""Which key gave what: a dialect's reading watched while it reads. For people; the hot path never comes here.

Pure: the same span gives the same explanation as it gives the same reading, for it is the same code that reads.
"""

from typing import Any, Final, NamedTuple

from google.protobuf.message import DecodeError

from schemas import dialects
from schemas.dialects.view import Reading, View
from schemas.otlp import parse_scope, parse_span
from schemas.span import RawSpan

BY_NAME: Final = "the span's name"
NOWHERE: Final = ""


class Explained(NamedTuple):
    """How one span was read: by which dialect, its kind by which rule, agent and tool from which key."""

    dialect: str
    reading: Reading
    rule: str  # the rule of span-conventions 6.2, and what it looked at
    agent_from: str  # a key, `BY_NAME`, or "" when the span says none
    tool_from: str
    scope: str
    unknown: bool  # no dialect claims it: structure whose producer we do not know


class Watched(View):
    """A view that remembers from which key each text came first."""

    __slots__ = ("came_from",)

    def __init__(self, attributes: Any, name: str, scope: str, is_root: bool, events: Any) -> None:
        super().__init__(attributes, name, scope, is_root, events)
        self.came_from: dict[str, str] = {}

    def text(self, key: str) -> str | None:
        """As the view reads it, and remembered."""
        found = super().text(key)
        if found:
            self.came_from.setdefault(found, key)
        return found

    def low(self, key: str) -> str:
        """As the view reads it, and remembered: cached values too."""
        found = super().low(key)
        if found:
            self.came_from.setdefault(found, key)
        return found


def explain(raw: RawSpan) -> Explained:
    """How this span is read. `raw` is within the bounds of decode, which says so if it is no span."""
    message = parse_span(raw.span)
    scope = _scope_name(raw.scope)
    name = bytes(message.name).decode("utf-8", "replace")
    view = Watched(message.attributes, name, scope, not any(message.parent_span_id), message.events)
    dialect, said = dialects.read(view)
    return Explained(
        dialect,
        said,
        view.rule or "10: nothing more",
        _source(view, said.agent),
        _source(view, said.tool),
        scope,
        dialect == dialects.generic.NAME and view.rule.startswith("10"),
    )


def _scope_name(scope: bytes) -> str:
    try:
        return bytes(parse_scope(scope).name).decode("utf-8", "replace")
    except DecodeError:  # as decode sees it: a scope that cannot be read decides nothing
        return ""


def _source(view: Watched, value: str) -> str:
    if not value:
        return NOWHERE
    for known in (value, value.removeprefix("handoff to ")):
        if (key := view.came_from.get(known)) is not None:
            return key
    return BY_NAME if value in view.name else "metadata"
