"""How long after a step breaks its alert is published: the real alerter on a real broker, 200 outcomes a second and series.

Twenty workflows fail at 3 % and from a moment of their own on at 50 %: twenty delays from the append of the first outcome after
the break to the event on `eval.alerts`. The settle time of runs comes before that.
"""

import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

import orjson
from aiokafka import AIOKafkaProducer
from rich.console import Console

from schemas.alert import read_time
from schemas.outcome import encode, partition_of
from streams.alerter import subscriber
from streams.config_log import publish_config
from streams.local.ports import ANY, PortsAsked
from streams.local.stack import LocalStack
from streams.settings import Settings
from streams.topics import kafka_options
from tests.outcomes import RULES, outcome, record, trace

WORKFLOWS = 20
PER_RECORD, RECORDS_A_SECOND = 10, 20.0  # of each workflow: as a flush of a busy scorer publishes them
HEALTHY_S, WATCHED_S = 45.0, 35.0
BEFORE, AFTER = 0.03, 0.5
GOAL_S = 15.0


class Delays(NamedTuple):
    """From break to event, seconds; in order."""

    found: list[float]
    silent: int  # workflows that broke and did not fire
    early: int  # that fired before they broke

    @property
    def p50(self) -> float:
        """Half of them were faster."""
        return median(self.found)

    @property
    def p99(self) -> float:
        """With twenty of them: the slowest."""
        return self.found[min(len(self.found) - 1, int(0.99 * len(self.found)))]


async def measured() -> Delays:
    """Start a stack, break all workflows, listen."""
    with tempfile.TemporaryDirectory() as folder:
        stack = LocalStack(
            Path(folder) / "stack", parts=("broker", "clickhouse", "alerter"), ports=PortsAsked(ANY, ANY, ANY)
        )
        async with stack:
            await publish_config(stack.settings, None, RULES)
            await asyncio.sleep(12)  # the alerter takes rules over with a tick
            broken = await _drive(stack.settings)
            fired = {
                dict(r.event.labels)["workflow"]: r.event
                async for r in subscriber.tail(stack.settings, from_start=True, follow=False)
                if r.event.type == "firing"
            }
            heard = await _emitted(stack.settings)
    late = {name: heard[fired[name].id] - at_s for name, at_s in broken.items() if name in fired}
    found = sorted(delay for delay in late.values() if delay >= 0)
    return Delays(found, len(broken) - len(fired), len(late) - len(found))


async def _drive(settings: Settings) -> dict[str, float]:
    """Write outcomes in real time; when each workflow broke, in seconds since the epoch."""
    rng = random.Random(5)
    producer = AIOKafkaProducer(**kafka_options(settings), linger_ms=5)
    await producer.start()
    begun, n = time.time(), 0
    breaks = {f"w{i}": begun + HEALTHY_S + rng.uniform(0, 10) for i in range(WORKFLOWS)}
    due = {name: begun + rng.uniform(0, 1 / RECORDS_A_SECOND) for name in breaks}
    broken: dict[str, float] = {}
    while (now := time.time()) < begun + HEALTHY_S + WATCHED_S:
        for name, at_s in due.items():
            while due[name] <= now:
                due[name] += 1 / RECORDS_A_SECOND
                is_broken = now >= breaks[name]
                if is_broken:
                    broken.setdefault(name, now)
                failed = [rng.random() < (AFTER if is_broken else BEFORE) for _ in range(PER_RECORD)]
                traces = (trace(n + i, outcome(int(f), event_ms=int(at_s * 1000))) for i, f in enumerate(failed))
                said = record(*traces, workflow=name)
                n += PER_RECORD
                where = partition_of("default", name, settings.outcomes_partitions)
                await producer.send(settings.outcomes_topic, encode(said), partition=where)
        await asyncio.sleep(0.02)
    await producer.stop()
    return broken


async def _emitted(settings: Settings) -> dict[str, float]:
    """When each event was published, by its id."""
    found: dict[str, float] = {}
    async for r in subscriber.tail(settings, from_start=True, follow=False):
        found.setdefault(r.event.id, read_time(orjson.loads(r.value)["pipeline"]["emitted_at"]) / 1000)
    return found


def report(console: Console) -> bool:
    """Measure and print; whether the goal is met."""
    delays = asyncio.run(measured())
    volume = (
        f"{WORKFLOWS} series of {PER_RECORD * RECORDS_A_SECOND:g} outcomes a second each, {BEFORE:.0%} to {AFTER:.0%}"
    )
    console.print(
        f"break to published event, {volume}: p50 {delays.p50:.1f} s, p99 {delays.p99:.1f} s (goal {GOAL_S:g} s beyond the "
        f"settle); {delays.silent} did not fire, {delays.early} fired before"
    )
    return delays.p99 < GOAL_S and not delays.silent


if __name__ == "__main__":
    sys.exit(0 if report(Console(width=150)) else 1)
