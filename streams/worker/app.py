"""The wiring of the scorer: arguments in, Faust app out, in the order of the data."""

import asyncio
import logging
import os
from typing import Any

from aiokafka import AIOKafkaProducer

from schemas.config import ConfigError
from schemas.registry import parse_registry
from streams.config_log import ConfigReader, ConfigRecord
from streams.settings import Settings
from streams.store.client import connect
from streams.store.reader import Reader
from streams.store.writer import Writer
from streams.topics import kafka_options
from streams.worker.failpoint import Failpoint
from streams.worker.ledger import Chunk, LedgerApp, create_ledger_app
from streams.worker.scorer import Scorer
from streams.worker.sink import Sink, TooManyDeadLetters

IDLE_TICK_S = 0.25
CONFIG_POLL_S = 1.0

log = logging.getLogger(__name__)


def create_app(settings: Settings) -> LedgerApp:
    """Faust app 1: `otlp_spans` -> ClickHouse rows and `eval.outcomes`.

    Raises UserError when the store is not there. Kafka clients connect at the first assignment, on the current event loop.
    """
    failpoint = Failpoint(settings.failpoint)
    producer = AIOKafkaProducer(
        **kafka_options(settings),
        enable_idempotence=True,
        acks="all",
        compression_type="lz4",
        linger_ms=5,
        max_request_size=9 << 20,
    )
    sink = Sink(settings, Writer(connect(settings)), producer, failpoint)
    scorer = Scorer(settings, Reader(connect(settings)), sink, failpoint)
    config = ConfigReader(settings)

    async def handle(chunk: Chunk) -> None:
        await _or_die(scorer.handle(chunk))

    connected = False
    recovering: set[asyncio.Future[None]] = set()

    async def assigned(partitions: set[Any]) -> None:
        nonlocal connected
        if not connected:
            await producer.start()
            await config.start()
            connected = True
        _apply(scorer, await config.latest())  # never older than a predecessor's
        recovering.add(task := asyncio.ensure_future(_or_die(scorer.assigned(partitions))))
        task.add_done_callback(recovering.discard)

    async def revoked(_partitions: set[Any]) -> None:
        scorer.revoked()

    app = create_ledger_app(settings.scorer_group, settings, settings.spans_topic, handle, assigned, revoked)

    @app.timer(settings.flush_interval_s)  # type: ignore[untyped-decorator]
    async def flush() -> None:
        await _or_die(scorer.flush())

    @app.timer(IDLE_TICK_S)  # type: ignore[untyped-decorator]
    async def idle() -> None:
        app.consumer.stay_member()
        if not sink.retrying:
            await _or_die(scorer.advance_idle(app.consumer))

    @app.timer(CONFIG_POLL_S)  # type: ignore[untyped-decorator]
    async def follow_config() -> None:
        if connected:
            _apply(scorer, await config.latest())

    @app.on_before_shutdown.connect(weak=False)  # type: ignore[untyped-decorator]
    async def drain(_app: Any, **_: Any) -> None:
        await scorer.flush()
        await app.consumer.commit()
        await config.stop()
        await producer.stop()

    return app


def _apply(scorer: Scorer, record: ConfigRecord) -> None:
    """Hand a config to the scorer. What is on the log was checked; should it not parse here, the last good one stays."""
    if not record.registry_text:
        return
    try:
        scorer.configure(record.seq, parse_registry(record.registry_text, "eval.config"))
    except ConfigError as error:
        log.error("config %d is not readable by this version, the last good one stays: %s", record.seq, error)


async def _or_die(work: Any) -> None:
    """Faust acks what an agent raises out of, which would lose spans: a failure of ours ends the worker instead."""
    try:
        await work
    except TooManyDeadLetters as error:
        log.critical("stopping: %s", error)
    except asyncio.CancelledError:
        raise
    except Exception:
        log.critical("stopping: a bug of ours", exc_info=True)
    else:
        return
    os._exit(1)  # not sys.exit: mode would swallow it and go on
