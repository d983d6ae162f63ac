"""Rules as values: which outcomes matter, where their line is, when an alert is over. `schemas/rules.py` reads them.

Frozen, durations in milliseconds, defaults inherited: nothing here looks at text again. The law: a rule's identity is
its `uid`; all that decides about alerts is `Rule.detection`, and a change of that ends the alerts of the old one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from fnmatch import translate
from functools import lru_cache
from typing import Literal

GroupLabel = Literal["workflow", "step", "evaluator", "step_kind", "agent", "tool"]
Counting = Literal[
    "last_attempt",  # 1 when the last attempt failed: what the customer got
    "first",  # 1 when the first attempt failed: what retries hide
    "mean",  # the share of failed attempts
    "any",  # 1 when any attempt failed
]
Severity = Literal["info", "warning", "error", "critical"]


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


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule."""

    uid: str
    version: int
    name: str
    match: Match
    group_by: tuple[GroupLabel, ...]
    outcome: Counting
    fail_rate_above: float  # where no pattern of `thresholds` fits the workflow
    thresholds: tuple[tuple[str, float], ...]  # (workflow glob, fail rate): exact names first, then in file order
    false_alarm_budget: str  # as written
    budget_ms: float  # wanted mean time between false alarms, over all series of one workflow
    evidence_below: float
    hold_ms: int
    max_series: int  # of one tenant and workflow
    severity: Severity
    labels: tuple[tuple[str, str], ...]
    annotations: tuple[tuple[str, str], ...]
    runbook_url: str

    def threshold(self, workflow: str) -> float:
        """The fail rate above which a series of this workflow is in breach."""
        for glob, rate in self.thresholds:
            if glob_fits(glob, workflow):
                return rate
        return self.fail_rate_above

    def detection(self, workflow: str) -> tuple[object, ...]:
        """All that decides whether a series of this workflow fires or resolves."""
        return self.threshold(workflow), *(getattr(self, f.name) for f in fields(self) if f.name not in _ELSEWHERE)


_LINES = {"fail_rate_above", "thresholds"}
_SHOWN_ONLY = {"name", "severity", "labels", "annotations", "runbook_url", "false_alarm_budget", "max_series"}
_ELSEWHERE = _LINES | _SHOWN_ONLY


@dataclass(frozen=True, slots=True)
class RuleSet:
    """The rules of one text. A checkpoint carries the text: its detectors ran under it."""

    text: str = ""
    rules: tuple[Rule, ...] = ()

    def by_uid(self) -> Mapping[str, Rule]:
        """The rules by identity."""
        return {rule.uid: rule for rule in self.rules}


NO_RULES = RuleSet()
