"""The runs that an attribution compares, out of ClickHouse: two samples by hash of the trace id, bounded in rows and in time.

Only what was decided up to the event is read, so asking again gives the same, but for runs that a late span changed since.
"""

from collections.abc import Sequence
from typing import Any

from clickhouse_connect.driver.client import Client

from schemas.alert import AlertEvent
from schemas.attribution import Attribution, Run
from schemas.outcome import decode_trace
from schemas.rule import Rule
from streams.core.attribution import attribute
from streams.core.compared import StoredRun, Wanted, run_of, wanted_of
from streams.store.errors import StoreUnavailable, sentence_of
from streams.store.keys import instant, literal

BASELINE_MS = 24 * 3_600_000  # so far back is the time before
LONGEST_RUN_MS = 15 * 60_000  # runs that began so long before the onset may have failed after it
RUNS_MAX = 1_000  # of each sample
FAILURES_MAX = 50  # of one run
QUERY_S = 3

RUNS = """
SELECT lower(hex(trace_id)), release, config_seq, outcomes,
    arraySlice(arrayFilter((row, verdict) -> verdict = 'fail',
        arrayZip(results.step, results.agent, results.evaluator, results.reason_code, results.evidence), results.verdict),
        1, {failures}) AS failures
FROM trajectories FINAL
WHERE tenant = {tenant} AND workflow = {workflow} AND anchor >= {first} AND anchor < {end} AND deadline <= {until}
    AND state = 'decided' AND weight > 0 AND outcomes != ''
ORDER BY sipHash64(trace_id), trace_id LIMIT {limit}
"""
ATTRIBUTES = """
SELECT lower(hex(trace_id)), groupUniqArray(model), groupUniqArray(provider), groupUniqArray(service),
    groupUniqArray(agent), groupUniqArray(tool)
FROM spans WHERE tenant = {tenant} AND received_at >= {first} AND received_at <= {until} AND trace_id IN ({ids})
GROUP BY trace_id
"""
FEATURES = ("model", "provider", "service", "agent", "tool")


def attribution_of(client: Client, event: AlertEvent, rule: Rule | None) -> Attribution:
    """What changed at the onset of this alert, as of this event. Raises StoreUnavailable."""
    wanted, onset_ms, until_ms = wanted_of(event, rule), event.starts_ms, event.time_ms
    split_ms = onset_ms - LONGEST_RUN_MS
    stored = [
        *_runs(client, wanted, split_ms - BASELINE_MS, split_ms, until_ms),
        *_runs(client, wanted, split_ms, until_ms + 1, until_ms),
    ]
    told = _attributes(client, wanted.tenant, [run.trace_id for run in stored], split_ms - BASELINE_MS, until_ms)
    found = (run_of(run._replace(attributes=told.get(run.trace_id, ())), wanted, onset_ms) for run in stored)
    return attribute([run for run in found if isinstance(run, Run)], onset_ms, dict(event.labels).get("step", ""))


def _runs(client: Client, wanted: Wanted, first_ms: int, end_ms: int, until_ms: int) -> list[StoredRun]:
    rows = _select(
        client,
        RUNS.format(
            tenant=literal(wanted.tenant),
            workflow=literal(wanted.workflow),
            first=instant(max(0, first_ms)),
            end=instant(end_ms),
            until=instant(until_ms),
            limit=RUNS_MAX,
            failures=FAILURES_MAX,
        ),
    )
    return [
        StoredRun(trace, release, seq, decode_trace(said), failures, ()) for trace, release, seq, said, failures in rows
    ]


def _attributes(
    client: Client, tenant: str, traces: Sequence[str], first_ms: int, until_ms: int
) -> dict[str, list[tuple[str, str]]]:
    if not traces:
        return {}
    ids = ", ".join(f"unhex('{trace}')" for trace in traces)
    within = {"tenant": literal(tenant), "first": instant(max(0, first_ms)), "until": instant(until_ms)}
    rows = _select(client, ATTRIBUTES.format(ids=ids, **within))
    return {
        trace: [
            (feature, value)
            for feature, found in zip(FEATURES, values, strict=True)
            for value in sorted(found)
            if value
        ]
        for trace, *values in rows
    }


def _select(client: Client, sql: str) -> Sequence[Sequence[Any]]:
    try:
        settings = {"max_execution_time": QUERY_S, "max_query_size": 1 << 20}
        return client.query(sql, settings=settings, column_formats={"outcomes": "bytes"}).result_rows
    except Exception as error:
        raise StoreUnavailable(f"looking for the cause of an alert: {sentence_of(error)}") from error
