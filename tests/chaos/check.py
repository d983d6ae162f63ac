"""What must hold when all is quiet: nothing missing, nothing twice, rows as the batch says, and dead letters only for garbage."""

import asyncio
from collections import Counter
from typing import Any, NamedTuple

from schemas.otlp import InvalidOtlp
from schemas.signal import signal_of
from schemas.topic_record import split_parts
from streams.core.alerting import Alerting
from streams.local.stack import LocalStack
from streams.settings import Settings
from tests.chaos.traffic import Slice
from tests.integration.pipeline import (
    DONE,
    LEDGER,
    PUBLISHED,
    difference,
    query,
    records_of,
    rows_of,
    run,
    until,
)
from tests.integration.test_kills import become, folds_of, has_folded_all, outcomes_of

QUIET_S_MAX = 240.0
# Windows of a day remember how many runs they counted: one series a workflow, every evaluator. The other rule is there to fire.
COUNTED = "runs"
RULES = f"""
rules:
  - uid: {COUNTED}
    group_by: [workflow]
    condition: {{method: window, window: 24h, fail_rate_above: 0.99}}
  - uid: fires
    group_by: [workflow, step, evaluator]
    condition: {{method: window, window: 1m, fail_rate_above: 0.02, min_events: 3}}
    resolve: {{hold: 10s}}
"""
LOGS_LEDGER = (
    "SELECT sum(log_records), sum(logs_stored + logs_duplicate + logs_ignored + logs_dead_lettered) FROM v1_ledger"
)


class InLog(NamedTuple):
    """What lies on the spans topic, each as often as it was sent; of garbage each record."""

    spans: int
    logs: int
    garbage: frozenset[tuple[int, int]]


async def in_log(settings: Settings) -> InLog:
    """Read the whole topic."""
    spans = logs = 0
    garbage = set()
    for record in await records_of(settings, settings.spans_topic):
        try:
            parts = split_parts(record.value, signal_of(record.headers))
        except InvalidOtlp:
            garbage.add((record.partition, record.offset))
        else:
            spans, logs = spans + len(parts.spans), logs + len(parts.logs)
    return InLog(spans, logs, frozenset(garbage))


async def check(stack: LocalStack, sent: list[Slice], oracle: list[tuple[Any, ...]], *, anew: bool = False) -> InLog:
    """All of it. Raises AssertionError, or pytest's Failed. `anew`: the topic is, and does not hold all that ever was sent; the
    senders' side of the ledger then stays open, as docs/operations.md says."""
    there = await in_log(stack.settings)
    runs, spans, logs = (sum(getattr(part, name) for part in sent) for name in ("runs", "spans", "logs"))
    everything, dead = there.spans + len(there.garbage), len(there.garbage)
    await until(stack, DONE, [runs, runs, spans + logs], QUIET_S_MAX)
    await until(stack, PUBLISHED, [runs], QUIET_S_MAX)
    await until(stack, LEDGER, [everything, everything, dead, 0], QUIET_S_MAX)
    await until(stack, LOGS_LEDGER, [there.logs, there.logs], QUIET_S_MAX)
    await until(stack, "SELECT count(), uniqExact(trace_id, span_id) FROM v1_spans", [spans, spans])
    await until(stack, "SELECT count(), uniqExact(trace_id, span_id) FROM v1_log_records", [logs, logs])
    odd = difference(rows_of(stack), oracle)
    assert not odd, f"rows and how many more the store has of them than the oracle: {odd}"
    await _check_outcomes(stack, runs)
    await _check_alerts(stack)
    if not anew:
        await _check_dead_letters(stack, there.garbage)
        await run(stack, "ledger")
    return there


async def _check_outcomes(stack: LocalStack, runs: int) -> None:
    copies = await outcomes_of(stack.settings)
    assert len(copies) == runs, f"runs on the outcome log, and {runs} were sent"
    assert {len(set(of_run)) for of_run in copies.values()} == {1}, "published again, it is the same"
    await become("all outcomes folded", lambda: has_folded_all(stack.settings))
    folds = await folds_of(stack.settings)
    assert sum(counted(fold) for fold in folds.values()) == runs, "the alerter counts each run once"


def counted(fold: Alerting) -> float:
    """How many runs the rule that counts them has seen: in its windows, and in the ten seconds under way."""
    series = [series for series in fold.board.series.values() if series.rule.uid == COUNTED]
    return sum(each.gauge.onset().n + each.bucket.n for each in series)


async def _check_dead_letters(stack: LocalStack, garbage: frozenset[tuple[int, int]]) -> None:
    """Each piece of garbage is one, at least once on the topic; and no row of ours is, whatever the store has said."""
    letters = await records_of(stack.settings, stack.settings.dlq_topic)
    said = [{name: value.decode() for name, value in letter.headers} for letter in letters]
    assert {(int(letter["partition"]), int(letter["offset"])) for letter in said} == garbage, Counter(
        letter["reason"] for letter in said
    )
    indexed = query(stack, "SELECT partition, offset FROM v1_dead_letters")
    assert sorted(map(tuple, indexed)) == sorted(garbage)


async def _check_alerts(stack: LocalStack) -> None:
    """What was published again is the same event, and the history has what the topic has."""
    await become(
        "a rule has fired", lambda: _has_events(stack.settings)
    )  # ticks end the ten seconds that are under way
    events = await _events_of(stack.settings)
    assert {len(copies) for copies in events.values()} == {1}
    await become("the history has all events", lambda: _is_stored(stack, set(events)))


async def _is_stored(stack: LocalStack, ids: set[str]) -> bool:
    return ids <= {row[0] for row in await asyncio.to_thread(query, stack, "SELECT id FROM alert_events")}


async def _has_events(settings: Settings) -> bool:
    return bool(await _events_of(settings))


async def _events_of(settings: Settings) -> dict[str, set[tuple[str, ...]]]:
    """What is said under each event's id."""
    events: dict[str, set[tuple[str, ...]]] = {}
    for record in await records_of(settings, settings.alerts_topic):
        headers = {name: value.decode() for name, value in record.headers}
        if not headers["ce_type"].endswith("heartbeat.v1"):
            said = headers["ce_type"], headers["ce_time"], headers["ce_subject"]
            events.setdefault(headers["ce_id"], set()).add(said)
    return events
