"""The wiring of the alerter: arguments in, Faust app out, in the order of the data."""

import asyncio
import logging
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from faust.types import TP

from schemas.outcome import Tick
from streams.alerter.attributor import Attributor
from streams.alerter.history import History
from streams.alerter.lag import ScorerLag
from streams.alerter.owner import PartitionOwner, Shell
from streams.alerter.patience import patiently, trying
from streams.alerter.publisher import Publisher
from streams.alerter.rules_log import RulesLog
from streams.config_log import ConfigReader
from streams.failpoint import Failpoint
from streams.settings import Settings
from streams.telemetry.health import Readiness, readiness_of
from streams.telemetry.metrics import Metrics
from streams.telemetry.server import HealthServer
from streams.topics import kafka_options
from streams.worker.fatal import or_die
from streams.worker.guard import Guard
from streams.worker.ledger import Chunk, LedgerApp, create_ledger_app
from streams.worker.telling import observe_consumer

MEMBERSHIP_S = 0.25
LAST_CHECKPOINT_S = 5.0  # on revoke: a broker that is away must not hold up the rebalance

log = logging.getLogger(__name__)


class Alerter:
    """All assigned partitions of one worker, and the connections they share. Connects at the first assignment."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._config = ConfigReader(settings)
        self._lag = ScorerLag(settings)
        producer = AIOKafkaProducer(
            **kafka_options(settings),
            enable_idempotence=True,
            acks="all",
            compression_type="lz4",
            max_request_size=8 << 20,
        )
        self.failpoint = Failpoint(settings.failpoint)
        publisher, rules = Publisher(settings, producer, metrics.add, self.failpoint), RulesLog(self._config)
        attributor = Attributor(settings, metrics.add)
        history = History(settings, self.failpoint)
        self._shell = Shell(settings, producer, publisher, rules, history, attributor, self.failpoint)
        self._owners: dict[int, PartitionOwner] = {}
        self._writing: asyncio.Future[None] | None = None
        self._connecting = asyncio.Lock()
        metrics.observe("stepwatch.alert.series", lambda: [(sum(o.series for o in self._owners.values()), {})])
        metrics.observe("stepwatch.alert.firing", lambda: [(sum(o.firing for o in self._owners.values()), {})])
        metrics.observe("stepwatch.config.seq", lambda: [(rules.newest_seq, {})])

    async def assigned(self, partitions: set[TP]) -> None:
        """New partitions start from their checkpoints; some may be owned already, by their first chunk."""
        self._metrics.add("stepwatch.rebalances")
        await self._connect()
        for tp in partitions:
            self._own(tp.partition)
        await self.tick()

    async def _connect(self) -> None:
        async with self._connecting:
            if self._writing is None:
                await self._shell.producer.start()
                await self._config.start()
                self._writing = asyncio.ensure_future(or_die(self._shell.history.run()))
                await patiently("reading the config log", self._shell.rules.follow)

    def _own(self, partition: int) -> PartitionOwner:
        if partition not in self._owners:
            self._owners[partition] = PartitionOwner(partition, self._shell)
        return self._owners[partition]

    async def revoked(self, _partitions: set[TP]) -> None:
        """Save what can be saved, drop all state: every assignment starts from the checkpoints."""
        await self._last_checkpoint()
        self._owners.clear()

    async def handle(self, chunk: Chunk) -> None:
        """Fold a chunk; one of a partition that was revoked meanwhile is left to its new owner."""
        await self._connect()
        if not chunk.dropped:
            await self._own(chunk.tp.partition).take(chunk)

    async def tick(self) -> None:
        """Put time on every assigned partition's log, with the rules to be in force from here on."""
        if not self._owners:
            return
        try:
            await self._shell.rules.follow()
            tick = Tick(self._shell.rules.newest_seq, await self._lag.measure())
            await asyncio.gather(*(self._shell.publisher.tick(partition, tick) for partition in self._owners))
        except (KafkaError, OSError) as error:
            log.warning("no tick this time: %s", error)

    async def checkpoint(self) -> None:
        """Save every partition; those of the past need no more of the log than since then."""
        await asyncio.gather(*(owner.checkpoint() for owner in self._owners.values()))

    @property
    def waits(self) -> bool:
        """Whether an owner waits for Kafka or the store: then no progress is nobody's fault."""
        return trying() > 0

    def readiness(self) -> Readiness:
        """Whether this alerter does its job now."""
        return readiness_of(
            {
                "the config log was not read yet": self._writing is None,
                "no partition is assigned: more alerters than partitions, or the group is rebalancing": not self._owners,
            }
        )

    async def stop(self) -> None:
        """Save and disconnect."""
        await self._last_checkpoint()
        self._owners.clear()
        if self._writing:
            self._writing.cancel()
            await self._lag.stop()
            await self._config.stop()
            await self._shell.producer.stop()

    async def _last_checkpoint(self) -> None:
        try:
            await asyncio.wait_for(self.checkpoint(), LAST_CHECKPOINT_S)
        except TimeoutError:
            log.warning("no last checkpoint within %.0f s; the next owner folds more of the log", LAST_CHECKPOINT_S)


def create_app(settings: Settings) -> tuple[LedgerApp, HealthServer]:
    """Faust app 2: `eval.outcomes` -> `eval.alerts`, `eval.alert-state` and ClickHouse `alert_events`; and its health port."""
    metrics = Metrics("alerter")
    alerter = Alerter(settings, metrics)

    async def handle(chunk: Chunk) -> None:
        await or_die(alerter.handle(chunk))

    group, topic = settings.alerter_group, settings.outcomes_topic
    app = create_ledger_app(group, settings, topic, handle, alerter.assigned, alerter.revoked, alerter.failpoint)

    @app.timer(settings.tick_interval_s)  # type: ignore[untyped-decorator]
    async def tick() -> None:
        await or_die(alerter.tick())

    @app.timer(settings.checkpoint_interval_s)  # type: ignore[untyped-decorator]
    async def checkpoint() -> None:
        await or_die(alerter.checkpoint())

    @app.timer(MEMBERSHIP_S)  # type: ignore[untyped-decorator]
    async def stay_member() -> None:
        app.consumer.stay_member()

    guard = Guard(settings, app, topic, group, lambda: alerter.waits, metrics.add, 3 * settings.checkpoint_interval_s)
    guard.watch()

    @app.on_before_shutdown.connect(weak=False)  # type: ignore[untyped-decorator]
    async def drain(_app: Any, **_: Any) -> None:
        await guard.stop()
        await alerter.stop()
        await app.consumer.commit()

    observe_consumer(metrics, app)
    return app, HealthServer(settings, "alerter", metrics, alerter.readiness)
