"""Running the evaluators over a span, or over a trajectory: the one way from values to results.

It contains what an evaluator throws: that becomes a result with verdict `error`, and the others go on. It applies the
workflow's settings (enabled, pass_at) and what holds for all: a trace over its cap is `unscored/truncated` in every
context, and a trace closed without a root is `unscored/no_root` as a whole. Pure: equal inputs, equal results.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from evaluators.base import Combining, Contextual, Evaluator, SpanLocal, passes, unscored
from evaluators.catalogue import EVALUATORS
from schemas.registry import Workflow
from schemas.result import TRAJECTORY_STEP, Judgement, Result
from schemas.span import Span, StepKind, step_label
from schemas.trajectory import OVER_CAP, Step, Trajectory

WORKFLOWS_PLANNED = 256  # workflows whose plan is kept; a config change makes new ones
_REASON_CHARS = 500
_TRUNCATED = unscored("trace", "truncated", "the trace has more spans than the cap; no context can be trusted")
_NO_ROOT = unscored("trace", "no_root", "the trace was closed without a root")


class Plan(NamedTuple):
    """What runs for one workflow, in order: derived once from the list and the workflow's settings."""

    local: Mapping[StepKind, tuple[tuple[SpanLocal, float | None], ...]]  # with pass_at, None: the evaluator's own
    contextual: tuple[tuple[Contextual, float | None], ...]
    combining: tuple[tuple[Combining, float | None], ...]


@lru_cache(maxsize=WORKFLOWS_PLANNED)
def plan(workflow: Workflow, evaluators: tuple[Evaluator, ...] = EVALUATORS) -> Plan:
    """The evaluators that a workflow has enabled and that have something to judge by."""
    local: dict[StepKind, tuple[tuple[SpanLocal, float | None], ...]] = {}
    contextual: list[tuple[Contextual, float | None]] = []
    combining: list[tuple[Combining, float | None]] = []
    for evaluator in evaluators:
        settings = workflow.settings(evaluator.name)
        if not settings.enabled:
            continue
        if isinstance(evaluator, SpanLocal):
            for kind in evaluator.kinds:
                local[kind] = (*local.get(kind, ()), (evaluator, settings.pass_at))
        elif not evaluator.applies(workflow):
            continue
        elif isinstance(evaluator, Contextual):
            contextual.append((evaluator, settings.pass_at))
        else:
            combining.append((evaluator, settings.pass_at))
    return Plan(local, tuple(contextual), tuple(combining))


def judge_span(span: Span, workflow: Workflow, evaluators: tuple[Evaluator, ...] = EVALUATORS) -> tuple[Result, ...]:
    """Span-local results of one span, its label and agent from the span alone. Spans that are no steps have none."""
    if span.kind not in plan(workflow, evaluators).local:
        return ()
    label = step_label(span.kind, span.agent, span.tool, span.name)
    return _local(Step(0, span, label, span.agent), workflow, evaluators)


def _local(step: Step, workflow: Workflow, evaluators: tuple[Evaluator, ...]) -> tuple[Result, ...]:
    out = []
    for evaluator, pass_at in plan(workflow, evaluators).local.get(step.span.kind, ()):
        try:
            judgement = evaluator.judge(step, workflow)
        except Exception as error:  # the one place where an evaluator's fault is contained
            judgement = _fault(error)
        if judgement is not None:
            out.append(_about_step(step, evaluator, judgement, pass_at))
    return tuple(out)


def judge(
    trajectory: Trajectory,
    local: Mapping[bytes, tuple[Result, ...]] | None = None,
    evaluators: tuple[Evaluator, ...] = EVALUATORS,
) -> tuple[Result, ...]:
    """All results of a trajectory: steps in their order, the trajectory last.

    `local` holds span-local results by span id, from `judge_span`; they are labelled anew with the step's own label and
    agent, which only the whole trace tells. Without it they are computed here.
    """
    workflow, steps = trajectory.workflow, trajectory.steps
    chosen = plan(workflow, evaluators)
    by_step: list[list[Result]] = [[] for _ in steps]
    for step in steps:
        if step.span.kind in chosen.local:
            by_step[step.index].extend(_labelled(step, local, workflow, evaluators))
    whole: list[Result] = []
    end_ns = _end_ns(trajectory)
    for contextual, pass_at in chosen.contextual:
        for target, judgement in _in_context(contextual, trajectory):
            if target is None:
                whole.append(_about_whole(trajectory, end_ns, contextual, judgement, pass_at))
            else:
                by_step[target.index].append(_about_step(target, contextual, judgement, pass_at))
    results = [result for of_step in by_step for result in of_step]
    results += whole
    for combining, pass_at in chosen.combining:
        combined = _combined(combining, results, trajectory)
        if combined is not None and not any(r.evaluator == combining.name for r in whole):
            results.append(_about_whole(trajectory, end_ns, combining, combined, pass_at))
    return tuple(results)


def _labelled(
    step: Step,
    local: Mapping[bytes, tuple[Result, ...]] | None,
    workflow: Workflow,
    evaluators: tuple[Evaluator, ...],
) -> Iterable[Result]:
    known = local.get(step.span.span_id) if local is not None else None
    if known is None:
        return _local(step, workflow, evaluators)
    if not known or (known[0].step == step.label and known[0].agent == step.agent):
        return known
    return [result._replace(step=step.label, agent=step.agent) for result in known]


def fold(evaluator: Contextual, steps: Iterable[Step], state: Any = None) -> Any:
    """The state after these steps, from the beginning or from a state of this same fold."""
    update = evaluator.update
    if state is None:
        state = evaluator.initial()
    for step in steps:
        state = update(state, step)
    return state


def _in_context(evaluator: Contextual, trajectory: Trajectory) -> Sequence[tuple[Step | None, Judgement]]:
    if trajectory.flags & OVER_CAP:
        return [(None, _TRUNCATED)]
    try:
        found = list(evaluator.finish(fold(evaluator, trajectory.steps), trajectory))
    except Exception as error:  # as above: contained, named, and counted by its verdict
        return [(None, _fault(error))]
    if trajectory.root is None and trajectory.closed:
        return [(target, _NO_ROOT if target is None else judgement) for target, judgement in found]
    return found


def _combined(evaluator: Combining, results: Sequence[Result], trajectory: Trajectory) -> Judgement | None:
    try:
        judgement = evaluator.combine(results, trajectory)
    except Exception as error:  # as above
        return _fault(error)
    if judgement is None:
        return None
    if trajectory.flags & OVER_CAP:
        return _TRUNCATED
    return _NO_ROOT if trajectory.root is None and trajectory.closed else judgement


def _fault(error: Exception) -> Judgement:
    reason = f"{type(error).__name__}: {error}"[:_REASON_CHARS]
    return Judgement("error", None, "trace", "exception", reason)


def _end_ns(trajectory: Trajectory) -> int:
    """End of the trajectory's last span."""
    ends = [step.span.end_ns for step in trajectory.steps]
    ends += [root.end_ns for root in trajectory.roots]
    if trajectory.root is not None:
        ends.append(trajectory.root.end_ns)
    return max(ends, default=0)


def _about_step(step: Step, evaluator: Evaluator, judgement: Judgement, pass_at: float | None) -> Result:
    span = step.span
    return _result(span.span_id, step.label, step.agent, span.end_ns, evaluator, judgement, pass_at)


def _about_whole(
    trajectory: Trajectory, end_ns: int, evaluator: Evaluator, judgement: Judgement, pass_at: float | None
) -> Result:
    agent = trajectory.root.agent if trajectory.root is not None else ""
    return _result(b"", TRAJECTORY_STEP, agent, end_ns, evaluator, judgement, pass_at)


def _result(
    span_id: bytes,
    label: str,
    agent: str,
    event_ns: int,
    evaluator: Evaluator,
    judgement: Judgement,
    pass_at: float | None,
) -> Result:
    verdict, score, basis, code, reason, evidence = judgement
    if pass_at is not None and score is not None:
        verdict = "pass" if passes(score, pass_at) else "fail"
    told = orjson.dumps(evidence, default=str).decode() if evidence else ""
    name, version = evaluator.name, evaluator.version
    return Result(span_id, label, agent, name, version, verdict, score, basis, code, reason, told, event_ns)
