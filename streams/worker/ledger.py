"""The ledger consumer: Faust that delivers chunks of records and commits only what is done.

Stock Faust costs four asyncio tasks per message and its commit accounting moves past unacked messages (architecture 5). Here
one event carries a chunk of records, and the committed offset of a partition is the end of the longest prefix of chunks that
their owner marked done. The law: offset committed => the owner said that all of the chunk's effects are durable.

All private hooks of Faust and aiokafka that Stepwatch leans on are in this file; tests/contract names each of them.
"""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import faust
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata
from faust.serializers.schemas import Schema
from faust.tables.manager import TableManager
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.auth import CredentialsT
from faust.types.tuples import ConsumerMessage
from mode.utils.queues import ThrowableQueue

from streams.failpoint import Failpoint
from streams.settings import Settings
from streams.topic_ids import topic_ids
from streams.topics import kafka_options
from streams.worker.position import is_of_another, note

CHUNK_RECORDS_MAX = 500
CHUNK_BYTES_MAX = 512 * 1024  # one time slice of the event loop
# A well compressed fetch may hold 175,000 records of one partition, or 400 of 200 spans each: take turns, in records and bytes.
POLL_RECORDS_MAX = 4_000
POLL_BYTES_MAX = 1 << 20
POLL_RECORDS_FIRST = 16  # before it is known how large they are
ASK_TRIES_MAX, ASK_AGAIN_S = (
    20,
    0.5,
)  # for a topic's id, at an assignment: a broker that has just gone has a neighbour, or is back
FETCH_WAIT_MS = 250  # Faust's fixed 1,500 would hold an idle partition's clock back by as much

log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Chunk:
    """Consecutive records of one partition. Its owner sets `done` when all that follows from them is durable."""

    tp: TP
    records: list[Any]  # aiokafka ConsumerRecord
    generation: int
    dropped: bool = False  # its partition was revoked or sought: it will be delivered again, here or elsewhere
    first: int = field(init=False)
    last: int = field(init=False)
    appended_ms: int = field(init=False)  # append time of the last record
    done: bool = False

    def __post_init__(self) -> None:
        self.first, self.last = self.records[0].offset, self.records[-1].offset
        self.appended_ms = self.records[-1].timestamp


def cut(tp: TP, records: list[Any], generation: int) -> Iterable[Chunk]:
    """Records of one partition as chunks within the bounds; a record over the byte bound is a chunk of its own."""
    start = size = 0
    for at, record in enumerate(records):
        length = len(record.value or b"")
        if at > start and (at - start >= CHUNK_RECORDS_MAX or size + length > CHUNK_BYTES_MAX):
            yield Chunk(tp, records[start:at], generation)
            start, size = at, 0
        size += length
    if start < len(records):
        yield Chunk(tp, records[start:], generation)


def take_turns(queues: list[Iterable[Chunk]]) -> Iterable[Chunk]:
    """One chunk of each partition, round and round: no partition starves behind a full one."""
    iterators = deque(iter(queue) for queue in queues)
    while iterators:
        iterator = iterators.popleft()
        with contextlib.suppress(StopIteration):
            yield next(iterator)
            iterators.append(iterator)


def next_turn(consumer: Any, polled: Mapping[TopicPartition, list[Any]]) -> None:
    """After a poll of an aiokafka consumer: who was served goes to the end of its queue, and the next poll takes about
    `POLL_BYTES_MAX`. Else it empties what it has fetched of one partition before it looks at another, which may take minutes."""
    fetched = consumer._fetcher._records
    for place in polled:
        if place in fetched:
            fetched[place] = fetched.pop(place)
    records = sum(map(len, polled.values()))
    if records:
        size = sum(len(record.value or b"") for batch in polled.values() for record in batch)
        fitting = POLL_BYTES_MAX * records // max(1, size)
        consumer._max_poll_records = max(1, min(fitting, 2 * consumer._max_poll_records, POLL_RECORDS_MAX))


class LedgerConsumer(driver.Consumer):  # type: ignore[misc]
    """Faust's aiokafka consumer with chunks for the app's `chunked_topic`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.ledger: dict[TP, deque[Chunk]] = {}
        self.topic_ids: dict[str, str] = {}  # of the topics that this assignment reads, as it began
        self.distrusted: dict[
            TP, int
        ] = {}  # committed offsets that were of another topic; whoever tells of one takes it
        super().__init__(*args, **kwargs)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Commit what is done while the partitions are still ours, then forget them."""
        try:
            await self.commit()
        except Exception:
            log.warning("commit on revoke failed; the next owner repeats some records", exc_info=True)
        for tp in revoked:
            self._drop(tp)
        await super().on_partitions_revoked(revoked)

    async def perform_seek(self) -> None:
        """Back to the committed offsets: chunks in flight will be delivered again."""
        for tp in list(self.ledger):
            self._drop(tp)
        await super().perform_seek()

    def _drop(self, tp: TP) -> None:
        for chunk in self.ledger.pop(tp, ()):
            chunk.dropped = True

    def _new_offset(self, tp: TP) -> int | None:
        """What may be committed: the end of the longest done prefix, or None."""
        queue, offset = self.ledger.get(tp), None
        while queue and queue[0].done:
            offset = queue.popleft().last + 1
        return offset

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:
        """Chunks of one poll, in turns over the partitions."""
        records, active = await self._wait_next_records(timeout)
        generation = self.app.consumer_generation_id
        if records is None or self.should_stop:
            return
        if not self.flow_active:
            with contextlib.suppress(Exception):  # the group may be rebalancing again
                await self.perform_seek()
            return
        queues = [
            cut(TP(tp.topic, tp.partition), batch, generation)
            for tp, batch in records.items()
            if active is None or tp in active or tp in self._buffered_partitions
        ]
        for chunk in take_turns(queues):
            if not self.flow_active or self.app.consumer_generation_id != generation:
                return
            yield chunk.tp, self._deliver(chunk)

    def _deliver(self, chunk: Chunk) -> ConsumerMessage:
        tp = chunk.tp
        self.ledger.setdefault(tp, deque()).append(chunk)
        self._acked[tp]  # force_commit visits the partitions that have an entry here
        self._read_offset[tp] = chunk.last - 1  # the conductor compares: no gap that was never there
        seconds = chunk.records[-1].timestamp / 1000.0
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            chunk.last,
            seconds,
            0,
            (),
            None,
            chunk,
            None,
            0,
            0,
            tp,
            generation_id=chunk.generation,
        )

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Nothing: our own watchdog looks after that. Faust's asks for the position of every assigned partition; one that was not
        sought yet has none, and the worker crashed."""

    def stay_member(self) -> None:
        """Call while the event loop turns: liveness is ours, not the age of the last poll.

        With every partition blocked by a waiting flush Faust never polls, and aiokafka leaves the group after
        `max_poll_interval` and never rejoins.
        """
        consumer = getattr(self._thread, "_consumer", None)
        if consumer is not None:
            consumer._subscription._last_fetch_ended = time.monotonic()

    def committed(self, tp: TP) -> int:
        """The offset from which this assignment reads; 0 when nothing was ever committed."""
        return self._committed_offset[tp] or 0

    def idle_since(self, tp: TP, next_offset: int) -> float | None:
        """Monotonic time up to which the broker is known to hold nothing at or after `next_offset`.

        The send time of the last empty fetch, or None when the partition is not caught up or was never fetched.
        """
        consumer = getattr(self._thread, "_consumer", None)
        if consumer is None:
            return None
        state = consumer._subscription.subscription.assignment.state_value(TopicPartition(*tp))
        if state is None or state.timestamp is None or state.highwater is None or state.highwater > next_offset:
            return None
        age_s = max(0.0, time.time() - float(state.timestamp) / 1000.0)
        return time.monotonic() - age_s - FETCH_WAIT_MS / 1000.0

    def lags(self) -> Iterable[tuple[TP, int, float]]:
        """Of each assigned partition: records behind its end, and the age in seconds of the oldest chunk not done."""
        now_ms = time.time() * 1000.0
        for tp, done in self.done():
            queue = self.ledger.get(tp)
            age_s = max(0.0, now_ms - queue[0].appended_ms) / 1000.0 if queue else 0.0
            end = self.end_offset(tp)
            yield tp, max(0, (done if end is None else end) - done), age_s

    def done(self) -> Iterable[tuple[TP, int]]:
        """Of each assigned partition the offset before which all is done."""
        for tp in self.assignment():
            queue = self.ledger.get(tp)
            yield tp, queue[0].first if queue else self.committed(tp)

    def end_offset(self, tp: TP) -> int | None:
        """The partition's end as of the last fetch."""
        consumer = getattr(self._thread, "_consumer", None)
        state = consumer and consumer._subscription.subscription.assignment.state_value(TopicPartition(*tp))
        return state.highwater if state else None


class _ConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        consumer._max_poll_records = POLL_RECORDS_FIRST
        commit = consumer.commit

        async def commit_with_note(offsets: Mapping[TopicPartition, OffsetAndMetadata]) -> None:
            ids = self.consumer.topic_ids
            noted = {tp: OffsetAndMetadata(at.offset, note(ids.get(tp.topic))) for tp, at in offsets.items()}
            with self.consumer.app.failpoint.around("commit"):
                await commit(noted)

        consumer.commit = commit_with_note
        return consumer

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """To the committed offsets, and to the beginning where nothing was committed of this topic.

        Faust leaves a partition without a committed offset where it stands: what was fetched of it and is dropped now would
        never come again.
        """
        return await self.call_thread(self._seek_to_trusted)  # type: ignore[no-any-return]

    async def _seek_to_trusted(self) -> Mapping[TP, int]:
        consumer = self._ensure_consumer()
        offsets = dict(await consumer.seek_to_committed())
        committed = await consumer._coordinator.fetch_committed_offsets(list(offsets))
        ids = self.consumer.topic_ids = await self._ids(consumer, {tp.topic for tp in offsets})  # after the offsets
        foreign = {tp: at.offset for tp, at in committed.items() if is_of_another(at.metadata, ids.get(tp.topic))}
        self.consumer.distrusted.update({TP(*tp): offset for tp, offset in foreign.items()})
        anew = [tp for tp, offset in offsets.items() if tp in foreign or offset is None]
        for tp, first in (await consumer.beginning_offsets(anew)).items() if anew else ():
            consumer.seek(tp, first)
            offsets[tp] = first
        return offsets

    async def _ids(self, consumer: Any, topics: set[str]) -> dict[str, str]:
        for _ in range(ASK_TRIES_MAX):
            with contextlib.suppress(KafkaError):
                return await topic_ids(consumer._client, topics)
            await asyncio.sleep(ASK_AGAIN_S)
        return await topic_ids(consumer._client, topics)

    async def _fetch_records(self, consumer: Any, *args: Any, **options: Any) -> Any:
        records = await super()._fetch_records(consumer, *args, **options)
        next_turn(consumer, records)
        return records


class _Consumer(LedgerConsumer):
    def _new_consumer_thread(self) -> Any:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)


class _Transport(driver.Transport):  # type: ignore[misc]
    Consumer = _Consumer


class ChunkSchema(Schema):  # type: ignore[misc]
    """Passes the chunk through: nothing is deserialised by Faust."""

    def loads_key(self, app: Any, message: Any, *, loads: Any = None, serializer: Any = None) -> None:
        """Chunks have no key."""

    def loads_value(self, app: Any, message: Any, *, loads: Any = None, serializer: Any = None) -> Any:
        """The chunk itself."""
        return message.value


class LongestPaused(dict[Any, None]):
    """What a full stream buffer has paused, resumed in the order of pausing.

    It stands in for a set of Faust's queue, from whose hash order `pop` takes the same partitions again and again: the others
    stand still for as long as the buffer stays full.
    """

    def add(self, resume: Any) -> None:
        """Pause one more, unless it is paused."""
        self.setdefault(resume)

    def pop(self) -> Any:  # type: ignore[override]
        """The one that has been paused longest."""
        longest = next(iter(self))
        del self[longest]
        return longest


class FairQueue(ThrowableQueue[Any]):  # type: ignore[misc]
    """A stream's buffer that pauses every partition of which something comes while it is nearly full.

    Faust's own waits for room when it is quite full, and pauses nobody any more: then those that were not paused before keep it
    full, it never drains, and the others stand still. This one takes what is in hand, a chunk or two a partition.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._pending_pressure_drop_callbacks = LongestPaused()

    def full(self) -> bool:
        """Never: see above."""
        return False


class NoTables(TableManager):  # type: ignore[misc]
    """Faust gives an app a second to add its tables before it joins the group. There are none, at a start as after a crash."""

    async def on_start(self) -> None:
        """Go on at once."""
        await self._update_channels()
        await self.recovery.start()


class LedgerApp(faust.App):  # type: ignore[misc]
    """A Faust app whose consumer is the ledger consumer."""

    failpoint = Failpoint(None)

    def FlowControlQueue(self, maxsize: int | None = None, *, clear_on_resume: bool = False) -> Any:
        """A stream's buffer, with fair turns."""
        return FairQueue(maxsize=maxsize, flow_control=self.flow_control, clear_on_resume=clear_on_resume)

    def _new_transport(self) -> Any:
        return _Transport(self.conf.broker_consumer, self)

    def _create_directories(self) -> None:
        """No tables, so nothing is kept on disk."""


Handler = Callable[[Chunk], Awaitable[None]]
Partitions = Callable[[set[TP]], Awaitable[None]]


def create_ledger_app(
    group: str,
    settings: Settings,
    topic: str,
    handle: Handler,
    on_assigned: Partitions,
    on_revoked: Partitions,
    failpoint: Failpoint | None = None,
) -> LedgerApp:
    """An app that feeds `handle` with the chunks of `topic`, one after the other.

    `handle` must not raise: Faust would ack what it raised out of. `on_revoked` runs before the partitions are handed on;
    the first chunks of an assignment may arrive before `on_assigned`.
    """
    app = LedgerApp(
        group,
        broker=[f"kafka://{server.strip()}" for server in settings.bootstrap_servers.split(",")],
        broker_credentials=_credentials(settings),
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        stream_buffer_maxsize=64,
        broker_commit_interval=1.0,
        broker_session_timeout=settings.session_timeout_s,
        broker_heartbeat_interval=settings.heartbeat_interval_s,
        broker_request_timeout=max(30.0, settings.session_timeout_s),
        broker_rebalance_timeout=max(15.0, settings.session_timeout_s),
        broker_max_poll_interval=settings.max_poll_interval_s,
        broker_max_poll_records=POLL_RECORDS_MAX,
        consumer_auto_offset_reset="earliest",
        consumer_metadata_max_age_ms=5_000,
        consumer_max_fetch_size=4 << 20,
        cython_optimizations=True,
        TableManager=NoTables,
    )
    app.failpoint = failpoint or Failpoint(None)

    async def consume(stream: Any) -> None:
        async for chunk in stream:
            await handle(chunk)

    app.agent(app.topic(topic, schema=ChunkSchema(), internal=False, acks=False), name=f"{group}.consume")(consume)
    app.on_partitions_assigned.connect(_signal(on_assigned), weak=False)
    app.on_partitions_revoked.connect(_signal(on_revoked), weak=False)
    return app


def _signal(callback: Partitions) -> Any:
    async def receive(_app: Any, partitions: set[TP], **_: Any) -> None:
        await callback(partitions)

    return receive


def _credentials(settings: Settings) -> CredentialsT | None:
    options = kafka_options(settings)
    context = options.get("ssl_context")
    if "sasl_mechanism" in options:
        return faust.SASLCredentials(
            username=options["sasl_plain_username"],
            password=options["sasl_plain_password"],
            mechanism=options["sasl_mechanism"],
            ssl_context=context,
        )
    return faust.SSLCredentials(context=context) if context else None
