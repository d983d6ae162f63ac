"""FunctionCallAccuracy: the calls that were executed against those that were expected."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final

from evaluators.base import COMMON_CODES, MAYBE_CALLS, NO_KINDS, Context, scored, unscored
from evaluators.views.comparison import (
    EVIDENCE_MAX,
    Comparison,
    ExecutedCalls,
    other_arguments,
    unknown_code,
)
from evaluators.views.matching import Matched, match
from schemas.expectation import TaskTruth
from schemas.registry import Workflow
from schemas.result import Judgement, Result
from schemas.span import StepKind
from schemas.trajectory import Step, Trajectory

_CODES: Final = COMMON_CODES | {
    "missing_call",
    "unexpected_call",
    "wrong_arguments",
    "out_of_order",
    "forbidden_call",
    "still_open",
    "redacted",
    "not_captured",
}
_PASS: Final = Judgement("pass", 1.0, "task_truth")
_GOOD: Final = Judgement("pass", 1.0, "registry")


@dataclass(slots=True)
class Compared:
    """The executed calls, and what was said of the newest comparison: it holds until a call comes that changes it."""

    calls: ExecutedCalls
    compared: Comparison | None = None
    of_steps: list[tuple[Step, Judgement]] = field(default_factory=list)
    so_far: Judgement | None = None  # of the trajectory, while it is open


class FunctionCallAccuracy:
    """Executed calls against expected calls, as the best one-to-one assignment.

    Counts: calls that did their work; failed attempts are not executed calls. Arguments compare by value (1 == 1.0,
    true != 1; lists as multisets unless the registry marks the argument `ordered: true`); `acceptable` values are right
    too, `optional` calls may be missing, `after` demands order. Writes decide and reads are told apart in the evidence;
    where no write tool is declared all calls decide, and a call of an unknown tool always does.
    Score: right / (right + out of order + other arguments + missing + unexpected). Nothing expected and nothing called
    is 1. A forbidden call makes it 0. Steps: each deciding call, 1 or 0.

    Fails: missing_call, unexpected_call, wrong_arguments, out_of_order, forbidden_call.
    Unscored: redacted, not_captured (a call may be right, but its arguments are not known), still_open (only missing
    calls so far, and the run goes on). Without truth see FunctionCallAccuracyByRegistry.
    """

    name: ClassVar[str] = "FunctionCallAccuracy"
    version: ClassVar[str] = "1"
    kinds: ClassVar[frozenset[StepKind]] = MAYBE_CALLS
    shown: ClassVar[frozenset[StepKind]] = NO_KINDS
    reason_codes: ClassVar[frozenset[str]] = _CODES

    def applies(self, workflow: Workflow) -> bool:
        """Truth belongs to the trace, not to the workflow."""
        return True

    def initial(self, context: Context) -> Compared:
        """No calls yet."""
        return Compared(context.shared(ExecutedCalls))

    def update(self, state: Compared, step: Step) -> None:
        """Never shown a step: an assignment needs all calls at once."""

    def finish(self, state: Compared, trajectory: Trajectory) -> Iterator[tuple[Step | None, Judgement]]:
        """With truth: each deciding call, and the trajectory."""
        truth = trajectory.truth
        if truth is None:
            return
        compared = state.calls.compare()
        if compared is not state.compared:
            state.compared = compared
            state.of_steps = list(_of_steps(compared))
            state.so_far = None
        yield from state.of_steps
        if trajectory.closed:
            reads = _reads(compared, trajectory.workflow)
            yield None, _of_trajectory(compared, trajectory, reads)
        else:
            state.so_far = state.so_far or _of_trajectory(compared, trajectory, {})
            yield None, state.so_far


def _reads(compared: Comparison, workflow: Workflow) -> dict[str, int]:
    calls, decisive, reads = compared.calls, compared.decisive, compared.expected.reads
    executed = len(calls) - len(decisive)
    if not executed and not reads.calls:
        return {}
    right = 0
    if executed and reads.calls:
        known = {step.index for step in decisive}
        right = len(match([step for step in calls if step.index not in known], reads, workflow).right)
    return {"expected": len(reads.calls), "right": right, "executed": executed}


def _of_steps(compared: Comparison) -> Iterator[tuple[Step, Judgement]]:
    matched = compared.matched
    told = {step.index for step in compared.banned}
    for step in compared.banned:
        yield step, scored(0.0, "task_truth", "forbidden_call", f"{step.call.name} is forbidden for this task")
    for _, step in matched.right:
        if step.index not in told:
            yield step, _PASS
    for step, judgement in _wrong_steps(matched, compared.truth):
        if step.index not in told:
            yield step, judgement


def _wrong_steps(matched: Matched, truth: TaskTruth) -> Iterator[tuple[Step, Judgement]]:
    for index, step in matched.wrong:
        other = other_arguments(step, matched)
        reason = f"expected call {index} of {step.call.name} has other values of: {', '.join(other['arguments'])}"
        yield step, scored(0.0, "task_truth", "wrong_arguments", reason, {"index": index, **other})
    for index, step in matched.out_of_order:
        after = truth.expected_calls[index].after
        reason = f"expected call {index} must come after {', '.join(map(str, after))}"
        yield step, scored(0.0, "task_truth", "out_of_order", reason, {"index": index, "after": list(after)})
    names = {expected.name for expected in truth.expected_calls}
    for step in matched.extra:
        if step.call.redacted and step.call.name in names:
            yield step, unscored("task_truth", "redacted", "may be an expected call; its arguments are not known")
            continue
        yield step, scored(0.0, "task_truth", "unexpected_call", f"no such call of {step.call.name} is expected")
    for index, step in matched.unknown:
        code = "redacted" if step.call.redacted else "not_captured"
        yield step, unscored("task_truth", code, f"may be expected call {index}; its arguments are not known")


def _of_trajectory(compared: Comparison, trajectory: Trajectory, reads: dict[str, int]) -> Judgement:
    matched, reason = compared.matched, compared.explained
    evidence = {**compared.evidence, "reads": reads} if reads else compared.evidence
    if compared.banned:
        names = ", ".join(sorted({step.call.name for step in compared.banned}))
        return scored(0.0, "task_truth", "forbidden_call", f"forbidden for this task: {names}", evidence)
    if matched.unknown:
        return unscored("task_truth", unknown_code(matched), f"arguments are not known: {reason}", evidence)
    code = _first_fault(matched)
    if code == "missing_call" and not trajectory.closed:
        return unscored("task_truth", "still_open", f"so far {reason}", evidence)
    return scored(matched.score, "task_truth", code, f"{reason}: score {matched.score:.3g}", evidence)


def _first_fault(matched: Matched) -> str:
    """The fault that names the trajectory: what was done wrongly before what was left out."""
    if matched.wrong:
        return "wrong_arguments"
    if matched.extra:
        return "unexpected_call"
    if matched.out_of_order:
        return "out_of_order"
    return "missing_call" if matched.missing else ""


class FunctionCallAccuracyByRegistry:
    """FunctionCallAccuracy without task truth: selection x parameters x success of every call, basis `registry`.

    Counts: calls that ParameterValidation and ToolCallSuccess could judge: 1 where the tool is in the registry, its
    arguments fit, and the call worked, else 0; the score is the mean. Steps are not judged again: those two told them.
    Fails: bad_call. Unscored: no_truth (no truth, and no call that the registry can judge). Only without truth.
    """

    name: ClassVar[str] = "FunctionCallAccuracy"
    version: ClassVar[str] = "1"
    reason_codes: ClassVar[frozenset[str]] = COMMON_CODES | {"bad_call", "no_truth"}

    def applies(self, workflow: Workflow) -> bool:
        """Whatever the registry lists."""
        return True

    def initial(self, context: Context) -> dict[bytes, bool] | None:
        """No calls yet: whether each call, by span id, was good. None where truth decides."""
        return {} if context.truth is None else None

    def update(self, state: dict[bytes, bool] | None, step: Step, said: Sequence[Result]) -> None:
        """Keep whether a call that both can judge was good."""
        if state is None:
            return
        fits, worked = "", True
        for result in said:
            if result.evaluator == "ParameterValidation" and result.basis == "registry":
                fits = result.verdict
            elif result.evaluator == "ToolCallSuccess" and result.basis == "trace":
                worked = result.verdict != "fail"
        if fits in ("pass", "fail"):
            state[step.span.span_id] = fits == "pass" and worked

    def combine(
        self,
        state: dict[bytes, bool] | None,
        trajectory: Trajectory,
        late: Sequence[Result],
        whole: Mapping[str, Result],
    ) -> Judgement | None:
        """One judgement of the trajectory, from what was said of its calls; None where truth decided."""
        if state is None:
            return None
        if not state:
            return unscored("registry", "no_truth", "no task truth, and no call that the registry can judge")
        good_calls = sum(state.values())
        if good_calls == len(state):
            return _GOOD
        bad = [span_id.hex() for span_id, good in state.items() if not good][:EVIDENCE_MAX]
        reason = f"{good_calls} of {len(state)} calls had a known tool, fitting arguments, and worked"
        return scored(good_calls / len(state), "registry", "bad_call", reason, {"span_ids": bad})
