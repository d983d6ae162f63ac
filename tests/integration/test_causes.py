"""What changed at the onset, out of a real ClickHouse: runs through the engine, an event, and the command of a person on call."""

import time
from collections.abc import Iterator
from uuid import uuid4

import pytest
from clickhouse_connect.driver.client import Client

from schemas.alert import AlertEvent
from schemas.outcome import TraceOutcomes
from schemas.registry import parse_registry
from schemas.rows import SpanRow, TrajectoryRow
from schemas.span import RawSpan
from streams.alerter.history import row_of
from streams.core.engine import EnginePolicy, TrajectoryEngine
from streams.local.stack import LocalStack
from streams.settings import Settings
from streams.store.attribution import attribution_of
from streams.store.client import connect
from streams.store.migrate import migrate
from streams.store.writer import Writer
from tests.builders import root_span, tool_span
from tests.integration.pipeline import run
from tests.outcomes import alerts, new_fold, timeline
from tests.outcomes import run as fold

ONSET_MS = int(time.time() * 1000) // 60_000 * 60_000 - 3_600_000
OF_ALERTS = """
SELECT episode, open, time_to_resolve_s, cause, acknowledged_by, arrayMap(n -> n.3, notes), acknowledged_at IS NULL
FROM v1_alerts ORDER BY episode, seq
"""
REGISTRY = """
workflows:
  - name: refund
    tools: [{name: update_crm, parameters: {type: object, properties: {id: {type: string}}, required: [id]}}]
"""


@pytest.fixture
def store(stack: LocalStack) -> Iterator[tuple[Settings, Client]]:
    settings = stack.settings.model_copy(update={"clickhouse_database": f"attribution_{uuid4().hex}"})
    migrate(settings)
    client = connect(settings)
    yield settings, client
    client.command(f"DROP DATABASE `{settings.clickhouse_database}`")
    client.close()


def judged(n: int, began_ms: int, *, good: bool, release: str) -> tuple[list[SpanRow], list[TrajectoryRow]]:
    """One run of executor / update_crm and what a scorer makes of it."""
    engine = TrajectoryEngine(0, EnginePolicy(), 3, parse_registry(REGISTRY, "workflows.yaml"))
    trace = n.to_bytes(16, "big")
    common = {"trace_id": trace, "received_ms": began_ms + 100, "release": release, "start_ns": began_ms * 10**6}
    call = tool_span(1, "update_crm", {"id": "7"} if good else {}, agent="executor", **common)
    root = root_span(workflow="refund", **common)
    engine.tick(began_ms + 100)
    for span in (call, root):
        timed = span._replace(end_ns=began_ms * 10**6 + 10**6, model="m1")
        engine.fold(timed, RawSpan(b"", b"", b"x"))
    engine.tick(began_ms + 60_000)
    flush = engine.take({})
    assert isinstance(flush.trajectories[0].outcomes, TraceOutcomes)
    return flush.spans, flush.trajectories


def firing() -> AlertEvent:
    event, *_ = alerts(fold(new_fold(), timeline((100, 0), (30, 1))))
    labels = {**dict(event.labels), "evaluator": "ParameterValidation", "step": "executor/update_crm"}
    return event._replace(
        labels=tuple(labels.items()), starts_ms=ONSET_MS, fired_ms=ONSET_MS + 900_000, time_ms=ONSET_MS + 900_000
    )


async def test_the_cause_is_found_told_and_shown(store: tuple[Settings, Client], stack: LocalStack) -> None:
    settings, client = store
    writer = Writer(client)
    runs = [judged(n, ONSET_MS - 60_000 * (n + 1), good=n != 5, release="1") for n in range(80)]
    runs += [judged(100 + n, ONSET_MS + 10_000 * n, good=n % 10 == 0, release="1") for n in range(60)]
    runs += [judged(200 + n, ONSET_MS + 10_000 * n, good=True, release="1") for n in range(100, 120)]  # after the event
    writer.write_spans([row for spans, _ in runs for row in spans])
    writer.write_trajectories([row for _, rows in runs for row in rows])
    event = firing()

    found = attribution_of(client, event, None)
    cause = found.causes[0]
    assert (cause.feature, cause.value, cause.agent, cause.tool) == ("argument", "id", "executor", "update_crm")
    assert (found.since, found.before) == ((54, 60), (1, 80)), "what was decided after the event is not of it"
    assert cause.traces == tuple(f"{100 + n:032x}" for n in (1, 2, 3))
    assert attribution_of(client, event, None) == found

    writer.write_alert_events([row_of(event._replace(attribution=found))])
    environment = {
        "STEPWATCH_CLICKHOUSE_URL": settings.clickhouse_url,
        "STEPWATCH_CLICKHOUSE_DATABASE": settings.clickhouse_database,
    }
    said = await run(stack, "alerts", "show", event.alert_key[:12], more=environment)
    assert "`id` missing in 90 % of runs since" in said
    assert "54 of 60 failing runs since the onset, 1 of 80 before" in said
    assert cause.traces[0] in said

    key = event.alert_key[:12]
    assert "ack by ada" in await run(stack, "alerts", "ack", key, "--by", "ada", "--note", "on it", more=environment)
    await run(stack, "alerts", "ack", event.id, "--by", "bob", more=environment)
    await run(stack, "alerts", "note", key, "the new form leaves [the] id out", "--by", "bob", more=environment)
    said = await run(stack, "alerts", "show", key, more=environment)
    assert "acknowledged by ada: on it" in said
    assert "note by bob: the new form leaves [the] id out" in said
    told = (cause.sentence, "ada", ["on it", "the new form leaves [the] id out"], 0)
    assert client.query(OF_ALERTS).result_rows == [(event.episode, 1, None, *told)]
    later = event._replace(type="resolved", seq=event.seq + 1, resolved_ms=event.fired_ms + 90_500, reason="recovered")
    older = event._replace(episode=event.episode - 1_000)  # a firing whose end was never written: it is not open now
    writer.write_alert_events([row_of(later), row_of(older)])
    rows = [(row[0] - event.episode, row[1], row[2], row[4]) for row in client.query(OF_ALERTS).result_rows]
    assert rows == [(-1_000, 0, None, ""), (0, 0, 90.5, "ada"), (0, 0, 90.5, "ada")]
