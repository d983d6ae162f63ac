"""Span-local results: of a span alone, before anybody knows its trace, and of the step that it became."""

from collections.abc import Mapping, Sequence

from evaluators.folding.plan import LocalOfKind, Plan
from evaluators.folding.rows import about_step, fault
from schemas.registry import Workflow
from schemas.result import Result
from schemas.trajectory import Step

Known = Mapping[bytes, Sequence[Result]]  # span-local results by span id


def local_results(step: Step, chosen: Plan, workflow: Workflow, known: Known | None = None) -> list[Result]:
    """Span-local results about a step, in a list of the caller's own.

    `known` ones were judged from the span alone; they are labelled anew, for only the whole trace tells a step's label
    and agent.
    """
    evaluators = chosen.local.get(step.span.kind)
    if evaluators is None:
        return []
    told = known.get(step.span.span_id) if known is not None else None
    if told is None:
        return _judged(step, evaluators, workflow)
    if not told or (told[0].step == step.label and told[0].agent == step.agent):
        return list(told)
    return [result._replace(step=step.label, agent=step.agent) for result in told]


def _judged(step: Step, evaluators: LocalOfKind, workflow: Workflow) -> list[Result]:
    out = []
    for evaluator, pass_at in evaluators:
        try:
            judgement = evaluator.judge(step, workflow)
        except Exception as error:  # what an evaluator throws is a result, and costs no other evaluator's
            judgement = fault(error)
        if judgement is not None:
            out.append(about_step(step, evaluator, judgement, pass_at))
    return out
