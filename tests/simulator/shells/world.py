"""A schedule played: traffic, workers, and what befalls them; in the end a long quiet."""

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from schemas.item import Item, Taken, items_of
from schemas.outcome import OutcomeRecord, TraceOutcomes, decode
from schemas.registry import Registry
from schemas.signal import signal_of
from schemas.trajectory import TraceKey
from streams.settings import Settings
from streams.worker import ledger as ledger_module
from streams.worker import scorer as scorer_module
from streams.worker import sink as sink_module
from streams.worker.scorer import DEFAULT_TENANT, TENANT_HEADER, InForce
from streams.worker.sink import StopWorker
from tests.properties.test_engine import LATER, REGISTRY
from tests.simulator.shells.kafka import Broker, Group, Record, Sent, SimulatedProducer
from tests.simulator.shells.loop import VirtualLoop
from tests.simulator.shells.servers import Servers
from tests.simulator.shells.store import Identity, Store
from tests.simulator.shells.traffic import now_ms, traffic
from tests.simulator.shells.worker import Worker, or_end

TOPIC, PARTITIONS = "otlp_spans", 2
ABANDON_S = 12.0
TROUBLE_S = 40.0  # what comes later is late, and meets nothing
DONE_BY_S = 400.0  # of virtual time
SET_BACK_S = 3_600.0
BASE = Settings(
    spans_topic=TOPIC,
    spans_partitions=PARTITIONS,
    settle_one_resource_ms=1_000,
    settle_many_resources_ms=3_000,
    abandon_after_ms=int(ABANDON_S * 1000),
)
# What may happen next, and how often.
ACTIONS = {
    "crash": 6, "stop": 1, "join": 2, "rebalance": 3, "zombie": 3, "store away": 2, "kafka away": 2, "trouble": 4,
    "mad store": 2, "config": 2,
}  # fmt: skip


class World:
    """Everything that is there."""

    def __init__(self, seed: int) -> None:
        self.seed, self.draw, self.happened = seed, Random(seed), Counter[str]()
        self.loop = VirtualLoop()
        self.servers = Servers(self.loop, Random(seed + 1), self.happened)
        self.arrivals = traffic(self.draw, PARTITIONS)
        self.broker = Broker(self.servers, TOPIC, PARTITIONS)
        self.producer = SimulatedProducer(self.broker, self.servers, self._sent)
        self.group = Group(self.broker, self.servers, self._committing)
        self.taken: dict[TP, list[Taken]] = {tp: [] for tp in self.broker.spans}  # what each record of the log holds
        self.problems: list[str] = []
        self.store = Store(self.servers, self._poison(), self.problems.append)
        self.configs: list[Registry] = [REGISTRY]
        self.story: list[str] = []  # when what was to befall the workers
        self.workers: list[Worker] = []
        self._checked = dict.fromkeys(self.broker.spans, 0)
        self.settings = BASE.model_copy(
            update={
                "flush_rows_max": self.draw.choice([3, 10, 50_000]),
                "memory_bytes_max": self.draw.choice([1, 20_000, 1 << 30]),
                "provisional_every_ms": self.draw.choice([0, 5_000]),
            }
        )

    @property
    def in_force(self) -> InForce:
        """The newest config."""
        return InForce(len(self.configs), self.configs[-1])

    def _poison(self) -> frozenset[Identity]:
        if self.draw.random() < 0.8:
            return frozenset()
        arrival = self.draw.choice(self.arrivals)
        taken = _read(Record(TOPIC, arrival.partition, 0, 0, arrival.value, arrival.headers))
        return frozenset(identity(item) for item, _ in taken.items[:1])  # more in a row would stop every worker

    # Traffic.

    async def _traffic(self) -> None:
        for arrival in self.arrivals:
            await asyncio.sleep(max(0.0, arrival.at_s - self.loop.time()))
            tp = TP(TOPIC, arrival.partition)
            self.broker.append(tp, now_ms(self.loop.time()), arrival.value, arrival.headers)
            self.taken[tp].append(_read(self.broker.spans[tp][-1]))

    # Workers.

    def start(self) -> None:
        """One more worker."""
        self.workers.append(Worker(self, self.settings))

    def alive(self) -> list[Worker]:
        """Who runs."""
        return [worker for worker in self.workers if worker.life.alive]

    async def _supervise(self) -> None:
        """Who has died is started again, after a while; the group hears of it."""
        while True:
            await asyncio.sleep(self.draw.uniform(0.1, 2.0))
            dead = [worker for worker in self.workers if not worker.life.alive]
            for worker in dead:
                self.workers.remove(worker)
                error = worker.life.error
                self.happened["a worker stops by its own rule"] += isinstance(error, StopWorker)
                if error is not None and not isinstance(error, StopWorker):
                    self.problems.append(f"a worker ended itself: {error!r}")
            if dead or not self.workers:
                if not self.workers or self.draw.random() < 0.7:
                    self.start()
                await self.group.rebalance(self.workers)

    # What befalls them.

    async def _befall(self) -> None:
        while self.loop.time() < TROUBLE_S:
            await asyncio.sleep(self.draw.expovariate(0.4))
            (action,) = self.draw.choices(list(ACTIONS), list(ACTIONS.values()))
            self.story.append(f"{self.loop.time():.3f} {action}")
            self.happened[action] += await self._act(action)

    async def _act(self, action: str) -> bool:
        weather, workers = self.servers.weather, self.alive()
        match action:
            case "crash" if workers:
                self.draw.choice(workers).life.fuse = self.draw.choice((1, 3, 10, 30, 100))
            case "stop" if workers:
                worker = self.draw.choice(workers)
                worker.spawn(or_end(worker.drain()))
            case "join" if len(workers) < 3:
                self.start()
                await self.group.rebalance(self.workers)
            case "rebalance":
                await self.group.rebalance(self.workers)
            case "zombie" if workers:
                zombie = self.draw.choice(workers)
                zombie.unheard = True
                if len(workers) == 1:
                    self.start()
                await self.group.rebalance(self.workers)
                await asyncio.sleep(self.draw.uniform(0, 8))
                zombie.unheard = False
                await self.group.rebalance(self.workers)
            case "store away":
                weather.store_up = False
                await asyncio.sleep(self.draw.uniform(0, 4))
                weather.store_up = True
            case "kafka away":
                weather.kafka_up = False
                await asyncio.sleep(self.draw.uniform(0, 4))
                weather.kafka_up = True
            case "trouble":
                weather.trouble = self.draw.choice((0.0, 0.2, 0.5))
            case "mad store":
                weather.mad = True
                await asyncio.sleep(self.draw.uniform(0, 6))
                weather.mad = False
            case "config":
                self.configs.append(LATER if len(self.configs) % 2 else REGISTRY)
            case _:
                return False
        return True

    async def _until(self, is_so: Any) -> None:
        while not is_so() and self.loop.time() < DONE_BY_S:
            await asyncio.sleep(1.0)

    async def run(self) -> None:
        """The whole schedule."""
        sent = self.loop.create_task(self._traffic())
        supervisor = self.loop.create_task(self._supervise())
        self.start()
        await self.group.rebalance(self.workers)
        await self._befall()
        self.servers.weather.clear_up()
        for worker in self.workers:
            worker.life.fuse = 0
        await sent
        if self.draw.random() < 0.5:
            for worker in self.workers:
                worker.life.alive = False
        await self.group.rebalance(self.workers)
        ends = self.broker.spans
        await self._until(lambda: all(self.group.committed[tp] == len(ends[tp]) for tp in ends))
        await asyncio.sleep(2 * ABANDON_S + 8.0)  # a new owner may begin with a clock that is as much behind
        assert not supervisor.done()

    # What must hold at once.

    def _committing(self, tp: TP, offset: int) -> None:
        """Offset committed => all that was in the records before it is stored or dead-lettered, and accounted for."""
        dead = {sent.value for sent in self.broker.sent if sent.topic == self.settings.dlq_topic}
        if offset > len(self.taken[tp]):
            self.problems.append(f"offset {offset} is committed, and the log ends before it")
            return
        for at in range(self._checked[tp], offset):
            taken = self.taken[tp][at]
            for item, _ in taken.items:
                if identity(item) not in self.store.items and identity(item) not in self.store.refused:
                    self.problems.append(f"offset {offset} is committed, and a span before it is not stored")
                if self.store.row(identity(item)[0]) is None:
                    self.problems.append(f"offset {offset} is committed, and a trace before it has no row")
            for refused in taken.refused:
                if refused.value not in dead:
                    self.problems.append(
                        f"offset {offset} is committed, and a dead letter before it is not on the topic"
                    )
        rows = [row for row in self.store.ledger.values() if row.partition == tp.partition]
        if offset and max((row.last_offset for row in rows), default=-1) < offset - 1:
            self.problems.append(f"offset {offset} is committed, and the ledger ends before it")
        self._checked[tp] = max(self._checked[tp], offset)

    def _sent(self, sent: Sent) -> None:
        """Outcomes are out => they are in a row, until they are marked."""
        for key, told in outcomes_of(sent, self.settings):
            row = self.store.row(key)
            if any(owner == key for owner, _, _ in self.store.refused):
                continue  # a row that counts a span which is not stored may outlive better ones
            if row is None or row.outcomes is None:
                self.problems.append(f"outcomes of trace {key.trace_id[-1]} are out before the row that keeps them")
            elif told.n_items != row.outcomes.n_items:
                self.problems.append(f"outcomes of trace {key.trace_id[-1]} are not those of its row")


def outcomes_of(sent: Sent, settings: Settings) -> Iterator[tuple[TraceKey, TraceOutcomes]]:
    """What a record tells of decided traces."""
    if sent.topic == settings.outcomes_topic:
        record = decode(sent.value)
        assert isinstance(record, OutcomeRecord)
        for trace in record.traces:
            yield TraceKey(record.tenant, bytes.fromhex(trace.trace_id)), trace


def identity(item: Item) -> Identity:
    """Which item it is."""
    return TraceKey(item.tenant, item.trace_id), item.span_id, item.content_hash


def _read(record: Record) -> Taken:
    """A record as whoever scores offline reads it; with all that any config looks at."""
    headers = dict(record.headers)
    tenant = headers.get(TENANT_HEADER, DEFAULT_TENANT.encode()).decode()
    return items_of(record.value, tenant, record.timestamp, signal_of(record.headers), LATER.watched)


@contextmanager
def _as_if_real(world: World, set_back_at_s: float) -> Iterator[None]:
    """The clock and the end of a process are those of the world; small bounds are soon reached."""

    def wall_clock() -> float:
        at_s = world.loop.time()
        return now_ms(at_s) / 1000 - (SET_BACK_S if at_s >= set_back_at_s else 0.0)

    clock = SimpleNamespace(time=wall_clock, monotonic=world.loop.time)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(scorer_module, "time", clock)
        patched.setattr(scorer_module, "or_die", or_end)
        patched.setattr(sink_module, "DEAD_IN_A_ROW_MAX", 3)
        patched.setattr(ledger_module, "CHUNK_RECORDS_MAX", world.draw.randint(1, 4))
        yield


def play(seed: int, set_back_at_s: float = math.inf) -> World:
    """Play the schedule of a seed. At a time of it somebody may set all workers' wall clocks back."""
    world = World(seed)
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with _as_if_real(world, set_back_at_s):
            world.loop.run_until_complete(world.run())
            world.problems += world.loop.failures()
    finally:
        world.loop.end()
        logging.disable(disabled)
    return world
