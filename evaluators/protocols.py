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

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from evaluators.base import Context
from schemas.registry import Workflow
from schemas.result import Judgement, Result
from schemas.span import StepKind
from schemas.trajectory import Step, Trajectory


class Named(Protocol):
    """What every evaluator says of itself. Class attributes will do."""

    @property
    def name(self) -> str:
        """Its name in rows, rules and the registry."""
        ...

    @property
    def version(self) -> str:
        """Another version, another series: raised when verdicts change."""
        ...

    @property
    def reason_codes(self) -> frozenset[str]:
        """The closed list, COMMON_CODES among them."""
        ...


@runtime_checkable
class SpanLocal(Named, Protocol):
    """Judges one step by itself."""

    @property
    def kinds(self) -> frozenset[StepKind]:
        """The kinds of step it may apply to; it is never shown others."""
        ...

    def judge(self, step: Step, workflow: Workflow) -> Judgement | None:
        """The judgement, or None when this evaluator does not apply to such a step (then nothing is stored)."""
        ...


@runtime_checkable
class Contextual(Named, Protocol):
    """Judges steps in their context, and the trajectory (target None)."""

    @property
    def kinds(self) -> frozenset[StepKind]:
        """The kinds of step that may change what it says."""
        ...

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
class Combining(Named, Protocol):
    """Judges the trajectory from what the other evaluators said of it."""

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
