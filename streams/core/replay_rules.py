"""Stored outcomes folded again, under the rules of today and under changed ones: what would have fired, side by side.

A rule with `when: step_scored` hears of a step when its run was decided, for nobody stores when it was scored.

Pure: outcomes and their log times in, episodes out. Rates are stored by their traces' decision time, so the fold runs over
a log in that order with a tick every ten seconds; what the pipeline's lag suppressed at the time is not known any more.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple, get_args

from schemas.alert import AlertEvent
from schemas.outcome import AnyRecord, OutcomeRecord, Tick, TraceOutcomes, steps_of
from schemas.rule import RuleSet, When
from streams.core.alerting import Alerting

TICK_MS = 10_000
TICKS_A_GAP_MAX = 6 * 60 * 26  # a longer silence than 26 hours changes nothing any more


class Stored(NamedTuple):
    """The outcomes of one trace, and the log time of its decision."""

    at_ms: int
    tenant: str
    workflow: str
    trace: TraceOutcomes


class Replayed(NamedTuple):
    """One alert of a replay. `resolved_ms` None: it still fires at the end."""

    alert_key: str
    rule_uid: str
    severity: str  # the highest it had
    series: str
    fired_ms: int
    resolved_ms: int | None
    reason: str  # why it opened, and why it closed
    n: int
    fails: float
    rate: float


class Replay(NamedTuple):
    """What a rule set makes of the outcomes."""

    alerts: tuple[Replayed, ...]
    traces: int
    series: Counter[str]  # live at the end, by rule
    dropped: int


def replay(rules: RuleSet, stored: Iterable[Stored], until_ms: int) -> Replay:
    """Fold stored outcomes, which come in order of time, and let time pass until the end."""
    fold = Alerting(partition=0)
    fold.learn(1, rules)
    open_: dict[str, Replayed] = {}
    done: list[Replayed] = []
    traces = 0
    for offset, (at_ms, record) in enumerate(_log(stored, until_ms, early=rules.tells_early)):
        traces += isinstance(record, OutcomeRecord)
        for event in fold.handle(record, at_ms, offset):
            if isinstance(event, AlertEvent):
                alert = _updated(open_.pop(event.alert_key, None), event)
                if event.type == "resolved":
                    done.append(alert)
                else:
                    open_[event.alert_key] = alert
    series = Counter(s.rule.uid for s in fold.board.series.values())
    alerts = tuple(sorted([*done, *open_.values()], key=lambda a: (a.fired_ms, a.alert_key)))
    return Replay(alerts, traces, series, fold.board.dropped.total())


def _log(stored: Iterable[Stored], until_ms: int, *, early: bool) -> Iterator[tuple[int, AnyRecord]]:
    tick_ms = 0
    for at_ms, tenant, workflow, trace in stored:
        tick_ms = tick_ms or at_ms
        for ticked_ms in _ticks(tick_ms, at_ms):
            yield ticked_ms, Tick(1, 0.0)
            tick_ms = ticked_ms + TICK_MS
        yield at_ms, (record := OutcomeRecord(tenant, workflow, (trace,)))
        if early:
            yield at_ms, steps_of(record)
    if tick_ms:
        yield from ((ticked_ms, Tick(1, 0.0)) for ticked_ms in _ticks(tick_ms, until_ms))


def _ticks(first_ms: int, last_ms: int) -> range:
    return range(first_ms, min(last_ms, first_ms + TICKS_A_GAP_MAX * TICK_MS) + 1, TICK_MS)


def _updated(before: Replayed | None, event: AlertEvent) -> Replayed:
    labels = dict(event.labels)
    named = [labels[name] for name in ("workflow", "step", "agent", "tool", "evaluator") if labels.get(name)]
    severity = event.rule.severity
    if before and event.reason in ("severity_lowered", "recovered", "rate_above_line"):
        severity = before.severity
    return Replayed(
        alert_key=event.alert_key,
        rule_uid=event.rule.uid,
        severity=severity,
        series=" / ".join(named),
        fired_ms=event.fired_ms,
        resolved_ms=event.resolved_ms,
        reason=f"{before.reason.split(',')[0]}, {event.reason}" if before else event.reason,
        n=event.evidence.n,
        fails=event.evidence.fails,
        rate=event.evidence.rate,
    )


class Beside(NamedTuple):
    """One alert under both rule sets, or under one alone."""

    today: Replayed | None
    changed: Replayed | None


def side_by_side(today: Replay, changed: Replay) -> list[Beside]:
    """Alerts of one series that overlap in time stand in one row; in order of time."""
    left = list(changed.alerts)
    rows = []
    for alert in today.alerts:
        match = next((other for other in left if _is_same(alert, other)), None)
        if match:
            left.remove(match)
        rows.append(Beside(alert, match))
    rows += [Beside(None, alert) for alert in left]
    return sorted(rows, key=lambda row: min(a.fired_ms for a in row if a))


def _is_same(one: Replayed, other: Replayed) -> bool:
    if one.alert_key != other.alert_key:
        return False
    ends = [a.resolved_ms if a.resolved_ms is not None else a.fired_ms + (1 << 60) for a in (one, other)]
    return one.fired_ms < ends[1] and other.fired_ms < ends[0]


class Volume(NamedTuple):
    """How much a rule saw of one series."""

    rule_uid: str
    workflow: str
    series: str
    runs: int
    per_minute: float
    fail_rate: float


def volumes(rules: RuleSet, stored: Iterable[Stored], span_ms: int) -> list[Volume]:
    """Runs a minute of every series that the rules would make of stored outcomes; the busiest first."""
    fold = Alerting(partition=0, rules=rules)
    runs: Counter[tuple[str, str, str]] = Counter()
    fails: Counter[tuple[str, str, str]] = Counter()
    for at_ms, tenant, workflow, trace in stored:
        counted = set()
        for outcome in trace.outcomes if trace.weight > 0 else ():
            found = (fold.board.series_of(tenant, workflow, outcome, at_ms, 0, when) for when in get_args(When))
            for series in chain.from_iterable(found):
                name = " / ".join(value for label, value in series.labels if label != "workflow")
                counted.add((series.rule.uid, workflow, name, outcome.last == "fail"))
        runs.update(dict.fromkeys({key[:3] for key in counted}, 1))
        fails.update(dict.fromkeys({key[:3] for key in counted if key[3]}, 1))
    minutes = max(1.0, span_ms / 60_000)
    return [Volume(*key, n, n / minutes, fails[key] / n) for key, n in runs.most_common()]
