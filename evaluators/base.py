"""The three shapes an evaluator can have, and what it may know.

The law (evaluators.md 1): a result is a pure function of (set of spans, registry version, task truth). An evaluator
keeps no state of its own between calls, reads no clock, and sees steps in their one total order.

- `SpanLocal`: the verdict depends on that span and its resource alone. Judged once per span, provisional at the next
  flush.
- `Contextual`: a fold over the ordered steps. Incremental and batch are the same code: `initial`, `update` for every
  step of its kinds in order, `finish` whenever somebody asks. Where new steps sort after those already folded the fold
  goes on from its state; else it starts again.
- `Combining`: judges from what the others said; a fold as well, which is shown the settled results of every step.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

from schemas.expectation import TaskTruth
from schemas.registry import Workflow
from schemas.result import Basis, Judgement, Result
from schemas.span import STEP_KINDS, StepKind
from schemas.trajectory import Step, Trajectory

# Reasons that any evaluator may end with, beside its own closed list.
COMMON_CODES = frozenset(
    {
        "exception",  # the evaluator itself failed: verdict error
        "truncated",  # the trace is over its span cap, or the content was cut
        "no_root",  # the trace was closed without a root: nothing can be said of the whole
    }
)
CALL_KINDS: frozenset[StepKind] = frozenset({"tool_call", "retrieval"})
MAYBE_CALLS: frozenset[StepKind] = CALL_KINDS | {"handoff", "human"}  # kinds of step that may be a call of a tool
ALL_KINDS: frozenset[StepKind] = frozenset(STEP_KINDS)  # type: ignore[arg-type]
NO_KINDS: frozenset[StepKind] = frozenset()
SCORE_TOLERANCE = 1e-9  # a mean of thirds must still pass at 1

T = TypeVar("T")


class Context:
    """What holds through one fold: the workflow's entry, the task truth, and what several evaluators keep together.

    `steps` are the steps so far, the one that is shown right now included; `calls` are those of them that may be calls
    (of the kinds MAYBE_CALLS): most views need no others. `shared(Seen)` is one `Seen(context)` a fold, made at the
    first asking: evaluators that need the same view of the steps read the same one.
    """

    __slots__ = ("_shared", "calls", "steps", "truth", "workflow")

    def __init__(self, workflow: Workflow, truth: TaskTruth | None) -> None:
        self.workflow = workflow
        self.truth = truth
        self.steps: list[Step] = []
        self.calls: list[Step] = []
        self._shared: dict[Any, Any] = {}

    def shared(self, make: Callable[["Context"], T]) -> T:
        """The one value of this kind in this fold."""
        found: T | None = self._shared.get(make)
        if found is None:
            found = self._shared[make] = make(self)
        return found


class Follower:
    """A view of the steps of a fold that takes them in when somebody asks, each of them once."""

    __slots__ = ("_steps", "_taken")

    def __init__(self, context: Context, steps: list[Step] | None = None) -> None:
        """`steps`: `context.calls`, where no others matter."""
        self._steps = context.steps if steps is None else steps
        self._taken = 0

    def take(self, steps: Sequence[Step]) -> None:
        """Take the next steps in: all at once, for a call for each costs more than what most of them need."""
        raise NotImplementedError

    def catch_up(self) -> None:
        """Take in what has come since the last time. Whoever asks this view something calls it first."""
        steps, at = self._steps, self._taken
        if at < len(steps):
            self._taken = len(steps)
            self.take(steps[at:])


@runtime_checkable
class SpanLocal(Protocol):
    """Judges one step by itself."""

    name: str
    version: str
    reason_codes: frozenset[str]  # the closed list
    kinds: frozenset[StepKind]  # the kinds of step it may apply to; it is never shown others

    def judge(self, step: Step, workflow: Workflow) -> Judgement | None:
        """The judgement, or None when this evaluator does not apply to such a step (then nothing is stored)."""
        ...


@runtime_checkable
class Contextual(Protocol):
    """Judges steps in their context, and the trajectory (target None)."""

    name: str
    version: str
    reason_codes: frozenset[str]
    kinds: frozenset[StepKind]  # the kinds of step that may change what it says
    # One that need not see every such step as it comes may say so with a class attribute `shown`, a part of `kinds`:
    # `update` is then shown those alone, and the others are found in `Context.steps`.

    def applies(self, workflow: Workflow) -> bool:
        """Whether this workflow gives it anything to judge by; if not it is left out and stores nothing."""
        ...

    def initial(self, context: Context) -> Any:
        """The state before the first step. A state belongs to one fold; `update` changes it in place."""
        ...

    def update(self, state: Any, step: Step) -> Judgement | None:
        """Take the next step in; what is said of *it*, given the steps before it. Later steps never revise that."""
        ...

    def finish(self, state: Any, trajectory: Trajectory) -> Iterable[tuple[Step | None, Judgement]]:
        """What only the whole can tell: of earlier steps, and of the trajectory (None).

        Asked as often as somebody wants to know, while the trace is open too: it never changes what the state says. It
        reads the state, and of the trajectory the workflow, the truth, its roots and `closed`: where these are the same
        and no step of its kinds came, it is not asked again.
        """
        ...


@runtime_checkable
class Combining(Protocol):
    """Judges the trajectory from what the other evaluators said of it."""

    name: str
    version: str
    reason_codes: frozenset[str]

    def applies(self, workflow: Workflow) -> bool:
        """Whether this workflow gives it anything to judge by."""
        ...

    def initial(self, context: Context) -> Any:
        """The state before the first step."""
        ...

    def update(self, state: Any, step: Step, said: Sequence[Result]) -> None:
        """Take in what is settled about the next step: span-local results, and those of `Contextual.update`.

        Steps about which nothing is said are left out; they are found in `Context.steps`.
        """
        ...

    def combine(
        self, state: Any, trajectory: Trajectory, late: Sequence[Result], whole: Mapping[str, Result]
    ) -> Judgement | None:
        """The judgement of the trajectory; None: it does not apply. Asked as often as `finish`, never changes the state.

        `late` are results about steps that only the whole could tell; `whole` the results about the trajectory by
        evaluator, those of the combining ones before it included.
        """
        ...


Evaluator = SpanLocal | Contextual | Combining


def scored(
    score: float,
    basis: Basis,
    code: str = "",
    reason: str = "",
    evidence: Mapping[str, Any] | None = None,
    *,
    pass_at: float = 1.0,
) -> Judgement:
    """A judgement by score against the evaluator's own threshold; the workflow's threshold is applied by `judge`."""
    assert 0.0 <= score <= 1.0, score
    return Judgement("pass" if passes(score, pass_at) else "fail", score, basis, code, reason, evidence)


def passes(score: float, pass_at: float) -> bool:
    """Whether a score reaches a threshold."""
    return score >= pass_at - SCORE_TOLERANCE


def unscored(basis: Basis, code: str, reason: str, evidence: Mapping[str, Any] | None = None) -> Judgement:
    """It applies, but cannot be judged: no number, and no share in any rate."""
    return Judgement("unscored", None, basis, code, reason, evidence)
