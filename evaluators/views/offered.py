"""The names of the tools that a model was offered, as a span tells them.

The law: a tool is "not offered" only where all that was offered can be read; a list that was cut, or holds something
without a name, proves nothing.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from evaluators.base import Context, Follower
from schemas.payload import json_object, json_or_text
from schemas.span import BAD_VALUE, DROPPED_ATTRIBUTES, TRUNCATED, Span, StepKind
from schemas.tools import OFFERED_CACHED, OFFERED_TOOLS_MAX, function_of
from schemas.trajectory import Step

_OFFERING: Final[frozenset[StepKind]] = frozenset({"llm", "planner", "agent", "verifier"})
_INCOMPLETE: Final = TRUNCATED | DROPPED_ATTRIBUTES | BAD_VALUE


@lru_cache(maxsize=OFFERED_CACHED)
def offered_names(definitions: str) -> frozenset[str] | None:
    """The names in a text of tool definitions; None where they are not all there."""
    declared = json_or_text(definitions)
    items = declared if isinstance(declared, list) else [declared]
    if not items or len(items) > OFFERED_TOOLS_MAX:
        return None
    names = set()
    for item in items:
        function = function_of((json_object(item) or item) if isinstance(item, str) else item)
        name = function.get("name") if function is not None else None
        if not isinstance(name, str) or not name:
            return None
        names.add(name)
    return frozenset(names)


def is_offered(tool: str, names: frozenset[str]) -> bool:
    """Whether a tool is among these names: frameworks spell names for the model (`Ask it` is `ask_it`) or prefix them."""
    if tool in names:
        return True
    plain = _plain(tool)
    others = [_plain(name) for name in names]
    return any(plain == name or plain.endswith("_" + name) or name.endswith("_" + plain) for name in others)


@lru_cache(maxsize=4096)
def _plain(name: str) -> str:
    return re.sub(r"\W+", "_", name).strip("_").casefold()


class Offers(Follower):
    """What each agent's last call of a model offered, as far as it can be read. Shared in a fold."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._by_agent: dict[str, Span] = {}

    def take(self, steps: Sequence[Step]) -> None:
        """Take in those of these steps that offer tools."""
        for step in steps:
            span = step.span
            if span.tool_definitions is not None and span.kind in _OFFERING:
                self._by_agent[step.agent] = span

    def names(self, step: Step) -> frozenset[str] | None:
        """What was offered for this call: by its own span, else by its agent's last call of a model; None: not known."""
        self.catch_up()
        span: Span | None = step.span
        if step.span.tool_definitions is None:
            if not self._by_agent:
                return None
            span = self._by_agent.get(step.agent)
        if span is None or span.tool_definitions is None or span.flags & _INCOMPLETE:
            return None
        return offered_names(span.tool_definitions)
