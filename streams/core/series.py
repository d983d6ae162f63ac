"""One series: its detector, its open bucket, and its life `ok -> firing -> resolved (-> ok)`.

A series is changed by `add` (an outcome into the open bucket), `close_bucket`, and its three transitions; nothing else.
It decides nothing about time: the fold says when a bucket is over. The law: exactly one `resolve` per `fire`.
"""

from dataclasses import dataclass, field
from math import log
from typing import NamedTuple

from schemas.alert import CONFIDENCE, AlertEvent, AlertType, Evidence, Exemplar, Reason, RuleInfo, alert_key
from schemas.outcome import Outcome
from schemas.rule import Rule
from streams.core.detector import Detector, interval, weight
from streams.core.exemplars import Exemplars
from streams.core.wording import annotate

BUCKET_MS = 10_000
REFRESH_MS = 15 * 60_000
EXPIRE_MS = 4 * REFRESH_MS
_LOG_E_MAX = 700.0  # JSON has no infinity
CLIENT_CLOCK_MS_MAX = 86_400_000  # a client time further from the log's is not believed


class Cause(NamedTuple):
    """The record that a transition follows from."""

    partition: int
    offset: int
    now_ms: int  # the log clock


@dataclass(slots=True)
class Bucket:
    """What the open ten seconds have brought."""

    n: int = 0
    fails: float = 0.0
    began_ms: int = 0  # client time of its first failed outcome


@dataclass(slots=True)
class Episode:
    """An alert that is firing."""

    id_ms: int  # append time of the record that opened it
    seq: int
    starts_ms: int
    onset_n: int
    n: int
    fails: float
    refreshed_ms: int
    log_e: float
    calm_since_ms: int | None = None  # evidence below the rule's line without interruption since then


@dataclass(slots=True, eq=False)
class Series:
    """One (tenant, rule, group labels)."""

    rule: Rule
    tenant: str
    workflow: str
    labels: tuple[tuple[str, str], ...]  # of the group, sorted
    last_ms: int  # end of the last bucket that was not empty, or the start of the first
    key: str = ""
    detector: Detector = field(init=False)
    exemplars: Exemplars = field(default_factory=Exemplars)
    bucket: Bucket = field(default_factory=Bucket)
    episode: Episode | None = None
    step_kind: str = ""
    evaluator_version: str = ""

    def __post_init__(self) -> None:
        self.key = alert_key(self.tenant, self.rule.uid, self.labels)
        self.detector = Detector(self.rule.threshold(self.workflow))

    @property
    def group(self) -> tuple[str, str, str]:
        """Whom the false-alarm budget and `max_series` are shared with."""
        return self.rule.uid, self.tenant, self.workflow

    def add(self, trace_id: str, outcomes: list[Outcome], now_ms: int) -> None:
        """Count one trace: all of its outcomes that belong to this series are one outcome of the statistics."""
        x = failed_share(self.rule.outcome, outcomes)
        self.bucket.n += 1
        shown = next((o for o in reversed(outcomes) if o.failed), outcomes[-1])
        self.step_kind, self.evaluator_version = shown.step_kind, shown.evaluator_version
        if x > 0:
            at_ms = _believed(shown.event_ms, now_ms)
            self.bucket.began_ms = min(self.bucket.began_ms, at_ms) if self.bucket.fails else at_ms
            self.bucket.fails += x
            self.exemplars.add(Exemplar(trace_id, shown.span_id, at_ms, shown.score, shown.reason_code), now_ms)

    def close_bucket(self, end_ms: int, live: int) -> bool:
        """Fold the open bucket, which ended at `end_ms`, into the detector; whether the alert must fire.

        `live` series share the rule's budget.
        """
        n, fails, began_ms = self.bucket.n, self.bucket.fails, self.bucket.began_ms
        w = weight(end_ms - self.last_ms, self.rule.budget_ms * live)
        self.bucket, self.last_ms = Bucket(), end_ms
        if self.episode is None:
            m = self.detector.update(n, fails, w, began_ms)
            if self.detector.quiet:
                self.exemplars = Exemplars()
            return m >= 1
        m = self.detector.update_firing(n, fails, w, began_ms, self.rule.evidence_below)
        self._go_on(self.episode, n, fails, m, end_ms)
        return False

    def _go_on(self, episode: Episode, n: int, fails: float, m: float, end_ms: int) -> None:
        episode.n += n
        episode.fails += fails
        episode.log_e = log(m) if m > 0 else -_LOG_E_MAX
        if m > self.rule.evidence_below:
            episode.calm_since_ms = None
        elif episode.calm_since_ms is None:
            episode.calm_since_ms = end_ms

    def fire(self, cause: Cause) -> AlertEvent:
        """Open an episode."""
        assert self.episode is None, self.key
        starts_ms, n, fails = self.detector.onset()
        starts_ms = min(starts_ms, cause.now_ms)
        log_e = min(log(self.detector.evidence), _LOG_E_MAX)
        self.episode = Episode(cause.now_ms, 1, starts_ms, n, n, fails, cause.now_ms, log_e)
        self.detector.cap()
        return self._event("firing", "rate_above_line", cause)

    def refresh(self, cause: Cause) -> AlertEvent:
        """Say that it still fires."""
        episode = self._next_seq()
        episode.refreshed_ms = cause.now_ms
        return self._event("updated", "rate_above_line", cause)

    def resolve(self, reason: Reason, cause: Cause) -> AlertEvent:
        """Close the episode; the detector starts anew."""
        self._next_seq()
        event = self._event("resolved", reason, cause)
        self.episode = None
        self.detector.reset()
        self.exemplars = Exemplars()
        return event

    def _next_seq(self) -> Episode:
        assert self.episode is not None, self.key
        self.episode.seq += 1
        return self.episode

    def has_recovered(self, now_ms: int) -> bool:
        """Whether the evidence has been gone for as long as the rule wants."""
        calm = self.episode.calm_since_ms if self.episode else None
        return calm is not None and now_ms - calm >= self.rule.hold_ms

    def _event(self, type_: AlertType, reason: Reason, cause: Cause) -> AlertEvent:
        episode = self.episode
        assert episode is not None, self.key
        lo, hi = interval(episode.n, episode.fails, CONFIDENCE)
        resolved = type_ == "resolved"
        event = AlertEvent(
            type=type_,
            alert_key=self.key,
            episode=episode.id_ms,
            seq=episode.seq,
            previous_status="ok" if type_ == "firing" else "firing",
            reason=reason,
            tenant=self.tenant,
            rule=rule_info(self.rule, self.workflow),
            labels=tuple(sorted({**dict(self.rule.labels), "step_kind": self.step_kind, **dict(self.labels)}.items())),
            annotations=(),
            starts_ms=episode.starts_ms,
            fired_ms=episode.id_ms,
            resolved_ms=cause.now_ms if resolved else None,
            expires_ms=cause.now_ms + EXPIRE_MS,
            time_ms=cause.now_ms,
            evidence=Evidence(
                n=episode.n,
                fails=episode.fails,
                lo=lo,
                hi=hi,
                since_ms=episode.starts_ms,
                until_ms=cause.now_ms,
                log_e=episode.log_e,
                onset_n=episode.onset_n,
            ),
            exemplars=self.exemplars.since(episode.starts_ms),
            partition=cause.partition,
            offset=cause.offset,
        )
        return event._replace(annotations=annotate(event, self.rule, self.evaluator_version))


def failed_share(counting: str, outcomes: list[Outcome]) -> float:
    """X of one trace in one series, in [0, 1], by the rule's way of counting; the mean over several steps."""
    if counting == "any":
        return float(any(o.failed for o in outcomes))
    return sum(_failed(counting, o) for o in outcomes) / len(outcomes)


def _failed(counting: str, outcome: Outcome) -> float:
    if counting == "mean":
        return outcome.failed / outcome.attempts if outcome.attempts else 0.0
    return float((outcome.first if counting == "first" else outcome.last) == "fail")


def _believed(event_ms: int, now_ms: int) -> int:
    return event_ms if now_ms - CLIENT_CLOCK_MS_MAX <= event_ms <= now_ms else now_ms


def rule_info(rule: Rule, workflow: str) -> RuleInfo:
    """The rule as an event carries it."""
    return RuleInfo(
        uid=rule.uid,
        version=rule.version,
        name=rule.name,
        severity=rule.severity,
        method="evidence",
        threshold=rule.threshold(workflow),
        false_alarm_budget=rule.false_alarm_budget,
        runbook_url=rule.runbook_url,
    )
