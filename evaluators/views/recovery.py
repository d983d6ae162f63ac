"""Failures of calls that nothing has recovered so far, and whether the run owned up to them. Shared in a fold.

The law (span conventions 6.6): a later success of the same tool recovers a failure, whether it repeats the call (retry) or
changes its arguments (repair). Where the tool is a write whose entity the registry names, only a success on the same entity
does: of a series of writes, one that failed stays failed.
"""

from collections.abc import Sequence
from itertools import islice
from typing import Any

import orjson

from evaluators.base import CALL_KINDS, Context, Follower
from evaluators.views.speech import owns_up
from schemas.span import Span, is_step
from schemas.toolcall import ToolCall
from schemas.tools import Tool
from schemas.trajectory import Step

_Key = tuple[str, bytes]  # tool, and what it acted on; b"" is "not known, or does not matter"


class Failures(Follower):
    """The failed calls so far that no success has recovered. Shared in a fold."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, context.calls)
        self._all = context.steps
        self._tools = context.workflow.tools
        self._open: dict[_Key, Step] = {}  # the earliest failure of each
        self._first: Step | None = None
        self._fresh = True  # whether `_first` holds
        self._read = 0  # steps that were looked through for words that own up to a failure
        self._owned_up = -1  # the last step of them that owns up to a failure

    def take(self, steps: Sequence[Step]) -> None:
        """Take calls in."""
        for step in steps:
            if step.span.kind not in CALL_KINDS:
                continue
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
        self.catch_up()
        if not self._fresh:
            self._first = min(self._open.values(), key=lambda step: step.index, default=None)
            self._fresh = True
        return self._first

    def write(self) -> Step | None:
        """The earliest such failure of a declared write."""
        self.catch_up()
        tools = self._tools
        writes = [step for (name, _), step in self._open.items() if name in tools and tools[name].writes]
        return min(writes, key=lambda step: step.index, default=None)

    def owned_up(self, write: Step, roots: tuple[Span, ...]) -> bool:
        """Whether anything that was said after this failure, which `write` told, owns up to one."""
        at, self._read = self._read, len(self._all)
        for step in islice(self._all, at, None):
            span = step.span
            if step.index > write.index and span.kind not in CALL_KINDS and span.output_messages and owns_up(span):
                self._owned_up = step.index
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
