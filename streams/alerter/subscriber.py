"""A subscriber of the alert topics, as anybody may write one: group-less, at-least-once turned into once.

An event is passed on only if its sequence is greater than the last one of its alert, so repetitions are never seen.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.alert import AlertEvent
from schemas.cloud_event import from_cloud_event
from streams.console.errors import UserError
from streams.settings import Settings
from streams.topics import kafka_options, start_client


class Received(NamedTuple):
    """An event, with the bytes that it came in."""

    event: AlertEvent
    headers: tuple[tuple[str, bytes], ...]
    value: bytes


class Once:
    """Lets each transition through once. Holds one number per alert."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[int, int]] = {}

    def is_new(self, event: AlertEvent) -> bool:
        """Whether nothing as new was seen of this alert; remembers it."""
        sequence = _sequence(event)
        if sequence <= self._last.get(event.alert_key, (0, 0)):
            return False
        self._last[event.alert_key] = sequence
        return True


async def tail(settings: Settings, *, from_start: bool, follow: bool) -> AsyncIterator[Received]:
    """Events of `eval.alerts`, each once: from now on or from the start, for ever or up to the end as it is now."""
    once = Once()
    async with _reader(settings, settings.alerts_topic) as consumer:
        partitions = list(consumer.assignment())
        await (consumer.seek_to_beginning() if from_start else consumer.seek_to_end())
        ends = await consumer.end_offsets(partitions)
        while follow or any([await consumer.position(tp) < ends[tp] for tp in partitions]):
            batches = await consumer.getmany(timeout_ms=250)
            for received in _in_log_order(batches):
                if once.is_new(received.event):
                    yield received


async def state(settings: Settings) -> dict[str, Received]:
    """The newest event of every alert that the compacted `eval.alert-state` still knows, by alert key."""
    found: dict[str, Received] = {}
    async with _reader(settings, settings.alert_state_topic) as consumer:
        partitions = list(consumer.assignment())
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(partitions)
        while any([await consumer.position(tp) < ends[tp] for tp in partitions]):
            for records in (await consumer.getmany(timeout_ms=250)).values():
                for record in records:
                    _keep_newest(found, record)
    return found


def _keep_newest(found: dict[str, Received], record: Any) -> None:
    """Take a record of the state topic in. By sequence, not by place: an alerter that stood still and woke up may write an
    older state behind a newer one, until the topic is compacted."""
    received = _received(record)
    if received is None:
        if record.key and not record.value:
            found.pop(record.key.decode(), None)
        return
    before = found.get(received.event.alert_key)
    if before is None or _sequence(before.event) <= _sequence(received.event):
        found[received.event.alert_key] = received


def _sequence(event: AlertEvent) -> tuple[int, int]:
    return event.episode, event.seq


def _in_log_order(batches: dict[TopicPartition, list[Any]]) -> list[Received]:
    found = [received for records in batches.values() for record in records if (received := _received(record))]
    return sorted(found, key=lambda received: received.event.time_ms)


def _received(record: Any) -> Received | None:
    """The record's alert event; None for heartbeats, tombstones, and what this version does not know."""
    if not record.value:
        return None
    try:
        event = from_cloud_event(record.headers, record.value)
    except ValueError:
        return None
    return Received(event, tuple(record.headers), record.value) if isinstance(event, AlertEvent) else None


@asynccontextmanager
async def _reader(settings: Settings, topic: str) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(**kafka_options(settings), group_id=None, enable_auto_commit=False)
    try:
        await start_client(consumer, settings)
        if not consumer.partitions_for_topic(topic):
            await consumer._client.force_metadata_update()
        partitions = consumer.partitions_for_topic(topic)
        if not partitions:
            raise UserError(f"topic {topic} does not exist: run `stepwatch topics apply`")
        consumer.assign([TopicPartition(topic, p) for p in sorted(partitions)])
        yield consumer
    except (KafkaError, OSError) as error:
        where = settings.bootstrap_servers
        raise UserError(f"alerts cannot be read from Kafka at {where}: {error or type(error).__name__}") from error
    finally:
        await consumer.stop()
