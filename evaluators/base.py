"""The three shapes an evaluator can have, and what it may know.

The law (evaluators.md 1): a result is a pure function of (set of spans, registry version, task truth). An evaluator
keeps no state of its own between calls, reads no clock, and sees steps in their one total order.

- `SpanLocal`: the verdict depends on that span and its resource alone. Judged once per span, provisional at the next
  flush.
- `Contextual`: a fold over the ordered steps. Incremental and batch are the same code: `initial`, `update` for every
  step in order, `finish`. Where new steps sort after those already folded the fold may go on from its state; else it
  starts again, so a state belongs to one fold; `update` may change it in place, `finish` never does.
- `Combining`: judges from what the others said; runs last, in the order of the list.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

from schemas.registry import Workflow
from schemas.result import Basis, Judgement, Result
from schemas.span import StepKind
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
SCORE_TOLERANCE = 1e-9  # a mean of thirds must still pass at 1


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

    def applies(self, workflow: Workflow) -> bool:
        """Whether this workflow gives it anything to judge by; if not it is left out and stores nothing."""
        ...

    def initial(self) -> Any:
        """The state before the first step."""
        ...

    def update(self, state: Any, step: Step) -> Any:
        """The state after this step."""
        ...

    def finish(self, state: Any, trajectory: Trajectory) -> Iterable[tuple[Step | None, Judgement]]:
        """Judgements of steps and of the trajectory. May be called many times while the trace is open."""
        ...


@runtime_checkable
class Combining(Protocol):
    """Judges the trajectory from what the other evaluators said of it; runs last."""

    name: str
    version: str
    reason_codes: frozenset[str]

    def applies(self, workflow: Workflow) -> bool:
        """Whether this workflow gives it anything to judge by."""
        ...

    def combine(self, results: Sequence[Result], trajectory: Trajectory) -> Judgement | None:
        """The judgement of the trajectory, from all results of the others. None: it does not apply."""
        ...


Evaluator = SpanLocal | Contextual | Combining


def scored(
    score: float,
    basis: Basis,
    code: str = "",
    reason: str = "",
    evidence: dict[str, Any] | None = None,
    *,
    pass_at: float = 1.0,
) -> Judgement:
    """A judgement by score against the evaluator's own threshold; the workflow's threshold is applied by `judge`."""
    assert 0.0 <= score <= 1.0, score
    return Judgement("pass" if passes(score, pass_at) else "fail", score, basis, code, reason, evidence)


def passes(score: float, pass_at: float) -> bool:
    """Whether a score reaches a threshold."""
    return score >= pass_at - SCORE_TOLERANCE


def unscored(basis: Basis, code: str, reason: str, evidence: dict[str, Any] | None = None) -> Judgement:
    """It applies, but cannot be judged: no number, and no share in any rate."""
    return Judgement("unscored", None, basis, code, reason, evidence)
