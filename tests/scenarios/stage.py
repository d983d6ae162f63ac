"""Plays scenarios on a running stack, all at once, and waits until everything that follows from them is published.

Waiting is by the log, not by a watch: every run's outcomes are on `eval.outcomes`, the log clock of every partition has gone
`CLOSING_MS` beyond the last of them, and everything that the undisturbed fold says of that log is on `eval.alerts`.
"""

import asyncio
import copy
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple, Protocol

import yaml
from aiokafka import AIOKafkaProducer
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from schemas.alert import AlertEvent
from schemas.outcome import OutcomeRecord
from streams.alerter import subscriber
from streams.config_log import publish_config
from streams.demo.evening import EXAMPLES
from streams.demo.simulator import (
    BATCH_SPANS,
    EXPORT_EVERY_MS,
    EXPORT_TIMEOUT_S,
    QUEUE_SPANS,
    ScriptedIds,
    keep_time,
    otlp_exporter,
    record,
)
from streams.settings import Settings
from streams.store.client import connect
from streams.topics import kafka_options
from tests.integration.pipeline import records_of
from tests.scenarios import day, heard
from tests.scenarios.casting import Cast, cast
from tests.scenarios.evidence import Counts
from tests.scenarios.exports import Gateway, Tenant, Twice, Way, Ways, late, run_on, shuffled
from tests.scenarios.heard import Heard, Logged
from tests.scenarios.judge import Played, StoredName, Verdict, judge, of_workflow
from tests.scenarios.scenario import RULES, TENANT, Scenario

CLOSING_MS = 20_000  # a bucket of ten seconds ends, and the hold of five
OVER_MS = 2 * CLOSING_MS  # what a scenario's series say later is about its end
LOOK_EVERY_S = 2.0
STORED_SQL = """\
SELECT workflow, step, evaluator, verdict, uniqExact(tenant, trace_id)
FROM v1_results
GROUP BY workflow, step, evaluator, verdict"""
SETTLE_MAX_S = 240.0  # a machine that is busy with other things


class Alongside(Protocol):
    """What goes on beside a play."""

    async def trouble(self) -> None:
        """Ends by itself; the play is over when it has."""

    async def deliver_twice(self) -> None:
        """Goes on until it is cancelled."""


class Evening(NamedTuple):
    """All that took place, and all that was said of it."""

    played: list[Played]
    log: list[Logged]
    published: list[Heard]  # as it lies on the topic, repetitions too
    undisturbed: list[Heard]
    state: dict[str, str]  # by alert key: the id of the newest event that the compacted topic keeps
    history: set[str]  # ids of the events in the store
    stored: dict[StoredName, int]  # runs by verdict
    pace: float


class Agents:
    """The agents of all scenarios: a tracer provider for each service and release, one processor and exporter for all."""

    def __init__(self, scenarios: Mapping[str, Scenario], settings: Settings, producer: AIOKafkaProducer) -> None:
        loop = asyncio.get_running_loop()
        gateway = Gateway(otlp_exporter(f"http://{settings.gateway_host}:{settings.gateway_port}"))
        tenants = {tenant for scenario in scenarios.values() for tenant in scenario.tenants}
        roads: dict[str, Way] = {t: Tenant(t, settings, producer, run_on(loop)) for t in tenants} | {TENANT: gateway}
        self.ways = Ways(
            {
                _service(name, tenant): _way(scenario, roads[tenant])
                for name, scenario in scenarios.items()
                for tenant in scenario.tenants
            }
        )
        self._processor = BatchSpanProcessor(
            self.ways, QUEUE_SPANS, EXPORT_EVERY_MS, BATCH_SPANS, EXPORT_TIMEOUT_S * 1000
        )
        self._ids = ScriptedIds()
        self._providers: dict[tuple[str, str], TracerProvider] = {}

    def emit(self, run: Cast, end_ns: int) -> None:
        """Hand all spans of the run to the SDK."""
        self._ids.begin(run)
        record(self._provider(run).get_tracer("stepwatch.scenarios", "1"), run.spans, end_ns)

    def _provider(self, run: Cast) -> TracerProvider:
        service = _service(run.scenario, run.tenant)
        found = self._providers.get((service, run.release))
        if found is None:
            resource = Resource({"service.name": service, "service.version": run.release})
            found = TracerProvider(ALWAYS_ON, resource, shutdown_on_exit=False, id_generator=self._ids)
            found.add_span_processor(self._processor)
            self._providers[service, run.release] = found
        return found

    def close(self) -> None:
        """Send whatever waits or is held back. Raises what went wrong on the way. Blocking."""
        self._processor.force_flush()
        self._processor.shutdown()
        if self.ways.failure:
            raise self.ways.failure


def _service(name: str, tenant: str) -> str:
    return name if tenant == TENANT else f"{name}.{tenant}"


def _way(scenario: Scenario, way: Way) -> Way:
    if scenario.twice:
        way = Twice(way)
    if scenario.shuffled:
        way = shuffled(way, scenario.seed)
    if scenario.late:
        way = late(way, scenario.late.tool, scenario.late.seconds, only_retries=scenario.late.only_retries)
    return way


def registry_of(scenarios: Mapping[str, Scenario]) -> str:
    """The registry of the demonstration's workflows, under the scenarios' names."""
    known = {w["name"]: w for w in yaml.safe_load((EXAMPLES / "workflows.yaml").read_text("utf-8"))["workflows"]}
    workflows = [{**copy.deepcopy(known[scenario.play]), "name": name} for name, scenario in scenarios.items()]
    return yaml.safe_dump({"workflows": workflows}, sort_keys=False)


async def play(
    scenarios: Mapping[str, Scenario], settings: Settings, alongside: Alongside | None = None, pace: float = 1.0
) -> Evening:
    """Publish the config, play, wait for all that follows. `pace` 2 plays twice as slowly."""
    await publish_config(settings, registry_of(scenarios), RULES.read_text("utf-8"))
    await _until(lambda: _has_rules(settings), "the alerter has taken the rules over")
    producer = AIOKafkaProducer(**kafka_options(settings), acks="all")
    await producer.start()
    echo = asyncio.ensure_future(alongside.deliver_twice()) if alongside else None
    try:
        trouble = alongside.trouble() if alongside else asyncio.sleep(0)
        played, _ = await asyncio.gather(_perform(scenarios, settings, producer, pace), trouble)
        return await _closing(played, settings, pace)
    finally:
        if echo:
            echo.cancel()
        await producer.stop()


async def play_day(name: str, scenario: Scenario, settings: Settings, environment: Mapping[str, str]) -> Evening:
    """A scenario that is a day of outcomes, on topics of its own. The rules must be in force already."""
    (config,) = await records_of(settings, settings.config_topic)
    own = day.settings_of(name, settings)
    played = await day.write(name, scenario, own, config.offset + 1)
    process = await day.alerter(own, environment)
    try:
        return await _closing(played, own, pace=1.0)
    finally:
        process.terminate()
        await process.wait()


async def _perform(
    scenarios: Mapping[str, Scenario], settings: Settings, producer: AIOKafkaProducer, pace: float
) -> list[Played]:
    agents, played, over = Agents(scenarios, settings, producer), list[Played](), threading.Event()

    def emit(run: Cast) -> None:
        end_ns = time.time_ns()
        agents.emit(run, end_ns)
        played.append(Played(run, end_ns // 1_000_000))

    def perform() -> None:
        keep_time((run._replace(at_s=run.at_s * pace) for run in cast(dict(scenarios))), emit, over)
        agents.close()

    try:
        await asyncio.to_thread(perform)
    finally:
        over.set()
    return played


async def _closing(played: list[Played], settings: Settings, pace: float) -> Evening:
    wanted = {p.trace_id for p in played}
    end = time.monotonic() + SETTLE_MAX_S
    while True:
        log = await heard.outcome_log(settings)
        published = await heard.events(settings)
        undisturbed = await heard.undisturbed(settings, log)
        missing = wanted - {t.trace_id for entry in log for t in _traces(entry)}
        unsaid = {h.identity for h in undisturbed} - {h.identity for h in published}
        if not missing and not unsaid and _is_over(log):
            break
        assert time.monotonic() < end, (
            f"after {SETTLE_MAX_S:.0f} s {len(missing)} runs have no outcomes, and {len(unsaid)} of {len(undisturbed)} "
            "events are not published"
        )
        await asyncio.sleep(LOOK_EVERY_S)
    await asyncio.sleep(LOOK_EVERY_S)  # the history follows what is published
    state = {key: received.event.id for key, received in (await subscriber.state(settings)).items()}
    history, stored = await asyncio.to_thread(_stored, settings)
    return Evening(played, log, published, undisturbed, state, history, stored, pace)


def _stored(settings: Settings) -> tuple[set[str], dict[StoredName, int]]:
    client = connect(settings)
    try:
        history = {id_ for (id_,) in client.query("SELECT id FROM v1_alerts").result_rows}
        rows = client.query(STORED_SQL).result_rows
        return history, {
            (workflow, step, evaluator, verdict): runs for workflow, step, evaluator, verdict, runs in rows
        }
    finally:
        client.close()


def _traces(entry: Logged) -> tuple:
    return entry.record.traces if isinstance(entry.record, OutcomeRecord) else ()


def _is_over(log: list[Logged]) -> bool:
    """Whether every partition with outcomes has gone on for long enough after the last of them."""
    clock: dict[int, int] = {}
    last: dict[int, int] = {}
    for entry in log:
        clock[entry.partition] = max(clock.get(entry.partition, 0), entry.append_ms)
        if _traces(entry):
            last[entry.partition] = clock[entry.partition]
    return all(clock[partition] - at >= CLOSING_MS for partition, at in last.items())


async def _has_rules(settings: Settings) -> bool:
    """Whether every partition's alerter has put a tick with rules on its log."""
    log = await heard.outcome_log(settings)
    under_rules = {e.partition for e in log if not isinstance(e.record, OutcomeRecord) and e.record.rules_seq > 0}
    return len(under_rules) == settings.outcomes_partitions


async def _until(there: Callable[[], Awaitable[bool]], what: str) -> None:
    end = time.monotonic() + SETTLE_MAX_S
    while not await there():
        assert time.monotonic() < end, f"not within {SETTLE_MAX_S:.0f} s: {what}"
        await asyncio.sleep(0.5)


def verdicts(scenarios: Mapping[str, Scenario], evening: Evening) -> list[Verdict]:
    """What is to be said of each scenario."""
    counts, over_ms = Counts(evening.log), dict.fromkeys(scenarios, 0)
    for entry in evening.log:
        if isinstance(entry.record, OutcomeRecord):
            over_ms[entry.record.workflow] = max(over_ms[entry.record.workflow], entry.append_ms + OVER_MS)
    by_name = of_workflow(heard.once(evening.published), over_ms)
    return [
        judge(
            name,
            scenario,
            [p for p in evening.played if p.cast.scenario == name],
            by_name[name],
            counts,
            evening.stored,
            evening.pace,
        )
        for name, scenario in scenarios.items()
    ]


def difference(evening: Evening) -> list[str]:
    """Where what was said is not what an alerter that nobody disturbed would have said; empty when it is."""
    said, meant = heard.by_key(heard.once(evening.published)), heard.by_key(evening.undisturbed)
    found = []
    for key in said.keys() | meant.keys():
        ids, should = ([h.id for h in of.get(key, [])] for of in (said, meant))
        # The log goes on while it is read: what is newer than its copy here is nobody's mistake.
        if ids[: len(should)] != should:
            found.append(f"{key}: published {ids}, undisturbed {should}")
        for h, m in zip(said.get(key, []), meant.get(key, []), strict=False):
            # The cause is asked of the store, beside the fold.
            if isinstance(h.event, AlertEvent) and h.event._replace(attribution=None) != m.event:
                found.append(f"{h.id} says something else than undisturbed: {h.event} and not {m.event}")
        if key in evening.state and evening.state[key] != ids[-1]:
            found.append(f"{key}: the compacted topic keeps {evening.state[key]}, not the newest event {ids[-1]}")
    alerts = {h.id: h.event.alert_key for h in evening.published if isinstance(h.event, AlertEvent)}
    found += [f"{key}: the compacted topic does not know it" for key in set(alerts.values()) - set(evening.state)]
    found += [f"{id_} is not in the store" for id_ in alerts.keys() - evening.history]
    return found
