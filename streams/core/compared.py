"""Stored rows as the runs that attribution compares: which of them belong to an alert's series, and what marks them. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import orjson

from schemas.alert import AlertEvent
from schemas.attribution import Mark, Run
from schemas.outcome import Outcome, TraceOutcomes
from schemas.result import TRAJECTORY_STEP
from schemas.rule import Rule
from streams.core.counting import failed_share

MARKS_MAX = 200  # of one run: a run that fails everywhere must not cost what a thousand do
ARGUMENTS_MAX = 20  # of one result
NAME_CHARS_MAX = 200
FAILED_FROM = 0.5  # of a run whose attempts count by share


class Wanted(NamedTuple):
    """Whose outcomes are compared, and how they count."""

    tenant: str
    workflow: str
    labels: Mapping[str, str]  # of the group: step, evaluator, step_kind, agent, tool
    rule: Rule | None  # None: it is gone, and all outcomes with these labels are taken

    @property
    def counting(self) -> str:
        """How the outcomes of one run are taken together."""
        if self.rule is None:
            return "last_attempt"
        return "any" if self.rule.unit == "span" else self.rule.outcome

    def takes(self, outcome: Outcome) -> bool:
        """Whether an outcome of the workflow belongs to the series."""
        if any(getattr(outcome, name) != value for name, value in self.labels.items()):
            return False
        return self.rule is None or self.rule.match.fits(
            self.tenant, self.workflow, outcome.step, outcome.evaluator, outcome.step_kind
        )


class StoredRun(NamedTuple):
    """A decided run as the store has it."""

    trace_id: str  # hex
    release: str
    config_seq: int
    outcomes: TraceOutcomes
    failures: Sequence[
        tuple[str, str, str, str, str]
    ]  # (step, agent, evaluator, reason_code, evidence) of failed results
    attributes: Sequence[
        tuple[str, str]
    ]  # (feature, value) that its spans tell: models, providers, services, agents, tools


def wanted_of(event: AlertEvent, rule: Rule | None) -> Wanted:
    """The series of an alert."""
    labels = dict(event.labels)
    # Without its rule nobody knows whether a step kind is a label of the group or only of its last outcome.
    names = (
        ("step", "evaluator", "agent", "tool")
        if rule is None
        else tuple(name for name in rule.group_by if name != "workflow")
    )
    return Wanted(
        event.tenant, labels.get("workflow", ""), {name: labels[name] for name in names if name in labels}, rule
    )


def run_of(stored: StoredRun, wanted: Wanted, onset_ms: int) -> Run | None:
    """The run as it is compared; None where it has no outcome in the series."""
    mine = [outcome for outcome in stored.outcomes.outcomes if wanted.takes(outcome)]
    if not mine:
        return None
    failed = failed_share(wanted.counting, mine) >= FAILED_FROM
    at_ms = max(outcome.event_ms for outcome in mine)
    versions = {outcome.evaluator_version for outcome in mine}
    told = [("release", stored.release), ("config", str(stored.config_seq)), *stored.attributes]
    told += [("evaluator_version", version) for version in sorted(versions)]
    marks = [Mark(feature, value) for feature, value in told if value]  # type: ignore[arg-type]
    marks += islice(_symptoms(stored.failures, {outcome.evaluator for outcome in mine}), MARKS_MAX)
    return Run(stored.trace_id, at_ms, at_ms >= onset_ms, failed, frozenset(map(_bounded, marks)))


def _symptoms(failures: Iterable[tuple[str, str, str, str, str]], own: set[str]) -> Iterable[Mark]:
    for step, agent, evaluator, code, evidence in failures:
        if step == TRAJECTORY_STEP and evaluator not in own:
            continue  # what is said of the whole run follows from its steps
        place = Mark("reason_code", code, agent, _tool(step, agent), evaluator, code)
        yield place
        for argument, fault in islice(_arguments(evidence, code), ARGUMENTS_MAX):
            yield place._replace(feature="argument", value=argument, reason_code=fault)


def _bounded(mark: Mark) -> Mark:
    """Names are a producer's: an event must stay small whatever they are."""
    if max(map(len, mark)) <= NAME_CHARS_MAX:
        return mark
    return Mark(mark.feature, *(text[:NAME_CHARS_MAX] for text in mark[1:]))


def _tool(step: str, agent: str) -> str:
    """The tool of a step label `agent/tool`; "" where the step is the agent's own."""
    if step == TRAJECTORY_STEP or "/" not in step:
        return ""
    return step.removeprefix(f"{agent or '-'}/")


def _arguments(evidence: str, code: str) -> Iterable[tuple[str, str]]:
    """(path, fault) of the arguments that a failure names."""
    told: Any = orjson.loads(evidence) if evidence else None
    if not isinstance(told, dict):
        return
    faults, paths = told.get("faults"), told.get("arguments")
    for fault in faults if isinstance(faults, list) else ():
        if isinstance(fault, dict) and isinstance(fault.get("argument"), str):
            yield fault["argument"], str(fault.get("code") or code)
    for path in paths if isinstance(paths, list) else ():
        if isinstance(path, str):
            yield path, code
