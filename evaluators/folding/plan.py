"""What runs for one workflow, in order: derived once from the list of evaluators and the workflow's settings."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from evaluators.base import ALL_KINDS, MAYBE_CALLS
from evaluators.protocols import Combining, Contextual, Evaluator, SpanLocal
from schemas.registry import Workflow
from schemas.result import Judgement
from schemas.span import StepKind
from schemas.trajectory import Step

WORKFLOWS_PLANNED: Final = 256  # workflows whose plan is kept; a config change makes new ones
PassAt = float | None  # the workflow's threshold; None: the evaluator's own
LocalOfKind = tuple[tuple[SpanLocal, PassAt], ...]


class Folding(NamedTuple):
    """A contextual evaluator that is shown a kind of step."""

    place: int  # in `Plan.contextual`, and of its state in a fold
    update: Callable[[Any, Step], Judgement | None]
    evaluator: Contextual
    pass_at: PassAt


class OfKind(NamedTuple):
    """What is done with a step of one kind."""

    local: LocalOfKind
    folding: tuple[Folding, ...]
    touching: int  # the contextual evaluators that such a step may change, a bit each
    is_call: bool  # it may be a call of a tool


class Plan(NamedTuple):
    """The evaluators that a workflow has enabled and that have something to judge by."""

    local: Mapping[StepKind, LocalOfKind]
    contextual: tuple[tuple[Contextual, PassAt], ...]
    combining: tuple[tuple[Combining, PassAt], ...]
    of_kind: Mapping[StepKind, OfKind]  # for every kind of step
    broken: tuple[tuple[Evaluator, Exception], ...]  # those that threw when asked whether they apply
    asked: dict[int, tuple[tuple[int, Contextual, PassAt], ...]]  # the evaluators of such bits, as they are needed

    def contextual_of(self, bits: int) -> tuple[tuple[int, Contextual, PassAt], ...]:
        """(place, evaluator, threshold) of the contextual evaluators with these bits."""
        found = self.asked.get(bits)
        if found is None:
            found = tuple((place, *of) for place, of in enumerate(self.contextual) if bits >> place & 1)
            self.asked[bits] = found
        return found


@lru_cache(maxsize=WORKFLOWS_PLANNED)
def plan(workflow: Workflow, evaluators: tuple[Evaluator, ...]) -> Plan:
    """The plan of this list for this workflow."""
    local: dict[StepKind, LocalOfKind] = {}
    contextual: list[tuple[Contextual, PassAt]] = []
    combining: list[tuple[Combining, PassAt]] = []
    broken: list[tuple[Evaluator, Exception]] = []
    for evaluator in evaluators:
        settings = workflow.settings(evaluator.name)
        if not settings.enabled:
            continue
        if isinstance(evaluator, SpanLocal):
            for kind in evaluator.kinds:
                local[kind] = (*local.get(kind, ()), (evaluator, settings.pass_at))
            continue
        try:
            applies = evaluator.applies(workflow)
        except Exception as error:
            broken.append((evaluator, error.with_traceback(None)))
            continue
        if not applies:
            continue
        if isinstance(evaluator, Combining):
            combining.append((evaluator, settings.pass_at))
        else:
            contextual.append((evaluator, settings.pass_at))
    touched = {k: [i for i, (evaluator, _) in enumerate(contextual) if k in evaluator.kinds] for k in ALL_KINDS}
    shown = {k: [i for i in touched[k] if k in getattr(contextual[i][0], "shown", ALL_KINDS)] for k in ALL_KINDS}
    return Plan(
        local,
        tuple(contextual),
        tuple(combining),
        {
            kind: OfKind(
                local.get(kind, ()),
                tuple(Folding(i, contextual[i][0].update, *contextual[i]) for i in shown[kind]),
                sum(1 << i for i in touched[kind]),
                kind in MAYBE_CALLS,
            )
            for kind in ALL_KINDS
        },
        tuple(broken),
        {},
    )
