"""Kafka in miniature: the spans topic, topics that are written to, and the consumer group."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from aiokafka.errors import KafkaConnectionError, RequestTimedOutError
from faust.types import TP

from tests.simulator.shells.loop import Life
from tests.simulator.shells.servers import Servers

SESSION_S = 4.0


class Record(NamedTuple):
    """A record as a consumer has it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


class Sent(NamedTuple):
    """A record that was produced."""

    topic: str
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


class Broker:
    """All topics."""

    def __init__(self, servers: Servers, topic: str, partitions: int) -> None:
        self._servers = servers
        self.spans: dict[TP, list[Record]] = {TP(topic, n): [] for n in range(partitions)}
        self.sent: list[Sent] = []

    def append(self, tp: TP, now_ms: int, value: bytes, headers: tuple[tuple[str, bytes], ...]) -> None:
        """A record of a gateway."""
        log = self.spans[tp]
        log.append(Record(tp.topic, tp.partition, len(log), now_ms, value, headers))

    def serve(self, effect: Callable[[], Any]) -> Any:
        """A request to the broker takes effect, or fails: before it, or after it."""
        weather = self._servers.weather
        if not weather.kafka_up:
            raise KafkaConnectionError("no broker")
        if self._servers.draw.random() < weather.trouble:
            if self._servers.draw.random() < 0.5:
                self._servers.happened["a broker fails after it took a request"] += 1
                effect()
            raise RequestTimedOutError
        return effect()


class SimulatedProducer:
    """As an AIOKafkaProducer: `send` queues a record, and what it returns is done with the acknowledgement."""

    def __init__(self, broker: Broker, servers: Servers, check: Callable[[Sent], None]) -> None:
        self._broker, self._servers, self._check = broker, servers, check

    def _append(self, record: Sent) -> None:
        self._check(record)
        self._broker.sent.append(record)

    async def send(self, topic: str, value: bytes | None = None, **options: Any) -> Awaitable[Any]:
        """Put a record on a topic."""
        await asyncio.sleep(self._servers.draw.choice((0.0, 0.0, 0.002)))
        record = Sent(topic, value or b"", tuple(options.get("headers", ())))
        return self._servers.ask(lambda: self._broker.serve(lambda: self._append(record)))


class Member:
    """What the group asks of a worker's consumer."""

    life: Life
    knows: int  # the generation that it believes in
    unheard: bool  # whether its heartbeats are lost, while all else that it says arrives

    async def leave(self) -> None:
        """Commit, and let go of all partitions."""
        raise NotImplementedError

    async def join(self, tps: Sequence[TP], generation: int) -> None:
        """Begin with these."""
        raise NotImplementedError

    def spawn(self, work: Any) -> asyncio.Task[Any]:
        """Have it do this."""
        raise NotImplementedError


class Group:
    """The coordinator. Everybody lets go of everything at a rebalance; who does not do it in time goes on as a zombie, and so
    does one of whom it has not heard for too long."""

    def __init__(self, broker: Broker, servers: Servers, check: Callable[[TP, int], None]) -> None:
        self._broker, self._servers, self._check = broker, servers, check
        self.generation = 0
        self.members: list[Member] = []  # who is in the generation
        self.committed: dict[TP, int] = dict.fromkeys(broker.spans, 0)
        self._rebalancing = asyncio.Lock()

    async def rebalance(self, present: Sequence[Member]) -> None:
        """A generation of these."""
        async with self._rebalancing:
            here = [member for member in present if member.life.alive and not member.unheard]
            left = {member: member.spawn(member.leave()) for member in here}
            if left:
                await asyncio.wait(left.values(), timeout=SESSION_S)
            if any(member.life.alive and member.unheard for member in self.members):
                await asyncio.sleep(SESSION_S)
            self.generation += 1
            self.members = [member for member in here if member.life.alive and left[member].done()]
            self._servers.happened["a worker is too slow for a rebalance"] += sum(
                m.life.alive and not left[m].done() for m in here
            )
            if not self.members:
                return
            shares: dict[Member, list[TP]] = {member: [] for member in self.members}
            for n, tp in enumerate(self._broker.spans):
                shares[self.members[(n + self.generation) % len(self.members)]].append(tp)
            for member, tps in shares.items():
                member.spawn(member.join(tps, self.generation))

    async def commit(self, member: Member, offsets: dict[TP, int]) -> bool:
        """Whether the offsets were taken. Raises KafkaError."""
        generation = member.knows
        return bool(
            await self._servers.ask(lambda: self._broker.serve(lambda: self._commit(member, generation, offsets)))
        )

    def _commit(self, member: Member, generation: int, offsets: dict[TP, int]) -> bool:
        if member not in self.members or generation != self.generation:
            self._servers.happened["a zombie's commit is refused"] += 1
            return False
        for tp, offset in offsets.items():
            self.committed[tp] = offset
            self._check(tp, offset)
        return True
