"""Ours and `ai-evaluation` on the same runs with the same truth: who ranks better, and who is faster."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.evaluators import rivals
from tests.bench.evaluators.data import Recorded
from tests.bench.evaluators.planted import PLANTS, pairs
from tests.bench.evaluators.quality import SEED, Scores, ranked, scores_of, while_open_scores
from tests.bench.evaluators.report import Figure, Section
from tests.bench.evaluators.speed import AHEAD_EVERY, AHEAD_ONCE, Speeds
from tests.bench.evaluators.statistics import Interval, clustered_auc, spearman

REPEATS = 5
# Metrics whose score should follow success, where the truth of the task is given. The others are shown, not compared.
WITH_TRUTH = ("TaskCompletion", "GoalProgress", "ToolSelectionAccuracy", "FunctionCallAccuracy", "TrajectoryScore")
WITHOUT = ("StepEfficiency", "ReasoningQuality")


def given(data: Recorded) -> dict[str, Any]:
    """What its worker is given: the runs as recorded, tasks with their truth, and the tools."""
    runs = [run.recorded for run in data.runs]
    return {"runs": runs, "tasks": data.tasks, "tools": data.tools, "repeats": REPEATS}


def quality(data: Recorded, scores: Scores, answer: dict[str, Any]) -> Section:
    """AUC against success, and GoalProgress against what was done."""
    figures = []
    for name in (*WITH_TRUTH, *WITHOUT):
        ours = _auc(data, scores.get(name, [None] * len(data.runs)))
        form, theirs = max(
            ((form, _auc(data, row)) for form, row in answer["scores"][name].items()), key=lambda pair: pair[1].value
        )
        met = ours.value > theirs.value if name in WITH_TRUTH else None
        several = len({str(_auc(data, row)) for row in answer["scores"][name].values()}) > 1
        cells = (str(ours), str(theirs), form if several else "")
        figures.append(Figure(f"{name}: AUC", cells, "ours ahead" if name in WITH_TRUTH else "", met))
    figures += [_spearman(data, scores, answer), _along(data, answer)]
    return Section(
        "Side by side: quality",
        ("ours", f"ai-evaluation {answer['version']}", "its best form"),
        figures,
        "The same runs with the same truth. It is given everything that its own types take: steps with thoughts, calls, "
        "results and errors, description, required tools, criteria, expected trajectory, available tools; and as its "
        "result both the last words and, in canonical order, the successful writes; its better score counts. "
        "StepEfficiency and ReasoningQuality have no truth here: shown, not compared (planted faults below).",
    )


def planted(root: Path, data: Recorded, python: Path) -> Section:
    """Who can tell a planted fault from what only looks like one."""
    figures = []
    for name, what, plant in PLANTS:
        made = list(pairs([run.recorded for run in data.runs], data.tasks, plant))
        other = Recorded(root, made)
        answer = rivals.ask(python, {**given(other), "repeats": 0})
        scores = scores_of(other.runs).get(name, [None] * len(other.runs))
        ours = _told_apart(other, scores)
        theirs = max(_told_apart(other, row) for row in answer["scores"][name].values())
        answered = sum(score is not None for score in scores)
        cells = (f"{ours:.3f}", f"{theirs:.3f}", f"{len(made) // 2}", f"{answered} of {len(made)}")
        figures.append(Figure(f"{name}: {what}", cells, "ours ahead", ours > theirs))
    return Section(
        "Side by side: planted faults",
        ("ours", f"ai-evaluation {rivals.VERSION}", "pairs", "we answer"),
        figures,
        "Truth by construction where the recorded runs have none: each pair of runs differs in one planted thing, a fault "
        "or what looks like it and is right (tests/bench/evaluators/planted.py). "
        "Share of pairs in which the sound one scores higher; ties and pairs not answered count half.",
    )


def _told_apart(data: Recorded, row: Sequence[float | None]) -> float:
    """Share of pairs ordered rightly; a pair that is not answered whole counts half, like a tie."""
    by_pair: dict[str, dict[bool, float | None]] = {}
    for score, run in zip(row, data.runs, strict=True):
        by_pair.setdefault(run.id.rpartition("/")[0], {})[run.success] = score
    return sum(_rightly(scores[True], scores[False]) for scores in by_pair.values()) / len(by_pair)


def _rightly(sound: float | None, faulty: float | None) -> float:
    if sound is None or faulty is None or sound == faulty:
        return 0.5
    return float(sound > faulty)


def _auc(data: Recorded, row: Sequence[float | None]) -> Interval:
    return clustered_auc(*ranked(row, data.runs), SEED)


def _spearman(data: Recorded, scores: Scores, answer: dict[str, Any]) -> Figure:
    share = [data.share_done(run.recorded) for run in data.runs]

    def goes_with(row: Sequence[float | None]) -> float:
        pairs = [(a, b) for a, b in zip(row, share, strict=True) if a is not None and b is not None]
        return spearman([a for a, _ in pairs], [b for _, b in pairs])

    ours = goes_with(scores.get("GoalProgress", [None] * len(data.runs)))
    theirs = max(goes_with(row) for row in answer["scores"]["GoalProgress"].values())
    cells = (f"{ours:.3f}", f"{theirs:.3f}")
    return Figure("GoalProgress: Spearman with actions done", cells, "ours ahead", ours > theirs)


def _along(data: Recorded, answer: dict[str, Any]) -> Figure:
    """Whether progress is monotone while the run is open."""

    def falls(paths: Sequence[Sequence[float]]) -> int:
        return sum(b < a for path in paths for a, b in pairwise(path))

    paths = [while_open_scores(run.trajectory) for run in data.runs]
    ours, theirs = (f"{falls(p)} in {sum(map(len, p)):,} asks" for p in (paths, answer["progress"]))
    return Figure("GoalProgress: falls while open", (ours, theirs))


def speed(speeds: Speeds, answer: dict[str, Any]) -> Section:
    """Runs per CPU second, and how many times as fast."""
    figures = []
    sets = {"8": "the eight compared metrics", "7": "its seven agent metrics, ActionSafety with them"}
    for key, words in sets.items():
        for when, ours, target in (("once", speeds.once, AHEAD_ONCE), ("every", speeds.every, AHEAD_EVERY)):
            theirs = answer["speed"][key][when]
            ratio = theirs / ours
            cells = (f"{speeds.runs / ours:,.0f}", f"{speeds.runs / theirs:,.0f}", f"{ratio:.1f} x")
            asked = "asked once" if when == "once" else "asked after every turn"
            figures.append(
                Figure(f"{words}, {asked}", cells, f">= {target:g} x", bool(np.isfinite(ratio)) and ratio >= target)
            )
    return Section(
        "Side by side: runs per CPU second",
        ("ours, all evaluators", f"ai-evaluation {answer['version']}", "ratio"),
        figures,
        "Ours: all evaluators and result rows, parsing included. Its: compute_one on ready inputs, neither imports nor "
        f"conversion; ParameterValidation of each call once. Median of {REPEATS}; CPU time of the process.",
    )
