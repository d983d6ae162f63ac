"""The whole pipeline on a real broker and a real ClickHouse: recorded runs in, judged trajectories out, once each."""

import asyncio
from typing import Any

import pytest_asyncio

from streams.local.stack import LocalStack
from streams.store.client import connect
from tests.integration.conftest import NewStack
from tests.integration.pipeline import (
    DONE,
    FAST,
    LEDGER,
    PUBLISHED,
    Recorded,
    difference,
    jsonl,
    lag_of,
    prepare,
    query,
    rows_of,
    run,
    spans_in_log,
    until,
)
from tests.shared import shared


@pytest_asyncio.fixture(loop_scope="session")
async def pipeline(own_parts: NewStack, recorded: Recorded) -> LocalStack:
    stack = await own_parts("gateway", "scorer", environment=FAST)
    await prepare(stack, recorded)
    return stack


async def test_recorded_runs_become_trajectories_equal_to_the_offline_ones(
    pipeline: LocalStack, recorded: Recorded
) -> None:
    sending = asyncio.create_task(run(pipeline, "send", recorded.traces, "--rate", "800"))
    await until(pipeline, "SELECT count() > 0 FROM trajectories WHERE state = 'open'", [1])
    assert "accepted 3818, refused 0" in await sending
    await until(pipeline, DONE, [200, 200, 3818])
    await until(pipeline, PUBLISHED, [200])
    await until(pipeline, LEDGER, [3818, 3818, 0, 0])
    assert await spans_in_log(pipeline.settings) == 3818
    assert query(pipeline, "SELECT sum(stored), sum(duplicate) FROM v1_ledger") == [(3818, 0)]
    assert difference(rows_of(pipeline), recorded.results) == []
    _merge(pipeline)
    assert query(pipeline, "SELECT count(), uniqExact(trace_id) FROM v1_spans") == [(3818, 200)]
    assert list(query(pipeline, DONE)[0]) == [200, 200, 3818]
    assert _auc(rows_of(pipeline), recorded) >= 0.97


def _merge(stack: LocalStack) -> None:
    """What time would do: merge all parts and apply every TTL now. Client times of the runs are a year old."""
    client = connect(stack.settings)
    for table in ("spans", "trajectories"):
        client.command(f"ALTER TABLE {table} MATERIALIZE TTL SETTINGS mutations_sync = 2")
        client.command(f"OPTIMIZE TABLE {table} FINAL")
    client.close()


def _auc(rows: list[tuple[Any, ...]], recorded: Recorded) -> float:
    from sklearn.metrics import roc_auc_score

    labels = {r["id"]: r["success"] for r in jsonl(shared("data/tau-airline/labels.jsonl"))}
    run_of = {r["trace_id"]: r["run_id"] for r in jsonl(recorded.runs)}
    scored = [(labels[run_of[row[0]]], row[8]) for row in rows if row[5] == "TaskCompletion" and not row[1]]
    assert len(scored) == 200
    return float(roc_auc_score(*zip(*scored, strict=True)))


async def test_a_store_that_is_away_longer_than_the_poll_interval_costs_nothing(
    own_parts: NewStack, recorded: Recorded
) -> None:
    stack = await own_parts(
        "clickhouse", "gateway", "scorer", environment={**FAST, "STEPWATCH_MAX_POLL_INTERVAL_S": "6"}
    )
    await prepare(stack, recorded)
    await until(stack, "SELECT count() FROM spans", [0])
    worker = _scorer(stack)
    await stack.stop_part("clickhouse")
    await run(stack, "send", recorded.traces)
    await asyncio.sleep(12)  # twice the poll interval: the outage itself is what is tested
    assert await lag_of(stack.settings) > 0
    await stack.start_part("clickhouse")
    await until(stack, DONE, [200, 200, 3818])
    await until(stack, PUBLISHED, [200])
    await until(stack, LEDGER, [3818, 3818, 0, 0])
    assert difference(rows_of(stack), recorded.results) == []
    assert _scorer(stack) == worker, "the worker went on by itself, nobody started it again"


def _scorer(stack: LocalStack) -> tuple[int, float]:
    """The process that the supervision holds as the scorer: its id, and when it was started."""
    child = stack.parts["scorer"].child
    assert child is not None and child.running
    return child.pid, child.created_at
