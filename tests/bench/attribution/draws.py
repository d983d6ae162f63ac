"""Runs with an injected cause among distractors, as production shows them: many attributes, few runs, symptoms that were there
before, baselines that fail too."""

import random
from typing import Any, NamedTuple

from schemas.attribution import Mark, Run

ONSET_MS = 1_790_000_000_000
MODELS, SERVICES, RELEASES = ("m-small", "m-large", "m-old"), ("api", "worker"), ("4.1", "4.2")
CODES = ("missing_argument", "wrong_type", "swallowed", "error_status")


KINDS = ("argument", "reason", "release_rolling", "release_at_once", "model", "config", "nothing")


class Draw(NamedTuple):
    """One case."""

    runs: list[Run]
    injected: Mark | None  # what should be told first; None: nothing was injected


def is_alert(case: Draw) -> bool:
    """Whether the runs are such that an alert would fire: some failed, and clearly more than before."""
    since = [run.failed for run in case.runs if run.is_since]
    before = [run.failed for run in case.runs if not run.is_since]
    return sum(since) >= 5 and sum(since) / len(since) >= sum(before) / len(before) + 0.1


def draw(kind: str, seed: int) -> Draw:
    """A case of a kind: `argument`, `reason`, `release_rolling`, `release_at_once`, `model`, `config`, `nothing`."""
    rng = random.Random(f"{kind} {seed}")
    n_before, n_since = rng.choice((60, 300, 1500)), rng.choice((20, 60, 300, 1000))
    base = rng.choice((0.0, 0.005, 0.03, 0.1))
    shift = rng.choice((0.35, 0.6, 0.93))
    place = {"agent": "executor", "tool": rng.choice(("update_crm", "refund", "lookup"))}
    symptom = {
        "argument": Mark(
            "argument", "customer_id", **place, evaluator="ParameterValidation", reason_code="missing_argument"
        ),
        "reason": Mark("reason_code", "swallowed", **place, evaluator="ToolCallSuccess", reason_code="swallowed"),
    }
    bad_value = {
        "release_rolling": Mark("release", "4.3"),
        "release_at_once": Mark("release", "4.3"),
        "model": Mark("model", "m-old"),
        "config": Mark("config", "7"),
    }.get(kind)
    shares = [rng.random() * 0.6 + 0.2 for _ in range(4)]
    rolling = rng.uniform(0.25, 0.75)
    runs = []
    for n in range(n_before + n_since):
        since = n >= n_before
        at_ms = ONSET_MS + (n - n_before) * 1_000
        marks = {
            Mark("service", "api"),
            Mark("evaluator_version", "1"),
            Mark("model", MODELS[0] if rng.random() < shares[0] else MODELS[1] if rng.random() < 0.7 else MODELS[2]),
            Mark("release", RELEASES[rng.random() < shares[1]]),
            Mark("provider", "p1"),
            Mark("agent", "planner"),
            Mark("tool", "search") if rng.random() < shares[2] else Mark("tool", "browse"),
        }
        has = since
        if kind == "release_rolling" and since:
            has = rng.random() < rolling
        if kind == "model":
            has = Mark("model", "m-old") in marks
        if bad_value is not None and since and has and kind != "model":
            marks = {m for m in marks if m.feature != bad_value.feature} | {bad_value}
        if kind == "config":
            marks |= {Mark("config", "7" if since else "6")}
        rate = base + (shift if since and has else 0.0)
        failed = rng.random() < min(rate, 0.98)
        if failed:
            marks |= _said(kind, symptom, place, rng, injected=since and has and rng.random() > base)
        runs.append(Run(f"{seed:08x}{n:024x}", at_ms, since, failed, frozenset(marks)))
    expected: Any = bad_value or symptom.get(kind)
    return Draw(_as_seen(runs), expected)


def _as_seen(runs: list[Run]) -> list[Run]:
    """With the onset that a detector sees: the first run that failed after the change. Those before it passed by chance."""
    onset_ms = min((run.at_ms for run in runs if run.is_since and run.failed), default=ONSET_MS)
    return [run._replace(is_since=run.at_ms >= onset_ms) for run in runs]


def _said(
    kind: str, symptom: dict[str, Mark], place: dict[str, str], rng: random.Random, *, injected: bool
) -> set[Mark]:
    """What a failing run shows."""
    mark = symptom.get(kind) if injected else None
    if mark is None:
        code = rng.choice(CODES)
        mark = Mark("reason_code", code, **place, evaluator="ToolCallSuccess", reason_code=code)
    said = {mark}
    if mark.feature == "argument":
        said.add(mark._replace(feature="reason_code", value=mark.reason_code))
    return said
