"""How long rows take under half the load that a scorer can carry, and after one was killed.

Probes are traces of two spans among the load: the first without a root, whose step row is waited for, then the root, whose
final row is. Times are by the wall, on a machine that the broker, the store and the load generator share.
"""

import asyncio
import statistics
import time
from pathlib import Path
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from schemas.partition import sarama
from streams.store.client import connect
from tests.bench.__main__ import PARTITIONS
from tests.bench.matrix.load import Records
from tests.bench.matrix.running import producer_of, stack_of, start

FIRST = 1 << 96  # probes' trace ids
EVERY_S, ROOT_AFTER_S, LOOK_S = 0.25, 1.0, 0.05
ROWS = (
    "SELECT reinterpretAsUInt64(reverse(substring(trace_id, 9, 8))), max(n_items), max(state = 'decided') FROM trajectories "
    "WHERE startsWith(trace_id, unhex('000000010000000000000000')) GROUP BY 1"
)


class Probe:
    """When its spans were acknowledged by Kafka, and when its rows were seen."""

    def __init__(self, n: int) -> None:
        self.trace = (FIRST + n).to_bytes(16, "big")
        self.partition = sarama(self.trace.hex().encode(), PARTITIONS)
        self.sent_s = self.root_s = self.step_row_s = self.final_row_s = 0.0

    def span(self, *, root: bool) -> bytes:
        message = ExportTraceServiceRequest()
        span = message.resource_spans.add().scope_spans.add().spans.add(trace_id=self.trace, name="probe")
        now = time.time_ns()
        span.start_time_unix_nano, span.end_time_unix_nano = now - 1_000_000, now
        span.span_id = bytes(7) + (b"\x02" if root else b"\x01")
        if not root:
            span.parent_span_id = bytes(7) + b"\x02"
            span.attributes.add(key="gen_ai.operation.name").value.string_value = "execute_tool"
        return bytes(message.SerializeToString())


class Times(NamedTuple):
    """Seconds, each of many."""

    step_row: list[float]
    final_row: list[float]
    after_kill: list[float]


async def measured(records: Records, records_s: float, kills: int, folder: Path, registry: str) -> Times:
    """The load at this pace with probes in it; then as many kills, each followed by a new scorer at once."""
    probes: dict[int, Probe] = {}
    after_kill: list[float] = []
    async with stack_of(folder, registry) as stack, producer_of(stack) as producer:
        topic = stack.settings.spans_topic
        scorer = start(stack)
        tasks: list[asyncio.Task[None]] = []
        try:
            tasks = [
                asyncio.create_task(_load(producer, topic, records, records_s)),
                asyncio.create_task(_probe(producer, topic, probes)),
                asyncio.create_task(_look(connect(stack.settings), probes)),
            ]
            while not any(probe.final_row_s for probe in probes.values()):
                await asyncio.sleep(LOOK_S)
            await asyncio.sleep(10.0)  # what waited for the first assignment is worked off
            settled = len(probes)
            await asyncio.sleep(40.0)
            calm = [probe for n, probe in probes.items() if settled <= n < len(probes) - 20]
            for _ in range(kills):
                scorer.kill()
                scorer.wait(10)
                killed_s, killed_at = time.monotonic(), len(probes)
                scorer = start(stack)
                while not any(probes[n].step_row_s for n in range(killed_at, len(probes))):
                    await asyncio.sleep(LOOK_S)
                    if time.monotonic() - killed_s > 120:
                        raise SystemExit("no row for 120 s after a kill")
                rows = [probes[n].step_row_s for n in range(killed_at, len(probes)) if probes[n].step_row_s]
                after_kill.append(min(rows) - killed_s)
                await asyncio.sleep(5.0)
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            scorer.terminate()
            scorer.wait(60)
    failed = [error for error in ended if isinstance(error, Exception)]
    if failed:
        raise failed[0]
    return Times(
        [p.step_row_s - p.sent_s for p in calm if p.step_row_s],
        [p.final_row_s - p.root_s for p in calm if p.final_row_s],
        after_kill,
    )


async def _load(producer: AIOKafkaProducer, topic: str, records: Records, records_s: float) -> None:
    began, sent = time.monotonic(), 0
    while True:
        for partition, value in records:
            await producer.send(topic, value, partition=partition)
            sent += 1
            ahead_s = sent / records_s - (time.monotonic() - began)
            if ahead_s > 0.005:
                await asyncio.sleep(ahead_s)


async def _probe(producer: AIOKafkaProducer, topic: str, probes: dict[int, Probe]) -> None:
    async def one(probe: Probe) -> None:
        await producer.send_and_wait(topic, probe.span(root=False), partition=probe.partition)
        probe.sent_s = time.monotonic()
        await asyncio.sleep(ROOT_AFTER_S)
        await producer.send_and_wait(topic, probe.span(root=True), partition=probe.partition)
        probe.root_s = time.monotonic()

    async with asyncio.TaskGroup() as running:
        while True:
            probe = probes[len(probes)] = Probe(len(probes))
            running.create_task(one(probe))
            await asyncio.sleep(EVERY_S)


async def _look(client: Any, probes: dict[int, Probe]) -> None:
    while True:
        rows = (await asyncio.to_thread(client.query, ROWS)).result_rows
        now = time.monotonic()
        for n, _items, decided in rows:
            probe = probes[n]
            probe.step_row_s = probe.step_row_s or now
            if decided:
                probe.final_row_s = probe.final_row_s or now
        await asyncio.sleep(LOOK_S)


def quantiles(times: list[float]) -> str:
    """Median, 99th percentile and the longest."""
    if len(times) < 2:
        return "too few"
    cut = statistics.quantiles(times, n=100, method="inclusive")
    return f"p50 {cut[49]:.2f} s, p99 {cut[98]:.2f} s, max {max(times):.2f} s ({len(times)} times)"
