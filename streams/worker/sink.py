"""The sink: one frozen batch at a time to ClickHouse and Kafka, in the order that makes a crash harmless.

    1 INSERT spans, log records     2 INSERT trajectories, marks, changes, ledger     3 publish outcomes and dead letters

Only then may the batch's chunks be marked done. Every step is idempotent (rows by key, outcomes dropped by the alerter), so a
step that fails is repeated with the same frozen rows, for ever, with backoff: consumption stops meanwhile, nothing is lost.
Only a *data* error bisects to the bad rows, which go to `eval.dlq`; a worker that dead-letters too much stops itself, because a
bug of ours must not empty the stream into the dlq.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, NamedTuple, Protocol, TypeVar

from aiokafka.errors import KafkaError

from schemas.ledger import DeadLetter as DeadLetterRow
from schemas.ledger import LedgerRow
from schemas.otlp import pack
from schemas.outcome import (
    RECORD_OUTCOMES_MAX,
    OutcomeRecord,
    StepOutcome,
    StepRecord,
    TraceOutcomes,
    encode,
    partition_of,
)
from schemas.rows import LogRow, SpanRow
from schemas.signal import LOGS, TRACES
from streams.core.flush import DecidedTrace, EarlyStep, Flush
from streams.failpoint import Failpoint
from streams.settings import Settings
from streams.store.errors import DataError, StoreUnavailable
from streams.store.writer import Writer
from streams.worker.fatal import StopWorker

BACKOFF_MAX_S = 30.0
# Of a dead letter on the dlq topic: garbage of any size must fit, or its partition would stop for ever.
DEAD_BYTES_MAX = 1 << 20
_REASON_CHARS, _DETAIL_CHARS = 100, 2_000
DEAD_IN_A_ROW_MAX = 1_000
DEAD_SHARE_MAX = 0.01
DEAD_SHARE_AFTER = 10_000  # rows before the share means anything

log = logging.getLogger(__name__)
Row = TypeVar("Row")
Answer = TypeVar("Answer")


class Publisher(Protocol):
    """Of an AIOKafkaProducer what the sink needs."""

    async def send(self, topic: str, value: bytes | None = None, **options: Any) -> Awaitable[Any]:
        """Put a record on a topic; what comes back is done with the broker's acknowledgement."""
        ...


class DeadLetter(NamedTuple):
    """Bytes that cannot be processed, with the reason and where they came from."""

    value: bytes
    reason: str
    topic: str
    partition: int  # -1: a row of ours, which came from no one record
    offset: int
    tenant: str
    item: int = 0  # its place among the dead letters of its record
    received_ms: int = 0
    signal: str = TRACES


class TooManyDeadLetters(StopWorker):
    """The stop rule: more dead letters than bad input explains. The worker must stop and say so."""


@dataclass(slots=True)
class Batch:
    """What one flush of the worker writes: the flushes of its partitions, dead letters and ledger rows."""

    flushes: list[Flush]
    dead: list[DeadLetter] = field(default_factory=list)
    ledger: list[LedgerRow] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Nothing to write or publish."""
        return not self.dead and not self.ledger and all(flush.is_empty for flush in self.flushes)


class Sink:
    """Writes batches. One at a time: the caller awaits `write` before the next."""

    def __init__(
        self,
        settings: Settings,
        writer: Writer,
        producer: Publisher,
        failpoint: Failpoint,
        told: Callable[..., None] = lambda name, amount=1, **attributes: None,
    ) -> None:
        """`told(name, amount, **attributes)` adds to a metric."""
        self._told = told
        self._settings = settings
        self._writer = writer
        self._producer = producer
        self._failpoint = failpoint
        self._thread = ThreadPoolExecutor(1, "writer")
        self._readers = ThreadPoolExecutor(1, "reader")
        self._rows_seen = self._dead_seen = self._dead_in_a_row = 0
        self._waiting = 0  # attempts that failed and are tried again

    @property
    def retrying(self) -> bool:
        """Whether anything waits for the store or for Kafka."""
        return self._waiting > 0

    async def write(self, batch: Batch) -> None:
        """Make all of the batch durable and published. Raises TooManyDeadLetters; retries everything else for ever."""
        dead = list(batch.dead)
        dead += await self._insert(self._writer.write_spans, [row for f in batch.flushes for row in f.spans])
        dead += await self._insert(self._writer.write_logs, [row for f in batch.flushes for row in f.logs])
        dead += await self._insert(
            self._writer.write_trajectories, [row for f in batch.flushes for row in f.trajectories]
        )
        dead += await self._insert(self._writer.write_published, [row for f in batch.flushes for row in f.published])
        dead += await self._insert(
            self._writer.write_verdict_changes, [row for f in batch.flushes for row in f.changes]
        )
        dead += await self._insert(self._writer.write_ledger, batch.ledger)
        decided = [d for f in batch.flushes for d in f.decided]
        early = [step for f in batch.flushes for step in f.early]
        records: list[OutcomeRecord | StepRecord] = [*early_records(early), *records_of(decided)]
        if records:
            with self._failpoint.around("outcomes"):
                await self._forever(lambda: self._publish(records))
        if dead:
            with self._failpoint.around("dead_letters"):
                await self._forever(lambda: self._publish_dead(dead))
            self._told("stepwatch.dlq.records", len(dead))
        await self._insert(self._writer.write_dlq_index, [index_row(letter) for letter in dead if letter.offset >= 0])

    async def _insert(self, insert: Callable[[list[Row]], None], rows: list[Row]) -> list[DeadLetter]:
        """Insert the rows, bisecting data errors; the rows that cannot be stored come back as dead letters."""
        if not rows:
            return []
        loop = asyncio.get_running_loop()
        table, began = insert.__name__.removeprefix("write_"), time.monotonic()
        try:
            with self._failpoint.around(table):
                await self._forever(lambda: loop.run_in_executor(self._thread, insert, rows))
            self._told("stepwatch.sink.insert.duration", time.monotonic() - began, table=table)
            self._told("stepwatch.sink.rows", len(rows), table=table)
        except DataError as error:
            if len(rows) == 1:
                return [self._bury(rows[0], str(error))]
            half = len(rows) // 2
            return [*await self._insert(insert, rows[:half]), *await self._insert(insert, rows[half:])]
        self._rows_seen += len(rows)
        self._dead_in_a_row = 0
        return []

    async def read(self, query: Callable[..., Answer], *args: Any) -> Answer:
        """Ask the store, for ever if need be: nothing may be folded before the answer is here."""
        loop = asyncio.get_running_loop()
        return await self._forever(lambda: loop.run_in_executor(self._readers, query, *args))

    async def _forever(self, attempt: Callable[[], Awaitable[Answer]]) -> Answer:
        delay = 0.0
        try:
            while True:
                try:
                    return await attempt()
                except (StoreUnavailable, KafkaError, OSError) as error:
                    self._told("stepwatch.sink.retries")
                    if not delay:
                        self._waiting += 1
                        log.warning("waiting: %s; retrying until it succeeds", error)
                delay = min(delay * 2 or 0.2, BACKOFF_MAX_S)
                await asyncio.sleep(delay)
        finally:
            if delay:
                self._waiting -= 1
                log.warning("the wait is over")

    def _bury(self, row: Any, reason: str) -> DeadLetter:
        self._rows_seen += 1
        self._dead_seen += 1
        self._dead_in_a_row += 1
        share = self._dead_seen / self._rows_seen
        if self._dead_in_a_row >= DEAD_IN_A_ROW_MAX or (self._rows_seen >= DEAD_SHARE_AFTER and share > DEAD_SHARE_MAX):
            raise TooManyDeadLetters(
                f"{self._dead_seen} of {self._rows_seen} rows could not be stored, the last because: {reason}"
            )
        said = f"row cannot be stored: {reason}"
        if isinstance(row, SpanRow):
            return DeadLetter(pack([row.raw]), said, self._settings.spans_topic, -1, -1, row.span.tenant)
        if isinstance(row, LogRow):
            topic = self._settings.spans_topic
            return DeadLetter(pack([row.raw]), said, topic, -1, -1, row.log.tenant, signal=LOGS)
        return DeadLetter(repr(row).encode(), said, "", -1, -1, getattr(row, "tenant", "default"))

    async def _publish(self, records: Sequence[OutcomeRecord | StepRecord]) -> None:
        pending = []
        for record in records:
            partition = partition_of(record.tenant, record.workflow, self._settings.outcomes_partitions)
            key = f"{record.tenant}/{record.workflow}".encode()
            pending.append(
                await self._producer.send(self._settings.outcomes_topic, encode(record), key=key, partition=partition)
            )
        await asyncio.gather(*pending)

    async def _publish_dead(self, letters: Sequence[DeadLetter]) -> None:
        await asyncio.gather(*[await self._send_dead(letter) for letter in letters])

    async def _send_dead(self, letter: DeadLetter) -> Awaitable[Any]:
        sent: Awaitable[Any] = await self._producer.send(
            self._settings.dlq_topic,
            letter.value[:DEAD_BYTES_MAX],
            partition=max(letter.partition, 0) % self._settings.dlq_partitions,
            headers=headers_of(letter),
        )
        return sent


def headers_of(letter: DeadLetter) -> list[tuple[str, bytes]]:
    """What is known of a dead letter. `bytes` is its whole length: above the bound only its beginning is kept."""
    said = {**letter._asdict(), "value": None, "bytes": len(letter.value)}
    return [(name, str(value).encode("utf-8", "replace")) for name, value in said.items() if value is not None]


def index_row(letter: DeadLetter) -> DeadLetterRow:
    """Where a dead letter came from, for SQL: a reason of low cardinality, and the whole sentence."""
    reason = letter.reason.partition(":")[0][:_REASON_CHARS]
    topic, partition, offset = letter.topic, letter.partition, letter.offset
    return DeadLetterRow(
        topic, partition, offset, letter.item, letter.tenant, reason, letter.reason[:_DETAIL_CHARS], letter.received_ms
    )


def records_of(decided: Sequence[DecidedTrace]) -> list[OutcomeRecord]:
    """Decided traces as outcome records: one (tenant, workflow) each, at most `RECORD_OUTCOMES_MAX` outcomes or one trace."""
    records = []
    by_series = sorted(decided, key=lambda d: (d.key.tenant, d.workflow))
    for (tenant, workflow), group in groupby(by_series, key=lambda d: (d.key.tenant, d.workflow)):
        records += [OutcomeRecord(tenant, workflow, part) for part in parts_of([d.outcomes for d in group])]
    return records


def early_records(early: Sequence[EarlyStep]) -> list[StepRecord]:
    """Steps as records: one (tenant, workflow) each, at most `RECORD_OUTCOMES_MAX` of them."""
    held: dict[tuple[str, str], list[StepOutcome]] = {}
    for told in early:
        held.setdefault((told.tenant, told.workflow), []).append(told.step)
    return [
        StepRecord(*series, tuple(steps[at : at + RECORD_OUTCOMES_MAX]))
        for series, steps in sorted(held.items())
        for at in range(0, len(steps), RECORD_OUTCOMES_MAX)
    ]


def parts_of(traces: Sequence[TraceOutcomes]) -> Iterator[tuple[TraceOutcomes, ...]]:
    """The traces in their order, cut where a record would hold too many outcomes."""
    part: list[TraceOutcomes] = []
    held = 0
    for trace in traces:
        if part and held + len(trace.outcomes) > RECORD_OUTCOMES_MAX:
            yield tuple(part)
            part, held = [], 0
        part.append(trace)
        held += len(trace.outcomes)
    if part:
        yield tuple(part)
