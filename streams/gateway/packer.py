"""Spans of concurrent requests packed into Kafka records: one open pack per tenant, partition and signal.

Consumers pay per record, so spans wait up to the linger for others of their partition. A pack is cut at 256 KiB, not counting a
frame that takes half of that by itself; a larger span gets a record of its own. What waits is counted in the budget until Kafka
has answered, even where the request that brought it has long been told to try again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from aiokafka.errors import KafkaError

from schemas.otlp import pack
from schemas.signal import TRACES
from schemas.span import RawSpan
from streams.gateway.account import Account
from streams.gateway.budget import Budget
from streams.gateway.counts import GatewayCounts
from streams.gateway.limits import PACK_BYTES

Append = Callable[
    [int, bytes, str, str], Awaitable[int]
]  # (partition, record, tenant, signal) -> the record's offset, at Kafka's ack
Answer = asyncio.Future[KafkaError | None]  # of one record: None when Kafka has it

SPAN_OVERHEAD, FRAME_OVERHEAD = 12, 32  # tags and lengths, rounded up


@dataclass(slots=True, eq=False)
class _Pack:
    place: tuple[str, int, str]  # tenant, partition, signal
    answer: Answer
    timer: asyncio.TimerHandle | None = None
    spans: list[RawSpan] = field(default_factory=list)
    size: int = 0
    size_max: int = PACK_BYTES

    def cost(self, raw: RawSpan) -> int:
        """The bytes that this span adds to the record: its frame too, unless the span before it has the same."""
        last = self.spans[-1] if self.spans else None
        if last is not None and last.resource == raw.resource and last.scope == raw.scope:
            return len(raw.span) + SPAN_OVERHEAD
        return len(raw.span) + SPAN_OVERHEAD + len(raw.resource) + len(raw.scope) + FRAME_OVERHEAD

    def add(self, raw: RawSpan, cost: int) -> None:
        """Take a span in. A large frame of the first one does not count: cut by it, each span would be sent with a copy of it."""
        if not self.spans and (frame := len(raw.resource) + len(raw.scope)) > PACK_BYTES // 2:
            self.size_max = PACK_BYTES + frame
        self.size += cost
        self.spans.append(raw)


class Packer:
    """Collects, cuts, sends. Use from one event loop; `close` before the log is stopped."""

    def __init__(
        self, append: Append, linger_s: float, budget: Budget, counts: GatewayCounts, account: Account
    ) -> None:
        self._append = append
        self._linger_s = linger_s
        self._budget = budget
        self._counts = counts
        self._account = account
        self._open: dict[tuple[str, int, str], _Pack] = {}
        self._sending: set[asyncio.Task[None]] = set()

    def put(self, tenant: str, by_partition: Mapping[int, list[RawSpan]], signal: str = TRACES) -> dict[Answer, int]:
        """Take spans in, or log records; these never share a record. The answers of the records that they went into, each with
        how many of them it holds.

        Raises OverBudget; then some of the spans may reach Kafka nevertheless, and the sender sends all of them again.
        """
        answers: dict[Answer, int] = {}
        for partition, spans in by_partition.items():
            for raw in spans:
                answer = self._add((tenant, partition, signal), raw)
                answers[answer] = answers.get(answer, 0) + 1
        return answers

    async def close(self, timeout_s: float) -> int:
        """Send what is open and wait for Kafka; how many records it has not acknowledged in time."""
        for waiting in list(self._open.values()):
            self._send(waiting)
        if not self._sending:
            return 0
        _, pending = await asyncio.wait(self._sending, timeout=timeout_s)
        for task in pending:
            task.cancel()
        return len(pending)

    def _add(self, place: tuple[str, int, str], raw: RawSpan) -> Answer:
        current = self._open.get(place)
        if current is not None and current.size + current.cost(raw) > current.size_max:
            self._send(current)
            current = None
        if current is None:
            current = self._new(place)
        cost = current.cost(raw)
        self._budget.of(place[0]).take(cost)
        current.add(raw, cost)
        return current.answer

    def _new(self, place: tuple[str, int, str]) -> _Pack:
        loop = asyncio.get_running_loop()
        fresh = _Pack(place, loop.create_future())
        fresh.timer = loop.call_later(self._linger_s, self._send, fresh)
        self._open[place] = fresh
        return fresh

    def _send(self, current: _Pack) -> None:
        if current.timer is not None:
            current.timer.cancel()
        if self._open.get(current.place) is current:
            del self._open[current.place]
        task = asyncio.create_task(self._deliver(current))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _deliver(self, current: _Pack) -> None:
        error: KafkaError | None = None
        try:
            if current.spans:
                record = pack(current.spans)
                tenant, partition, signal = current.place
                offset = await self._append(partition, record, tenant, signal)
                self._account.in_log(tenant, signal, partition, offset, len(current.spans))
                self._counts.records += 1
                self._counts.record_bytes += len(record)
        except KafkaError as failed:
            self._counts.failed_records += 1
            error = failed
        finally:
            self._budget.of(current.place[0]).give_back(current.size)
        current.answer.set_result(error)
