"""Reading the spans topic once more, into a shadow namespace: the scorer itself, driven by a bounded piece of the log.

The law: the scorer's code reads, judges and writes, so a row is what a scorer would have written that had begun here; only that
its outcomes, early steps and dead letters go nowhere. No consumer group is joined and no offset committed, so nobody who
works on the topic notices.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from faust.types import TP

from evaluators.protocols import Evaluator
from streams.console.errors import UserError
from streams.failpoint import Failpoint
from streams.settings import Settings
from streams.store.client import connect
from streams.store.reader import Reader
from streams.store.writer import Writer
from streams.topics import kafka_options, start_client
from streams.worker.ledger import POLL_RECORDS_FIRST, cut, next_turn, take_turns
from streams.worker.scorer import InForce, Scorer
from streams.worker.sink import Sink

FETCH_BYTES_MAX = 4 << 20  # of a partition at once
POLL_WAIT_MS = 500


class Place(NamedTuple):
    """A place in the log: an offset of every partition, or a moment of append time."""

    offset: int | None = None
    moment_ms: int | None = None


class Piece(NamedTuple):
    """What is read of one partition: [first, end), and the append times of its first and last record once they were read."""

    first: int
    end: int
    first_ms: int = 0
    last_ms: int = 0


class Silent:
    """A producer of nothing: what would be published was published by the scorers, or never must be."""

    async def send(self, topic: str, value: bytes | None = None, **options: Any) -> Awaitable[Any]:
        """Acknowledged at once."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done


class Replay:
    """One reading of a piece of the log. Use it on one event loop: `begin`, then `run`, and `stop` in any case."""

    def __init__(
        self, settings: Settings, shadow: Settings, config: InForce, evaluators: tuple[Evaluator, ...]
    ) -> None:
        """`settings` say where the log is, `shadow` the same with the database to write to."""
        self._settings, self._config = settings, config
        options = {**kafka_options(settings), "max_partition_fetch_bytes": FETCH_BYTES_MAX}
        self._consumer = AIOKafkaConsumer(
            **options, group_id=None, enable_auto_commit=False, max_poll_records=POLL_RECORDS_FIRST
        )
        never = Failpoint(None)
        sink = Sink(shadow, Writer(connect(shadow)), Silent(), never)
        self._scorer = Scorer(shadow, Reader(connect(shadow)), sink, never, self._in_force, evaluators)
        self._clock_ms: int | None = None  # how far the log clock is known to go, records or not
        self.pieces: dict[int, Piece] = {}

    async def begin(self, first: Place, end: Place | None) -> int:
        """Find the piece of each partition; how many offsets there are to read. Raises UserError."""
        await start_client(self._consumer, self._settings)
        topic = self._settings.spans_topic
        if not self._consumer.partitions_for_topic(topic):
            await self._consumer._client.force_metadata_update()
        places = [TopicPartition(topic, p) for p in sorted(self._consumer.partitions_for_topic(topic) or ())]
        if not places:
            raise UserError(f"topic {topic} does not exist: run `stepwatch topics apply`")
        now_ms = int(
            time.time() * 1000
        )  # before the ends are asked for: all that was appended before it lies before them
        oldest = await self._consumer.beginning_offsets(places)
        newest = await self._consumer.end_offsets(places)
        firsts = await self._offsets(first, newest)
        ends = await self._offsets(end, newest) if end else newest
        if end is None or end.moment_ms is not None:
            self._clock_ms = min(now_ms, now_ms if end is None else end.moment_ms or 0)
        for place in places:
            begins, stops = max(firsts[place], oldest[place]), min(ends[place], newest[place])
            if begins < stops:
                self.pieces[place.partition] = Piece(begins, stops)
        return sum(piece.end - piece.first for piece in self.pieces.values())

    async def run(self, advanced: Callable[[int], None]) -> None:
        """Read and judge all of it; `advanced` hears how many offsets are behind. Returns when every row is durable."""
        topic = self._settings.spans_topic
        places = [TopicPartition(topic, partition) for partition in self.pieces]
        self._consumer.assign(places)
        for place in places:
            self._consumer.seek(place, self.pieces[place.partition].first)
        self._scorer.own(TP(*place) for place in places)
        reading = set(places)
        while reading:
            records = await self._consumer.getmany(*reading, timeout_ms=POLL_WAIT_MS)
            next_turn(self._consumer, records)
            queues = [cut(TP(*place), self._within(place, batch), 0) for place, batch in records.items()]
            for chunk in take_turns(queues):
                await self._scorer.handle(chunk)
            for place in list(reading):
                if await self._consumer.position(place) >= self.pieces[place.partition].end:
                    reading.remove(place)
                    self._consumer.pause(place)
            advanced(await self._behind(places))
        if self._clock_ms is not None:
            await self._scorer.advance(self._clock_ms)
        await self._scorer.flush()
        await self._scorer.flush()  # the marks of what the first one decided

    async def stop(self) -> None:
        """Disconnect."""
        await self._consumer.stop()

    async def _in_force(self) -> InForce:
        return self._config

    async def _offsets(self, place: Place, newest: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        if place.moment_ms is None:
            return dict.fromkeys(newest, place.offset or 0)
        found = await self._consumer.offsets_for_times(dict.fromkeys(newest, place.moment_ms))
        return {tp: at.offset if (at := found.get(tp)) else end for tp, end in newest.items()}

    def _within(self, place: TopicPartition, records: list[Any]) -> list[Any]:
        piece = self.pieces[place.partition]
        kept = [record for record in records if record.offset < piece.end]
        if kept:
            self.pieces[place.partition] = piece._replace(
                first_ms=piece.first_ms or kept[0].timestamp, last_ms=max(piece.last_ms, kept[-1].timestamp)
            )
        return kept

    async def _behind(self, places: list[TopicPartition]) -> int:
        at = {place.partition: await self._consumer.position(place) for place in places}
        return sum(min(at[p], piece.end) - piece.first for p, piece in self.pieces.items())
