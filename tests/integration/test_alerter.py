"""The alerter on a real broker and a real ClickHouse: a break and its repair are told once, and nothing stops it."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest_asyncio
from aiokafka import AIOKafkaProducer

from schemas.alert import AlertEvent
from schemas.attribution import NOTHING
from schemas.outcome import OutcomeRecord, decode, encode, partition_of
from schemas.rules import parse_rules
from streams.alerter import partition_log, subscriber
from streams.config_log import publish_config
from streams.core.alerting import Alerting
from streams.local.parts import variables
from streams.settings import Settings
from streams.store.client import connect
from streams.topics import kafka_options
from tests.documents import check_event
from tests.integration.conftest import NewStack
from tests.outcomes import RULES, outcome, record, trace

FAST = {
    "STEPWATCH_TICK_INTERVAL_S": "0.5",
    "STEPWATCH_CHECKPOINT_INTERVAL_S": "1",
    "STEPWATCH_SESSION_TIMEOUT_S": "3",
    "STEPWATCH_HEARTBEAT_INTERVAL_S": "1",
}
SHORT_HOLD = RULES.replace("hold: 1m", "hold: 1s")
PARTITION = partition_of("default", "refund", 12)
DEADLINE_S = 90.0


class Workflow:
    """Writes outcomes of the refund workflow at some twenty traces a second until it is told to stop."""

    def __init__(self, settings: Settings) -> None:
        self.failing = False
        self._topic = settings.outcomes_topic
        self._producer = AIOKafkaProducer(**kafka_options(settings), acks="all")
        self._traces = 0

    async def run(self) -> None:
        await self._producer.start()
        try:
            while True:
                value = encode(self._next())
                for _ in range(2):  # every record is delivered twice
                    await self._producer.send_and_wait(self._topic, value, partition=PARTITION)
                await asyncio.sleep(0.1)
        finally:
            await self._producer.stop()

    def _next(self) -> OutcomeRecord:
        self._traces += 2
        return record(*(trace(self._traces + i, outcome(int(self.failing))) for i in (0, 1)))


async def wait_for(said: str, there: Callable[[], Awaitable[bool]]) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + DEADLINE_S
    while not await there():
        assert loop.time() < end, f"not {said} after {DEADLINE_S} s"
        await asyncio.sleep(0.5)


async def published(settings: Settings) -> list[AlertEvent]:
    """Without what stands beside the fold: no run of these outcomes is in the store."""
    received = [r async for r in subscriber.tail(settings, from_start=True, follow=False)]
    for r in received:
        check_event(r.headers, r.value)
    events = [r.event for r in received]
    assert all(event.attribution in (None, NOTHING) for event in events)
    return [event._replace(attribution=None) for event in events]


async def undisturbed(settings: Settings) -> list[AlertEvent]:
    """The events that one fold of the whole log gives."""
    fold, found = Alerting(PARTITION), list[AlertEvent]()
    async for config in partition_log.read(settings, settings.config_topic, 0):
        fold.learn(config.offset + 1, parse_rules(json.loads(config.value)["rules"], "rules.yaml"))
    async for entry in partition_log.read(settings, settings.outcomes_topic, PARTITION):
        emitted = fold.handle(decode(entry.value), entry.timestamp, entry.offset)
        found += [event for event in emitted if isinstance(event, AlertEvent)]
    return found


async def rows(settings: Settings) -> list[tuple[Any, ...]]:
    def read() -> list[tuple[Any, ...]]:
        client = connect(settings)
        try:
            return [
                tuple(r)
                for r in client.query(
                    "SELECT id, status, workflow, step, payload FROM v1_alerts ORDER BY seq"
                ).result_rows
            ]
        finally:
            client.close()

    return await asyncio.to_thread(read)


async def told(settings: Settings) -> str:
    """What `stepwatch alerts tail` shows of all that was published."""
    tail = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streams.console", "alerts", "tail", "--from-start", "--no-follow"),
        env={**os.environ, **variables(settings)},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await tail.communicate()
    assert tail.returncode == 0
    return output.decode()


@pytest_asyncio.fixture(loop_scope="session")
async def workflow_of() -> AsyncIterator[Callable[[Settings], Workflow]]:
    running: list[asyncio.Task[None]] = []

    def start(settings: Settings) -> Workflow:
        workflow = Workflow(settings)
        running.append(asyncio.create_task(workflow.run()))
        return workflow

    yield start
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


async def test_a_break_and_its_repair_are_told_once_in_every_place(
    own_parts: NewStack, workflow_of: Callable[[Settings], Workflow]
) -> None:
    """Topic, compacted state, store and command line. While the alerter is killed or fenced: test_scenarios.py."""
    stack = await own_parts("alerter", environment=FAST)
    settings = stack.settings
    await publish_config(settings, None, SHORT_HOLD)
    workflow = workflow_of(settings)

    async def heard(kind: str) -> bool:
        return any(event.type == kind for event in await published(settings))

    await asyncio.sleep(6)
    workflow.failing = True
    await wait_for("firing", lambda: heard("firing"))
    workflow.failing = False
    await wait_for("resolved", lambda: heard("resolved"))

    events = await published(settings)
    assert [event.type for event in events] == ["firing", "resolved"]
    assert events == await undisturbed(settings)
    state = await subscriber.state(settings)
    assert {key: r.event.status for key, r in state.items()} == {events[0].alert_key: "resolved"}

    async def stored() -> bool:
        return len(await rows(settings)) == 2

    await wait_for("stored", stored)
    stored_rows = await rows(settings)
    assert [row[:4] for row in stored_rows] == [
        (event.id, event.status, "refund", "executor/update_crm") for event in events
    ]
    assert [line.split()[1] for line in (await told(settings)).splitlines() if "update_crm" in line] == [
        "FIRING",
        "RESOLVED",
    ]
    assert json.loads(stored_rows[0][4])["evidence"]["n"] == events[0].evidence.n


async def test_while_the_store_is_away_alerts_go_out_and_their_history_follows(
    own_parts: NewStack, workflow_of: Callable[[Settings], Workflow]
) -> None:
    stack = await own_parts("clickhouse", "alerter", environment=FAST)
    settings = stack.settings
    await publish_config(settings, None, SHORT_HOLD)
    await stack.stop_part("clickhouse")
    workflow_of(settings).failing = True

    async def heard() -> bool:
        return bool(await published(settings))

    await wait_for("firing", heard)
    await stack.start_part("clickhouse")

    async def stored() -> bool:
        return len(await rows(settings)) >= 1

    await wait_for("stored", stored)


async def test_a_record_that_nobody_can_read_goes_to_the_dlq_and_its_neighbours_count(
    own_parts: NewStack, workflow_of: Callable[[Settings], Workflow]
) -> None:
    stack = await own_parts("alerter", environment=FAST)
    settings = stack.settings
    await publish_config(settings, None, SHORT_HOLD)
    producer = AIOKafkaProducer(**kafka_options(settings))
    await producer.start()
    bad = await producer.send_and_wait(settings.outcomes_topic, b"\xff not json", partition=PARTITION)
    await producer.stop()
    workflow_of(settings).failing = True

    async def heard() -> bool:
        return bool(await published(settings))

    await wait_for("firing", heard)
    dead = [r async for r in partition_log.read(settings, settings.dlq_topic, PARTITION % settings.dlq_partitions)]
    assert {(r.value, dict(r.headers)["offset"]) for r in dead} == {(b"\xff not json", str(bad.offset).encode())}
