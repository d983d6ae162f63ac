"""The scorer's shell: chunks in, engines driven, flushes out. It decides nothing; every rule is in `streams.core`.

The order of things keeps three laws. A trace is read back before its span is folded or its deadline is passed, so an engine never
opens a second anchor. One flush is in flight while the next accumulates; when both are full consumption waits. A chunk is done
only when the flush that took it is acknowledged.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from typing import NamedTuple

from faust.types import TP

from evaluators.catalogue import EVALUATORS
from evaluators.protocols import Evaluator
from schemas.expectation import TaskTruth
from schemas.item import Taken, began_ns, items_of, signal_of_item
from schemas.ledger import LedgerRow
from schemas.redaction.redactor import Redactor, redactor_of
from schemas.registry import EMPTY, Registry
from schemas.signal import signal_of
from schemas.trajectory import TraceKey
from streams.core.engine import EnginePolicy, TrajectoryEngine
from streams.core.flush import Flush
from streams.core.placement import Placement
from streams.core.window import WindowPolicy
from streams.failpoint import Failpoint
from streams.settings import Settings
from streams.store.keys import KEYS_MAX
from streams.store.reader import Reader
from streams.worker.fatal import or_die
from streams.worker.ledger import Chunk, LedgerConsumer
from streams.worker.partition import Partition, Tally, ledger_rows
from streams.worker.sink import Batch, DeadLetter, Sink

TENANT_HEADER = "stepwatch-tenant"
DEFAULT_TENANT = "default"
HORIZON_MS = 86_400_000  # late spans of traces touched within it are recognised without asking the store

SWEEP_BACK_MS = 2 * 3_600_000  # beyond the horizon: two sweeps look at everything
SWEPT_MAX = 5_000  # traces of a partition that one sweep reads back: the next one goes on
SPANS_KEPT_MS = 29 * 86_400_000  # a day less than their TTL

Unjudged = Callable[[int, int, int, list[int]], dict[int, list[TraceKey]]]  # streams.store.unjudged, of one client
Decoded = list[tuple[int, str, Taken]]  # (append time, tenant, what it holds) per record


def policy_of(settings: Settings) -> EnginePolicy:
    """The engine's knobs, from the settings."""
    return EnginePolicy(
        WindowPolicy(settings.settle_one_resource_ms, settings.settle_many_resources_ms, settings.abandon_after_ms),
        settings.provisional_every_ms,
        settings.trace_spans_max,
        trace_bytes_max=settings.trace_bytes_max,
    )


class InForce(NamedTuple):
    """What a config record says to a scorer."""

    seq: int  # 0: nothing was applied
    registry: Registry
    early: frozenset[str] = frozenset()  # evaluators of which some rule wants outcomes as soon as a step is judged


class Scorer:
    """All assigned partitions of one worker."""

    def __init__(
        self,
        settings: Settings,
        reader: Reader,
        sink: Sink,
        failpoint: Failpoint,
        prepare: Callable[[], Awaitable[InForce]],
        evaluators: tuple[Evaluator, ...] = EVALUATORS,
        told: Callable[
            [Sequence[Flush], Sequence[Chunk], Sequence[LedgerRow]], None
        ] = lambda flushes, chunks, ledger: None,
    ) -> None:
        """`prepare` connects what must be connected and answers the newest config: awaited before any recovery.

        `told` hears of every flush that was acknowledged, of the chunks that it completed, and of their ledger rows.
        """
        self._told = told
        self._evaluators = evaluators
        self._settings = settings
        self._policy = policy_of(settings)
        self._reader = reader
        self._sink = sink
        self._failpoint = failpoint
        self._prepare = prepare
        self._recovering: set[asyncio.Task[None]] = set()
        self._config = InForce(0, EMPTY)
        self._redactor: Redactor | None = None  # of the newest config, which may keep less than the one in force
        self._partitions: dict[TP, Partition] = {}
        self._flushing = asyncio.Lock()
        # Held from reading a trace back to folding on it: two readers at once, and the slower one would bring back a trace
        # as it was before the faster one's spans.
        self._reading = asyncio.Lock()
        self._rows = self._bytes = 0
        self.placement = Placement(settings.record_partitioner)
        self.spans_partitions = settings.spans_partitions  # of the topic as it is, once somebody has asked
        self.stored = 0  # spans acknowledged since the start

    # Assignment.

    def own(self, tps: Iterable[TP]) -> None:
        """Make state for these partitions where there is none; one recovery is begun for all new ones.

        A partition is `ready` when the store has been read.
        """
        new = [tp for tp in tps if tp not in self._partitions]
        epoch = int(time.time() * 1000)
        for tp in new:
            self._partitions[tp] = Partition(
                tp, epoch, TrajectoryEngine(tp.partition, self._policy, evaluators=self._evaluators)
            )
        if new:
            task = asyncio.get_running_loop().create_task(or_die(self._recover([self._partitions[tp] for tp in new])))
            self._recovering.add(task)
            task.add_done_callback(self._recovering.discard)

    def revoked(self) -> None:
        """Drop all state: every assignment starts from what the store holds (architecture 5)."""
        self._partitions.clear()
        self._rows = self._bytes = 0

    async def _recover(self, parts: list[Partition]) -> None:
        self.configure(await self._prepare())  # never older than a predecessor's
        topic, numbers = parts[0].tp.topic, [part.tp.partition for part in parts]
        takeovers = await self._sink.read(self._reader.take_over, topic, numbers, HORIZON_MS)
        for part in parts:
            found = takeovers[part.tp.partition]
            if found.epoch > time.time() * 1000:  # the last owner's clock was ahead, or ours was set back
                part.epoch = found.epoch + 1
            part.engine.configure(*self._config)
            part.engine.recover(found.unfinished, found.known, found.last_log_ms)
            part.clock_anchor = (part.engine.clock_ms, time.monotonic())
            part.ready.set()

    def configure(self, config: InForce) -> None:
        """A newer config: engines take it over at the next flush boundary, redaction at the next chunk."""
        if config.registry is not self._config.registry:
            self._redactor = redactor_of(config.registry, self._settings.redaction_key)
        self._config = config

    # Chunks.

    async def handle(self, chunk: Chunk) -> None:
        """Fold one chunk. Returns when it is folded, not when it is durable; waits while both flush buffers are full."""
        if chunk.dropped:
            return
        self.own([chunk.tp])
        part = self._partitions[chunk.tp]
        await part.ready.wait()
        under = part.engine.watched, part.engine.drops
        decoded, dead = self._decode(chunk, part.engine)
        async with self._reading:
            if (part.engine.watched, part.engine.drops) != under:  # a newer config, while this waited
                decoded, dead = self._decode(chunk, part.engine)
            await self._read_back(part, decoded)
            if chunk.dropped or self._partitions.get(part.tp) is not part:
                return  # revoked meanwhile: the next owner gets the chunk again
            self._fold(part, decoded)
        self._bury(part, dead)  # with its chunk, so that one flush takes both
        part.chunks.append(chunk)
        part.next_offset = chunk.last + 1
        part.clock_anchor = (part.engine.clock_ms, time.monotonic())
        self._bytes += sum(len(record.value or b"") for record in chunk.records)
        chunk.records = []
        self._failpoint.hit("chunk_folded")
        if self._rows >= self._settings.flush_rows_max or self._bytes >= self._settings.flush_bytes_max:
            await self.flush()

    def _decode(self, chunk: Chunk, engine: TrajectoryEngine) -> tuple[Decoded, list[DeadLetter]]:
        """What the chunk holds by record, under the engine's config, and what of it cannot be used."""
        decoded: Decoded = []
        dead: list[DeadLetter] = []
        for record in chunk.records:
            tenant = _tenant(record.headers)
            received_ms = self._received_ms(record.timestamp)
            signal, value = signal_of(record.headers), record.value or b""
            taken = items_of(value, tenant, received_ms, signal, engine.watched, engine.drops, self._redactor)
            decoded.append((received_ms, tenant, taken))
            where = record.topic, record.partition, record.offset, tenant
            dead += [
                DeadLetter(r.value, r.reason, *where, item, received_ms, r.signal)
                for item, r in enumerate(taken.refused)
            ]
        return decoded, dead

    def _received_ms(self, timestamp_ms: int) -> int:
        """The append time of a record. Where a producer set it (accept_create_time) it may lie in the future: not here."""
        if not self._settings.accept_create_time:
            return timestamp_ms
        return max(0, min(timestamp_ms, int(time.time() * 1000)))

    def _bury(self, part: Partition, dead: list[DeadLetter]) -> None:
        part.dead += dead
        for letter in dead:
            fate = part.tally.setdefault(letter.tenant, Tally()).of(letter.signal)
            fate.seen += 1
            fate.dead_lettered += 1

    def _fold(self, part: Partition, decoded: Decoded) -> None:
        engine = part.engine
        for clock_ms, tenant, taken in decoded:
            engine.tick(clock_ms)
            tally = part.tally.get(tenant) or part.tally.setdefault(tenant, Tally())
            tally.logs.seen += taken.ignored
            tally.logs.ignored += taken.ignored
            tally.spans.seen += taken.sampled_out
            tally.spans.sampled_out += taken.sampled_out
            for item, raw in taken.items:
                fate = tally.of(signal_of_item(item))
                fate.seen += 1
                if engine.fold(item, raw):
                    fate.stored += 1
                else:
                    fate.duplicate += 1
            self._rows += len(taken.items)

    async def _read_back(self, part: Partition, decoded: Decoded) -> None:
        """Read back what this chunk needs, until nothing is missing."""
        firsts: dict[TraceKey, tuple[TraceKey, int, int]] = {}
        for received_ms, _, taken in decoded:
            for item, _ in taken.items:
                key = TraceKey(item.tenant, item.trace_id)
                if key not in firsts:
                    firsts[key] = (key, began_ns(item) // 1_000_000, received_ms)
        for key in firsts:
            if part.engine.is_new(key):
                self.placement.look(key.trace_id, part.tp.partition, self.spans_partitions)
        clock_ms = max((received_ms for received_ms, _, _ in decoded), default=0)
        unstored: set[TraceKey] = set()
        while missing := self._missing(part, firsts.values(), clock_ms, unstored):
            unstored |= await self._load(part, missing)

    def _missing(
        self, part: Partition, firsts: Iterable[tuple[TraceKey, int, int]], clock_ms: int, unstored: set[TraceKey]
    ) -> list[TraceKey]:
        asked = [key for key in part.engine.unknown(firsts) if key not in unstored]
        return list(dict.fromkeys([*asked, *part.engine.due(clock_ms)]))

    async def _load(self, part: Partition, keys: list[TraceKey]) -> set[TraceKey]:
        """Read these traces back into the engine; the keys that the store does not know."""
        # Heads first: whatever a row counted was stored before it, and so is among the items.
        heads = await self._sink.read(self._reader.read_heads, keys)
        stored = await self._sink.read(self._reader.read_items, keys)
        for key in keys:
            items = [item.decoded(key.tenant, part.engine.watched) for item in stored.get(key, ())]
            part.engine.read_back(key, heads.get(key), items)
        return {key for key in keys if not stored.get(key)}

    # Time and flushes.

    async def advance_idle(self, consumer: LedgerConsumer) -> None:
        """Partitions that are caught up: their log clock goes on with monotonic time (architecture 6.2)."""
        for part in list(self._partitions.values()):
            clock_ms, anchored = part.clock_anchor
            if not part.ready.is_set() or not clock_ms:
                continue
            next_offset = part.next_offset if part.next_offset is not None else consumer.committed(part.tp)
            idle_until = consumer.idle_since(part.tp, next_offset)
            if idle_until is None or idle_until <= anchored:
                continue
            now_ms = clock_ms + int((idle_until - anchored) * 1000)
            async with self._reading:
                if part.clock_anchor == (clock_ms, anchored):  # else a chunk came in between
                    await self._tick(part, now_ms)

    async def advance(self, clock_ms: int) -> None:
        """All log clocks go on to this time: the caller knows that nothing that was appended before it is still to come."""
        for part in self._partitions.values():
            await part.ready.wait()
            async with self._reading:
                await self._tick(part, clock_ms)

    async def _tick(self, part: Partition, clock_ms: int) -> None:
        if missing := part.engine.due(clock_ms):
            await self._load(part, missing)
        part.engine.tick(clock_ms)

    async def sweep(self, unjudged: Unjudged) -> int:
        """Read back decided traces of which more is stored than was judged: the next flush judges them. How many were
        looked at. It finds what nothing else notices, and what a crash of two owners at once may have left."""
        parts = {tp.partition: part for tp, part in self._partitions.items() if part.ready.is_set()}
        clock_ms = max((part.engine.clock_ms for part in parts.values()), default=0)
        if not clock_ms:
            return 0
        since_ms = clock_ms - HORIZON_MS - SWEEP_BACK_MS
        found = await self._sink.read(unjudged, clock_ms - SPANS_KEPT_MS, clock_ms + 1, since_ms, list(parts))
        n = 0
        for number, keys in found.items():
            for at in range(0, min(len(keys), SWEPT_MAX), KEYS_MAX):
                async with self._reading:
                    batch = parts[number].engine.absent(keys[at : at + KEYS_MAX])
                    await self._load(parts[number], batch)
                n += len(batch)
        return n

    async def flush(self) -> None:
        """Take what has accumulated and make it durable; chunks are done after that. One at a time.

        A config whose naming rules look at other attributes makes all that is in memory unfit: it is taken over by a flush
        during which nothing is folded, and then everything is forgotten, to be read back when it is needed.
        """
        async with self._flushing, AsyncExitStack() as held:
            if still := self._reads_anew:
                await held.enter_async_context(self._reading)
            truths = await self._truths()
            parts = [part for part in self._partitions.values() if part.ready.is_set()]
            taken = [(part, part.engine.take(truths), part.chunks) for part in parts]
            batch = Batch([flush for _, flush, _ in taken])
            for part in parts:
                batch.dead += part.dead
                batch.ledger += ledger_rows(part)
                part.chunks, part.dead, part.tally = [], [], {}
                if still or not self._reads_anew:
                    part.engine.configure(*self._config)
            self._rows = self._bytes = 0
            if not batch.is_empty:
                await self._sink.write(batch)
            for part, flush, chunks in taken:
                part.engine.acknowledged(flush)
                if still:
                    part.engine.forget()
                for chunk in chunks:
                    chunk.done = True
            self._make_room()
            self.stored += sum(flush.counts.stored for _, flush, _ in taken)
            self._told(batch.flushes, [chunk for _, _, chunks in taken for chunk in chunks], batch.ledger)
            if any(t.end_ms is not None and t.is_open for _, flush, _ in taken for t in flush.touched):
                self._failpoint.hit("root_undecided")

    def _make_room(self) -> None:
        """Over the bound each partition gives up half of what it holds: so the next time is not at the next flush."""
        if self.bytes_held > self._settings.memory_bytes_max:
            for part in self._partitions.values():
                part.engine.evict(part.engine.bytes_held // 2)

    @property
    def _reads_anew(self) -> bool:
        """Whether the newest config wants items decoded otherwise than those in some engine are."""
        watched = self._config.registry.watched
        return any(part.engine.watched != watched for part in self._partitions.values() if part.ready.is_set())

    async def _truths(self) -> dict[tuple[str, str], TaskTruth]:
        """Task truth for all that the take judges; asked again when traces came in while the store answered."""
        truths: dict[tuple[str, str], TaskTruth] = {}
        asked: set[str] = set()
        while wanted := set().union(*(p.engine.wanted_truths() for p in self._partitions.values())) - asked:
            truths |= await self._sink.read(self._reader.truths, wanted)
            asked |= wanted
        return truths

    # What it knows of itself.

    @property
    def open_traces(self) -> int:
        """Open traces of all partitions."""
        return sum(part.engine.open_traces for part in self._partitions.values())

    @property
    def spans_held(self) -> int:
        """Spans in memory, of all partitions."""
        return sum(part.engine.spans_held for part in self._partitions.values())

    def redactions(self) -> list[tuple[str, int]]:
        """Values taken away since the last time, by kind. A chunk that is read again counts again."""
        if self._redactor is None:
            return []
        counts = self._redactor.counts
        told = counts.most_common()
        counts.clear()
        return told

    @property
    def bytes_held(self) -> int:
        """About how much memory the traces of all partitions take."""
        return sum(part.engine.bytes_held for part in self._partitions.values())

    @property
    def waiting_rows(self) -> int:
        """Spans folded since the last flush was taken."""
        return self._rows

    @property
    def waits(self) -> bool:
        """Whether the store or Kafka is away, or partitions are being read back: then no progress is nobody's fault."""
        return self._sink.retrying or self.recovered < self.assigned

    @property
    def config_seq(self) -> int:
        """The config that the next flush boundary takes over; 0 before any."""
        return self._config.seq

    @property
    def assigned(self) -> int:
        """Partitions assigned."""
        return len(self._partitions)

    @property
    def recovered(self) -> int:
        """Of them those whose state was read back."""
        return sum(part.ready.is_set() for part in self._partitions.values())


def _tenant(headers: Iterable[tuple[str, bytes]]) -> str:
    for name, value in headers or ():
        if name == TENANT_HEADER:
            return value.decode("utf-8", "replace")
    return DEFAULT_TENANT
