"""A whole day in seconds: outcomes with the append times that they would have had, for an alerter of their own.

The log clock is the append time that the broker gives, so a day would take a day. Here the outcome log is a topic of its own
whose times are the producer's (`CreateTime`), which the alerter accepts when it is told to: yesterday's outcomes and ticks
are written first, then an alerter starts on them as after an outage, folds them at its full speed and publishes. Only
this scenario begins at the outcome log, behind gateway and scorer.
"""

import asyncio
import math
import os
import sys
import time
from collections.abc import Iterator, Mapping
from random import Random

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from schemas.outcome import Outcome, OutcomeRecord, Tick, TraceOutcomes, encode, partition_of
from streams.demo.scribe import SpanPlan
from streams.local.parts import environment_of
from streams.settings import Settings
from streams.topics import ensure_topics, kafka_options
from tests.outcomes import outcome
from tests.scenarios.casting import Cast
from tests.scenarios.judge import Played
from tests.scenarios.scenario import TENANT, Day, Scenario

TICK_MS = 10_000
DAY_MS = 24 * 3_600_000
TOPICS = ("outcomes", "alerts", "alert_state", "checkpoint", "dlq")
SENT_AT_ONCE = 2_000
ROOT = SpanPlan("", None, 0, 60_000, {}, "")  # runs take a minute


def settings_of(name: str, settings: Settings) -> Settings:
    """Topics and a consumer group of its own; broker, store and config are everybody's."""
    own = {f"{topic}_topic": f"{name}.{topic}" for topic in TOPICS}
    return settings.model_copy(update={**own, "alerter_group": f"{name}-alerter", "accept_create_time": True})


def runs(name: str, scenario: Scenario, end_ms: int) -> Iterator[tuple[Played, TraceOutcomes]]:
    """The runs of the day that ends at `end_ms`, with their outcomes; more by day than by night."""
    day, rng = scenario.day, Random(f"{name}/{scenario.seed}")
    assert day is not None
    at_ms, number = float(end_ms - DAY_MS), 0
    while True:
        number += 1
        hour = 24 - (end_ms - at_ms) / 3_600_000
        per_minute = day.per_minute * (1 + 0.9 * math.sin((hour - 8) / 24 * 2 * math.pi))
        at_ms += rng.expovariate(per_minute / 60_000)
        if at_ms >= end_ms:
            return
        is_broken = day.broken_from_h <= hour < day.broken_until_h
        yield _run(name, day, number, int(at_ms), is_broken=is_broken, rng=rng)


def _run(name: str, day: Day, number: int, at_ms: int, *, is_broken: bool, rng: Random) -> tuple[Played, TraceOutcomes]:
    failed = {step for step in day.steps if rng.random() < day.fail_rate}
    struck = is_broken and rng.random() < day.broken_rate
    outcomes = tuple(_outcome(s, at_ms, failed=s in failed or (struck and s == day.steps[0])) for s in day.steps)
    trace_id = rng.getrandbits(128) or 1
    kinds = frozenset({"tool_error"}) if struck else frozenset()
    cast = Cast(0.0, name, int(is_broken), TENANT, "1", trace_id, (), (ROOT,), kinds, frozenset(failed))
    return Played(cast, at_ms), TraceOutcomes(f"{trace_id:032x}", at_ms, 5, "root_ended", 1, 1.0, "1", outcomes)


def _outcome(step: str, at_ms: int, *, failed: bool) -> Outcome:
    return outcome(int(failed), step=f"executor/{step}", tool=step, event_ms=at_ms)


def log(
    name: str, runs: list[tuple[Played, TraceOutcomes]], rules_seq: int, end_ms: int
) -> Iterator[tuple[int, bytes]]:
    """(append time, record) of the day, ticks between the runs."""
    tick_ms = end_ms - DAY_MS
    for played, outcomes in runs:
        while tick_ms <= played.end_ms:
            yield tick_ms, encode(Tick(rules_seq, 0.0))
            tick_ms += TICK_MS
        yield played.end_ms, encode(OutcomeRecord(TENANT, name, (outcomes,)))
    while tick_ms <= end_ms:
        yield tick_ms, encode(Tick(rules_seq, 0.0))
        tick_ms += TICK_MS


async def write(name: str, scenario: Scenario, settings: Settings, rules_seq: int) -> list[Played]:
    """Make the topics of `settings` and put the day that has just ended on the log."""
    end_ms = int(time.time() * 1000)
    admin = AIOKafkaAdminClient(**kafka_options(settings))
    await admin.start()
    config = {"message.timestamp.type": "CreateTime"}
    made = NewTopic(settings.outcomes_topic, settings.outcomes_partitions, 1, topic_configs=config)
    await admin.create_topics([made])
    await admin.close()
    await ensure_topics(settings)
    drawn = await asyncio.to_thread(lambda: list(runs(name, scenario, end_ms)))
    producer = AIOKafkaProducer(**kafka_options(settings), acks="all", linger_ms=20)
    await producer.start()
    partition = partition_of(TENANT, name, settings.outcomes_partitions)
    sent = []
    for at_ms, record in log(name, drawn, rules_seq, end_ms):
        sent.append(await producer.send(settings.outcomes_topic, record, partition=partition, timestamp_ms=at_ms))
        if len(sent) >= SENT_AT_ONCE:
            await asyncio.gather(*sent)
            sent.clear()
    await producer.stop()
    return [played for played, _ in drawn]


async def alerter(settings: Settings, environment: Mapping[str, str]) -> asyncio.subprocess.Process:
    """An alerter for these topics. The caller ends it."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streams.console", "alerter"),
        env={**os.environ, **environment_of(settings, environment)},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
