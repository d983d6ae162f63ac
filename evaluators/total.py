"""TrajectoryScore: one number for a run, from what the others said of it."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import ClassVar, Final

from evaluators.base import COMMON_CODES, Context, scored, unscored
from evaluators.views.recovery import Failures
from schemas.registry import Workflow
from schemas.result import Basis, Judgement, Result
from schemas.trajectory import Step, Trajectory

DEFAULT_WEIGHTS: Final[Mapping[str, float]] = {
    "TaskCompletion": 0.4,
    "FunctionCallAccuracy": 0.2,
    "ParameterValidation": 0.1,
    "ToolCallSuccess": 0.15,
    "StepEfficiency": 0.15,
}
PASS_AT: Final = 0.7
HARD_CAP: Final = 0.25  # what a run with a hard failure scores at most, whatever its other parts
CACHED_MAX: Final = 1024  # judgements that are kept: runs of a workflow come to the same few sums again and again
_HARD_CODES: Final = frozenset({"too_many_steps", "too_many_repeats", "forbidden_call", "other_customer"})
# To stay within limits is no work: an idle run does.
_LIMITS: Final = frozenset({"IterationCap", "LatencyBudget", "CostBudget"})
_NOTHING_SCORED: Final = unscored(
    "trace", "nothing_scored", "none of the weighted evaluators could score what this run did"
)

_Parts = tuple[tuple[str, float], ...]  # the score of each weighted evaluator that has one, in the order of the weights


class Scores:
    """What the weighted evaluators said of the steps so far: sum and number of their scores; the first hard failure."""

    __slots__ = ("failures", "hard", "late", "late_hard", "late_steps", "steps", "weights", "workflow")

    def __init__(self, context: Context) -> None:
        self.workflow = context.workflow
        self.weights = _weights(context.workflow)
        self.failures = context.shared(Failures)
        self.steps: dict[str, list[float]] = {}  # by evaluator: sum, count
        self.hard: str = ""
        self.late: Sequence[Result] = ()  # what was read last of what only the whole could tell, and what it came to
        self.late_hard = ""
        self.late_steps: dict[str, list[float]] = {}

    def add(self, said: Sequence[Result]) -> None:
        """Take in what was said of a step."""
        steps, weights = self.steps, self.weights
        for result in said:
            if result.evaluator in weights:
                _count(steps, result.evaluator, result.score)
            if result.verdict == "fail" and not self.hard:
                self.hard = _hard_of(result)

    def read(self, late: Sequence[Result]) -> None:
        """Take in what only the whole could tell of the steps; it replaces what was read before."""
        if late == self.late:
            return
        self.late, self.late_hard, self.late_steps = late, "", {}
        weights = self.weights
        for result in late:
            if result.evaluator in weights:
                _count(self.late_steps, result.evaluator, result.score)
            if result.verdict == "fail" and not self.late_hard:
                self.late_hard = _hard_of(result)


def _count(sums: dict[str, list[float]], evaluator: str, score: float | None) -> None:
    if score is None:
        return
    of = sums.get(evaluator)
    if of is None:
        sums[evaluator] = [score, 1]
    else:
        of[0] += score
        of[1] += 1


def _hard_of(result: Result) -> str:
    return f"{result.evaluator} {result.reason_code}" if result.reason_code in _HARD_CODES else ""


class TrajectoryScore:
    """The weighted mean of what was scored, by the workflow's `trajectory_weights`, weights renormalised.

    Counts: of each weighted evaluator its trajectory result, else the mean of its step results; unscored and error
    results drop out with their weight, and the evidence says which parts counted. A hard failure caps it at 0.25:
    - a cap that was crossed, a forbidden call, a write on another customer;
    - a declared write that failed, openly or swallowed, and that nothing recovered before the run was closed as if all were
      well: nothing that was said owns up to it, it was not handed to a person, and no task truth says that the task was
      done without it;
    - nothing done at all where the task truth expects a write.
    Does not count: anything for a run of which nothing could be scored; doing nothing earns nothing, and budgets and caps
    that were kept earn nothing alone.

    Fails: low_score (below 0.7 by default), hard_failure. Unscored: nothing_scored.
    """

    name: ClassVar[str] = "TrajectoryScore"
    version: ClassVar[str] = "1"
    pass_at: ClassVar[float] = PASS_AT
    reason_codes: ClassVar[frozenset[str]] = COMMON_CODES | {"low_score", "hard_failure", "nothing_scored"}

    def applies(self, workflow: Workflow) -> bool:
        """Every run is worth a number."""
        return True

    def initial(self, context: Context) -> Scores:
        """No scores yet."""
        return Scores(context)

    def update(self, state: Scores, step: Step, said: Sequence[Result]) -> None:
        """Keep the scores of a step."""
        state.add(said)

    def combine(
        self, state: Scores, trajectory: Trajectory, late: Sequence[Result], whole: Mapping[str, Result]
    ) -> Judgement | None:
        """One judgement of the trajectory."""
        state.read(late)
        parts = _parts(state, whole)
        hard = state.hard or state.late_hard or _hard(state, trajectory, whole)
        return _judgement(parts, state.workflow, hard, "trace" if trajectory.truth is None else "task_truth")


def _weights(workflow: Workflow) -> Mapping[str, float]:
    return workflow.trajectory_weights or DEFAULT_WEIGHTS


@lru_cache(maxsize=CACHED_MAX)
def _judgement(parts: _Parts, workflow: Workflow, hard: str, basis: Basis) -> Judgement:
    weights = _weights(workflow)
    total = sum(weights[name] for name, _ in parts)
    if not total or (not hard and all(name in _LIMITS for name, _ in parts)):
        return scored(0.0, basis, "hard_failure", f"0 after {hard}", pass_at=PASS_AT) if hard else _NOTHING_SCORED
    score = min(1.0, sum(weights[name] * part for name, part in parts) / total)
    evidence = {"parts": {name: {"score": round(part, 6), "weight": weights[name]} for name, part in parts}}
    said = " + ".join(f"{weights[name]:g} x {name} {part:.3g}" for name, part in parts)
    reason = f"({said}) / {total:g} = {score:.3g}"
    if hard:
        reason = f"{reason}; at most {HARD_CAP} after {hard}"
        return scored(min(score, HARD_CAP), basis, "hard_failure", reason, evidence, pass_at=PASS_AT)
    return scored(score, basis, "" if score >= PASS_AT else "low_score", reason, evidence, pass_at=PASS_AT)


def _hard(state: Scores, trajectory: Trajectory, whole: Mapping[str, Result]) -> str:
    """What caps the run, beside what was said of its steps; "" when nothing does."""
    for result in whole.values():
        if result.verdict == "fail" and (hard := _hard_of(result)):
            return hard
    return _undone(state, trajectory, whole) if trajectory.closed else ""


def _undone(state: Scores, trajectory: Trajectory, whole: Mapping[str, Result]) -> str:
    """What a closed run left undone: a failed write that nothing recovered, or everything."""
    done = whole.get("TaskCompletion")
    code = done.reason_code if done is not None else ""
    if code == "missing_write":
        calls = whole.get("FunctionCallAccuracy")
        if calls is None or calls.score == 0.0:
            return "nothing that the task expects was done"
    if code == "handed_to_human" or (done is not None and done.verdict == "pass"):
        return ""
    write = state.failures.write()
    if write is None or state.failures.owned_up(write, trajectory.roots):
        return ""
    return f"{write.label} failed and was not recovered"


_NO_SCORES: Final = (0.0, 0)


def _parts(state: Scores, whole: Mapping[str, Result]) -> _Parts:
    parts: list[tuple[str, float]] = []
    steps, late = state.steps, state.late_steps
    for name in state.weights:
        told = whole.get(name)
        if told is not None and told.verdict != "error":
            if told.score is not None:
                parts.append((name, told.score))
            continue
        total, count = steps.get(name, _NO_SCORES)
        if name in late:
            total, count = total + late[name][0], count + late[name][1]
        if count:
            parts.append((name, total / count))
    return tuple(parts)
