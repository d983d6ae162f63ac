"""`python -m tests.bench.hostile`: a real scorer under load that means it harm; its memory, and what the others get.

One scorer with a bound of memory on the local stack. First ordinary runs alone, then runs that never end (each with a workflow, a
tool and a span name of its own) and one run of very many spans, then ordinary runs again while all of that is open. Exit code 1
when the process takes more than the bound and what comes on top of it (docs/operations.md), or ordinary spans cost a fifth more
than before.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import psutil
from aiokafka import AIOKafkaProducer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from rich.console import Console

from schemas.partition import sarama
from streams.local.ports import ANY, PortsAsked
from streams.local.stack import STORES, LocalStack
from streams.store.client import connect
from streams.store.migrate import migrate
from streams.topics import ensure_topics, kafka_options
from tests.bench.__main__ import PACK, PARTITIONS, _one_span, _until, framed, shared_tool

ORDINARY = int(os.environ.get("STEPWATCH_BENCH_SPANS", "60000"))
OPEN = int(os.environ.get("STEPWATCH_BENCH_OPEN", "1000000"))  # runs that never end
LONG = int(os.environ.get("STEPWATCH_BENCH_LONG", "100000"))  # spans of one run
MEMORY_BYTES = 512 << 20
ON_TOP_BYTES = 500 << 20
SLOWER_MAX = 1.2
TRIES = 3
HOSTILE_PACK = 200
HOSTILE_DEADLINE_S = 3_600.0
FIRST_OPEN = 1 << 32  # trace ids above those of the corpus's first span
DECIDED = "SELECT sum(n_items) FROM trajectories FINAL WHERE state = 'decided'"
SEEN = "SELECT sum(spans) FROM v1_ledger"
Records = Iterable[tuple[int, bytes]]


def ordinary(folder: Path, salt: int) -> list[tuple[int, bytes]]:
    """(partition, record) of the corpus, packed; `salt` gives its runs ids of their own."""
    held: dict[int, list[bytes]] = {}
    packed = []
    for _, value in framed((folder / "bytrace.rec").read_bytes()):
        export = ExportTraceServiceRequest.FromString(value)
        for span in export.resource_spans[0].scope_spans[0].spans:
            span.trace_id = bytes([span.trace_id[0] ^ salt]) + span.trace_id[1:]
        partition = sarama(export.resource_spans[0].scope_spans[0].spans[0].trace_id.hex().encode(), PARTITIONS)
        batch = held.setdefault(partition, [])
        batch.append(export.SerializeToString())
        if len(batch) == PACK:
            packed.append((partition, b"".join(held.pop(partition))))
    return packed + [(partition, b"".join(batch)) for partition, batch in held.items()]


def never_ending(count: int) -> Iterator[tuple[int, bytes]]:
    """Runs of one span that is no root, every name of it its own."""
    held: dict[int, list[int]] = {}
    for n in range(FIRST_OPEN, FIRST_OPEN + count):
        partition = sarama(n.to_bytes(16, "big").hex().encode(), PARTITIONS)
        held.setdefault(partition, []).append(n)
        if len(held[partition]) == HOSTILE_PACK:
            yield partition, spans((m, m) for m in held.pop(partition))
    yield from ((partition, spans((m, m) for m in numbers)) for partition, numbers in held.items())


def very_long(count: int) -> Iterator[tuple[int, bytes]]:
    """One run of so many spans, without a root."""
    trace = 1 << 100
    partition = sarama(trace.to_bytes(16, "big").hex().encode(), PARTITIONS)
    for at in range(0, count, HOSTILE_PACK):
        yield partition, spans((trace, n + 1) for n in range(at, min(at + HOSTILE_PACK, count)))


def spans(of: Iterable[tuple[int, int]]) -> bytes:
    """Spans by (trace, number), as one export."""
    message = ExportTraceServiceRequest()
    sent = message.resource_spans.add().scope_spans.add().spans
    for trace, n in of:
        span = sent.add(trace_id=trace.to_bytes(16, "big"), span_id=n.to_bytes(8, "big"), name=f"execute_tool tool {n}")
        span.parent_span_id = b"\xff" * 8
        span.start_time_unix_nano, span.end_time_unix_nano = 1_790_000_000_000_000_000, 1_790_000_000_050_000_000
        said = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": f"tool {n}",
            "gen_ai.agent.name": f"agent {n}",
            "gen_ai.workflow.name": f"workflow {n}",
            "gen_ai.tool.call.arguments": f'{{"id": {n}}}',
        }
        for key, value in said.items():
            span.attributes.add(key=key).value.string_value = value
    return bytes(message.SerializeToString())


class Watch:
    """The greatest resident memory of a process, looked at all the time."""

    def __init__(self, process: psutil.Process) -> None:
        self.most = 0
        self._process, self._over = process, threading.Event()
        threading.Thread(target=self._look, daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._over.set()

    def _look(self) -> None:
        while not self._over.wait(0.1):
            self.most = max(self.most, self._process.memory_info().rss)


async def send(producer: AIOKafkaProducer, topic: str, records: Records) -> None:
    """Put all on the topic."""
    waiting: list[Any] = []
    for partition, value in records:
        waiting.append(await producer.send(topic, value, partition=partition))
        if len(waiting) >= 100:
            await asyncio.gather(*waiting)
            waiting.clear()
    await asyncio.gather(*waiting)


async def measure(stack: LocalStack, folder: Path, screen: Console) -> bool:
    """All of it on this stack, told as it goes; whether it is well."""
    producer = AIOKafkaProducer(**kafka_options(stack.settings), compression_type="lz4", max_request_size=8 << 20)
    await producer.start()
    client, topic = connect(stack.settings), stack.settings.spans_topic
    environment = {
        **os.environ,
        "STEPWATCH_BOOTSTRAP_SERVERS": stack.settings.bootstrap_servers,
        "STEPWATCH_CLICKHOUSE_URL": stack.settings.clickhouse_url,
        "STEPWATCH_MEMORY_BYTES_MAX": str(MEMORY_BYTES),
    }
    scorer = subprocess.Popen([sys.executable, "-m", "streams.console", "scorer"], env=environment)
    process = psutil.Process(scorer.pid)
    watch = Watch(process)

    sent = 0  # ordinary corpora

    async def cost(times: int) -> float:
        """CPU microseconds of an ordinary span; the least of some tries, for the machine is seldom ours alone."""
        nonlocal sent
        took = []
        for _ in range(times):
            sent += 1
            records = ordinary(folder, sent)
            before = sum(process.cpu_times()[:2])
            await send(producer, topic, records)
            took.append(await _until(client, process, DECIDED, sent * ORDINARY + 1) - before)
        return min(took) / ORDINARY * 1e6

    try:
        await producer.send_and_wait(topic, _one_span(), partition=0)
        await _until(client, process, DECIDED, 1)
        await cost(1)  # the first runs of a process are dearer
        alone = await cost(TRIES)
        calm = watch.most
        screen.print(f"ordinary runs alone: {alone:.1f} us of CPU a span, at most {calm >> 20} MB")
        await send(producer, topic, never_ending(OPEN))
        await send(producer, topic, very_long(LONG))
        await _until(client, process, SEEN, sent * ORDINARY + 1 + OPEN + LONG, HOSTILE_DEADLINE_S)
        screen.print(f"{OPEN:,} runs that never end and one of {LONG:,} spans: at most {watch.most >> 20} MB")
        beside = await cost(TRIES)
        screen.print(f"ordinary runs beside them: {beside:.1f} us of CPU a span, {beside / alone:.2f} times as before")
    finally:
        watch.stop()
        await producer.stop()
        scorer.terminate()
        scorer.wait(60)
    bound = MEMORY_BYTES + ON_TOP_BYTES
    screen.print(f"the bound is {bound >> 20} MB; at most {watch.most >> 20} MB were taken")
    return watch.most <= bound and beside <= SLOWER_MAX * alone


async def main() -> int:
    """Measure, and say whether it is well."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run(
            [sys.executable, shared_tool(), folder / "corpus", str(ORDINARY)], check=True, stdout=subprocess.DEVNULL
        )
        async with LocalStack(folder / "stack", parts=STORES, ports=PortsAsked(ANY, ANY, ANY)) as stack:
            await ensure_topics(stack.settings.model_copy(update={"spans_partitions": PARTITIONS}))
            await asyncio.to_thread(migrate, stack.settings)
            return 0 if await measure(stack, folder / "corpus", Console()) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
