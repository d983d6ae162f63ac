"""How well trajectory scores tell successes from failures on the recorded runs, with the controls that must hold."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from evaluators.catalogue import EVALUATORS
from evaluators.folding.evaluation import Evaluation
from evaluators.judge import judge
from schemas.result import Result
from schemas.trajectory import Step, Trajectory
from tests.bench.evaluators.data import Recorded, Run, while_open
from tests.bench.evaluators.report import Figure, Section, at_least
from tests.bench.evaluators.statistics import clustered_auc, concordance, shuffled_auc, spearman
from tests.builders import llm_span, tool_span, trajectory

SEED = 20_260_101
AUC_HELD_OUT, AUC_WRITES, AUC_CALLS = 0.97, 0.95, 0.97
AUC_WITHOUT_TRUTH = 0.60
SHUFFLED_WITHIN = 0.1
PROGRESS_SPEARMAN = 0.6
SUBSETS: tuple[tuple[str, Callable[[Recorded, Run], bool]], ...] = (
    ("all tasks", lambda data, run: True),
    ("tasks 0-34", lambda data, run: not run.held_out),
    ("tasks 35-49", lambda data, run: run.held_out),
    ("expects a write", lambda data, run: data.expects_write(run.recorded["task_id"])),
    (
        "35-49, expects a write",
        lambda data, run: run.held_out and data.expects_write(run.recorded["task_id"]),
    ),
)
Scores = dict[str, list[float | None]]  # by evaluator, in the order of the runs


def whole(results: Iterable[Result]) -> dict[str, Result]:
    """What was said of the trajectory, by evaluator."""
    return {result.evaluator: result for result in results if not result.span_id}


def scores_of(runs: Sequence[Run], judged: Callable[[Trajectory], tuple[Result, ...]] = judge) -> Scores:
    """Trajectory scores of these runs; None where an evaluator said nothing or abstained."""
    said = [whole(judged(run.trajectory)) for run in runs]
    names = dict.fromkeys(e.name for e in EVALUATORS)
    rows = {name: [one[name].score if name in one else None for one in said] for name in names}
    return {name: row for name, row in rows.items() if any(score is not None for score in row)}


def ranked(scores: Sequence[float | None], runs: Sequence[Run]) -> tuple[list[float], list[bool], list[int]]:
    """Scores, labels and tasks of the runs that got a score."""
    pairs = [(score, run) for score, run in zip(scores, runs, strict=True) if score is not None]
    return [score for score, _ in pairs], [run.success for _, run in pairs], [run.task for _, run in pairs]


def ranking(data: Recorded, scores: Scores) -> Section:
    """AUC of every evaluator, by subset."""
    figures = []
    for name, row in scores.items():
        cells = []
        for _, belongs in SUBSETS:
            chosen = [at for at, run in enumerate(data.runs) if belongs(data, run)]
            cells.append(
                str(clustered_auc(*ranked([row[at] for at in chosen], [data.runs[at] for at in chosen]), SEED))
            )
        share, pairs = concordance(*ranked(row, data.runs))
        answered = sum(score is not None for score in row)
        figures.append(Figure(name, (*cells, f"{share:.3f} of {pairs}", f"{answered} of {len(row)}")))
    return Section(
        "Trajectory scores against success, with task truth",
        (*(name for name, _ in SUBSETS), "within task", "answered"),
        figures,
        "AUC with 95 % intervals from resampling tasks (2,000 times); within task: share of pairs of a successful and a "
        "failed run of one task that are ordered rightly, ties half. Only TaskCompletion, FunctionCallAccuracy, "
        "GoalProgress and TrajectoryScore are meant to rank success.",
    )


def targets(data: Recorded, scores: Scores) -> Section:
    """The figures that are asked for."""
    subset = dict(SUBSETS)

    def auc(evaluator: str, name: str) -> Any:
        chosen = [at for at, run in enumerate(data.runs) if subset[name](data, run)]
        row = scores.get(evaluator, [None] * len(data.runs))
        return clustered_auc(*ranked([row[at] for at in chosen], [data.runs[at] for at in chosen]), SEED)

    asked = [
        ("TaskCompletion", "tasks 35-49", AUC_HELD_OUT),
        ("TaskCompletion", "expects a write", AUC_WRITES),
        ("FunctionCallAccuracy", "all tasks", AUC_CALLS),
    ]
    figures = []
    for evaluator, name, target in asked:
        found = auc(evaluator, name)
        figures.append(at_least(f"AUC of {evaluator}, {name}", [str(found)], found.value, target))
    figures += [*without_truth(data), *progress(data, scores), *controls(data, scores)]
    return Section("Figures asked for on the recorded runs", ("measured",), figures)


def without_truth(data: Recorded) -> list[Figure]:
    """TaskCompletion when nobody says what was expected."""
    scores = scores_of(data.runs, lambda t: judge(replace(t, truth=None))).get(
        "TaskCompletion", [None] * len(data.runs)
    )
    values, labels, tasks = ranked(scores, data.runs)
    abstained = len(scores) - len(values)
    told = f"abstains on {abstained} of {len(scores)}"
    if not values or len(set(labels)) == 1:
        wrong = sum(label == (value >= 1) for value, label in zip(values, labels, strict=True))
        said = f"{told}; answers {len(values)} runs that all ended alike, {len(values) - wrong} of them wrongly"
        return [Figure("TaskCompletion without truth", (said,), f"abstains or >= {AUC_WITHOUT_TRUTH}", abstained > 0)]
    found = clustered_auc(values, labels, tasks, SEED)
    constant = len(set(values)) == 1 and not abstained
    met = found.value >= AUC_WITHOUT_TRUTH and not constant
    return [
        Figure("TaskCompletion without truth", (f"{told}; AUC where it answers {found}",), ">= 0.6, no constant", met)
    ]


def progress(data: Recorded, scores: Scores) -> list[Figure]:
    """GoalProgress: never falls while a run is open, and goes with what was really done."""
    chosen = tuple(e for e in EVALUATORS if e.name == "GoalProgress")
    if not chosen:
        return [Figure("GoalProgress", ("there is none",), "monotone, Spearman >= 0.6", False)]
    falls, asked, last = 0, 0, []
    for run in data.runs:
        path = while_open_scores(run.trajectory)
        asked += len(path)
        falls += sum(later < earlier for earlier, later in pairwise(path))
        last.append(path[-1] if path else None)
    share = [data.share_done(run.recorded) for run in data.runs]
    figures = [Figure("GoalProgress falls while open", (f"{falls} in {asked} asks",), "0", falls == 0 and asked > 0)]
    for what, row in (("at the end", scores.get("GoalProgress", [])), ("at the last step, open", last)):
        pairs = [(a, b) for a, b in zip(row, share, strict=True) if a is not None and b is not None]
        found = spearman([a for a, _ in pairs], [b for _, b in pairs])
        said = f"{found:.3f} over {len(pairs)} runs"
        figures.append(at_least(f"GoalProgress {what}: Spearman with actions done", [said], found, PROGRESS_SPEARMAN))
    return figures


def while_open_scores(trajectory: Trajectory) -> list[float]:
    """GoalProgress asked after every step of a run that goes on."""
    chosen = tuple(e for e in EVALUATORS if e.name == "GoalProgress")
    evaluation = Evaluation(trajectory.workflow, trajectory.truth, chosen)
    found = []
    for at, step in enumerate(trajectory.steps, 1):
        evaluation.extend([step])
        said = whole(evaluation.results(while_open(trajectory, at)))
        if "GoalProgress" in said and (score := said["GoalProgress"].score) is not None:
            found.append(score)
    return found


def controls(data: Recorded, scores: Scores) -> list[Figure]:
    """What must hold whatever the agent: nothing for doing nothing, everything for doing it right, chance for noise."""
    names = ("TaskCompletion", "FunctionCallAccuracy", "TrajectoryScore")
    writes = [run for run in data.runs if data.expects_write(run.recorded["task_id"])]
    idle = scores_of(writes, lambda t: judge(idled(t)))
    gold = [whole(judge(gilded(data, run))) for run in {run.task: run for run in data.runs}.values()]
    figures = []
    for name in names:
        most = max((score for score in idle.get(name, []) if score is not None), default=None)
        said = "unscored" if most is None else f"{most:g} at most, {len(writes)} runs"
        figures.append(Figure(f"{name} of runs without their calls, on write tasks", (said,), "0", most == 0))
    for name in (*names[:2], "GoalProgress"):
        values = [one[name].score for one in gold if name in one]
        right = sum(value == 1 for value in values)
        met = right == len(gold)
        figures.append(
            Figure(f"{name} of exactly the expected calls", (f"1 in {right} of {len(gold)} tasks",), "1", met)
        )
    for name in (*names, "GoalProgress"):
        ranks, labels, _ = ranked(scores.get(name, [None] * len(data.runs)), data.runs)
        found = shuffled_auc(ranks, labels, SEED) if ranks else float("nan")
        met = bool(np.isfinite(found)) and abs(found - 0.5) <= SHUFFLED_WITHIN
        figures.append(Figure(f"AUC of {name} against shuffled labels", (f"{found:.3f}",), "0.5 +- 0.1", met))
    return figures


def idled(trajectory: Trajectory) -> Trajectory:
    """The run as if the agent had only talked: its calls removed."""
    kept = [step for step in trajectory.steps if not step.span.tool]
    return replace(trajectory, steps=tuple(Step(at, s.span, s.label, s.agent) for at, s in enumerate(kept)))


def gilded(data: Recorded, run: Run) -> Trajectory:
    """A run that makes exactly the expected calls and says the required outputs."""
    task = data.tasks[run.recorded["task_id"]]
    calls = [tool_span(n, a["name"], a["arguments"], at_ms=n * 100) for n, a in enumerate(task["expected_actions"], 1)]
    said = llm_span(len(calls) + 1, " and ".join(task["outputs"]) or "Done.", at_ms=(len(calls) + 1) * 100)
    return trajectory(*calls, said, workflow=run.trajectory.workflow, truth=run.trajectory.truth)
