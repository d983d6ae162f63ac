"""The alert fold: outcomes and ticks of one partition of the outcome log in, transitions of alerts out.

Pure: records, their append times and offsets are all it sees; the wall clock is never read. So a replay gives the same
events with the same ids, from the start of the log or from any checkpoint (`streams/core/checkpoint.py`).

Time is the log clock, the greatest append time so far. A bucket of ten seconds ends with the first record at or after
its end. Ticks drive what time alone brings: recovery after `hold`, refreshes, silence, expiry, heartbeats; and rules
change only there. Silence is measured by a second clock, which stands still while the pipeline lags or was away.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from schemas.alert import AlertEvent, Heartbeat, Reason
from schemas.outcome import AnyRecord, Outcome, OutcomeRecord, StepOutcome, StepRecord, Tick, TraceOutcomes
from schemas.rule import NO_RULES, Rule, RuleSet
from streams.core.board import Board
from streams.core.seen import SeenTraces
from streams.core.series import BUCKET_MS, SERIES_IDLE_MS, Series
from streams.core.telling import Cause

HEARTBEAT_MS = 60_000
LAG_S_MAX = 60.0  # scorers further behind do not show what agents do now: silence is not counted meanwhile
TICK_GAP_MS_MAX = 60_000  # and a longer gap between ticks is an outage of our own
FORGET_RESOLVED_MS = 24 * 3_600_000  # longer than a subscriber may be away: then the alert leaves the compacted state
FORGETTING_MAX = 10_000


class Forget(NamedTuple):
    """A resolved alert is old: its entry in the compacted state may go."""

    alert_key: str


Emitted = AlertEvent | Heartbeat | Forget


class Alerting:
    """The state of one partition. `rules_seq` is the config record that the rules are from; 0: nothing was applied."""

    def __init__(self, partition: int, rules: RuleSet = NO_RULES, rules_seq: int = 0) -> None:
        self.partition = partition
        self.rules_seq = rules_seq
        self.next_offset = 0
        self.clock_ms = 0
        self.ticked_ms = 0
        self.well_ms = 0  # how long the pipeline has been well, by ticks
        self.heartbeat_ms = 0
        self.repeated = 0  # traces that were counted before
        self.board = Board(rules)
        self.seen = SeenTraces()
        self.dirty: dict[str, Series] = {}  # series whose open bucket is not empty, by key
        self.bucket_end_ms = 0  # of those buckets: all of them began within the same ten seconds
        self.forgetting: dict[str, int] = {}  # resolved alerts and when, oldest first
        self._learnt: dict[int, RuleSet] = {}

    def learn(self, seq: int, rules: RuleSet) -> None:
        """Make the rules of a config record known; they come into force with the first tick that names them."""
        if seq > self.rules_seq:
            self._learnt[seq] = rules

    def lacks(self, record: AnyRecord) -> int | None:
        """The config record whose rules must be learnt before this record is handled, or None."""
        if isinstance(record, Tick) and record.rules_seq > self.rules_seq and record.rules_seq not in self._learnt:
            return record.rules_seq
        return None

    def remember(self, record: AnyRecord, append_ms: int, offset: int) -> None:
        """Rebuild the filter of seen traces from a record before the checkpoint; nothing else changes."""
        self.seen.advance(append_ms, offset)
        if isinstance(record, OutcomeRecord):
            for trace in record.traces:
                self.seen.add(record.tenant, trace.trace_id)
        elif isinstance(record, StepRecord):
            for step in record.steps:
                self.seen.add(record.tenant, _identity(step))

    def handle(self, record: AnyRecord, append_ms: int, offset: int) -> list[Emitted]:
        """Fold the next record; the transitions that follow from it, in order. Offsets must grow; gaps are allowed."""
        assert offset >= self.next_offset, (offset, self.next_offset)
        self.next_offset = offset + 1
        self.clock_ms = max(self.clock_ms, append_ms)
        self.seen.advance(append_ms, offset)
        if isinstance(record, Tick):
            self._feel(record)
        cause = Cause(self.partition, offset, self.clock_ms, self.well_ms)
        emitted = self._close_buckets(cause)
        if isinstance(record, Tick):
            emitted += self._tick(record, cause)
        elif isinstance(record, StepRecord):
            self._count_steps(record)
        else:
            self._count(record)
        return emitted

    def _feel(self, tick: Tick) -> None:
        gap_ms = min(self.clock_ms - self.ticked_ms, TICK_GAP_MS_MAX) if self.ticked_ms else 0
        self.ticked_ms = self.clock_ms
        if tick.scorer_lag_s <= LAG_S_MAX:
            self.well_ms += gap_ms

    def _close_buckets(self, cause: Cause) -> list[Emitted]:
        if self.clock_ms < self.bucket_end_ms:
            return []
        ended = [self.dirty[key] for key in sorted(self.dirty)]
        self.dirty, end_ms = {}, self.bucket_end_ms
        self.bucket_end_ms = (self.clock_ms // BUCKET_MS + 1) * BUCKET_MS
        return [told for s in ended for told in self._told(s.close_bucket(end_ms, self.board.live(s.group), cause))]

    def _told(self, events: Iterable[AlertEvent]) -> Iterable[AlertEvent]:
        """Mark what a silence covers; remember which alerts are over."""
        for event in events:
            self.forgetting.pop(event.alert_key, None)
            if event.type == "resolved":
                self.forgetting[event.alert_key] = self.clock_ms
            yield event._replace(silenced=self.board.is_silenced(event))

    def _count(self, record: OutcomeRecord) -> None:
        for trace in record.traces:
            if not self.seen.add(record.tenant, trace.trace_id):
                self.repeated += 1
            elif trace.weight > 0:
                self._count_trace(record, trace)

    def _count_trace(self, record: OutcomeRecord, trace: TraceOutcomes) -> None:
        counted: dict[Series, list[Outcome]] = {}
        for outcome in trace.outcomes:
            for series in self.board.series_of(record.tenant, record.workflow, outcome, self.clock_ms, self.well_ms):
                counted.setdefault(series, []).append(outcome)
        for series, outcomes in counted.items():
            series.add(trace.trace_id, outcomes, self.clock_ms)
            self.dirty[series.key] = series

    def _count_steps(self, record: StepRecord) -> None:
        """The first attempt of each step of a run, for the rules that do not wait for its end."""
        for step in record.steps:
            if not self.seen.add(record.tenant, _identity(step)):
                self.repeated += 1
            elif step.weight > 0:
                o = step.outcome
                for series in self.board.series_of(
                    record.tenant, record.workflow, o, self.clock_ms, self.well_ms, "step_scored"
                ):
                    series.add(step.trace_id, [o], self.clock_ms)
                    self.dirty[series.key] = series

    def _tick(self, tick: Tick, cause: Cause) -> list[Emitted]:
        emitted: list[Emitted] = []
        if tick.rules_seq > self.rules_seq:
            emitted += self._change_rules(tick.rules_seq, cause)
        for series in sorted(self.board.awake(), key=lambda s: s.key):
            emitted += self._told(series.pass_time(cause, is_idle=self._is_idle(series)))
        self.board.remove(lambda s: not s.is_open and self._is_idle(s))
        self.board.make_room(self.clock_ms)
        emitted += self._forget()
        if self.clock_ms - self.heartbeat_ms >= HEARTBEAT_MS:
            self.heartbeat_ms = self.clock_ms
            emitted.append(self._heartbeat(tick, cause))
        return emitted

    def firing(self) -> list[Series]:
        """The series with an alert, by key: the one order of events, whatever order series were made in."""
        return sorted((s for s in self.board.series.values() if s.episode), key=lambda s: s.key)

    def _is_idle(self, series: Series) -> bool:
        return series.key not in self.dirty and self.clock_ms - series.last_ms >= SERIES_IDLE_MS

    def _change_rules(self, seq: int, cause: Cause) -> Iterable[AlertEvent]:
        """Series of rules that are gone or judge otherwise now end; the others go on under the new texts."""
        rules = self._learnt[seq]
        self._learnt = {later: learnt for later, learnt in self._learnt.items() if later > seq}
        self.rules_seq = seq
        after = rules.by_uid()
        for series in self.firing():
            if reason := _end_reason(series, after):
                yield from self._told([series.resolve(reason, cause)])
        self.board.remove(lambda s: _end_reason(s, after) is not None)
        self.dirty = {key: s for key, s in self.dirty.items() if _end_reason(s, after) is None}
        for series in self.board.series.values():
            series.rule = after[series.rule.uid]
        self.board.take_over(rules)

    def _forget(self) -> Iterable[Forget]:
        """The entries that are old enough, and the oldest beyond the bound."""
        for key, resolved_ms in list(self.forgetting.items()):
            if self.clock_ms - resolved_ms < FORGET_RESOLVED_MS and len(self.forgetting) <= FORGETTING_MAX:
                return
            del self.forgetting[key]
            yield Forget(key)

    def _heartbeat(self, tick: Tick, cause: Cause) -> Heartbeat:
        return Heartbeat(
            partition=self.partition,
            offset=cause.offset,
            time_ms=self.clock_ms,
            series=len(self.board.series),
            firing=len(self.firing()),
            dropped=self.board.dropped.total(),
            rules_seq=self.rules_seq,
            scorer_lag_s=tick.scorer_lag_s,
            suppressed=sum(s.looks_silent(self.clock_ms) for s in self.board.series.values()),
        )


def _identity(step: StepOutcome) -> str:
    """A step of a run counts once under each evaluator, whichever attempt of it is heard of first."""
    return f"{step.trace_id}\x00{step.outcome.step}\x00{step.outcome.evaluator}"


def _end_reason(series: Series, after: Mapping[str, Rule]) -> Reason | None:
    rule = after.get(series.rule.uid)
    if rule is None:
        return "rule_deleted"
    return None if rule.detection(series.workflow) == series.rule.detection(series.workflow) else "rule_changed"
