"""What is sent: recorded runs in slices, shuffled, some twice, some late, some content in log records; and garbage.

A slice is fifty whole runs. As many slices are sent as the faults take time; what they come to, offline, is reckoned from the
same runs in order and once each.
"""

import asyncio
import json
import os
import random
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer

from streams.local.stack import LocalStack
from streams.topics import kafka_options
from tests.integration.pipeline import Recorded, environment, jsonl, offline

SHUFFLED_NS, LATE_NS = (
    2_000_000_000,
    (20_000_000_000, 60_000_000_000),
)  # of a trace's own time, of which about five pass in a second
LATE_SHARE, TOLD_BY_LOGS_SHARE = 0.04, 0.15
LOG_EVENT, ARGUMENTS = "gen_ai.execute_tool.details", "gen_ai.tool.call.arguments"
GARBAGE_S = 0.7
SLICE_RUNS = 50
NOBODY_THERE, AGAIN_S = (
    "; 0 spans were accepted before",
    1.0,
)  # a sender that finds no gateway at its start gives up soon
Json = dict[str, Any]
Timed = tuple[int, str, Json]  # when it ends, "spans" or "logRecords", the span or log record


class Slice(NamedTuple):
    """Some runs: as they are sent, and in order for the oracle."""

    sent: Path
    plain: Path
    runs: int
    spans: int
    logs: int


def slices(recorded: Recorded, folder: Path, seed: int) -> list[Slice]:
    """The recorded runs, in the order in which they began."""
    number = {run["trace_id"]: n // SLICE_RUNS for n, run in enumerate(jsonl(recorded.runs))}
    by_slice: dict[int, list[Timed]] = {n: [] for n in sorted(set(number.values()))}
    resource: Json = {}
    for document in jsonl(recorded.traces):
        (of_resource,) = document["resourceSpans"]
        resource = of_resource["resource"]
        for scope in of_resource["scopeSpans"]:
            for span in scope["spans"]:
                by_slice[number[span["traceId"]]].append((int(span["endTimeUnixNano"]), "spans", span))
    return [
        _slice(items, resource, folder / f"slice-{n}", random.Random(f"{seed} {n}")) for n, items in by_slice.items()
    ]


def _slice(items: list[Timed], resource: Json, stem: Path, draw: random.Random) -> Slice:
    items = [each for item in items for each in _told(item, draw)]
    plain, sent = stem.with_suffix(".plain"), stem.with_suffix(".sent")
    plain.write_text("".join(_lines([item], resource) for item in sorted(items, key=lambda item: item[0])))
    with sent.open("w") as file:
        order = sorted(items, key=lambda item: item[0] + _moved(draw))
        for at in range(0, len(order), 5):
            lines = _lines(order[at : at + 5], resource)
            file.write(lines + lines if at % 10 == 0 else lines)
        for item in order[: len(order) // 4]:  # once more, late
            file.write(_lines([item], resource))
    kinds = [kind for _, kind, _ in items]
    runs = len({item["traceId"] for _, _, item in items})
    return Slice(sent, plain, runs, kinds.count("spans"), kinds.count("logRecords"))


def _moved(draw: random.Random) -> int:
    return draw.randint(*LATE_NS) if draw.random() < LATE_SHARE else draw.randint(0, SHUFFLED_NS)


def _told(item: Timed, draw: random.Random) -> Iterator[Timed]:
    """A span; of some calls the arguments come in a log record and not in the span."""
    end_ns, kind, span = item
    arguments = [each for each in span["attributes"] if each["key"] == ARGUMENTS]
    if not arguments or draw.random() >= TOLD_BY_LOGS_SHARE:
        yield item
        return
    yield end_ns, kind, {**span, "attributes": [each for each in span["attributes"] if each["key"] != ARGUMENTS]}
    log = {"timeUnixNano": str(end_ns), "eventName": LOG_EVENT, "attributes": arguments}
    yield end_ns, "logRecords", {**log, "traceId": span["traceId"], "spanId": span["spanId"]}


def _lines(items: list[Timed], resource: Json) -> str:
    """Exports: one of spans, one of log records."""
    lines = ""
    for resources, scopes, kind in (
        ("resourceSpans", "scopeSpans", "spans"),
        ("resourceLogs", "scopeLogs", "logRecords"),
    ):
        if held := [item for _, its_kind, item in items if its_kind == kind]:
            of_scope = {"scope": {"name": "recorded-runs"}, kind: held}
            lines += json.dumps({resources: [{"resource": resource, scopes: [of_scope]}]}) + "\n"
    return lines


class Traffic:
    """Slices sent one after the other, for as long as they are wanted, and garbage beside them."""

    def __init__(self, stack: LocalStack, made: list[Slice], spans_per_s: float) -> None:
        self._stack, self._left, self._spans_per_s = stack, made, spans_per_s
        self.sent: list[Slice] = []
        self.garbage: set[tuple[int, int]] = set()  # where it lies

    async def send(self) -> None:
        """The next slice, acknowledged to the last span."""
        assert self._left, f"{len(self.sent)} slices were not enough: something is never reached"
        part = self._left.pop(0)
        self.sent.append(part)
        while (said := await self._sent(part)) is not None:
            assert NOBODY_THERE in said, said
            await asyncio.sleep(AGAIN_S)

    async def _sent(self, part: Slice) -> str | None:
        """None when all of it is acknowledged, else what the sender said."""
        command = [sys.executable, "-m", "streams.console", "send", part.sent, "--rate", str(self._spans_per_s)]
        env = {**os.environ, **environment(self._stack)}
        sender = await asyncio.create_subprocess_exec(*command, env=env, stdout=DEVNULL, stderr=PIPE)
        try:
            _, said = await sender.communicate()
        except asyncio.CancelledError:
            sender.kill()
            await sender.wait()
            raise
        return said.decode() if sender.returncode else None

    async def send_while(self, wanted: Callable[[], bool]) -> None:
        """At least one slice, and no other when no more is wanted."""
        await self.send()
        while wanted():
            await self.send()

    async def litter(self) -> None:
        """Records that are no spans, onto all partitions in turn; for ever. A broker that is away is waited for."""
        settings = self._stack.settings
        producer = AIOKafkaProducer(**kafka_options(settings), enable_idempotence=True, acks="all")
        await producer.start()
        try:
            number = 0
            while True:
                partition = number % settings.spans_partitions
                value = b"\xff no span %d" % number
                kept = await asyncio.shield(
                    asyncio.ensure_future(producer.send_and_wait(settings.spans_topic, value, partition=partition))
                )
                self.garbage.add((kept.partition, kept.offset))
                number += 1
                await asyncio.sleep(GARBAGE_S)
        finally:
            await producer.stop()

    def oracle(self, recorded: Recorded, folder: Path) -> list[tuple[Any, ...]]:
        """The rows that `stepwatch score` makes of all that was sent."""
        together = folder / "together.jsonl"
        together.write_text("".join(part.plain.read_text() for part in self.sent))
        return offline(together, recorded.registry, recorded.expectations)
