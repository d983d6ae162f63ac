"""`make bench`: CPU time per span of the scorer, from Kafka to acknowledged rows, and of its parts.

The whole is the CPU time of a real scorer process that works off a topic prepared as the gateway packs it, on the local stack,
from the first record to the last decided trace; starting and joining the group are left out. The parts run alone, in this
process, on the same records. With tools, policy, budgets and task truth: once with the
evaluators of the gate, once with all. Exit code 1 when the first misses the gate.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from aiokafka import AIOKafkaProducer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from rich.console import Console
from rich.table import Table

from evaluators.judge import judge, judge_span
from schemas.decode import decode
from schemas.otlp import split
from schemas.outcome import encode_trace
from schemas.partition import sarama
from schemas.trajectory import TraceKey
from streams.config_log import publish_config
from streams.core.assemble import assemble
from streams.core.engine import EnginePolicy, TrajectoryEngine
from streams.garbage import collect_rarely
from streams.local.ports import ANY, PortsAsked
from streams.local.stack import STORES, LocalStack
from streams.store.client import connect
from streams.store.expectations import load
from streams.store.migrate import migrate
from streams.store.writer import Writer
from streams.topics import ensure_topics, kafka_options
from tests.bench.evaluators import long_traces

SPANS = int(os.environ.get("STEPWATCH_BENCH_SPANS", "100000"))
PARTITIONS = 12
PACK = 32  # traces' parts in one record, as the gateway packs them under load
GATE = 10_000  # spans per CPU second, with these evaluators on
GATED = frozenset(
    {
        "ParameterValidation",
        "ToolCallSuccess",
        "FunctionCallAccuracy",
        "TaskCompletion",
        "StepEfficiency",
        "LatencyBudget",
        "IterationCap",
        "TrajectoryScore",
    }
)
RECEIVED_MS = 1_790_000_000_000
DEADLINE_S = 240.0
GENERATED_NS = 1_790_000_000 * 10**9  # when the generator's first run begins
AGE_NS = 120 * 10**9  # how long ago it begins in a benchmark


def shared_tool() -> Path:
    """The load generator beside the checkout."""
    root = Path(os.environ.get("STEPWATCH_SHARED") or Path(__file__).parents[3] / "shared")
    tool = root / "tools" / "gen_traces.py"
    if not tool.exists():
        sys.exit(f"the load generator is not here: tools/gen_traces.py below {root} (set STEPWATCH_SHARED)")
    return tool


def records(folder: Path) -> list[tuple[int, bytes]]:
    """(partition, record) of the corpus, packed; every root names the task that the truth is about."""
    subprocess.run([sys.executable, shared_tool(), folder, str(SPANS)], check=True, stdout=subprocess.DEVNULL)
    held: dict[int, list[bytes]] = {}
    packed = []
    for key, value in framed((folder / "bytrace.rec").read_bytes()):
        partition = sarama(key, PARTITIONS)
        batch = held.setdefault(partition, [])
        batch.append(_with_task(value))
        if len(batch) == PACK:
            packed.append((partition, b"".join(held.pop(partition))))  # concatenated exports are one export
    return packed + [(partition, b"".join(batch)) for partition, batch in held.items()]


def _with_task(value: bytes) -> bytes:
    export = ExportTraceServiceRequest.FromString(value)
    for span in export.resource_spans[0].scope_spans[0].spans:
        if not span.parent_span_id:
            span.attributes.add(key="stepwatch.task.id").value.string_value = long_traces.TASK
    return bytes(export.SerializeToString())


def framed(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(key, export) of the generator's file, its spans as young as live ones are when they come.

    The generator's time stands still. Of a run whose first span comes an hour after it began a scorer asks the store whether
    it is known: that is measured where somebody replays, not here.
    """
    younger_ns = time.time_ns() - AGE_NS - GENERATED_NS
    for key, value in _read(data):
        export = ExportTraceServiceRequest.FromString(value)
        for span in export.resource_spans[0].scope_spans[0].spans:
            span.start_time_unix_nano += younger_ns
            span.end_time_unix_nano += younger_ns
        yield key, bytes(export.SerializeToString())


def _read(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(data):
        key, value = int.from_bytes(data[at : at + 4], "little"), int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8
        yield data[at : at + key], data[at + key : at + key + value]
        at += key + value


def parts(corpus: list[tuple[int, bytes]], stack: LocalStack) -> dict[str, float]:
    """CPU microseconds per span of each part, alone."""
    took: dict[str, float] = {}
    collect_rarely()  # as the scorer does

    def timed(name: str, work: Any) -> Any:
        start = time.process_time()
        result = work()
        took[name] = (time.process_time() - start) / SPANS * 1e6
        return result

    decoded = timed("decode", lambda: [decode(r, "default", RECEIVED_MS) for _, v in corpus for r in split(v)])
    traces: dict[bytes, list[Any]] = {}
    for span, _ in decoded:
        traces.setdefault(span.trace_id, []).append(span)
    made = long_traces.generator(shared_tool().parents[1])
    registry, truths = long_traces.registry(made, evaluators_on=True), long_traces.truths(made)
    assembled = timed(
        "assemble",
        lambda: [assemble(TraceKey("default", t), s, registry, truths, "root_ended") for t, s in traces.items()],
    )
    local = timed(
        "evaluate, span-local",
        lambda: [{s.span.span_id: judge_span(s.span, t.workflow) for s in t.steps} for t in assembled],
    )
    timed("evaluate, contextual", lambda: [judge(t, known) for t, known in zip(assembled, local, strict=True)])
    engine = TrajectoryEngine(0, EnginePolicy(), registry=registry)
    for span, raw in decoded:
        engine.fold(span, raw)
    engine.finish()
    flush = engine.take(truths)
    writer = Writer(connect(stack.settings))
    writer.write_spans(flush.spans[:10])  # the first insert of a process loads the types

    def insert() -> None:
        for at in range(0, len(flush.spans), 20_000):
            writer.write_spans(flush.spans[at : at + 20_000])
        writer.write_trajectories(flush.trajectories)

    timed("sink, inserts", insert)
    timed("outcomes", lambda: [encode_trace(d.outcomes) for d in flush.decided])
    return took


async def whole(corpus: list[tuple[int, bytes]], stack: LocalStack) -> tuple[float, dict[str, float]]:
    """CPU seconds in which a scorer that has started works off the corpus, and rows per span."""
    producer = AIOKafkaProducer(**kafka_options(stack.settings), compression_type="lz4", max_request_size=8 << 20)
    await producer.start()
    client = connect(stack.settings)
    environment = {
        **os.environ,
        "STEPWATCH_BOOTSTRAP_SERVERS": stack.settings.bootstrap_servers,
        "STEPWATCH_CLICKHOUSE_URL": stack.settings.clickhouse_url,
    }
    scorer = subprocess.Popen([sys.executable, "-m", "streams.console", "scorer"], env=environment)
    process = psutil.Process(scorer.pid)
    decided = "SELECT sum(n_items) FROM trajectories FINAL WHERE state = 'decided'"
    try:
        await producer.send_and_wait(stack.settings.spans_topic, _one_span(), partition=0)
        started = await _until(client, process, decided, 1)
        sent = [await producer.send(stack.settings.spans_topic, value, partition=p) for p, value in corpus]
        await asyncio.gather(*sent)
        spent = await _until(client, process, decided, SPANS + 1)
    finally:
        await producer.stop()
        scorer.terminate()
        scorer.wait(30)
    rows = client.query(
        "SELECT (SELECT count() FROM spans), (SELECT count() FROM trajectories), (SELECT sum(length(results.span_id)) FROM "
        "trajectories FINAL)"
    ).result_rows[0]
    return spent - started, dict(
        zip(("span rows", "trajectory rows", "results"), (n / SPANS for n in rows), strict=True)
    )


def _one_span() -> bytes:
    """A trace of one root span: when it is decided the scorer has started, joined its group and warmed up."""
    message = ExportTraceServiceRequest()
    message.resource_spans.add().scope_spans.add().spans.add(trace_id=bytes(15) + b"\x01", span_id=bytes(7) + b"\x01")
    return bytes(message.SerializeToString())


async def _until(client: Any, process: psutil.Process, sql: str, wanted: int, deadline_s: float = DEADLINE_S) -> float:
    """CPU seconds of the process when the query says `wanted`."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        if client.query(sql).result_rows[0][0] == wanted:
            times = process.cpu_times()
            return float(times.user + times.system)
        await asyncio.sleep(0.5)
    raise SystemExit(f"{sql}: not {wanted} after {deadline_s} s")


async def main() -> int:
    """Run the whole under both sets of evaluators and the parts under all, and print the table."""
    screen = Console()
    made = long_traces.generator(shared_tool().parents[1])
    sets = {"the evaluators of the gate": GATED, "all evaluators": frozenset(long_traces.EVERY)}
    speeds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        corpus = records(Path(folder) / "corpus")
        for name, chosen in sets.items():
            stack = LocalStack(Path(folder) / name, parts=STORES, ports=PortsAsked(ANY, ANY, ANY))
            async with stack:
                await ensure_topics(stack.settings.model_copy(update={"spans_partitions": PARTITIONS}))
                await asyncio.to_thread(migrate, stack.settings)
                await publish_config(stack.settings, long_traces.registry_text(made, chosen), None)
                load(connect(stack.settings), list(long_traces.truths(made).values()))
                screen.print(f"{name}: {SPANS} spans in {len(corpus)} records; the scorer works them off ...")
                cpu_s, rows = await whole(corpus, stack)
                speeds[name] = SPANS / cpu_s
                screen.print("per span: " + ", ".join(f"{n:.3f} {what}" for what, n in rows.items()))
                alone = parts(corpus, stack) if name == "all evaluators" else {}
    table = Table("part", "CPU us per span", title="scorer, from Kafka to acknowledged rows")
    for part, us in alone.items():
        table.add_row(part, f"{us:.1f}")
    for name, speed in speeds.items():
        table.add_row(f"[bold]whole process, {name}[/]", f"{1e6 / speed:.1f}")
    screen.print(table)
    for name, speed in speeds.items():
        screen.print(f"{speed:,.0f} spans per CPU second with {name}")
    gated = speeds["the evaluators of the gate"]
    screen.print(f"the gate is {GATE:,} with {', '.join(sorted(GATED))}")
    return 0 if gated >= GATE else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
