"""StepEfficiency: which steps of a run were useful."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from evaluators.base import CALL_KINDS, COMMON_CODES, scored, unscored
from schemas.registry import Workflow
from schemas.result import Judgement
from schemas.trajectory import Step, Trajectory

PASS_AT = 0.8
EVIDENCE_MAX = 20
_COUNTED = CALL_KINDS | {"handoff", "agent"}
_USEFUL = Judgement("pass", 1.0, "trace")
_REASONS = {
    "wasted": "failed, and nothing of the kind succeeded later",
    "redundant": "the same call with the same arguments succeeded before, with no write between",
    "backtracked": "goes back to where the run had been, and learns nothing that was not known",
}


@dataclass(slots=True)
class Way:
    """The counted steps of a run, in order."""

    steps: list[Step] = field(default_factory=list)


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

    name = "StepEfficiency"
    version = "1"
    pass_at = PASS_AT
    reason_codes = COMMON_CODES | {"wasted", "redundant", "backtracked", "no_steps"}

    def applies(self, workflow: Workflow) -> bool:
        """Every run has steps."""
        return True

    def initial(self) -> Way:
        """No steps yet."""
        return Way()

    def update(self, state: Way, step: Step) -> Way:
        """Keep the steps that count."""
        kind = step.span.kind
        if kind in _COUNTED and (kind != "agent" or step.span.parent_id):
            state.steps.append(step)
        return state

    def finish(self, state: Way, trajectory: Trajectory) -> Iterator[tuple[Step | None, Judgement]]:
        """Each counted step, and the trajectory."""
        if not state.steps:
            yield None, unscored("trace", "no_steps", "no tool or agent step was taken")
            return
        flags = {**_backtracked(state.steps, trajectory.workflow), **_redundant(state.steps, trajectory.workflow)}
        flags.update(dict.fromkeys(_wasted(state.steps), "wasted"))
        for step in state.steps:
            code = flags.get(step.index)
            yield step, _USEFUL if code is None else scored(0.0, "trace", code, _REASONS[code])
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


def _wasted(steps: list[Step]) -> Iterable[int]:
    """Failed steps after which no step of the same tool or agent succeeded."""
    succeeded: set[str] = set()
    for step in reversed(steps):
        call = step.call
        if call.executed:
            succeeded.add(_who(step))
        elif call.failed and _who(step) not in succeeded:
            yield step.index


def _redundant(steps: list[Step], workflow: Workflow) -> dict[int, str]:
    """Calls that succeeded before, with nothing written since."""
    flags: dict[int, str] = {}
    fresh: set[bytes] = set()  # calls that succeeded since the last write
    for step in steps:
        call = step.call
        if step.span.kind not in CALL_KINDS or call.key is None or call.redacted:
            if step.span.kind in CALL_KINDS and call.executed and _may_write(step, workflow):
                fresh.clear()
            continue
        if call.key in fresh:
            flags[step.index] = "redundant"
        if call.executed:
            if call.key not in fresh and _may_write(step, workflow):
                fresh.clear()
            fresh.add(call.key)
    return flags


def _may_write(step: Step, workflow: Workflow) -> bool:
    tool = workflow.tools.get(step.span.tool)
    return tool.writes if tool is not None else step.span.kind == "tool_call"


def _backtracked(steps: list[Step], workflow: Workflow) -> dict[int, str]:
    calls = [step for step in steps if step.span.kind in CALL_KINDS and step.call.executed]
    found = {*_alternating(calls, workflow), *_undone(calls, workflow)}
    return dict.fromkeys(found, "backtracked")


def _alternating(calls: list[Step], workflow: Workflow) -> Iterable[int]:
    """Third and fourth of A, B, A, B where the return brings nothing new. Declared writes always change something."""
    for first, second, third, fourth in zip(calls, calls[1:], calls[2:], calls[3:], strict=False):
        a, b = first.call.name, second.call.name
        if a == b or third.call.name != a or fourth.call.name != b:
            continue
        for before, again in ((first, third), (second, fourth)):
            tool = workflow.tools.get(again.call.name)
            if not (tool is not None and tool.writes) and _nothing_new(before, again):
                yield again.index


def _nothing_new(before: Step, again: Step) -> bool:
    return again.call.key is not None and again.call.result == before.call.result


def _undone(calls: list[Step], workflow: Workflow) -> Iterable[int]:
    """Writes that put an entity back to where an earlier write of the same tool had put it, with another between."""
    history: dict[tuple[str, str], list[bytes]] = {}
    for step in calls:
        tool, call = workflow.tools.get(step.span.tool), step.call
        if (
            tool is None
            or not tool.writes
            or not tool.entity
            or call.key is None
            or not isinstance(call.arguments, dict)
        ):
            continue
        entity = repr([call.arguments.get(path.removeprefix("$.")) for path in tool.entity.values()])
        states = history.setdefault((tool.name, entity), [])
        if call.key in states and states[-1] != call.key:
            yield step.index
        states.append(call.key)
