"""A stack of its own for each measurement, scorers on it, and what every process of it spends."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
from aiokafka import AIOKafkaProducer

from streams.config_log import publish_config
from streams.local.ports import ANY, PortsAsked
from streams.local.stack import STORES, LocalStack
from streams.store.client import connect
from streams.store.expectations import load
from streams.store.migrate import migrate
from streams.topics import ensure_topics, kafka_options
from tests.bench.__main__ import PARTITIONS, shared_tool
from tests.bench.evaluators import long_traces

DECIDED = "SELECT sum(n_items) FROM trajectories FINAL WHERE state = 'decided'"


@asynccontextmanager
async def stack_of(folder: Path, registry: str) -> AsyncIterator[LocalStack]:
    """Kafka and ClickHouse with topics, tables, this registry and the truths of the generated tasks."""
    made = long_traces.generator(shared_tool().parents[1])
    async with LocalStack(folder, parts=STORES, ports=PortsAsked(ANY, ANY, ANY)) as stack:
        await ensure_topics(stack.settings.model_copy(update={"spans_partitions": PARTITIONS}))
        await asyncio.to_thread(migrate, stack.settings)
        await publish_config(stack.settings, registry, None)
        load(connect(stack.settings), list(long_traces.truths(made).values()))
        yield stack


def start(stack: LocalStack, **settings: str) -> subprocess.Popen[bytes]:
    """A scorer."""
    environment = {
        **os.environ,
        "STEPWATCH_BOOTSTRAP_SERVERS": stack.settings.bootstrap_servers,
        "STEPWATCH_CLICKHOUSE_URL": stack.settings.clickhouse_url,
        **settings,
    }
    command = [sys.executable, "-m", "streams.console", "scorer"]
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)


@asynccontextmanager
async def producer_of(stack: LocalStack) -> AsyncIterator[AIOKafkaProducer]:
    """A producer as the gateway has one."""
    producer = AIOKafkaProducer(**kafka_options(stack.settings), compression_type="lz4", max_request_size=8 << 20)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def send(producer: AIOKafkaProducer, topic: str, records: Iterable[tuple[int, bytes]]) -> None:
    """Put all on the topic."""
    waiting = []
    for partition, value in records:
        waiting.append(await producer.send(topic, value, partition=partition))
        if len(waiting) >= 500:
            await asyncio.gather(*waiting)
            waiting.clear()
    await asyncio.gather(*waiting)


def cpu_s(processes: Iterable[psutil.Process]) -> float:
    """CPU seconds that these have spent so far."""
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def servers() -> dict[str, list[psutil.Process]]:
    """The broker and the store among the processes that we started."""
    found: dict[str, list[psutil.Process]] = {"broker": [], "store": []}
    for process in psutil.Process().children(recursive=True):
        command = " ".join(process.cmdline())
        if "java" in command and "kafka" in command:
            found["broker"].append(process)
        elif "clickhouse_server" in command:
            found["store"].append(process)
    return found


def end(scorers: Iterable[subprocess.Popen[bytes]]) -> None:
    """Stop these scorers as an orchestrator would."""
    for scorer in scorers:
        scorer.terminate()
    for scorer in scorers:
        scorer.wait(60)
