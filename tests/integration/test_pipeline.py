"""The whole pipeline on a real broker and a real ClickHouse: recorded runs in, judged trajectories out, once each."""

import asyncio
import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.outcome import OutcomeRecord, TraceOutcomes, decode
from streams.local.stack import LocalStack
from streams.store.client import connect
from streams.topics import kafka_options
from tests.integration.conftest import NewStack
from tests.shared import shared

PARTS = {"broker", "clickhouse", "gateway", "scorer"}
FAST = {"STEPWATCH_SPANS_PARTITIONS": "6", "STEPWATCH_SESSION_TIMEOUT_S": "3", "STEPWATCH_HEARTBEAT_INTERVAL_S": "1"}
COLUMNS = ("trace_id, span_id, workflow, agent, step, evaluator, evaluator_version, verdict, score, basis, reason_code, "
           "reason, evidence, final")  # fmt: skip
DEADLINE_S = 120.0


class Recorded(NamedTuple):
    """The recorded runs as traces, and what `stepwatch score` says of them."""

    traces: Path
    registry: Path
    expectations: Path
    runs: Path
    results: list[tuple[Any, ...]]


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    folder = tmp_path_factory.mktemp("recorded runs")
    data, tool = shared("data/tau-airline"), shared("tools/tau_to_otlp.py")
    subprocess.run([sys.executable, tool, data, "--out", folder], check=True, stdout=subprocess.DEVNULL)
    files = [folder / name for name in ("traces.jsonl", "workflows.yaml", "expectations.jsonl", "runs.jsonl")]
    return Recorded(*files, results=offline(files[0], files[1], files[2]))


def offline(traces: Path, registry: Path, expectations: Path) -> list[tuple[Any, ...]]:
    """The rows of `stepwatch score`, as the store would show them."""
    out = traces.with_suffix(".results")
    command("score", traces, "--workflows", registry, "--expectations", expectations, "--out", out)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    names = COLUMNS.split(", ")
    return sorted(tuple(_plain(row[name]) for name in names) for row in rows)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return json.dumps(value, sort_keys=True)
    return "" if value is None else round(value, 6) if isinstance(value, float) else value


def command(*arguments: str | Path, env: dict[str, str] | None = None) -> str:
    """A `stepwatch` command, as a user runs it."""
    done = subprocess.run(
        [sys.executable, "-m", "streams.console", *map(str, arguments)],
        capture_output=True, text=True, timeout=120, env={**os.environ, **(env or {})},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def environment(stack: LocalStack) -> dict[str, str]:
    settings = stack.settings
    return {
        "STEPWATCH_BOOTSTRAP_SERVERS": settings.bootstrap_servers,
        "STEPWATCH_CLICKHOUSE_URL": settings.clickhouse_url,
        "STEPWATCH_GATEWAY_PORT": str(settings.gateway_port),
        **FAST,
    }


async def run(stack: LocalStack, *arguments: str | Path) -> str:
    return await asyncio.to_thread(command, *arguments, env=environment(stack))


async def prepare(stack: LocalStack, recorded: Recorded) -> None:
    await run(stack, "config", "apply", recorded.registry)
    await run(stack, "expectations", "load", recorded.expectations)


def query(stack: LocalStack, sql: str) -> Sequence[Sequence[Any]]:
    client = connect(stack.settings)
    try:
        return client.query(sql).result_rows
    finally:
        client.close()


async def until(stack: LocalStack, sql: str, wanted: Sequence[Any], deadline_s: float = DEADLINE_S) -> None:
    """Wait until the query's first row is as wanted."""
    loop = asyncio.get_running_loop()
    end = loop.time() + deadline_s
    row: Sequence[Any] = ()
    while loop.time() < end:
        row = (await asyncio.to_thread(query, stack, sql))[0]
        if list(row) == list(wanted):
            return
        await asyncio.sleep(0.3)
    pytest.fail(f"{sql}: {row} after {deadline_s} s, wanted {wanted}")


DONE = "SELECT count(), countIf(state = 'decided'), sum(n_items) FROM trajectories FINAL"
PUBLISHED = "SELECT uniqExact(tenant, trace_id) FROM published"


def rows_of(stack: LocalStack) -> list[tuple[Any, ...]]:
    rows = query(stack, f"SELECT {COLUMNS} FROM v1_results")
    return sorted(
        tuple(
            _plain(json.loads(v) if name == "evidence" and v else v)
            for name, v in zip(COLUMNS.split(", "), row, strict=True)
        )
        for row in rows
    )


def difference(left: list[tuple[Any, ...]], right: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The first rows that are not on both sides, for a readable failure; equal lists have none."""
    odd = Counter(left)
    odd.subtract(right)
    return [(count, row) for row, count in odd.items() if count][:6]


@pytest_asyncio.fixture(loop_scope="session")
async def pipeline(new_stack: NewStack, recorded: Recorded) -> LocalStack:
    stack = await new_stack(parts=PARTS, environment=FAST)
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
    assert difference(rows_of(pipeline), recorded.results) == []
    _merge(pipeline)
    assert query(pipeline, "SELECT count(), uniqExact(trace_id) FROM v1_spans") == [(3818, 200)]
    assert list(query(pipeline, DONE)[0]) == [200, 200, 3818]
    assert _auc(rows_of(pipeline), recorded) >= 0.97
    assert query(pipeline, "SELECT count() FROM v1_ledger WHERE NOT closes") == [(0,)]


def _merge(stack: LocalStack) -> None:
    """What time would do: merge all parts and apply every TTL now. Client times of the runs are a year old."""
    client = connect(stack.settings)
    for table in ("spans", "trajectories"):
        client.command(f"ALTER TABLE {table} MATERIALIZE TTL SETTINGS mutations_sync = 2")
        client.command(f"OPTIMIZE TABLE {table} FINAL")
    client.close()


def _auc(rows: list[tuple[Any, ...]], recorded: Recorded) -> float:
    from sklearn.metrics import roc_auc_score

    labels = {r["id"]: r["success"] for r in _jsonl(shared("data/tau-airline/labels.jsonl"))}
    run_of = {r["trace_id"]: r["run_id"] for r in _jsonl(recorded.runs)}
    scored = [(labels[run_of[row[0]]], row[8]) for row in rows if row[5] == "TaskCompletion" and not row[1]]
    assert len(scored) == 200
    return float(roc_auc_score(*zip(*scored, strict=True)))


def _jsonl(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def hostile(recorded: Recorded, to: Path) -> Path:
    """The same spans, shuffled within each trace's time and sent twice, many small exports."""
    rng = random.Random(7)
    spans = [
        (document["resourceSpans"][0], span)
        for document in _jsonl(recorded.traces)
        for span in document["resourceSpans"][0]["scopeSpans"][0]["spans"]
    ]
    # Each span moves by up to two seconds of its trace's own time: before or after its neighbours, never a year away.
    order = sorted(spans, key=lambda pair: int(pair[1]["endTimeUnixNano"]) + rng.randint(0, 2_000_000_000))
    with to.open("w") as file:
        for at in range(0, len(order), 5):
            group = [
                {
                    "resource": frame["resource"],
                    "scopeSpans": [{"scope": frame["scopeSpans"][0]["scope"], "spans": [span]}],
                }
                for frame, span in order[at : at + 5]
            ]
            line = json.dumps({"resourceSpans": group}) + "\n"
            file.write(line + line if at % 10 == 0 else line)
        for frame, span in order[:1_000]:  # and the first thousand once more, late
            scope = frame["scopeSpans"][0]["scope"]
            only = {"resource": frame["resource"], "scopeSpans": [{"scope": scope, "spans": [span]}]}
            file.write(json.dumps({"resourceSpans": [only]}) + "\n")
    return to


KILLS = ("after_spans:2", "after_trajectories:2", "after_outcomes:3", "root_undecided:1")


async def test_a_scorer_killed_anywhere_ends_in_the_same_rows(
    new_stack: NewStack, recorded: Recorded, tmp_path: Path
) -> None:
    stack = await new_stack(parts=PARTS - {"scorer"}, environment=FAST)
    await prepare(stack, recorded)
    traces = hostile(recorded, tmp_path / "hostile.jsonl")
    await run(stack, "send", traces)  # lag on the topic before the first scorer starts
    env = {**environment(stack), "STEPWATCH_FLUSH_ROWS_MAX": "300"}
    for failpoint in KILLS:  # one after the other, each on what its predecessor left
        killed = await _scorer(env, failpoint)
        assert await asyncio.wait_for(killed.wait(), DEADLINE_S) == -9, f"{failpoint} was reached"
    scorer = await _scorer(env, None)
    try:
        await until(stack, DONE, [200, 200, 3818])
        await until(stack, PUBLISHED, [200])
        assert difference(rows_of(stack), recorded.results) == []
        assert query(stack, "SELECT count(), uniqExact(trace_id, span_id) FROM v1_spans") == [(3818, 3818)]
        assert query(stack, "SELECT count() FROM v1_ledger WHERE NOT closes") == [(0,)]
        published = await _outcomes(stack)
        assert len(published) == 200
        assert {len(set(copies)) for copies in published.values()} == {1}, "published again, it is the same"
    finally:
        scorer.terminate()
        await scorer.wait()


async def _outcomes(stack: LocalStack) -> dict[str, list[TraceOutcomes]]:
    """All that is on the outcome log, by trace: what the alerter counts the first of."""
    consumer = AIOKafkaConsumer(**kafka_options(stack.settings), group_id=None)
    await consumer.start()
    places = [TopicPartition(stack.settings.outcomes_topic, p) for p in range(stack.settings.outcomes_partitions)]
    consumer.assign(places)
    await consumer.seek_to_beginning(*places)
    ends = await consumer.end_offsets(places)
    found: dict[str, list[TraceOutcomes]] = {}
    while any([await consumer.position(place) < end for place, end in ends.items()]):
        for records in (await consumer.getmany(timeout_ms=500)).values():
            for record in records:
                decoded = decode(record.value)
                for trace in decoded.traces if isinstance(decoded, OutcomeRecord) else ():
                    found.setdefault(trace.trace_id, []).append(trace)
    await consumer.stop()
    return found


async def _scorer(env: dict[str, str], failpoint: str | None) -> asyncio.subprocess.Process:
    extra = {"STEPWATCH_FAILPOINT": failpoint} if failpoint else {}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "streams.console", "scorer",
        env={**os.environ, **env, **extra}, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip


async def test_a_store_that_is_away_longer_than_the_poll_interval_costs_nothing(
    new_stack: NewStack, recorded: Recorded
) -> None:
    stack = await new_stack(parts=PARTS, environment={**FAST, "STEPWATCH_MAX_POLL_INTERVAL_S": "6"})
    await prepare(stack, recorded)
    await until(stack, "SELECT count() FROM spans", [0])
    await stack.stop_part("clickhouse")
    await run(stack, "send", recorded.traces)
    await asyncio.sleep(12)  # twice the poll interval: the outage itself is what is tested
    await stack.start_part("clickhouse")
    await until(stack, DONE, [200, 200, 3818])
    assert difference(rows_of(stack), recorded.results) == []
