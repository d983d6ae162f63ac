"""FirstFault: the step where a run went wrong. Regression attribution groups by it."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

import orjson

from evaluators.base import COMMON_CODES, Context, Follower, scored, unscored
from evaluators.views.recovery import Failures
from schemas.registry import Workflow
from schemas.result import TRAJECTORY_STEP, Judgement, Result
from schemas.trajectory import Step, Trajectory

_NONE: Final = Judgement("pass", 1.0, "trace")
_NOTHING_JUDGED: Final = unscored("trace", "nothing_judged", "no step and no task truth could be judged")
# What they say of a step is no fault of the work (slow, dear, in vain), or is read here in a place of its own.
_NO_FAULTS: Final = frozenset(
    {"StepEfficiency", "LatencyBudget", "CostBudget", "FunctionCallAccuracy", "ToolCallSuccess"}
)
_NO_FAULT_CODES: Final = frozenset(
    {
        "repeat",  # in vain, not wrong
        "unexpected_tool",  # FunctionCallAccuracy tells which of these are writes, and `wrong_write` names them
        "rejected",  # a verifier that finds a fault has done its work
    }
)
# How a call was made is part of its failure where it failed: what recovers the one recovers the other.
_OF_THE_ATTEMPT: Final = frozenset({"ParameterValidation", "ToolSelectionAccuracy"})
# Which of several faults of one step names it; those of other evaluators come last.
_GRAVITY: Final = {
    name: place
    for place, name in enumerate(
        (
            "EntityConsistency",
            "PolicyCompliance",
            "ArgumentProvenance",
            "ParameterValidation",
            "ToolSelectionAccuracy",
            "HandoffQuality",
            "VerifierPass",
            "ReasoningQuality",
        )
    )
}
_REASONS: Final = {
    "unrecovered_failure": "its failure was not recovered",
    "wrong_write": "it is a call that the task does not expect",
    "cap_crossed": "it crossed a cap",
    "other_fault": "it is the last step with a fault",
    "left_undone": "no step is at fault; something was left undone",
}


class Places(Follower):
    """Where each step stands, by span id: asked only where something is at fault."""

    __slots__ = ("_by_id",)

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._by_id: dict[bytes, Step] = {}

    def take(self, steps: Sequence[Step]) -> None:
        """Take the next steps in."""
        for step in steps:
            self._by_id[step.span.span_id] = step

    def step(self, span_id: bytes) -> Step | None:
        """The step of this span, if it is one."""
        self.catch_up()
        return self._by_id.get(span_id)

    def of(self, span_id: bytes) -> int:
        """The place of a step."""
        self.catch_up()
        return self._by_id[span_id].index


class Faults:
    """What is at fault so far, by step."""

    __slots__ = ("failed", "failures", "judged", "last", "late", "other", "other_at", "places", "read")

    def __init__(self, context: Context) -> None:
        self.failures = context.shared(Failures)
        self.places = context.shared(Places)
        self.failed: dict[int, Result] = {}  # by step: what ToolCallSuccess said of a call that failed
        self.other: Result | None = None  # the last fault of any other kind
        self.other_at = -1
        self.judged = False
        self.last: tuple[str, Result, Judgement] | None = None  # what was said last
        self.late: Sequence[Result] = ()  # what was read last of what only the whole could tell, and what it came to
        self.read: tuple[Result | None, Result | None, int] = None, None, -1

    def add(self, step: Step, said: Sequence[Result]) -> None:
        """Take the next step in, with what was said of it."""
        failing = None
        for result in said:
            if result.verdict == "fail":
                failing = failing or []
                failing.append(result)
            elif result.verdict == "pass":
                self.judged = True
        if failing is not None:
            self.judged = True
            self._keep(step.index, failing)

    def _keep(self, index: int, failing: Sequence[Result]) -> None:
        failed = next((result for result in failing if result.evaluator == "ToolCallSuccess"), None)
        if failed is not None:
            self.failed[index] = failed
        for result in failing:
            if failed is not None and result.evaluator in _OF_THE_ATTEMPT:
                continue
            if is_other(result) and graver(result, index, self.other, self.other_at):
                self.other, self.other_at = result, index


def is_other(result: Result) -> bool:
    """Whether this failing result is a fault of its own: no failure, no write against the truth, and nothing in vain."""
    return result.evaluator not in _NO_FAULTS and result.reason_code not in _NO_FAULT_CODES


def graver(result: Result, at: int, than: Result | None, than_at: int) -> bool:
    """Whether this fault stands before that one: it is later, or of the same step and says more."""
    if than is None or at != than_at:
        return at > than_at
    return _GRAVITY.get(result.evaluator, len(_GRAVITY)) < _GRAVITY.get(than.evaluator, len(_GRAVITY))


class FirstFault:
    """The step where it went wrong, if any: pass (1) when the run has no fault, else fail (0) with that step as evidence.

    Counts: the first of these that there is. The first call whose failure was not recovered and so reaches the end (a later
    success of the same tool recovers it, see `evaluators.views.recovery`; where the truth says that the task was done, it did
    not reach the end); the first call that the task truth does not expect, or not so, where it decides; the step that
    crossed a cap; the last step of which any other evaluator says fail (another customer, policy, provenance, arguments,
    ...: of one step the gravest); what TaskCompletion says was left undone, which no step did. The evidence names span,
    step, agent, tool, and the evaluator and reason code of that fault. While the run is open it is the fault as of now.
    Does not count: slow, dear and useless steps, repeats among them; arguments and choice of a call that failed and was
    recovered; a verifier that rejects; the trajectory's other scores, which follow from its steps.

    Fails: unrecovered_failure, wrong_write, cap_crossed, other_fault, left_undone. Unscored: nothing_judged.
    """

    name: ClassVar[str] = "FirstFault"
    version: ClassVar[str] = "1"
    reason_codes: ClassVar[frozenset[str]] = COMMON_CODES | frozenset(_REASONS) | {"nothing_judged"}

    def applies(self, workflow: Workflow) -> bool:
        """Every run may go wrong."""
        return True

    def initial(self, context: Context) -> Faults:
        """No fault."""
        return Faults(context)

    def update(self, state: Faults, step: Step, said: Sequence[Result]) -> None:
        """Keep what is at fault."""
        state.add(step, said)

    def combine(
        self, state: Faults, trajectory: Trajectory, late: Sequence[Result], whole: Mapping[str, Result]
    ) -> Judgement | None:
        """One judgement of the trajectory."""
        done = whole.get("TaskCompletion")
        fulfilled = done is not None and done.verdict == "pass" and done.basis == "task_truth"
        first = None if fulfilled else state.failures.first
        if first is not None and (failed := state.failed.get(first.index)) is not None:
            return _at(state, "unrecovered_failure", failed)
        if late != state.late:
            state.late, state.read = late, _read(state.places, late, trajectory.workflow)
        write, other, other_at = state.read
        if state.other is not None and graver(state.other, state.other_at, other, other_at):
            other = state.other
        if write is not None and not fulfilled:
            return _at(state, "wrong_write", write)
        cap = whole.get("IterationCap")
        if cap is not None and cap.verdict == "fail":
            return _at(state, "cap_crossed", cap)
        if other is not None:
            return _at(state, "other_fault", other)
        if done is not None and done.verdict == "fail":
            return _at(state, "left_undone", done)
        if state.judged or (done is not None and done.score is not None):
            return _NONE
        return _NOTHING_JUDGED


def _read(places: "Places", late: Sequence[Result], workflow: Workflow) -> tuple[Result | None, Result | None, int]:
    """Of what only the whole could tell: the first call that is not as expected, and the last other fault with its place."""
    write: Result | None = None
    write_at = 0
    other, other_at = None, -1
    for result in late:
        if result.verdict != "fail":
            continue
        if is_other(result):
            at = places.of(result.span_id)
            if graver(result, at, other, other_at):
                other, other_at = result, at
        elif result.evaluator == "FunctionCallAccuracy":
            extra = result.reason_code == "unexpected_call" and not workflow.declares_writes  # or just a read
            at = places.of(result.span_id)
            if not extra and (write is None or at < write_at):
                write, write_at = result, at
    return write, other, other_at


def _at(state: Faults, code: str, of: Result) -> Judgement:
    """The judgement that names this fault; the one that was given before, where it is the same."""
    last = state.last
    if last is not None and last[0] == code and (last[1] is of or last[1][:-1] == of[:-1]):
        return last[2]
    told = orjson.loads(of.evidence) if of.evidence and not of.span_id else {}
    span_id = of.span_id or bytes.fromhex(told.get("span_id", ""))
    step = state.places.step(span_id)
    evidence: dict[str, Any] = {
        "span_id": span_id.hex(),
        "step": step.label if step is not None else TRAJECTORY_STEP,
        "agent": step.agent if step is not None else of.agent,
        "tool": step.span.tool if step is not None else _left_out(told),
        "evaluator": of.evaluator,
        "reason_code": of.reason_code,
    }
    where = f"step {step.index + 1} ({step.label})" if step is not None else "the run"
    reason = f"{where}: {_REASONS[code]}; {of.evaluator} says {of.reason_code}: {of.reason}"
    state.last = code, of, scored(0.0, of.basis, code, reason, evidence)
    return state.last[2]


def _left_out(told: Mapping[str, Any]) -> str:
    """The tool of the first call that is missing."""
    missing = told.get("missing")
    return str(missing[0]["name"]) if missing else ""
