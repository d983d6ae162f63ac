"""One series: its gauge, its open bucket, and its life `ok -> pending -> firing -> resolved (-> ok)`, or through `no_data`.

A series is changed by `add` (an outcome into the open bucket), `close_bucket`, `pass_time` and `resolve`; nothing else.
It decides nothing about time: the fold says when a bucket is over, what time it is, and how long the pipeline was well.
The law: exactly one `resolved` per episode, whatever opened it.
"""

from dataclasses import dataclass, field
from typing import Literal

from schemas.alert import AlertEvent, AlertType, Exemplar, Reason, Status, alert_key
from schemas.outcome import Outcome
from schemas.rule import Rule, WindowMethod
from streams.core.counting import worth
from streams.core.detector import weight
from streams.core.exemplars import Exemplars
from streams.core.gauge import Bucketed, Gauge, Onset, gauge_of
from streams.core.rungs import Rungs
from streams.core.telling import Cause, Episode, tell

BUCKET_MS = 10_000
SERIES_IDLE_MS = 24 * 3_600_000
CLIENT_CLOCK_MS_MAX = 86_400_000  # a client time further from the log's is not believed


@dataclass(slots=True)
class Bucket:
    """What the open ten seconds have brought."""

    n: int = 0
    fails: float = 0.0
    began_ms: int = 0  # client time of its first failed outcome


@dataclass(slots=True, eq=False)
class Series:
    """One (tenant, rule, group labels)."""

    rule: Rule
    tenant: str
    workflow: str
    labels: tuple[tuple[str, str], ...]  # of the group, sorted
    last_ms: int  # end of the last bucket that was not empty, or the start of the first
    heard_ms: int = 0  # the same moment on the clock of the pipeline's well-being
    key: str = ""
    gauge: Gauge = field(init=False)
    rungs: Rungs = field(init=False)
    exemplars: Exemplars = field(default_factory=Exemplars)
    bucket: Bucket = field(default_factory=Bucket)
    episode: Episode | None = None
    step_kind: str = ""
    evaluator_version: str = ""

    def __post_init__(self) -> None:
        self.key = alert_key(self.tenant, self.rule.uid, self.labels)
        self.gauge = gauge_of(self.rule, self.workflow)
        self.rungs = Rungs(max(1, len(self.rule.ladder_of(self.workflow))))

    @property
    def group(self) -> tuple[str, str, str]:
        """Whom the false-alarm budget and `max_series` are shared with."""
        return self.rule.uid, self.tenant, self.workflow

    @property
    def is_open(self) -> bool:
        """Whether it has an alert, or is about to: such a series is kept whatever comes."""
        return self.episode is not None or self.rungs.is_pending

    def add(self, trace_id: str, outcomes: list[Outcome], now_ms: int) -> None:
        """Count one trace: all of its outcomes that belong to this series, by the rule's unit."""
        n, fails = worth(self.rule, outcomes)
        self.bucket.n += n
        shown = next((o for o in reversed(outcomes) if o.failed), outcomes[-1])
        self.step_kind, self.evaluator_version = shown.step_kind, shown.evaluator_version
        if fails > 0:
            at_ms = _believed(shown.event_ms, now_ms)
            self.bucket.began_ms = min(self.bucket.began_ms, at_ms) if self.bucket.fails else at_ms
            self.bucket.fails += fails
            self.exemplars.add(Exemplar(trace_id, shown.span_id, at_ms, shown.score, shown.reason_code), now_ms)

    def close_bucket(self, end_ms: int, live: int, cause: Cause) -> list[AlertEvent]:
        """Fold the open bucket, which ended at `end_ms`, into the gauge; what follows from it.

        `live` series share the rule's budget, and so do the lines of a ladder.
        """
        bucket, mean_time_ms = self.bucket, self.rule.budget_ms * live * len(self.rungs.rungs)
        if not bucket.n:
            return []
        w = weight(end_ms - self.last_ms, mean_time_ms)
        self.bucket, self.last_ms, self.heard_ms = Bucket(), end_ms, cause.well_ms
        events = self._end_silence(cause)
        if self.episode:
            self.episode.n += bucket.n
            self.episode.fails += bucket.fails
        effect = self.rule.design_effect
        bucketed = Bucketed(bucket.n / effect, bucket.fails / effect, bucket.began_ms, end_ms, w)
        begun = self.rungs.hear(self.gauge.fold(bucketed, self.rungs.held()), end_ms, self._for_ms)
        if self.episode is None and not begun and self.gauge.quiet:
            self.exemplars = Exemplars()
        return events + self._begin(begun, cause)

    @property
    def _for_ms(self) -> int:
        return self.rule.method.for_ms if isinstance(self.rule.method, WindowMethod) else 0

    def pass_time(self, cause: Cause, *, is_idle: bool) -> list[AlertEvent]:
        """What time alone brings: silence, recovery, expiry, and saying again what lasts. Called at ticks."""
        events = self._fall_silent(cause) if self._is_silent(cause) else []
        if self.is_open:
            begun = self.rungs.hear(self.gauge.look(cause.now_ms, self.rungs.held()), cause.now_ms, self._for_ms)
            events += self._begin(begun, cause)
        if self.episode is None:
            return events
        return events + self._go_on(self.episode, cause, is_idle=is_idle)

    def _go_on(self, episode: Episode, cause: Cause, *, is_idle: bool) -> list[AlertEvent]:
        ended = self.rungs.let_go(cause.now_ms, self.rule.hold_ms)
        for line in ended:
            self.gauge.end(line)
        if ended and self.rungs.top is None:
            return [self.resolve("recovered", cause)]
        if is_idle:
            return [self.resolve("series_expired", cause)]
        top = self.rungs.top
        if top is not None and top < episode.line:
            episode.line = top
            return [self._say("updated", "severity_lowered", cause)]
        if cause.now_ms - episode.said_ms < self.rule.renotify_ms:
            return []
        if episode.status == "no_data":
            return [self._say("no_data", "silent", cause)]
        return [self._say("updated", "rate_above_line", cause)]

    def _begin(self, begun: list[int], cause: Cause) -> list[AlertEvent]:
        """Lines that begin to fire: an alert, or one that is worse than before, or nothing new."""
        events = self._say_begun(begun[-1], cause) if begun else []
        for line in begun:  # after the event, which tells the evidence that it fires with
            self.gauge.begin(line)
        return events

    def _say_begun(self, line: int, cause: Cause) -> list[AlertEvent]:
        if self.episode is None:
            self._open(self.gauge.onset(), line, "firing", cause)
            return [self._say("firing", "rate_above_line", cause, previous="pending" if self._for_ms else "ok")]
        if line <= self.episode.line:
            return []
        self.episode.line = line
        return [self._say("updated", "severity_raised", cause)]

    def _open(self, onset: Onset, line: int, status: Literal["firing", "no_data"], cause: Cause) -> None:
        assert self.episode is None, self.key
        effect = self.rule.design_effect
        n, fails, starts_ms = round(onset.n * effect), onset.fails * effect, min(onset.ms, cause.now_ms)
        self.episode = Episode(cause.now_ms, 0, starts_ms, n, n, fails, cause.now_ms, line, status)

    def _is_silent(self, cause: Cause) -> bool:
        policy = self.rule.no_data
        return policy.do != "keep" and not self.bucket.n and cause.well_ms - self.heard_ms >= policy.after_ms

    def looks_silent(self, now_ms: int) -> bool:
        """Whether it would be called silent if the pipeline had been well all the time."""
        policy = self.rule.no_data
        said = self.episode is not None and self.episode.status == "no_data"
        return policy.do != "keep" and not self.bucket.n and not said and now_ms - self.last_ms >= policy.after_ms

    def _fall_silent(self, cause: Cause) -> list[AlertEvent]:
        episode = self.episode
        if self.rule.no_data.do == "resolve":
            return [self.resolve("no_data", cause)] if episode else []
        if episode is None:
            self.rungs.clear()
            self._open(Onset(self.last_ms, 0, 0), 0, "no_data", cause)
            return [self._say("no_data", "silent", cause)]
        if episode.status == "no_data":
            return []
        episode.status = "no_data"
        return [self._say("no_data", "silent", cause, previous="firing")]

    def _end_silence(self, cause: Cause) -> list[AlertEvent]:
        episode = self.episode
        if episode is None or episode.status != "no_data":
            return []
        if self.rungs.top is None:
            return [self.resolve("data_returned", cause)]
        episode.status = "firing"
        return [self._say("updated", "data_returned", cause, previous="no_data")]

    def resolve(self, reason: Reason, cause: Cause) -> AlertEvent:
        """Close the episode; lines that fired start anew."""
        event = self._say("resolved", reason, cause)
        self.episode = None
        for line in self.rungs.clear():
            self.gauge.end(line)
        self.exemplars = Exemplars()
        return event

    def _say(self, type_: AlertType, reason: Reason, cause: Cause, previous: Status | None = None) -> AlertEvent:
        episode = self.episode
        assert episode is not None, self.key
        episode.seq += 1
        episode.said_ms = cause.now_ms
        return tell(self, episode, type_, reason, previous or episode.status, cause)


def _believed(event_ms: int, now_ms: int) -> int:
    return event_ms if now_ms - CLIENT_CLOCK_MS_MAX <= event_ms <= now_ms else now_ms
