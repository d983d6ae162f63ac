"""A timeline of a rule's test as an outcome log, folded by the real fold, and how its events differ from what is expected.

Pure and seedless: the same timeline gives the same log. Ticks come every ten seconds, as in a running alerter. The law:
a test that passes here would have published exactly these events on a running stack over this log.
"""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from schemas.alert import AlertEvent
from schemas.duration import duration_ms, spell_duration
from schemas.outcome import AnyRecord, Outcome, OutcomeRecord, Tick, TraceOutcomes, steps_of
from schemas.rule import RuleSet
from schemas.rule_tests import Expected, RuleTest, Series, phases
from streams.core.alerting import Alerting

EPOCH_MS = 1_760_000_000_000
TICK_MS = 10_000
_COMPARED = ("type", "reason", "tenant", "silenced")
_OF_LABELS = ("workflow", "step", "evaluator")


class Run(NamedTuple):
    """One run of one series, in milliseconds since the timeline began."""

    at_ms: int
    series: int
    failed: bool


def rehearse(rules: RuleSet, test: RuleTest) -> list[AlertEvent]:
    """The events of a timeline, without sayings-again of what lasts."""
    fold = Alerting(partition=0)
    fold.learn(1, rules)
    events: list[AlertEvent] = []
    for offset, (at_ms, record) in enumerate(_log(test)):
        emitted = fold.handle(record, EPOCH_MS + at_ms, offset)
        events += [e for e in emitted if isinstance(e, AlertEvent) and not is_repetition(e)]
    return events


def is_repetition(event: AlertEvent) -> bool:
    """Whether an event only says again what lasts."""
    return event.seq > 1 and event.reason in ("rate_above_line", "silent") and event.previous_status == event.status


def _log(test: RuleTest) -> Iterator[tuple[int, AnyRecord]]:
    runs, end_ms = _runs(test)
    tick_ms = 0
    for number, run in enumerate(runs):
        while tick_ms <= run.at_ms:
            yield tick_ms, _tick(test, tick_ms)
            tick_ms += TICK_MS
        record = _record(test.outcomes[run.series], run, number)
        yield run.at_ms, record
        yield run.at_ms, steps_of(record)
    for at_ms in range(tick_ms, max(end_ms, duration_ms(test.until)) + 1, TICK_MS):
        yield at_ms, _tick(test, at_ms)


def _runs(test: RuleTest) -> tuple[list[Run], int]:
    """All runs in order of time, and when the last phase ends."""
    found, end_ms = [], 0
    for index, series in enumerate(test.outcomes):
        every_ms, at_ms = duration_ms(series.every or test.every), 0
        for share, count in phases(series.runs):
            for i in range(count):
                at_ms += every_ms
                if share is not None:
                    found.append(Run(at_ms, index, int((i + 1) * share + 1e-9) > int(i * share + 1e-9)))
        end_ms = max(end_ms, at_ms)
    return sorted(found), end_ms


def _tick(test: RuleTest, at_ms: int) -> Tick:
    lag = test.lag
    behind = lag is not None and duration_ms(lag.from_) <= at_ms < duration_ms(lag.to)
    return Tick(1, lag.seconds if lag and behind else 0.0)


def _record(series: Series, run: Run, number: int) -> OutcomeRecord:
    verdict: Literal["pass", "fail"] = "fail" if run.failed else "pass"
    outcome = Outcome(
        step=series.step,
        step_kind=series.step_kind,
        evaluator=series.evaluator,
        evaluator_version="1",
        agent=series.agent,
        tool=series.tool,
        attempts=1,
        failed=int(run.failed),
        first=verdict,
        last=verdict,
        score=float(not run.failed),
        event_ms=EPOCH_MS + run.at_ms,
        span_id="",
        reason_code="",
    )
    trace = TraceOutcomes(f"{number + 1:032x}", EPOCH_MS + run.at_ms, 1, "root_ended", 1, 1.0, "", (outcome,))
    return OutcomeRecord(series.tenant, series.workflow, (trace,))


def differences(test: RuleTest, events: Sequence[AlertEvent]) -> list[str]:
    """A sentence for everything that is not as expected; none: the test passes."""
    found = []
    for place in range(max(len(test.events), len(events))):
        if place >= len(events):
            found.append(f"event {place + 1} never came: {_spell_expected(test.events[place])}")
        elif place >= len(test.events):
            found.append(f"event {place + 1} was not expected: {spell(events[place])}")
        elif wrong := list(_wrong(test.events[place], events[place])):
            found.append(f"event {place + 1}: {'; '.join(wrong)}; it was {spell(events[place])}")
    return found


def _wrong(expected: Expected, event: AlertEvent) -> Iterator[str]:
    labels = dict(event.labels)
    actual: dict[str, object] = {name: getattr(event, name) for name in _COMPARED}
    actual |= {name: labels.get(name, "") for name in _OF_LABELS}
    actual |= {"rule": event.rule.uid, "severity": event.rule.severity}
    for name, value in actual.items():
        wanted = getattr(expected, name)
        if wanted is not None and wanted != value:
            yield f"{name} is not {wanted}"
    first, last = (duration_ms(text) for text in expected.between)
    if not first <= event.time_ms - EPOCH_MS <= last:
        yield f"not between {expected.between[0]} and {expected.between[1]}"


def _spell_expected(expected: Expected) -> str:
    said = [f"{name} {value}" for name, value in expected.model_dump(exclude_unset=True).items() if name != "between"]
    return f"{', '.join(said)} between {expected.between[0]} and {expected.between[1]}"


def spell(event: AlertEvent) -> str:
    """One event in one line."""
    labels = dict(event.labels)
    where = " / ".join(labels[name] for name in _OF_LABELS if labels.get(name))
    at = spell_duration(event.time_ms - EPOCH_MS)
    return f"{event.type} ({event.reason}) {event.rule.severity} by {event.rule.uid} of {where} at {at}"
