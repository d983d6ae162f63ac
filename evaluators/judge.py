"""Running the evaluators over a span, or over a trajectory: the one way from values to results.

Pure; equal inputs give equal results. A trace over its cap keeps its span-local results; every context is
`unscored/truncated` there, whichever of its spans came first.
"""

from typing import Final

from evaluators.base import unscored
from evaluators.catalogue import EVALUATORS
from evaluators.folding.evaluation import Evaluation
from evaluators.folding.local import Known, local_results
from evaluators.folding.plan import plan
from evaluators.folding.rows import about_whole
from evaluators.protocols import Evaluator
from schemas.registry import Workflow
from schemas.result import Result
from schemas.span import Span, step_label
from schemas.trajectory import OVER_CAP, Step, Trajectory

_TRUNCATED: Final = unscored("trace", "truncated", "the trace has more spans than the cap; no context can be trusted")


def judge_span(span: Span, workflow: Workflow, evaluators: tuple[Evaluator, ...] = EVALUATORS) -> tuple[Result, ...]:
    """Span-local results of one span, its label and agent from the span alone. Spans that are no steps have none."""
    chosen = plan(workflow, evaluators)
    if span.kind not in chosen.local:
        return ()
    label = step_label(span.kind, span.agent, span.tool, span.name)
    return tuple(local_results(Step(0, span, label, span.agent), chosen, workflow))


def judge(
    trajectory: Trajectory, known: Known | None = None, evaluators: tuple[Evaluator, ...] = EVALUATORS
) -> tuple[Result, ...]:
    """All results of a trajectory: steps in their order, the trajectory last.

    `known` holds span-local results by span id, from `judge_span`; without it they are computed here.
    """
    if trajectory.flags & OVER_CAP:
        return _truncated(trajectory, known, evaluators)
    evaluation = Evaluation(trajectory.workflow, trajectory.truth, evaluators, known)
    evaluation.extend(trajectory.steps)
    return evaluation.results(trajectory)


def _truncated(trajectory: Trajectory, known: Known | None, evaluators: tuple[Evaluator, ...]) -> tuple[Result, ...]:
    workflow = trajectory.workflow
    chosen = plan(workflow, evaluators)
    local = [r for step in trajectory.steps for r in local_results(step, chosen, workflow, known)]
    ends = [step.span.end_ns for step in trajectory.steps] + [root.end_ns for root in trajectory.roots]
    end_ns = max(ends, default=0)
    others: dict[str, Evaluator] = {e.name: e for e, _ in chosen.contextual}
    others |= {e.name: e for e, _ in chosen.combining}
    return (*local, *(about_whole(trajectory, end_ns, e, _TRUNCATED, None) for e in others.values()))
