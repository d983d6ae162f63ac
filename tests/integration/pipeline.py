"""What the tests of the whole pipeline share: recorded runs, commands as a user runs them, questions to the store."""

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from schemas.topic_record import split_record
from streams.local.parts import variables
from streams.local.stack import LocalStack
from streams.settings import Settings
from streams.store.client import connect
from streams.topics import kafka_options
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


def record(folder: Path) -> Recorded:
    """Make traces of the recorded runs. Skips where they are not."""
    made = traces_of(folder)
    return made._replace(results=offline(made.traces, made.registry, made.expectations))


def traces_of(folder: Path, copies: int = 1) -> Recorded:
    """The recorded runs as traces, in so many copies under ids of their own; no results. Skips where they are not."""
    data, tool = shared("data/tau-airline"), shared("tools/tau_to_otlp.py")
    command = [sys.executable, tool, data, "--out", folder, "--copies", str(copies)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    files = [folder / name for name in ("traces.jsonl", "workflows.yaml", "expectations.jsonl", "runs.jsonl")]
    return Recorded(*files, results=[])


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


def apart(settings: Settings) -> Settings:
    """The same broker and store, with topics, consumer groups and a database that nobody else has."""
    name = f"test_{uuid4().hex}"
    own = [field for field in Settings.model_fields if field.endswith(("_topic", "_group"))]
    named = {field: f"{name}.{getattr(settings, field)}" for field in own}
    return settings.model_copy(update={**named, "clickhouse_database": name, "spans_partitions": 6})


def environment(stack: LocalStack) -> dict[str, str]:
    return {**variables(stack.settings), **FAST}


async def run(stack: LocalStack, *arguments: str | Path, more: dict[str, str] | None = None) -> str:
    return await asyncio.to_thread(command, *arguments, env={**environment(stack), **(more or {})})


async def prepare(stack: LocalStack, recorded: Recorded, *more: Path) -> None:
    """Registry and task truth of the recorded runs; `more` are further config files, rules for one."""
    await run(stack, "config", "apply", recorded.registry, *more)
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
LEDGER = (
    "SELECT sum(spans), sum(stored + duplicate + dead_lettered + sampled_out), sum(dead_lettered), countIf(NOT closes) "
    "FROM v1_ledger"
)


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


def jsonl(path: Path) -> list[dict[str, Any]]:
    """The objects of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text().splitlines()]


async def records_of(settings: Settings, topic: str) -> list[ConsumerRecord]:
    """All that is on a topic now, partition by partition in log order, read by nobody's group."""
    consumer = AIOKafkaConsumer(
        **kafka_options(settings), group_id=None, enable_auto_commit=False, max_partition_fetch_bytes=8 << 20
    )
    await consumer.start()
    try:
        places = await _places(consumer, topic)
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        found: list[ConsumerRecord] = []
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=250)).values():
                found += records
        return sorted(found, key=lambda record: (record.partition, record.offset))
    finally:
        await consumer.stop()


async def lag_of(settings: Settings) -> int:
    """Records of the spans topic that the scorers have not committed: end offsets against the group's."""
    consumer = AIOKafkaConsumer(
        **kafka_options(settings), group_id=settings.scorer_group, enable_auto_commit=False
    )  # assigned by hand: it asks for the group's offsets and joins nothing
    await consumer.start()
    try:
        places = await _places(consumer, settings.spans_topic)
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        return sum([end - (await consumer.committed(place) or 0) for place, end in ends.items()])
    finally:
        await consumer.stop()


async def _places(consumer: AIOKafkaConsumer, topic: str) -> list[TopicPartition]:
    if not consumer.partitions_for_topic(topic):
        await consumer._client.force_metadata_update()
    return [TopicPartition(topic, p) for p in sorted(consumer.partitions_for_topic(topic) or ())]


async def spans_in_log(settings: Settings) -> int:
    """How many spans lie on the spans topic, each as often as it was sent."""
    return sum([len(split_record(record.value)[0]) for record in await records_of(settings, settings.spans_topic)])
