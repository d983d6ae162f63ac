"""An alert that is open, and the event that tells what became of it. No decision is made here.

The law: an event is a function of the series, its episode and the record that caused it.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from schemas.alert import CONFIDENCE, AlertEvent, AlertType, Evidence, Reason, RuleInfo, Status
from schemas.rule import Rule
from streams.core.detector import interval
from streams.core.exemplars import Exemplars
from streams.core.gauge import Gauge
from streams.core.wording import annotate

EXPIRE_AFTER = 4  # times the rule's renotify: then nothing was heard for so long that the alert is considered gone


class Cause(NamedTuple):
    """The record that a transition follows from."""

    partition: int
    offset: int
    now_ms: int  # the log clock
    well_ms: int  # how long the pipeline has been well: the clock that silence is measured by


@dataclass(slots=True)
class Episode:
    """An alert that is open."""

    id_ms: int  # append time of the record that opened it
    seq: int
    starts_ms: int
    onset_n: int
    n: int
    fails: float
    said_ms: int  # when an event of it was last published
    line: int  # the highest line that fires, by number
    status: Literal["firing", "no_data"]


class Told(Protocol):
    """What is told of a series."""

    rule: Rule
    tenant: str
    workflow: str
    labels: tuple[tuple[str, str], ...]
    key: str
    gauge: Gauge
    exemplars: Exemplars
    step_kind: str
    evaluator_version: str


def tell(
    series: Told, episode: Episode, type_: AlertType, reason: Reason, previous: Status, cause: Cause
) -> AlertEvent:
    """The event of a transition."""
    rule = series.rule
    labels = {**dict(rule.labels), "step_kind": series.step_kind, **dict(series.labels)}
    event = AlertEvent(
        type=type_,
        alert_key=series.key,
        episode=episode.id_ms,
        seq=episode.seq,
        previous_status=previous,
        reason=reason,
        tenant=series.tenant,
        rule=_rule_info(series, episode.line),
        labels=tuple(sorted(labels.items())),
        annotations=(),
        starts_ms=episode.starts_ms,
        fired_ms=episode.id_ms,
        resolved_ms=cause.now_ms if type_ == "resolved" else None,
        expires_ms=cause.now_ms + EXPIRE_AFTER * rule.renotify_ms,
        time_ms=cause.now_ms,
        evidence=_evidence(series, episode, cause),
        exemplars=series.exemplars.since(episode.starts_ms),
        partition=cause.partition,
        offset=cause.offset,
    )
    return event._replace(annotations=annotate(event, rule, series.evaluator_version))


def _evidence(series: Told, episode: Episode, cause: Cause) -> Evidence:
    effect = series.rule.design_effect
    lo, hi = interval(episode.n / effect, episode.fails / effect, CONFIDENCE)
    return Evidence(
        n=episode.n,
        fails=episode.fails,
        lo=lo,
        hi=hi,
        since_ms=episode.starts_ms,
        until_ms=cause.now_ms,
        log_e=series.gauge.log_e(episode.line),
        onset_n=episode.onset_n,
    )


def _rule_info(series: Told, line: int) -> RuleInfo:
    rule, ladder, lines = series.rule, series.rule.ladder_of(series.workflow), series.gauge.lines
    return RuleInfo(
        uid=rule.uid,
        version=rule.version,
        name=rule.name,
        severity=ladder[line].severity if ladder else rule.severity,
        method=rule.method.method,
        threshold=lines[line] if lines else rule.threshold(series.workflow),
        false_alarm_budget=rule.false_alarm_budget,
        runbook_url=rule.runbook_url,
    )
