"""TrajectoryScore: one number for a run, from what the others said of it."""

from collections.abc import Mapping, Sequence

from evaluators.base import COMMON_CODES, Context, scored, unscored
from schemas.registry import Workflow
from schemas.result import Basis, Judgement, Result
from schemas.trajectory import Step, Trajectory

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


class Scores:
    """What the weighted evaluators said of the steps so far: sum and number of their scores; the first hard failure."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        self.weights = weights
        self.steps: dict[str, tuple[float, int]] = {}
        self.hard: Result | None = None

    def add(self, result: Result) -> None:
        """Take in a result about a step."""
        name, score = result.evaluator, result.score
        if score is not None and name in self.weights:
            total, count = self.steps.get(name, (0.0, 0))
            self.steps[name] = total + score, count + 1
        if self.hard is None and result.verdict == "fail" and _is_hard(result):
            self.hard = result


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

    def initial(self, context: Context) -> Scores:
        """No scores yet."""
        return Scores(context.workflow.trajectory_weights or DEFAULT_WEIGHTS)

    def update(self, state: Scores, step: Step, said: Sequence[Result]) -> None:
        """Keep the scores of a step."""
        for result in said:
            state.add(result)

    def combine(
        self, state: Scores, trajectory: Trajectory, late: Sequence[Result], whole: Mapping[str, Result]
    ) -> Judgement | None:
        """One judgement of the trajectory."""
        weights = state.weights
        parts = _parts(state, late, whole)
        total = sum(weights[name] for name in parts)
        if not total:
            return unscored("trace", "nothing_scored", "none of the weighted evaluators could score this run")
        score = min(1.0, sum(weights[name] * part for name, part in parts.items()) / total)
        hard = state.hard or next((r for r in (*late, *whole.values()) if r.verdict == "fail" and _is_hard(r)), None)
        evidence = {"parts": {name: {"score": round(p, 6), "weight": weights[name]} for name, p in parts.items()}}
        said = " + ".join(f"{weights[name]:g} x {name} {part:.3g}" for name, part in parts.items())
        reason = f"({said}) / {total:g} = {score:.3g}"
        basis: Basis = "task_truth" if trajectory.truth is not None else "trace"
        if hard is not None:
            reason = f"{reason}; at most {HARD_CAP} after {hard.evaluator} {hard.reason_code}"
            return scored(min(score, HARD_CAP), basis, "hard_failure", reason, evidence, pass_at=PASS_AT)
        return scored(score, basis, "" if score >= PASS_AT else "low_score", reason, evidence, pass_at=PASS_AT)


def _is_hard(result: Result) -> bool:
    """Whether a failed result caps the run."""
    return result.reason_code in _HARD_ANYWHERE or result.reason_code in _HARD.get(result.evaluator, ())


def _parts(state: Scores, late: Sequence[Result], whole: Mapping[str, Result]) -> dict[str, float]:
    """The score of each weighted evaluator that has one, in the order of the weights."""
    parts: dict[str, float] = {}
    for name in state.weights:
        told = whole.get(name)
        if told is not None and told.verdict != "error":
            if told.score is not None:
                parts[name] = told.score
            continue
        total, count = state.steps.get(name, (0.0, 0))
        for r in late:
            if r.evaluator == name and r.score is not None:
                total, count = total + r.score, count + 1
        if count:
            parts[name] = total / count
    return parts
