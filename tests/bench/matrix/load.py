"""Spans per CPU second of scorers that work off a full topic: by size of record, sampled, two of them."""

import asyncio
import json
import time
from pathlib import Path
from typing import NamedTuple

import psutil
from rich.table import Table

from streams.store.client import connect
from tests.bench.__main__ import _one_span
from tests.bench.evaluators import long_traces
from tests.bench.matrix.running import DECIDED, cpu_s, end, producer_of, send, servers, stack_of, start

DEADLINE_S = 300.0
Records = list[tuple[int, bytes]]


class Load(NamedTuple):
    """One row: which records, how many scorers, which share is judged."""

    name: str
    records: Records
    spans: int
    scorers: int = 1
    sample: float = 1.0


class Spent(NamedTuple):
    """CPU microseconds a span of each process, seconds by the wall, and the scorers' memory."""

    scorer_us: float
    broker_us: float
    store_us: float
    wall_s: float
    rss_mb: float


def sampled(registry: str, share: float) -> str:
    """The registry with this share of runs judged."""
    said = json.loads(registry)
    for workflow in said["workflows"]:
        workflow["sample"] = share
    return json.dumps(said)


async def measured(load: Load, folder: Path, registry: str) -> Spent:
    """A fresh stack, the corpus on it, and what was spent from the first record to the last decided trace."""
    async with stack_of(folder, sampled(registry, load.sample)) as stack, producer_of(stack) as producer:
        client, topic = connect(stack.settings), stack.settings.spans_topic
        scorers = [start(stack) for _ in range(load.scorers)]
        watched = {"scorer": [psutil.Process(s.pid) for s in scorers], **servers()}
        try:
            await producer.send_and_wait(topic, _one_span(), partition=0)
            await _until(client, 1)
            await asyncio.sleep(5.0 if load.scorers > 1 else 1.0)  # the group has settled
            before, began = {name: cpu_s(of) for name, of in watched.items()}, time.monotonic()
            await send(producer, topic, load.records)
            await _until(client, load.spans + 1)
            wall_s = time.monotonic() - began
            spent = {name: (cpu_s(of) - before[name]) / load.spans * 1e6 for name, of in watched.items()}
            rss = sum(process.memory_info().rss for process in watched["scorer"]) / (1 << 20)
        finally:
            end(scorers)
    return Spent(spent["scorer"], spent["broker"], spent["store"], wall_s, rss)


async def _until(client: object, wanted: int) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        if client.query(DECIDED).result_rows[0][0] == wanted:  # type: ignore[attr-defined]
            return
        await asyncio.sleep(0.25)
    raise SystemExit(f"not all of {wanted} spans were decided in {DEADLINE_S:.0f} s")


def table(rows: dict[str, Spent]) -> Table:
    """What each load cost."""
    shown = Table(
        "load", "spans per CPU s", "CPU us/span", "broker", "store", "wall s", "RSS MB",
        title="scorers, from Kafka to acknowledged rows, all evaluators",
    )  # fmt: skip
    for name, spent in rows.items():
        spans_s = 1e6 / spent.scorer_us
        shown.add_row(
            name,
            f"{spans_s:,.0f}",
            f"{spent.scorer_us:.1f}",
            f"{spent.broker_us:.1f}",
            f"{spent.store_us:.1f}",
            f"{spent.wall_s:.1f}",
            f"{spent.rss_mb:.0f}",
        )
    return shown


def every() -> frozenset[str]:
    """The evaluators of the bench: all."""
    return frozenset(long_traces.EVERY)
