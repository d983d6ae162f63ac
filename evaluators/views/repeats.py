"""Calls that repeat one that already succeeded, with nothing written since: kept once a fold, read by several.

The law: equal means the same tool and equal arguments, both known and none redacted. A declared write changes
something, and so may a call of a tool that nobody declared; a repeat itself changes nothing that the first had not.
"""

from evaluators.base import Context
from schemas.registry import Workflow
from schemas.trajectory import Step


class Repeats:
    """The calls that succeeded since the last write. Shared in a fold: a step is taken in once."""

    def __init__(self, context: Context) -> None:
        self._workflow = context.workflow
        self._fresh: dict[bytes, Step] = {}
        self._seen = -1
        self._earlier: Step | None = None

    def earlier(self, step: Step) -> Step | None:
        """The call that this tool call or retrieval repeats, or None. Ask in the order of the steps."""
        if step.index > self._seen:
            self._seen = step.index
            self._earlier = self._take(step)
        return self._earlier

    def _take(self, step: Step) -> Step | None:
        call, fresh = step.call, self._fresh
        key = call.key
        earlier = fresh.get(key) if key is not None else None
        if call.executed:
            if earlier is None and fresh and may_write(step, self._workflow):
                fresh.clear()
            if key is not None:
                fresh[key] = step
        return earlier


def may_write(step: Step, workflow: Workflow) -> bool:
    """Whether a call changes a system of record, or may, for all anybody declared."""
    tool = workflow.tools.get(step.span.tool)
    return tool.writes if tool is not None else step.span.kind == "tool_call"
