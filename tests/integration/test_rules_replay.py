"""`stepwatch rules dry-run` and `explain --since` on a real store: the outcomes that are kept are those that were published."""

import asyncio
import os
import sys
from pathlib import Path

from schemas.outcome import TraceOutcomes
from schemas.rows import TrajectoryRow, pack_revision
from streams.config_log import publish_config
from streams.local.stack import LocalStack
from streams.settings import Settings
from streams.store.client import connect
from streams.store.migrate import migrate
from streams.store.stored_outcomes import decided, now_ms
from streams.store.writer import Writer
from streams.topics import ensure_topics
from tests.builders import trace_id
from tests.outcomes import RULES, outcome, trace

RUNS = 400
BROKEN = range(150, 200)


def row(n: int, anchor_ms: int, outcomes: TraceOutcomes | None) -> TrajectoryRow:
    final = outcomes is not None
    return TrajectoryRow(
        tenant="default",
        anchor_ms=anchor_ms,
        trace_id=trace_id(n),
        revision=pack_revision(1, final, 0),
        state="decided" if final else "open",
        close_reason="root_ended" if final else "",
        partition=0,
        workflow="refund",
        agent="",
        task_id="",
        session_id="",
        release="",
        n_items=1,
        n_spans=1,
        n_steps=1,
        n_tool_calls=1,
        input_tokens=0,
        output_tokens=0,
        start_ns=anchor_ms * 1_000_000,
        end_ns=anchor_ms * 1_000_000,
        last_log_ms=anchor_ms,
        deadline_ms=anchor_ms + 20,
        config_seq=0,
        flags=0,
        weight=1.0,
        results=(),
        outcomes=outcomes,
    )


def a_day(now: int) -> list[TrajectoryRow]:
    """A run each ten seconds that breaks for a while; one that is open, and one of last week."""
    start = now - RUNS * 10_000 - 3_600_000
    runs = [row(n, start + n * 10_000, trace(n, outcome(int(n in BROKEN)))) for n in range(1, RUNS)]
    return [*runs, row(RUNS, now, None), row(RUNS + 1, now - 8 * 86_400_000, trace(RUNS + 1))]


async def ran(settings: Settings, *arguments: str) -> str:
    given = {
        "STEPWATCH_BOOTSTRAP_SERVERS": settings.bootstrap_servers,
        "STEPWATCH_CLICKHOUSE_URL": settings.clickhouse_url,
        "STEPWATCH_CLICKHOUSE_DATABASE": settings.clickhouse_database,
        "COLUMNS": "200",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streams.console", "rules", *arguments),
        env={**os.environ, **given},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return " ".join(output.decode().split())


async def test_stored_outcomes_are_replayed_under_todays_rules_and_under_changed_ones(
    stack: LocalStack, tmp_path: Path
) -> None:
    settings = stack.settings.model_copy(update={"clickhouse_database": "rules_replay"})
    migrate(settings)
    await ensure_topics(settings)
    client = connect(settings)
    now = now_ms(client)
    Writer(client).write_trajectories(a_day(now))

    found = list(decided(client, now - 7 * 86_400_000, now))
    assert [stored.trace.trace_id for stored in found] == [f"{n:032x}" for n in range(1, RUNS)]
    assert found[0].trace == trace(1, outcome(0))

    changed = tmp_path / "rules.yaml"
    changed.write_text(RULES)
    await publish_config(settings, None, RULES.replace("0.05", "0.99"))
    said = await ran(settings, "dry-run", str(changed), "--since", "7d")
    assert f"{RUNS - 1} runs of the last 7d. Today's rules: 0 alerts" in said
    assert "Changed: 1 over 1, of which 1 are new; 0 are gone" in said
    assert "refund / executor/update_crm / update_crm" not in said
    seen = await ran(settings, "explain", str(changed), "--since", "7d")
    assert "refund / ToolCallSuccess / executor/update_crm" in seen, seen
    client.command("DROP DATABASE rules_replay")
    client.close()
