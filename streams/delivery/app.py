"""The wiring of delivery: settings and targets in, a courier a target, until SIGTERM."""

import asyncio
import logging
from collections.abc import Sequence

from aiokafka.errors import KafkaError

from schemas.target import Targets
from streams.console.errors import UserError
from streams.delivery.courier import Courier
from streams.delivery.delivery_log import DeliveryLog
from streams.delivery.secrets import Secrets
from streams.delivery.senders import sender_of
from streams.delivery.telling import observe
from streams.settings import Settings
from streams.signals import stop_signal
from streams.telemetry.health import readiness_of
from streams.telemetry.metrics import Metrics
from streams.telemetry.server import HealthServer

COUNTS_S = 60.0

log = logging.getLogger(__name__)


async def serve(settings: Settings, targets: Targets, secrets: dict[str, Secrets]) -> None:
    """Deliver until SIGTERM or SIGINT, then stop cleanly. `secrets` is by target name. Raises UserError."""
    written = DeliveryLog(settings)
    metrics = Metrics("deliver")
    health = HealthServer(settings, "deliver", metrics, lambda: readiness_of({}))
    try:
        await health.start()
        await written.start()
        couriers = [
            Courier(settings, target, targets.routes, sender_of(target, secrets[target.name]), written)
            for target in targets.targets
        ]
        observe(metrics, couriers)
        await _run(couriers)
    except (KafkaError, OSError) as error:
        where = settings.bootstrap_servers
        raise UserError(f"delivery needs Kafka at {where}: {error or type(error).__name__}") from error
    finally:
        await written.stop()
        await health.stop()


async def _run(couriers: Sequence[Courier]) -> None:
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(courier.run()) for courier in couriers]
        running.append(group.create_task(_tell_counts(couriers)))
        log.info("delivering to %s", ", ".join(courier.target.name for courier in couriers))
        await stop_signal()
        for task in running:
            task.cancel()


async def _tell_counts(couriers: Sequence[Courier]) -> None:
    """A line a target and minute, where something happened."""
    before: dict[str, str] = {}
    while True:
        await asyncio.sleep(COUNTS_S)
        for courier in couriers:
            counts = {"waiting": courier.attempts.waiting, **courier.attempts.counts}
            told = ", ".join(f"{name} {n}" for name, n in counts.items())
            if told != before.get(courier.target.name, "waiting 0"):
                log.info("%s since the start: %s", courier.target.name, told)
            before[courier.target.name] = told
