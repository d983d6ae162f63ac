"""`python -m tests.bench.sizing`: what spans cost, part by part, and what happens when scorers come and go (docs/sizing.md).

On the local stack, with tools, policy, budgets, task truth and all evaluators: the same corpus worked off by one scorer and by
two, then steady traffic while the scorers are 1, 3 and 1 again, then the memory of open traces in one engine. CPU seconds are
those of the processes themselves. Ends with an AssertionError when a row is missing or there twice.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import psutil
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from clickhouse_connect.driver.client import Client
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from rich.console import Console

from schemas.partition import sarama
from streams.config_log import publish_config
from streams.local.ports import ANY, PortsAsked
from streams.local.stack import STORES, LocalStack
from streams.settings import Settings
from streams.store.client import connect
from streams.store.expectations import load
from streams.store.migrate import migrate
from streams.topics import ensure_topics, kafka_options
from tests.bench.__main__ import PACK, PARTITIONS, _with_task, framed, shared_tool
from tests.bench.evaluators import long_traces
from tests.integration.test_kills import outcomes_of

SPANS = int(os.environ.get("STEPWATCH_BENCH_SPANS", "100000"))
RATE = 1_000  # spans a second of the traffic
TRAFFIC_PACK = 2  # so that each partition has several records a second
DEADLINE_S = 300.0
LOOK_S = 0.1
STORED = "SELECT sum(spans) FROM v1_ledger"
DECIDED = "SELECT sum(n_items) FROM trajectories FINAL WHERE state = 'decided'"
ENDS = "SELECT partition, max(last_offset) FROM ledger GROUP BY partition"
TABLES = "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = currentDatabase()"
OPEN = """
import gc, sys
from pathlib import Path
from schemas.item import items_of
from streams.core.engine import EnginePolicy, TrajectoryEngine
from streams.telemetry.metrics import resident_bytes
from tests.bench.sizing import corpus

kept = [corpus(Path(sys.argv[1]), salt, 1) for salt in (1, 2)]
engines, before = [], 0
for records in kept:  # what is made once, for names and codes, is made by the first
    gc.collect()
    before, engine = resident_bytes(), TrajectoryEngine(0, EnginePolicy())
    for n, (_, value) in enumerate(records):
        for item, raw in items_of(value, "default", 1).items:
            engine.fold(item, raw)
        if n % 200 == 199:
            engine.acknowledged(engine.take({}))
    engine.acknowledged(engine.take({}))
    engines.append(engine)
gc.collect()
print(resident_bytes() - before, engine.open_traces, engine.spans_held, engine.bytes_held)
"""
Records = Sequence[tuple[int, bytes]]


def corpus(folder: Path, salt: int, pack: int) -> Records:
    """(partition, record) of the runs, so many exports a record; `salt` gives the runs ids of their own."""
    held: dict[int, list[bytes]] = {}
    packed = []
    for _, value in framed((folder / "bytrace.rec").read_bytes()):
        export = ExportTraceServiceRequest.FromString(_with_task(value))
        spans = export.resource_spans[0].scope_spans[0].spans
        for span in spans:
            span.trace_id = bytes([span.trace_id[0] ^ salt]) + span.trace_id[1:]
        partition = sarama(spans[0].trace_id.hex().encode(), PARTITIONS)
        batch = held.setdefault(partition, [])
        batch.append(export.SerializeToString())
        if len(batch) == pack:
            packed.append((partition, b"".join(held.pop(partition))))
    return packed + [(partition, b"".join(batch)) for partition, batch in held.items()]


class Scorers:
    """Scorers as processes of their own; those that have gone still count for what they took."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._environment = {
            **os.environ,
            "STEPWATCH_BOOTSTRAP_SERVERS": settings.bootstrap_servers,
            "STEPWATCH_CLICKHOUSE_URL": settings.clickhouse_url,
        }
        self.running: list[psutil.Popen] = []

    async def become(self, n: int) -> None:
        """Start or end some, and wait until the group has so many members and is at rest."""
        while len(self.running) > n:
            self.running.pop().terminate()
        while len(self.running) < n:
            command = [sys.executable, "-m", "streams.console", "scorer"]
            self.running.append(
                psutil.Popen(command, env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            )
        admin = AIOKafkaAdminClient(**kafka_options(self._settings))
        await admin.start()
        try:

            async def at_rest() -> bool:
                try:
                    (answer,) = await admin.describe_consumer_groups([self._settings.scorer_group])
                except KafkaError:
                    return False  # nobody keeps the group yet
                (_error, _group, state, _type, _protocol, members, *_) = answer.groups[0]
                return len(members) == n and (state == "Stable" or not n)

            await until(at_rest, f"{n} scorers")
        finally:
            await admin.close()

    def resident_mb(self) -> float:
        """Of the largest."""
        return max(process.memory_info().rss for process in self.running) / 1e6


class Costs(NamedTuple):
    """Since some moment: CPU seconds, and bytes on disk."""

    scorers: float
    broker: float
    store: float
    log: float
    tables: float

    def since(self, before: "Costs") -> "Costs":
        """What came on top."""
        return Costs(*(now - then for now, then in zip(self, before, strict=True)))


def costs(stack: LocalStack, scorers: Scorers, client: Client) -> Costs:
    """As of now, of the scorers that run."""
    log = sum(file.stat().st_size for file in (stack.data_dir / "kafka").rglob("otlp_spans-*/*.log"))
    tables = client.query(TABLES).result_rows[0][0]
    parts = (_cpu_s(stack.parts[name].child.pid) for name in ("broker", "clickhouse"))
    return Costs(sum(_cpu_s(each.pid) for each in scorers.running), *parts, log, tables)


def _cpu_s(pid: int) -> float:
    root = psutil.Process(pid)
    times = [each.cpu_times() for each in (root, *root.children(recursive=True))]
    return sum(each.user + each.system for each in times)


async def until(holds: Callable[[], Awaitable[bool]], what: str) -> None:
    """Wait for it. Raises SystemExit after `DEADLINE_S`."""
    end = time.monotonic() + DEADLINE_S
    while not await holds():
        if time.monotonic() > end:
            raise SystemExit(f"{what}: not after {DEADLINE_S:.0f} s")
        await asyncio.sleep(LOOK_S)


async def until_sum(client: Client, sql: str, wanted: int) -> float:
    """When the query says so, on the monotonic clock."""

    async def holds() -> bool:
        rows = await asyncio.to_thread(client.query, sql)
        return bool(rows.result_rows[0][0] == wanted)

    await until(holds, f"{sql}: {wanted}")
    return time.monotonic()


async def drain(
    stack: LocalStack, producer: AIOKafkaProducer, folder: Path, n: int, before: int
) -> tuple[float, Costs, float]:
    """`n` scorers work a waiting corpus off, `before` spans being done: seconds until its spans are stored, costs until all is
    decided, MB of the largest scorer."""
    client, scorers = connect(stack.settings), Scorers(stack.settings)
    records = corpus(folder, n, PACK)
    await scorers.become(n)
    try:
        then, began = costs(stack, scorers, client), time.monotonic()
        await asyncio.gather(
            *[await producer.send(stack.settings.spans_topic, value, partition=p) for p, value in records]
        )
        stored = await until_sum(client, STORED, before + SPANS) - began
        await until_sum(client, DECIDED, before + SPANS)
        return stored, costs(stack, scorers, client).since(then), scorers.resident_mb()
    finally:
        await scorers.become(0)


class Phase(NamedTuple):
    """Traffic under so many scorers."""

    scorers: int
    spans_per_s: float
    pause_s: float  # the longest that any one partition had no row in the store


async def traffic(stack: LocalStack, producer: AIOKafkaProducer, folder: Path, before: int) -> list[Phase]:
    """Steady spans while the scorers are 1, 3 and 1 again; `before` spans are done. Raises AssertionError where a row is
    missing or there twice."""
    client, scorers, sql = connect(stack.settings), Scorers(stack.settings), connect(stack.settings)
    records = corpus(folder, 3, TRAFFIC_PACK)
    await scorers.become(1)
    seen: list[tuple[float, dict[int, int]]] = []

    async def send() -> None:
        began = time.monotonic()
        for at, (partition, value) in enumerate(records):
            await asyncio.sleep(began + at / len(records) * SPANS / RATE - time.monotonic())
            await producer.send(stack.settings.spans_topic, value, partition=partition)

    async def watch() -> None:
        while True:
            rows = (await asyncio.to_thread(sql.query, ENDS)).result_rows
            seen.append((time.monotonic(), dict(rows)))
            await asyncio.sleep(LOOK_S)

    changes = []
    async with asyncio.TaskGroup() as tasks:
        watching, sending = tasks.create_task(watch()), tasks.create_task(send())
        for n in (1, 3, 1):
            changes.append((time.monotonic(), n))
            await scorers.become(n)
            await asyncio.sleep(changes[-1][0] + SPANS / RATE / 3 - time.monotonic())
        await sending
        changes.append((time.monotonic(), 0))
        await until_sum(client, STORED, before + SPANS)
        watching.cancel()
    await until_sum(client, DECIDED, before + SPANS)
    await scorers.become(0)
    await _check(stack.settings, client, before + SPANS)
    return [
        Phase(n, SPANS / len(records) * _progress(seen, start, end) / (end - start), _pause(seen, start, end))
        for (start, n), (end, _) in pairwise(changes)
    ]


def _progress(seen: Sequence[tuple[float, dict[int, int]]], start: float, end: float) -> int:
    """Records that were accounted for between the two."""
    within = [sum(ends.values()) for at, ends in seen if start <= at <= end]
    return within[-1] - within[0]


def _pause(seen: Sequence[tuple[float, dict[int, int]]], start: float, end: float) -> float:
    """The longest that any partition stood still."""
    longest, moved = 0.0, dict.fromkeys(range(PARTITIONS), start)
    for (_, before), (at, ends) in pairwise(seen):
        for partition in ends if start <= at <= end else ():
            if ends[partition] != before.get(partition):
                longest, moved[partition] = max(longest, at - moved[partition]), at
    return max(longest, *(end - at for at in moved.values()))


async def _check(settings: Settings, client: Client, spans: int) -> None:
    """Each span once, each run decided, the ledger closed, each run's outcomes the same however often they were published."""
    ask = "SELECT count(), uniqExact(trace_id, span_id), (SELECT countIf(NOT closes) FROM v1_ledger) FROM v1_spans"
    assert client.query(ask).result_rows == [(spans, spans, 0)]
    ((runs, final),) = client.query("SELECT count(), countIf(final) FROM v1_trajectories").result_rows
    copies = await outcomes_of(settings)
    assert runs == final == len(copies)
    assert {len(set(of_run)) for of_run in copies.values()} == {1}


async def main() -> int:
    """Run all and print the figures."""
    screen, made = Console(highlight=False), long_traces.generator(shared_tool().parents[1])
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder) / "corpus"
        subprocess.run([sys.executable, shared_tool(), runs, str(SPANS)], check=True, stdout=subprocess.DEVNULL)
        async with LocalStack(Path(folder) / "stack", parts=STORES, ports=PortsAsked(ANY, ANY, ANY)) as stack:
            await ensure_topics(stack.settings.model_copy(update={"spans_partitions": PARTITIONS}))
            await asyncio.to_thread(migrate, stack.settings)
            await publish_config(stack.settings, long_traces.registry_text(made, frozenset(long_traces.EVERY)), None)
            load(connect(stack.settings), list(long_traces.truths(made).values()))
            producer = AIOKafkaProducer(
                **kafka_options(stack.settings), compression_type="lz4", max_request_size=8 << 20
            )
            await producer.start()
            for n in (1, 2):
                seconds, took, resident = await drain(stack, producer, runs, n, (n - 1) * SPANS)
                each = 1e6 / SPANS
                screen.print(
                    f"{n} scorers: {SPANS / seconds:,.0f} spans/s, {SPANS / took.scorers:,.0f} per CPU second of scorers; of a "
                    f"million spans: CPU s of scorers {took.scorers * each:.0f}, broker {took.broker * each:.0f}, store "
                    f"{took.store * each:.0f}; MB of log {took.log * each / 1e6:.0f}, of tables {took.tables * each / 1e6:.0f}; "
                    f"{resident:.0f} MB resident"
                )
            for phase in await traffic(stack, producer, runs, 2 * SPANS):
                screen.print(
                    f"{phase.scorers} scorers under {RATE:,} spans/s: {phase.spans_per_s:,.0f} spans/s stored, longest pause of "
                    f"a partition {phase.pause_s:.1f} s"
                )
            screen.print(f"{3 * SPANS:,} spans: each row once, the ledger closes")
            await producer.stop()
        done = subprocess.run([sys.executable, "-c", OPEN, runs], capture_output=True, text=True, check=True)
        taken, traces, spans, counted = map(int, done.stdout.split())
        screen.print(
            f"{traces:,} open traces of {spans / traces:.1f} spans: {taken / traces:,.0f} bytes a trace, "
            f"{taken / spans:,.0f} a span; the bound counts {counted / traces:,.0f} a trace"
        )
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
