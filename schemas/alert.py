"""Alert events: what is said when a series changes its state. Their form on Kafka is `schemas.cloud_event`.

An event says that a series changed its state. The law: everything but `Pipeline` and `attribution` is a function of the
outcome log, so the same transition has the same id and body whenever it is published again. Ids and
codes only, never span content.
"""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

import orjson

from schemas.attribution import Attribution

AlertType = Literal[
    "firing",  # the series crossed its line: opens an episode
    "updated",  # still firing; sent again and again, so that a dead pipeline can be told from a lasting alert
    "no_data",  # the series has fallen silent: opens an episode of its own, or is said within the one that fires
    "resolved",  # over: exactly one closes each episode
]
Status = Literal["ok", "pending", "firing", "no_data", "resolved"]
Reason = Literal[
    "rate_above_line",  # firing, updated
    "severity_raised",  # updated: a higher line of the ladder is crossed too
    "severity_lowered",  # updated: the highest line that was crossed holds no more
    "silent",  # no_data: no outcome for as long as the rule waits, while the pipeline kept up
    "data_returned",  # updated, or resolved where the silence was all there was
    "recovered",  # resolved: the evidence is gone
    "no_data",  # resolved: the series fell silent and its rule ends alerts then
    "rule_changed",  # resolved: another version of the rule starts anew
    "rule_deleted",
    "series_expired",  # resolved: no outcome for a day
]
CONFIDENCE = 0.95  # of the interval in the evidence
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class RuleInfo(NamedTuple):
    """What a subscriber needs of the rule. `severity` and `threshold` are those of the highest line that is crossed."""

    uid: str
    version: int
    name: str
    severity: str
    method: str
    threshold: float
    false_alarm_budget: str
    runbook_url: str


class Evidence(NamedTuple):
    """What the event rests on: outcomes from `since_ms` (the estimated onset) to `until_ms`."""

    n: int
    fails: float  # fractional where attempts count by share
    lo: float  # a confidence sequence: true at all times at once
    hi: float
    since_ms: int
    until_ms: int
    log_e: float | None  # ln M: 0 is the alarm level; None where the method weighs no evidence
    onset_n: int  # outcomes between the onset and the alarm

    @property
    def rate(self) -> float:
        """The fail rate of the episode so far."""
        return self.fails / self.n if self.n else 0.0


class Exemplar(NamedTuple):
    """One failing trace. Ids only."""

    trace_id: str  # hex
    span_id: str  # hex; "" for the trajectory
    at_ms: int  # client time
    score: float
    reason_code: str


class AlertEvent(NamedTuple):
    """One transition of one series. `episode` is the append time of the record that opened it; `seq` counts within."""

    type: AlertType
    alert_key: str
    episode: int
    seq: int
    previous_status: Status
    reason: Reason
    tenant: str
    rule: RuleInfo
    labels: tuple[tuple[str, str], ...]  # group labels and the rule's own, sorted
    annotations: tuple[tuple[str, str], ...]
    starts_ms: int  # estimated onset
    fired_ms: int
    resolved_ms: int | None
    expires_ms: int  # nothing heard by then: consider the alert gone
    time_ms: int  # log time of the transition
    evidence: Evidence
    exemplars: tuple[Exemplar, ...]
    partition: int  # of the outcome log
    offset: int  # of the record that caused the transition
    silenced: bool = False  # a silence of the rules holds: whoever delivers keeps quiet
    attribution: Attribution | None = (
        None  # from the store, beside the fold: None where it was not asked or not there in time
    )

    @property
    def id(self) -> str:
        """Unique per transition, equal when it is published again."""
        return f"{self.alert_key}:{self.episode}:{self.seq}"

    @property
    def status(self) -> Status:
        """The series' state after the transition."""
        return "firing" if self.type == "updated" else self.type

    @property
    def source(self) -> str:
        """The CloudEvents source: tenant and rule."""
        return f"/stepwatch/{self.tenant}/rules/{self.rule.uid}"


class Heartbeat(NamedTuple):
    """The fold of one partition is alive, as of a moment of its log. Silence means: alerts cannot be trusted."""

    partition: int
    offset: int
    time_ms: int
    series: int
    firing: int
    dropped: int  # outcomes that no series had room for, since the partition began
    rules_seq: int
    scorer_lag_s: float
    suppressed: int = 0  # series that look silent and may not be said so, because the pipeline lags or was away

    @property
    def id(self) -> str:
        """Unique per heartbeat."""
        return f"heartbeat:{self.partition}:{self.time_ms}"


class Pipeline(NamedTuple):
    """How and when this copy of an event was made: excluded from any comparison."""

    emitted_ms: int
    version: str


def alert_key(tenant: str, rule_uid: str, labels: Iterable[tuple[str, str]]) -> str:
    """Identity of a series: stable over episodes, rule versions and restarts. Labels only; never values, never time."""
    canonical = orjson.dumps([tenant, rule_uid, sorted(labels)])
    return hashlib.sha256(canonical).hexdigest()[:32]


def spell_time(ms: int) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return (_EPOCH + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read_time(text: str) -> int:
    """The inverse of `spell_time`."""
    return (datetime.fromisoformat(text) - _EPOCH) // timedelta(milliseconds=1)
