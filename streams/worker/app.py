"""The wiring of the scorer: arguments in, Faust app out, in the order of the data."""

import asyncio
import logging
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from aiokafka import AIOKafkaProducer

from schemas.config import ConfigError
from schemas.ledger import LedgerRow
from schemas.registry import EMPTY, UNREADABLE, parse_registry
from schemas.rules import parse_rules
from streams.config_log import ConfigReader, ConfigRecord
from streams.core.flush import Flush
from streams.custom_evaluators import all_evaluators
from streams.failpoint import Failpoint
from streams.settings import Settings
from streams.store.client import connect
from streams.store.reader import Reader
from streams.store.unjudged import unjudged
from streams.store.writer import Writer
from streams.telemetry.metrics import Metrics
from streams.telemetry.results_log import results_log
from streams.telemetry.server import HealthServer
from streams.topics import kafka_options
from streams.worker.fatal import or_die
from streams.worker.guard import Guard
from streams.worker.ledger import Chunk, LedgerApp, create_ledger_app
from streams.worker.scorer import InForce, Scorer
from streams.worker.sink import Sink
from streams.worker.telling import flushed, observe, readiness

IDLE_TICK_S = 0.25
CONFIG_POLL_S = 1.0

log = logging.getLogger(__name__)


def create_app(settings: Settings) -> tuple[LedgerApp, HealthServer]:
    """Faust app 1: `otlp_spans` -> ClickHouse rows and `eval.outcomes`; and its health port, to be started and stopped.

    Raises UserError when the store is not there. Kafka clients connect at the first assignment, on the current event loop.
    """
    failpoint = Failpoint(settings.failpoint)
    writer = Writer(connect(settings))
    producer = AIOKafkaProducer(
        **kafka_options(settings),
        enable_idempotence=True,
        acks="all",
        compression_type="lz4",
        linger_ms=5,
        max_request_size=9 << 20,
    )
    metrics = Metrics("scorer")
    sink = Sink(settings, writer, producer, failpoint, metrics.add)
    events = results_log(metrics.add) if settings.results_log else None
    config = ConfigReader(settings)
    connected = asyncio.Lock()

    reads, newest = 0, InForce(0, EMPTY)

    async def prepare() -> InForce:
        # All partitions of an assignment ask at once, and a read waits for the long poll before it (0.5 s): one read that
        # began after they asked answers them all.
        nonlocal reads, newest
        asked = reads
        async with connected:
            if not config.started:
                await producer.start()
                scorer.spans_partitions = len(await producer.partitions_for(settings.spans_topic))
                await config.start()
            if reads == asked:
                reads += 1
                newest = read_config_record(await config.latest())
        return newest

    def told(flushes: Sequence[Flush], chunks: Sequence[Chunk], ledger: Sequence[LedgerRow]) -> None:
        flushed(metrics, flushes, chunks, ledger, time.time() * 1000)
        if events is not None:
            events.offer(flushes)
        if news := scorer.placement.news():
            log.error("%s", news)
        for kind, n in scorer.redactions():
            metrics.add("stepwatch.redaction.values", n, kind=kind)

    reading = connect(settings)
    scorer = Scorer(settings, Reader(reading), sink, failpoint, prepare, all_evaluators(), told)

    async def handle(chunk: Chunk) -> None:
        await or_die(scorer.handle(chunk))

    async def assigned(partitions: set[Any]) -> None:
        metrics.add("stepwatch.rebalances")
        scorer.own(partitions)

    async def revoked(_partitions: set[Any]) -> None:
        scorer.revoked()

    group, topic = settings.scorer_group, settings.spans_topic
    app = create_ledger_app(group, settings, topic, handle, assigned, revoked, failpoint)

    @app.timer(settings.flush_interval_s)  # type: ignore[untyped-decorator]
    async def flush() -> None:
        await or_die(scorer.flush())

    @app.timer(IDLE_TICK_S)  # type: ignore[untyped-decorator]
    async def idle() -> None:
        app.consumer.stay_member()
        if not sink.retrying:
            await or_die(scorer.advance_idle(app.consumer))

    guard = Guard(settings, app, settings.spans_topic, settings.scorer_group, lambda: scorer.waits, metrics.add)
    guard.watch()

    @app.timer(CONFIG_POLL_S)  # type: ignore[untyped-decorator]
    async def follow_config() -> None:
        if config.started:
            scorer.configure(await prepare())

    if settings.sweep_interval_s:

        @app.timer(settings.sweep_interval_s)  # type: ignore[untyped-decorator]
        async def sweep() -> None:
            await or_die(swept())

        async def swept() -> None:
            metrics.add("stepwatch.windows.swept", await scorer.sweep(partial(unjudged, reading)))

    @app.on_before_shutdown.connect(weak=False)  # type: ignore[untyped-decorator]
    async def drain(_app: Any, **_: Any) -> None:
        await scorer.flush()
        await scorer.flush()  # the marks of what the first one published: else the next owner publishes it again
        await app.consumer.commit()
        if events is not None:
            await asyncio.to_thread(events.stop)
        await guard.stop()
        await config.stop()
        await producer.stop()

    observe(metrics, scorer, app, settings)
    return app, HealthServer(settings, "scorer", metrics, lambda: readiness(scorer, sink, settings))


def read_config_record(record: ConfigRecord) -> InForce:
    """What a config record says to a scorer. It was checked before it was applied; should a part of it not parse here, that is
    said, and that part is empty: nothing is judged by it, and of content as little as can be is kept."""
    registry, early = EMPTY, frozenset[str]()
    try:
        registry = parse_registry(record.registry_text, "eval.config") if record.registry_text else EMPTY
    except ConfigError as error:
        registry = UNREADABLE
        log.error(
            "config %d is not readable by this version, nothing is registered, and content is redacted: %s",
            record.seq,
            error,
        )
    try:
        rules = parse_rules(record.rules_text, "eval.config").rules if record.rules_text else ()
        early = frozenset(rule.match.evaluator for rule in rules if rule.when == "step_scored")
    except ConfigError as error:
        log.error("the rules of config %d are not readable by this version: %s", record.seq, error)
    return InForce(record.seq, registry, early)
