"""Builders for the outcome log: traces that pass or fail, ticks, and a log that a fold can be run over."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from schemas.alert import AlertEvent
from schemas.outcome import Outcome, OutcomeRecord, Tick, TraceOutcomes
from schemas.rules import parse_rules
from streams.core.alerting import Alerting, Emitted
from tests.builders import EPOCH_MS, TENANT

RULES = """
rules:
  - uid: tools
    match: {evaluator: ToolCallSuccess}
    condition: {fail_rate_above: 0.05}
    resolve: {hold: 1m}
"""


class Entry(NamedTuple):
    """One record of the log with its append time; its offset is its place."""

    record: OutcomeRecord | Tick
    append_ms: int


def outcome(failed: int = 0, attempts: int = 1, **fields: Any) -> Outcome:
    """What one step did; the first `failed` attempts fail, unless `first` and `last` say otherwise."""
    values: dict[str, Any] = {
        "step": "executor/update_crm",
        "step_kind": "tool_call",
        "evaluator": "ToolCallSuccess",
        "evaluator_version": "1",
        "agent": "executor",
        "tool": "update_crm",
        "attempts": attempts,
        "failed": failed,
        "first": "fail" if failed else "pass",
        "last": "fail" if failed >= attempts else "pass",
        "score": 1 - failed / attempts,
        "event_ms": EPOCH_MS,
        "span_id": "00000000000000aa",
        "reason_code": "tool_error" if failed else "",
    }
    return Outcome(**{**values, **fields})


def trace(n: int, *outcomes: Outcome, weight: float = 1.0) -> TraceOutcomes:
    """Trace n with these outcomes."""
    return TraceOutcomes(f"{n:032x}", EPOCH_MS, 5, "root_ended", 0, weight, "", outcomes or (outcome(),))


def record(*traces: TraceOutcomes, workflow: str = "refund", tenant: str = TENANT) -> OutcomeRecord:
    """Traces of one workflow."""
    return OutcomeRecord(tenant, workflow, traces)


def tick(seq: int = 1) -> Tick:
    """Time, and the rules of config `seq`."""
    return Tick(seq, 0.0)


def timeline(
    *phases: tuple[int, float], every_s: float = 2.0, tick_s: int = 10, first_trace: int = 1, **fields: Any
) -> list[Entry]:
    """A trace each `every_s` with ticks between: phases of (how many traces, share that fails), evenly spread."""
    entries, n, at_ms, next_tick_ms = [Entry(tick(), EPOCH_MS)], first_trace, EPOCH_MS, EPOCH_MS + tick_s * 1000
    for count, share in phases:
        for i in range(count):
            at_ms += int(every_s * 1000)
            while next_tick_ms <= at_ms:
                entries.append(Entry(tick(), next_tick_ms))
                next_tick_ms += tick_s * 1000
            failed = int((i + 1) * share) > int(i * share)
            entries.append(Entry(record(trace(n, outcome(int(failed), event_ms=at_ms - 500)), **fields), at_ms))
            n += 1
    return entries


def pauses(log: Sequence[Entry], minutes: int, tick_s: int = 10) -> list[Entry]:
    """The log, followed by so much silence with ticks."""
    last_ms = log[-1].append_ms
    return [*log, *(Entry(tick(), last_ms + s * 1000) for s in range(tick_s, minutes * 60 + 1, tick_s))]


def new_fold(rules: str = RULES) -> Alerting:
    """A fold that knows these rules as config 1."""
    alerting = Alerting(partition=3)
    alerting.learn(1, parse_rules(rules, "rules.yaml"))
    return alerting


def run(alerting: Alerting, log: Iterable[Entry], first_offset: int = 0) -> list[Emitted]:
    """All that a fold emits over a log."""
    return [
        emitted
        for offset, entry in enumerate(log, first_offset)
        for emitted in alerting.handle(entry.record, entry.append_ms, offset)
    ]


def alerts(emitted: Iterable[Emitted]) -> list[AlertEvent]:
    """Without heartbeats and what is forgotten."""
    return [event for event in emitted if isinstance(event, AlertEvent)]


def types(emitted: Iterable[Emitted]) -> list[str]:
    """The types of the alert events."""
    return [event.type for event in alerts(emitted)]
