"""Reading the dlq topic, and putting dead letters back where they came from.

Putting back is safe to repeat: the scorer folds by span id and content, the alerter drops outcomes that it has counted. A
letter that cannot be used this time either comes back as a new one.
"""

from collections.abc import AsyncIterator, Iterable
from typing import NamedTuple

from aiokafka import AIOKafkaProducer

from schemas.dead_letter import DeadLetterRecord, read_dead_letter
from schemas.decode_log import trace_id_of_log
from schemas.otlp import InvalidOtlp, trace_id_of
from schemas.partition import partition_of_trace
from schemas.signal import SIGNAL_HEADER, TRACES
from schemas.topic_record import split_parts
from streams.alerter import partition_log
from streams.settings import Settings
from streams.topics import kafka_options, start_client

TENANT_HEADER, DEFAULT_TENANT = "stepwatch-tenant", "default"
REDRIVEN_HEADER = "stepwatch-redriven"  # the letter's place, for whoever wonders where a record came from
RECORD_BYTES_MAX = 8 << 20


class Destination(NamedTuple):
    """Where a letter goes; or why it goes nowhere."""

    topic: str
    partition: int
    refusal: str = ""


async def letters(settings: Settings) -> AsyncIterator[DeadLetterRecord]:
    """All dead letters that are still kept, partition by partition, oldest first. Raises KafkaError."""
    for partition in range(settings.dlq_partitions):
        async for record in partition_log.read(settings, settings.dlq_topic, partition):
            yield read_dead_letter(
                record.partition, record.offset, record.timestamp, record.value or b"", record.headers or ()
            )


async def letter_at(settings: Settings, partition: int, offset: int) -> DeadLetterRecord | None:
    """The letter at a place; None where none is kept."""
    async for record in partition_log.read(settings, settings.dlq_topic, partition, offset, offset + 1):
        return read_dead_letter(
            record.partition, record.offset, record.timestamp, record.value or b"", record.headers or ()
        )
    return None


def destination(letter: DeadLetterRecord, settings: Settings, partitions: int) -> Destination:
    """Where the letter belongs. `partitions` is how many the spans topic has. Pure."""
    if letter.target:
        return _nowhere(
            "an alert event for a target: `stepwatch deliver` gives it up once, the event is on the alerts topic"
        )
    if not letter.topic:
        return _nowhere("a row that the store refused: `stepwatch sweep` judges its trace again")
    if not letter.whole:
        return _nowhere(f"only its beginning was kept; the whole was at {letter.origin}")
    if letter.topic == settings.spans_topic:
        home = _home(letter, partitions, settings)
        return Destination(letter.topic, home if home is not None else max(letter.partition, 0))
    if letter.topic == settings.outcomes_topic:
        return Destination(letter.topic, letter.partition)
    return _nowhere(f"it came from {letter.topic}, which is no topic of these settings")


def _home(letter: DeadLetterRecord, partitions: int, settings: Settings) -> int | None:
    """The partition of the trace, where a trace id can be read."""
    try:
        parts = split_parts(letter.value, letter.signal)
        ids = [
            *(trace_id_of(raw.span) for raw in parts.spans[:1]),
            *(trace_id_of_log(raw.span) for raw in parts.logs[:1]),
        ]
        trace_id = ids[0] if ids else b""
    except InvalidOtlp:
        return None
    return partition_of_trace(trace_id, partitions, settings.record_partitioner) if len(trace_id) == 16 else None


def _nowhere(why: str) -> Destination:
    return Destination("", -1, why)


async def redrive(settings: Settings, chosen: Iterable[tuple[DeadLetterRecord, Destination]]) -> int:
    """Append the letters to where they belong; how many. Returns when Kafka has them all. Raises UserError, KafkaError."""
    producer = AIOKafkaProducer(
        **kafka_options(settings), acks="all", enable_idempotence=True, max_request_size=RECORD_BYTES_MAX
    )
    await start_client(producer, settings)
    n = 0
    try:
        for letter, there in chosen:
            headers = [(REDRIVEN_HEADER, letter.place.encode())]
            if letter.tenant != DEFAULT_TENANT:
                headers.append((TENANT_HEADER, letter.tenant.encode()))
            if letter.signal != TRACES:
                headers.append((SIGNAL_HEADER, letter.signal.encode()))
            await producer.send_and_wait(there.topic, letter.value, partition=there.partition, headers=headers)
            n += 1
    finally:
        await producer.stop()
    return n
