"""TrajectoryScore: one number for a run, from what the others said of it."""

from collections.abc import Mapping, Sequence

from evaluators.base import COMMON_CODES, scored, unscored
from schemas.registry import Workflow
from schemas.result import Basis, Judgement, Result
from schemas.trajectory import Trajectory

DEFAULT_WEIGHTS: Mapping[str, float] = {
    "TaskCompletion": 0.4,
    "FunctionCallAccuracy": 0.2,
    "ParameterValidation": 0.1,
    "ToolCallSuccess": 0.15,
    "StepEfficiency": 0.15,
}
PASS_AT = 0.7
HARD_CAP = 0.25  # what a run with a hard failure scores at most, whatever its other parts
_HARD = {"IterationCap": frozenset({"too_many_steps", "too_many_repeats"})}
_HARD_ANYWHERE = frozenset({"forbidden_call", "other_customer"})


class TrajectoryScore:
    """The weighted mean of what was scored, by the workflow's `trajectory_weights`, weights renormalised.

    Counts: of each weighted evaluator its trajectory result, else the mean of its step results; unscored and error
    results drop out with their weight, and the evidence says which parts counted. A hard failure (a cap crossed, a
    forbidden call, a write on another customer) caps it at 0.25.
    Does not count: anything for a run of which nothing could be scored; doing nothing earns nothing.

    Fails: low_score (below 0.7 by default), hard_failure. Unscored: nothing_scored.
    """

    name = "TrajectoryScore"
    version = "1"
    pass_at = PASS_AT
    reason_codes = COMMON_CODES | {"low_score", "hard_failure", "nothing_scored"}

    def applies(self, workflow: Workflow) -> bool:
        """Every run is worth a number."""
        return True

    def combine(self, results: Sequence[Result], trajectory: Trajectory) -> Judgement | None:
        """One judgement of the trajectory."""
        weights = trajectory.workflow.trajectory_weights or DEFAULT_WEIGHTS
        parts = _parts(results, weights)
        total = sum(weights[name] for name in parts)
        if not total:
            return unscored("trace", "nothing_scored", "none of the weighted evaluators could score this run")
        score = min(1.0, sum(weights[name] * part for name, part in parts.items()) / total)
        hard = next((r for r in results if _is_hard(r)), None)
        evidence = {"parts": {name: {"score": round(p, 6), "weight": weights[name]} for name, p in parts.items()}}
        said = " + ".join(f"{weights[name]:g} x {name} {part:.3g}" for name, part in parts.items())
        reason = f"({said}) / {total:g} = {score:.3g}"
        basis: Basis = "task_truth" if any(r.basis == "task_truth" for r in results) else "trace"
        if hard is not None:
            reason = f"{reason}; at most {HARD_CAP} after {hard.evaluator} {hard.reason_code}"
            return scored(min(score, HARD_CAP), basis, "hard_failure", reason, evidence, pass_at=PASS_AT)
        return scored(score, basis, "" if score >= PASS_AT else "low_score", reason, evidence, pass_at=PASS_AT)


def _is_hard(result: Result) -> bool:
    if result.verdict != "fail":
        return False
    return result.reason_code in _HARD.get(result.evaluator, ()) or result.reason_code in _HARD_ANYWHERE


def _parts(results: Sequence[Result], weights: Mapping[str, float]) -> dict[str, float]:
    """The score of each weighted evaluator that has one, in the order of the weights."""
    whole: dict[str, float] = {}
    steps: dict[str, list[float]] = {}
    for r in results:
        if r.score is None or r.evaluator not in weights:
            continue
        if r.span_id:
            steps.setdefault(r.evaluator, []).append(r.score)
        else:
            whole[r.evaluator] = r.score
    told = {r.evaluator for r in results if not r.span_id and r.verdict == "unscored"}
    means = {name: sum(scores) / len(scores) for name, scores in steps.items() if name not in told}
    found = {**means, **whole}
    return {name: found[name] for name in weights if name in found}
