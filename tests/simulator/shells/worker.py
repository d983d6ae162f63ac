"""A worker: the real shells, wired as `streams.worker.app` wires them, on servers in miniature.

Of Faust there is what the ledger consumer leans on: records of a poll, hooks at a rebalance, the choice of what to commit.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Awaitable, Sequence
from contextvars import copy_context
from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from faust.types import TP

from streams.failpoint import Failpoint
from streams.settings import Settings
from streams.worker import scorer as scorer_module
from streams.worker.ledger import Chunk, LedgerConsumer
from streams.worker.scorer import InForce
from streams.worker.sink import Sink
from tests.simulator.shells.kafka import Member
from tests.simulator.shells.loop import LIFE, Life
from tests.simulator.shells.store import SimulatedReader, SimulatedWriter

POLL_S, TIMER_S = 0.5, 1.0
FETCHED_MAX = 7  # records of a partition in one fetch


async def or_end(work: Awaitable[Any]) -> None:
    """`or_die` of a process that is simulated."""
    try:
        await work
    except asyncio.CancelledError:
        raise
    except Exception as error:
        life = LIFE.get()
        assert life is not None
        life.end(error)


class Consumer(LedgerConsumer):
    """The real ledger consumer, of which the fetch and the commit go to the broker in miniature."""

    should_stop = False

    def __init__(self, world: Any, worker: "Worker") -> None:
        self.world, self.worker = world, worker
        self.ledger, self.topic_ids, self.distrusted = {}, {}, {}
        self.tps: list[TP] = []
        self.position: dict[TP, int] = {}
        self.fetched: dict[TP, tuple[float, int]] = {}  # when the last fetch was sent, and the end that it told
        self.flow_active = True
        self._acked: Any = defaultdict(list)
        self._acked_index, self._gap, self._read_offset = {}, {}, {}  # type: ignore[var-annotated]
        self._committed_offset: Any = defaultdict(lambda: None)
        self._active_partitions = self._paused_partitions = set()
        self._buffered_partitions = set()
        self._on_partitions_revoked = worker.revoked
        self._commit_fut, self._loop = None, world.loop
        self.diag = SimpleNamespace(set_flag=lambda flag: None, unset_flag=lambda flag: None)
        self.app = SimpleNamespace(
            consumer_generation_id=0,
            _start_span_from_rebalancing=lambda name: contextlib.nullcontext(),
            client_only=False,
        )

    def assignment(self) -> set[TP]:
        """What it believes to own."""
        return set(self.tps)

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Faust's, without its producer, tables and sensors."""
        offsets = self._filter_committable_offsets(list(self._acked))
        if not offsets:
            return False
        did = await self.world.group.commit(self.worker, offsets)
        self._committed_offset.update(offsets)
        return bool(did)

    async def _wait_next_records(self, timeout: float) -> tuple[Any, Any]:
        generation, sent = self.app.consumer_generation_id, self.world.loop.time()
        found: dict[TP, list[Any]] = await self.world.servers.ask(self._fetch)
        if generation != self.app.consumer_generation_id or not self.flow_active:
            return {}, None
        records = {}
        for tp, (batch, end) in found.items():
            self.fetched[tp] = sent, end
            if batch and batch[0].offset == self.position[tp]:
                self.position[tp] += len(batch)
                records[TopicPartition(*tp)] = batch
        if not records:
            await asyncio.sleep(timeout)
        return records, None

    def _fetch(self) -> dict[TP, Any]:
        logs = self.world.broker.spans
        return {tp: (logs[tp][at : at + FETCHED_MAX], len(logs[tp])) for tp, at in self.position.items()}

    def idle_since(self, tp: TP, next_offset: int) -> float | None:
        """When the last fetch was sent that found nothing at or after this offset."""
        sent, end = self.fetched.get(tp, (0.0, 0))
        return None if tp not in self.fetched or end > next_offset else sent

    def begin(self, tps: Sequence[TP], generation: int) -> None:
        """A new assignment: read on from what is committed."""
        committed = self.world.group.committed
        self.tps, self.fetched = list(tps), {}
        self.position = {tp: committed[tp] for tp in tps}
        self._committed_offset.update(self.position)
        self.app.consumer_generation_id, self.flow_active = generation, True


class Worker(Member):
    """One process of the scorer."""

    def __init__(self, world: Any, settings: Settings) -> None:
        self.world, self.life, self.knows, self.unheard = world, Life(), 0, False
        self._context = copy_context()
        self._context.run(LIFE.set, self.life)
        self.sink = Sink(settings, SimulatedWriter(world.store), world.producer, Failpoint(None))
        reader = SimulatedReader(world.store)
        self.scorer = scorer_module.Scorer(settings, reader, self.sink, Failpoint(None), self._prepare)
        self.consumer = Consumer(world, self)
        self._chunks: asyncio.Queue[Chunk] = asyncio.Queue(4)
        self._asking, self._leaving = asyncio.Lock(), asyncio.Lock()
        self.spawn(self._poll())
        self.spawn(self._agent())
        for action in (self.scorer.flush, self._idle, self._commit, self._follow_config):
            self.spawn(self._timer(action))

    def spawn(self, work: Any) -> asyncio.Task[Any]:
        """A task of this process."""
        return self.world.loop.create_task(work, context=self._context)  # type: ignore[no-any-return]

    async def _prepare(self) -> InForce:
        async with self._asking:  # as there: an older answer never comes after a newer one
            return await self.world.servers.ask(lambda: self.world.in_force)  # type: ignore[no-any-return]

    # The loops of Faust.

    async def _poll(self) -> None:
        while True:
            async for _, message in self.consumer.getmany(POLL_S):
                await self._chunks.put(message.value)
            await asyncio.sleep(0.0 if self.consumer.flow_active else 0.1)

    async def _agent(self) -> None:
        while True:
            await or_end(self.scorer.handle(await self._chunks.get()))

    async def _timer(self, action: Any) -> None:
        await asyncio.sleep(self.world.servers.draw.uniform(0, TIMER_S))
        while True:
            await asyncio.sleep(TIMER_S)
            await or_end(action())

    async def _idle(self) -> None:
        if not self.sink.retrying:
            await self.scorer.advance_idle(self.consumer)

    async def _commit(self) -> None:
        with contextlib.suppress(KafkaError):
            await self.consumer.commit()

    async def _follow_config(self) -> None:
        self.scorer.configure(await self._prepare())

    # The group.

    async def leave(self) -> None:
        """Partitions are revoked."""
        async with self._leaving:
            self.consumer.flow_active = False
            await self.consumer.on_partitions_revoked(set(self.consumer.tps))
            self.consumer.tps, self.consumer.position = [], {}

    async def revoked(self, partitions: set[TP]) -> None:
        """As `streams.worker.app` has it."""
        await asyncio.sleep(self.world.servers.draw.choice((0.0, 0.01)))
        self.scorer.revoked()

    async def join(self, tps: Sequence[TP], generation: int) -> None:
        """Partitions are assigned; their first chunks may be there before this is told."""
        self.knows = generation
        self.consumer.begin(tps, generation)
        await asyncio.sleep(self.world.servers.draw.choice((0.0, 0.0, 0.3)))
        if self.knows == generation and self.consumer.flow_active:
            self.scorer.own(tps)

    async def drain(self) -> None:
        """SIGTERM, as `streams.worker.app` has it."""
        await self.scorer.flush()
        await self.scorer.flush()
        await self._commit()
        self.life.alive = False
