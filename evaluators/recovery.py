"""Failures of calls that nothing has recovered so far, and whether the run owned up to them. Shared in a fold.

The law (span conventions 6.6): a later success of the same tool recovers a failure, whether it repeats the call (retry) or
changes its arguments (repair). Where the tool is a write whose entity the registry names, only a success on the same entity
does: of a series of writes, one that failed stays failed.
"""

from typing import Any

import orjson

from evaluators.base import CALL_KINDS, Context
from evaluators.speech import owns_up
from schemas.span import Span, is_step
from schemas.toolcall import ToolCall
from schemas.tools import Tool
from schemas.trajectory import Step

_Key = tuple[str, bytes]  # tool, and what it acted on; b"" is "not known, or does not matter"


class Failures:
    """The failed calls so far that no success has recovered. Shared in a fold: `add` takes a step once, of any kind."""

    def __init__(self, context: Context) -> None:
        self._tools = context.workflow.tools
        self._seen = -1
        self._open: dict[_Key, Step] = {}  # the earliest failure of each
        self._first: Step | None = None
        self._fresh = True  # whether `_first` holds
        self._said: list[Step] = []  # what was said while a failure was open
        self._read = 0  # of them, read already
        self._owned_up = -1  # the last step of them that owns up to a failure

    def add(self, step: Step) -> None:
        """Take a step in: a call, or what was said after one that failed."""
        if step.index <= self._seen:
            return
        self._seen = step.index
        if step.span.kind not in CALL_KINDS:
            if self._open and step.span.output_messages is not None:
                self._said.append(step)
            return
        call = step.call
        if call.executed:
            if self._open:
                self._recover(call)
        elif call.failed:
            self._open.setdefault((call.name, _entity(self._tools.get(call.name), call.arguments)), step)
            self._fresh = False

    @property
    def first(self) -> Step | None:
        """The earliest failure that is not recovered."""
        if not self._fresh:
            self._first = min(self._open.values(), key=lambda step: step.index, default=None)
            self._fresh = True
        return self._first

    def write(self) -> Step | None:
        """The earliest such failure of a declared write."""
        tools = self._tools
        writes = [step for (name, _), step in self._open.items() if name in tools and tools[name].writes]
        return min(writes, key=lambda step: step.index, default=None)

    def owned_up(self, write: Step, roots: tuple[Span, ...]) -> bool:
        """Whether anything that was said after this failure owns up to one."""
        while self._read < len(self._said):
            said = self._said[self._read]
            self._read += 1
            if owns_up(said.span):
                self._owned_up = said.index
        return self._owned_up > write.index or any(owns_up(root) for root in roots if not is_step(root.kind))

    def _recover(self, call: ToolCall) -> None:
        name = call.name
        entity = _entity(self._tools.get(name), call.arguments)
        for key in {(name, entity), (name, b"")}:
            if self._open.pop(key, None) is not None:
                self._fresh = False


def _entity(tool: Tool | None, arguments: Any) -> bytes:
    if tool is None or not tool.writes or not tool.entity or not isinstance(arguments, dict):
        return b""
    values = [_at(arguments, path) for path in tool.entity.values()]
    return b"" if None in values else orjson.dumps(values, default=str)


def _at(value: Any, path: str) -> Any:
    """The value at `$.a.b`, None where there is none."""
    for name in path.removeprefix("$").strip(".").split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value
