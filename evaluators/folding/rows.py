"""A judgement about a target -> its result row: the workflow's threshold applied, the evidence as JSON text."""

from typing import Final

import orjson

from evaluators.base import passes
from evaluators.folding.plan import PassAt
from evaluators.protocols import Evaluator
from schemas.result import TRAJECTORY_STEP, Judgement, Result
from schemas.trajectory import Step, Trajectory

_REASON_CHARS: Final = 500
# A named tuple's own constructor costs twice as much, and a row is made for every verdict.
_new: Final = tuple.__new__


def fault(error: Exception) -> Judgement:
    """What stands for an evaluator that threw: verdict `error`, which counts in no rate."""
    return Judgement("error", None, "trace", "exception", f"{type(error).__name__}: {error}"[:_REASON_CHARS])


def about_step(step: Step, evaluator: Evaluator, judgement: Judgement, pass_at: PassAt) -> Result:
    """The row of a judgement about a step."""
    span = step.span
    return _row(span.span_id, step.label, step.agent, span.end_ns, evaluator, judgement, pass_at)


def about_whole(
    trajectory: Trajectory, end_ns: int, evaluator: Evaluator, judgement: Judgement, pass_at: PassAt
) -> Result:
    """The row of a judgement about the trajectory, whose last span ended at `end_ns`."""
    agent = trajectory.root.agent if trajectory.root is not None else ""
    return _row(b"", TRAJECTORY_STEP, agent, end_ns, evaluator, judgement, pass_at)


def until(row: Result, end_ns: int) -> Result:
    """The same row of a trajectory that has gone on to `end_ns`."""
    return row if row[-1] == end_ns else _new(Result, (*row[:-1], end_ns))


def _row(
    span_id: bytes, label: str, agent: str, event_ns: int, evaluator: Evaluator, judgement: Judgement, pass_at: PassAt
) -> Result:
    verdict, score, basis, code, reason, evidence = judgement
    if pass_at is not None and score is not None:
        verdict = "pass" if passes(score, pass_at) else "fail"
    told = orjson.dumps(evidence, default=str).decode() if evidence else ""
    return _new(
        Result,
        (
            span_id,
            label,
            agent,
            evaluator.name,
            evaluator.version,
            verdict,
            score,
            basis,
            code,
            reason,
            told,
            event_ns,
        ),
    )
