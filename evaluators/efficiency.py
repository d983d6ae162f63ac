"""StepEfficiency: which steps of a run were useful."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar, Final

import orjson

from evaluators.base import CALL_KINDS, COMMON_CODES, Context, scored, unscored
from evaluators.views.repeats import Repeats
from schemas.payload import is_placeholder
from schemas.registry import Workflow
from schemas.result import Judgement
from schemas.span import StepKind
from schemas.trajectory import Step, Trajectory

PASS_AT: Final = 0.8
EVIDENCE_MAX: Final = 20
_COUNTED: Final[frozenset[StepKind]] = CALL_KINDS | {"handoff", "agent"}
_USEFUL: Final = Judgement("pass", 1.0, "trace")
_REASONS: Final = {
    "wasted": "failed, and nothing of the kind succeeded later",
    "redundant": "the same call with the same arguments succeeded before, with no write between",
    "backtracked": "goes back to where the run had been, and learns nothing that was not known",
}
_USELESS: Final = {code: scored(0.0, "trace", code, reason) for code, reason in _REASONS.items()}


class Way:
    """The counted steps of a run in order, and which of them were not useful, as far as the run has come."""

    def __init__(self, context: Context) -> None:
        self._workflow = context.workflow
        self.steps: list[Step] = []
        self.redundant: set[int] = set()
        self.backtracked: set[int] = set()
        self._failed: dict[str, list[int]] = {}  # by tool or agent: failures that no success has followed
        self._repeats = context.shared(Repeats)
        self._last: deque[Step] = deque(maxlen=4)  # executed calls
        self._wrote: dict[tuple[str, bytes], bytes] = {}  # by tool and entity: the call that wrote it last
        self._ever_wrote: set[tuple[str, bytes, bytes]] = set()  # tool, entity, and a call that wrote it

    def add(self, step: Step) -> None:
        """Take the next counted step in."""
        self.steps.append(step)
        call = step.call
        who = _who(step)
        if call.failed:
            self._failed.setdefault(who, []).append(step.index)
        elif call.executed:
            self._failed.pop(who, None)
        if step.span.kind in CALL_KINDS:
            if self._repeats.earlier(step) is not None:
                self.redundant.add(step.index)
            if call.executed:
                self._last.append(step)
                if len(self._last) == 4:
                    self.backtracked.update(_alternating(self._last, self._workflow))
                self._undo(step)

    def flags(self) -> dict[int, str]:
        """The code of each step that was not useful, by index."""
        return {
            **dict.fromkeys(self.backtracked, "backtracked"),
            **dict.fromkeys(self.redundant, "redundant"),
            **dict.fromkeys((index for failed in self._failed.values() for index in failed), "wasted"),
        }

    def _undo(self, step: Step) -> None:
        """A write that puts an entity back to where an earlier write of the tool had put it, with another between."""
        tool, call = self._workflow.tools.get(step.span.tool), step.call
        if tool is None or not tool.writes or not tool.entity or call.key is None:
            return
        if not isinstance(call.arguments, dict):
            return
        entity = orjson.dumps([call.arguments.get(path.removeprefix("$.")) for path in tool.entity.values()])
        written = (tool.name, entity, call.key)
        if written in self._ever_wrote and self._wrote[tool.name, entity] != call.key:
            self.backtracked.add(step.index)
        self._ever_wrote.add(written)
        self._wrote[tool.name, entity] = call.key


class StepEfficiency:
    """Which steps were useful: useful / all tool and agent steps.

    Counts: tool calls, retrievals, handoffs, and agents' runs below the root. Each is useful unless it is
    - wasted: it failed, and no later call of that tool (run of that agent) succeeded;
    - redundant: the same tool with the same arguments succeeded before, and nothing was written since. A call of a tool
      that nobody declared may have written;
    - backtracked: A, B, A, B: the run alternates between two tools and a return brings the very result that was there
      before, whatever the arguments; or a write sets an entity to where an earlier write had put it.
    Does not count: the length of the talk, model calls, retries after a failure (they repair), a failure that a later
    success recovers, results that may not have been used.

    Fails: wasted, redundant, backtracked on steps (0); the most frequent of them on the trajectory, below 0.8 by
    default. Unscored: no_steps (nothing was done, and nothing well done).
    """

    name: ClassVar[str] = "StepEfficiency"
    version: ClassVar[str] = "1"
    kinds: ClassVar[frozenset[StepKind]] = _COUNTED
    pass_at: ClassVar[float] = PASS_AT
    reason_codes: ClassVar[frozenset[str]] = COMMON_CODES | {"wasted", "redundant", "backtracked", "no_steps"}

    def applies(self, workflow: Workflow) -> bool:
        """Every run has steps."""
        return True

    def initial(self, context: Context) -> Way:
        """No steps yet."""
        return Way(context)

    def update(self, state: Way, step: Step) -> None:
        """Keep the steps that count."""
        if step.span.kind != "agent" or step.span.parent_id:
            state.add(step)

    def finish(self, state: Way, trajectory: Trajectory) -> Iterator[tuple[Step | None, Judgement]]:
        """Each counted step, and the trajectory."""
        if not state.steps:
            yield None, unscored("trace", "no_steps", "no tool or agent step was taken")
            return
        flags = state.flags()
        for step in state.steps:
            code = flags.get(step.index)
            yield step, _USEFUL if code is None else _USELESS[code]
        yield None, _of_trajectory(state.steps, flags)


def _of_trajectory(steps: list[Step], flags: dict[int, str]) -> Judgement:
    if not flags:
        return _USEFUL
    codes = list(flags.values())
    counts = {code: codes.count(code) for code in _REASONS if code in codes}
    useful, worst = len(steps) - len(codes), max(counts, key=lambda code: counts[code])
    said = ", ".join(f"{count} {code}" for code, count in counts.items())
    flagged = [step.span.span_id.hex() for step in steps if step.index in flags][:EVIDENCE_MAX]
    reason = f"{useful} of {len(steps)} steps were useful: {said}"
    return scored(useful / len(steps), "trace", worst, reason, {**counts, "span_ids": flagged}, pass_at=PASS_AT)


def _who(step: Step) -> str:
    return step.label if step.span.kind == "agent" else step.span.tool or step.span.name


def _alternating(calls: Sequence[Step], workflow: Workflow) -> Iterable[int]:
    """Third and fourth of A, B, A, B where the return brings nothing new. Declared writes always change something."""
    first, second, third, fourth = calls
    a, b = first.call.name, second.call.name
    if a == b or third.call.name != a or fourth.call.name != b:
        return
    for before, again in ((first, third), (second, fourth)):
        tool = workflow.tools.get(again.call.name)
        if not (tool is not None and tool.writes) and _nothing_new(before, again):
            yield again.index


def _nothing_new(before: Step, again: Step) -> bool:
    result = again.call.result
    return again.call.key is not None and result == before.call.result and not is_placeholder(result)
