"""What evaluators are made of: what a fold knows, views of its steps, and the words in which they answer.

Their shapes are in `evaluators.protocols`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from schemas.expectation import TaskTruth
from schemas.registry import Workflow
from schemas.result import Basis, Judgement
from schemas.span import STEP_KINDS, StepKind
from schemas.trajectory import Step

# Reasons that any evaluator may end with, beside its own closed list.
COMMON_CODES: Final = frozenset(
    {
        "exception",  # the evaluator itself failed: verdict error
        "truncated",  # the trace is over its span cap, or the content was cut
        "no_root",  # the trace was closed without a root: nothing can be said of the whole
    }
)
CALL_KINDS: Final[frozenset[StepKind]] = frozenset({"tool_call", "retrieval"})
MAYBE_CALLS: Final[frozenset[StepKind]] = CALL_KINDS | {
    "handoff",
    "human",
}  # kinds of step that may be a call of a tool
ALL_KINDS: Final[frozenset[StepKind]] = frozenset(STEP_KINDS)  # type: ignore[arg-type]
NO_KINDS: Final[frozenset[StepKind]] = frozenset()
SCORE_TOLERANCE: Final = 1e-9  # a mean of thirds must still pass at 1

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
