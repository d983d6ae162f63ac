"""Rules as values: which outcomes matter, where their lines are, when an alert is over. `schemas/rules.py` reads them.

Frozen, durations in milliseconds, defaults inherited: nothing here looks at text again. The law: a rule's identity is
its `uid`; all that decides about alerts is `Rule.detection`, and a change of that ends the alerts of the old one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from fnmatch import translate
from functools import lru_cache
from typing import Literal, NamedTuple

GroupLabel = Literal["workflow", "step", "evaluator", "step_kind", "agent", "tool"]
Counting = Literal[
    "last_attempt",  # 1 when the last attempt failed: what the customer got
    "first",  # 1 when the first attempt failed: what retries hide
    "mean",  # the share of failed attempts
    "any",  # 1 when any attempt failed
]
When = Literal[
    "decided",  # with all outcomes of a run, when it is over
    "step_scored",  # as soon as a step is judged: the first attempt of each step of a run, by span-local evaluators alone
]
Unit = Literal[
    "trace",  # a run counts once: retries within a run are not independent of each other
    "span",  # every attempt counts, and is worth one part in `design_effect` of an independent one
]
Severity = Literal["info", "warning", "error", "critical"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "error", "critical")  # from the least
Silent = Literal[
    "keep",  # nothing changes: an alert goes on
    "resolve",  # an alert ends
    "alert",  # an alert of its own, until outcomes come again
]


@lru_cache(maxsize=4_096)
def _pattern(glob: str) -> re.Pattern[str]:
    return re.compile(translate(glob))


def glob_fits(glob: str, value: str) -> bool:
    """Shell glob over the whole value; case counts."""
    return glob in ("*", value) or _pattern(glob).match(value) is not None


@dataclass(frozen=True, slots=True)
class Match:
    """Globs (`*`, `?`, `[a-z]`) that an outcome must fit, all of them."""

    tenant: str = "*"
    workflow: str = "*"
    step: str = "*"
    evaluator: str = "*"
    step_kind: str = "*"

    def fits(self, tenant: str, workflow: str, step: str, evaluator: str, step_kind: str) -> bool:
        """Whether an outcome with these labels is the rule's business."""
        return (
            glob_fits(self.tenant, tenant)
            and glob_fits(self.workflow, workflow)
            and glob_fits(self.step, step)
            and glob_fits(self.evaluator, evaluator)
            and glob_fits(self.step_kind, step_kind)
        )


class Rung(NamedTuple):
    """One line and how bad it is to be above it."""

    severity: Severity
    rate: float


Ladder = tuple[Rung, ...]  # from the lowest line


@dataclass(frozen=True, slots=True)
class EvidenceMethod:
    """Fire when the evidence that the rate is above the line would come up once in the time of the budget."""

    method: Literal["evidence"] = "evidence"


@dataclass(frozen=True, slots=True)
class WindowMethod:
    """Fire when the lower Wilson bound of the rate in a sliding window is above the line."""

    window_ms: int
    for_ms: int  # it must be so without interruption: until then the series is pending
    min_events: int
    confidence: float  # one-sided, of one look; repeated looks inflate it
    recover_below: float | None  # over when the window's rate is at or below this; None: the line
    method: Literal["window"] = "window"


@dataclass(frozen=True, slots=True)
class BaselineMethod:
    """Evidence against a line taken from the series' own past, frozen: `ratio` times an upper bound of its rate."""

    ratio: float
    floor: float  # the line is never below this
    reference_ms: int  # how much of the series' beginning is its past
    min_events: int  # and how much it must hold before it is frozen
    method: Literal["baseline"] = "baseline"


Method = EvidenceMethod | WindowMethod | BaselineMethod


@dataclass(frozen=True, slots=True)
class NoData:
    """What to do when a series has no outcome for so long, counted while the pipeline keeps up."""

    after_ms: int
    do: Silent


@dataclass(frozen=True, slots=True)
class Silence:
    """Events of what it matches are marked until its end; they are published all the same."""

    rule: str  # glob over the uid
    match: Match
    from_ms: int
    until_ms: int
    comment: str

    def holds(self, rule_uid: str, tenant: str, labels: Mapping[str, str], now_ms: int) -> bool:
        """Whether an event of this series is marked now. A label that a series is not grouped by is empty."""
        named = (labels.get(name, "") for name in ("workflow", "step", "evaluator", "step_kind"))
        return (
            self.from_ms <= now_ms < self.until_ms
            and glob_fits(self.rule, rule_uid)
            and self.match.fits(tenant, *named)
        )


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule."""

    uid: str
    version: int
    name: str
    match: Match
    group_by: tuple[GroupLabel, ...]
    unit: Unit
    design_effect: float  # 1 where the unit is the trace
    outcome: Counting
    when: When
    method: Method
    ladder: Ladder  # where no pattern of `thresholds` fits the workflow; empty: `baseline` finds its line
    thresholds: tuple[tuple[str, Ladder], ...]  # (workflow glob, whole ladder): exact names first, then in file order
    severity: Severity  # of the line that `baseline` finds
    false_alarm_budget: str  # as written
    budget_ms: float  # wanted mean time between false alarms, over all series of one workflow
    evidence_below: float
    hold_ms: int
    no_data: NoData
    renotify_ms: int
    max_series: int  # of one tenant and workflow
    labels: tuple[tuple[str, str], ...]
    annotations: tuple[tuple[str, str], ...]
    runbook_url: str

    def ladder_of(self, workflow: str) -> Ladder:
        """The lines of a series of this workflow."""
        for glob, ladder in self.thresholds:
            if glob_fits(glob, workflow):
                return ladder
        return self.ladder

    def threshold(self, workflow: str) -> float:
        """The lowest line of a series of this workflow, as far as it is known beforehand: else `baseline`'s floor."""
        ladder = self.ladder_of(workflow)
        if ladder:
            return ladder[0].rate
        assert isinstance(self.method, BaselineMethod), self.uid
        return self.method.floor

    def detection(self, workflow: str) -> tuple[object, ...]:
        """All that decides whether a series of this workflow fires or resolves."""
        lines = tuple(rung.rate for rung in self.ladder_of(workflow))
        return lines, *(getattr(self, f.name) for f in fields(self) if f.name not in _ELSEWHERE)


_LINES = {"ladder", "thresholds"}
_SHOWN = {"name", "severity", "labels", "annotations", "runbook_url", "false_alarm_budget"}
_SHOWN_ONLY = _SHOWN | {"max_series", "renotify_ms"}
_ELSEWHERE = _LINES | _SHOWN_ONLY


@dataclass(frozen=True, slots=True)
class RuleSet:
    """The rules of one text. A checkpoint carries the text: its detectors ran under it."""

    text: str = ""
    rules: tuple[Rule, ...] = ()
    silences: tuple[Silence, ...] = ()

    @property
    def tells_early(self) -> bool:
        """Whether a rule does not wait for the end of runs."""
        return any(rule.when == "step_scored" for rule in self.rules)

    def by_uid(self) -> Mapping[str, Rule]:
        """The rules by identity."""
        return {rule.uid: rule for rule in self.rules}


NO_RULES = RuleSet()
