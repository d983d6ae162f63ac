"""`stepwatch replay` on a real broker and a real ClickHouse: the same rows, beside the live ones, and nobody else notices."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import yaml

from streams.local.stack import LocalStack
from streams.store.client import connect
from tests.integration.conftest import beside
from tests.integration.pipeline import (
    DONE,
    FAST,
    PUBLISHED,
    Recorded,
    command,
    difference,
    environment,
    prepare,
    query,
    records_of,
    rows_of,
    run,
    until,
)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def live(
    stack: LocalStack, recorded: Recorded, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[LocalStack]:
    """The recorded runs, judged; no test here changes them."""
    async with beside(stack, tmp_path_factory.mktemp("live"), "gateway", "scorer", environment=FAST) as live:
        await prepare(live, recorded)
        await run(live, "send", recorded.traces)
        await until(live, DONE, [200, 200, 3818])
        await until(live, PUBLISHED, [200])
        yield live


async def test_rows_of_a_replay_equal_the_live_ones_and_nothing_is_published(
    live: LocalStack, recorded: Recorded, tmp_path: Path
) -> None:
    outcomes = len(await records_of(live.settings, live.settings.outcomes_topic))
    before = rows_of(live)
    said = await run(live, "replay", "--from", "0")
    assert "200  runs say the same" in said
    assert said.count("runs ") == 1, said
    assert rows_of(live) == before, "the live rows stay what they are"
    client = connect(live.settings, database=f"{live.settings.clickhouse_database}_replay")
    columns = "trace_id, span_id, evaluator, verdict, score, reason"
    ask = f"SELECT {columns} FROM v1_results ORDER BY ALL"
    assert client.query(ask).result_rows == query(live, ask)
    client.close()
    assert len(await records_of(live.settings, live.settings.outcomes_topic)) == outcomes
    assert await records_of(live.settings, live.settings.dlq_topic) == []

    with pytest.raises(AssertionError, match="is there already"):
        await run(live, "replay", "--from", "0")
    assert "is dropped" in await run(live, "replay", "--drop")
    there = "SELECT count() FROM system.databases WHERE name = concat(currentDatabase(), '_replay')"
    assert query(live, there) == [(0,)]
    assert rows_of(live) == before

    said = await run(live, "replay", "--from", "0", "--workflows", _stricter(recorded, tmp_path))
    assert "200  runs have other verdicts" in said
    assert "IterationCap" in said
    assert difference(rows_of(live), before) == []


async def test_a_piece_of_the_log_is_told_apart_from_what_lies_outside(live: LocalStack) -> None:
    (ends,) = query(live, "SELECT min(received_at), max(received_at) FROM v1_spans")
    middle = ends[0] + (ends[1] - ends[0]) / 2
    said = await run(live, "replay", "--from", middle.isoformat(), "--namespace", "late_half")
    kinds = {line.split(maxsplit=2)[2]: int(line.split()[0]) for line in said.splitlines() if " runs " in line}
    assert not any("missing" in kind or "other verdicts" in kind for kind in kinds), said
    assert sum(kinds.values()) == _in_shadow(live, "late_half")
    said = await run(live, "replay", "--from", "0", "--to", "0", "--namespace", "nothing")
    assert said.startswith("0 records of 0 partitions")


async def test_a_database_that_no_replay_made_is_never_dropped(stack: LocalStack) -> None:
    client = connect(stack.settings, database="default")
    client.command("CREATE DATABASE default_mine")
    beside = {**environment(stack), "STEPWATCH_CLICKHOUSE_DATABASE": "default"}
    for namespace, why in (("mine", "was not made by a replay: it stays"), ("a`b", "lower-case letters"), ("no", "no")):
        with pytest.raises(AssertionError, match=why):
            await asyncio.to_thread(command, "replay", "--drop", "--namespace", namespace, env=beside)
    assert client.command("EXISTS DATABASE default_mine")
    client.command("DROP DATABASE default_mine")
    client.close()


def _in_shadow(live: LocalStack, namespace: str) -> int:
    """How many runs a replay wrote to its database."""
    database = f"{live.settings.clickhouse_database}_{namespace}"
    return int(query(live, f"SELECT count() FROM {database}.trajectories FINAL")[0][0])


async def test_a_replay_that_was_killed_or_failed_is_named_and_dropped(live: LocalStack) -> None:
    ours, database = ["replay", "--from", "0", "--namespace", "cut"], f"{live.settings.clickhouse_database}_cut"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streams.console", *ours), env=environment(live), stderr=asyncio.subprocess.DEVNULL
    )
    async with asyncio.timeout(60):
        while query(live, f"SELECT count() FROM system.databases WHERE name = '{database}'") == [(0,)]:
            await asyncio.sleep(0.01)
    process.kill()
    await process.wait()
    assert "cut: not finished" in await run(live, "replay", "--list")
    with pytest.raises(AssertionError, match=f"{database} is there already: drop it"):
        await run(live, *ours)
    assert f"{database} is dropped" in await run(live, "replay", "--drop", "--namespace", "cut")
    assert "200  runs say the same" in await run(live, *ours)
    assert "cut: finished" in await run(live, "replay", "--list")
    await run(live, "replay", "--drop", "--namespace", "cut")
    nowhere = {**environment(live), "STEPWATCH_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    with pytest.raises(AssertionError, match="`stepwatch replay --drop --namespace cut` drops it"):
        await asyncio.to_thread(command, *ours, env=nowhere)
    await run(live, "replay", "--drop", "--namespace", "cut")
    assert "cut" not in await run(live, "replay", "--list")


def _stricter(recorded: Recorded, folder: Path) -> Path:
    """The registry of the runs, and no run may take more than one step."""
    registry = yaml.safe_load(recorded.registry.read_text())
    for workflow in registry["workflows"]:
        workflow["policy"] = {**workflow.get("policy", {}), "max_steps": 1}
    file = folder / "stricter.yaml"
    file.write_text(yaml.safe_dump(registry))
    return file
