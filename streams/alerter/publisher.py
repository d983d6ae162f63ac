"""What the fold emits, onto Kafka: the event on `eval.alerts`, the latest state of its alert on `eval.alert-state`.

At least once, in order per alert key; a repetition carries the same id. `publish` returns when every record is acknowledged.
"""

import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

from aiokafka import AIOKafkaProducer

from schemas.alert import AlertEvent, Pipeline
from schemas.cloud_event import to_cloud_event
from schemas.outcome import Tick, encode
from streams.alerter.patience import patiently
from streams.core.alerting import Emitted, Forget
from streams.failpoint import Failpoint
from streams.settings import Settings


class Publisher:
    """All that the alerter writes to Kafka but for checkpoints."""

    def __init__(
        self,
        settings: Settings,
        producer: AIOKafkaProducer,
        told: Callable[..., None] = lambda name, amount=1, **attributes: None,
        failpoint: Failpoint | None = None,
    ) -> None:
        """`told(name, amount, **attributes)` adds to a metric."""
        self._told = told
        self._failpoint = failpoint or Failpoint(None)
        self._settings = settings
        self._producer = producer
        self._version = version("stepwatch")

    async def publish(self, emitted: Sequence[Emitted]) -> None:
        """Publish in order; try for ever."""
        if emitted:
            with self._failpoint.around("alerts"):
                await patiently("publishing alert events", lambda: self._publish(emitted))

    async def _publish(self, emitted: Sequence[Emitted]) -> None:
        acks = [ack for event in emitted for ack in await self._send(event)]
        for ack in acks:
            await ack
        for event in emitted:
            if isinstance(event, AlertEvent):
                self._told("stepwatch.alert.transitions", to=event.status)

    async def _send(self, event: Emitted) -> list[Any]:
        alerts, state = self._settings.alerts_topic, self._settings.alert_state_topic
        if isinstance(event, Forget):
            return [await self._producer.send(state, None, key=event.alert_key.encode())]
        key, headers, value = to_cloud_event(event, Pipeline(int(time.time() * 1000), self._version))
        sent = [await self._producer.send(alerts, value, key=key, headers=headers)]
        if isinstance(event, AlertEvent):
            sent.append(await self._producer.send(state, value, key=key, headers=headers))
        return sent

    async def tick(self, partition: int, tick: Tick) -> None:
        """Put time on one partition of the outcome log. Raises KafkaError; the next tick will do as well."""
        await self._producer.send_and_wait(self._settings.outcomes_topic, encode(tick), partition=partition)

    async def bury(self, record: Any, reason: str) -> None:
        """Dead-letter a record of the outcome log that nobody can read; try for ever."""
        origin = {"reason": reason, "topic": record.topic, "partition": record.partition, "offset": record.offset}
        headers = [(name, str(value).encode()) for name, value in origin.items()]
        partition = record.partition % self._settings.dlq_partitions
        await patiently(
            "dead-lettering a record",
            lambda: self._producer.send_and_wait(
                self._settings.dlq_topic, record.value or b"", partition=partition, headers=headers
            ),
        )
