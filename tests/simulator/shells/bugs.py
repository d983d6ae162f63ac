"""Bugs planted into the real shells, one at a time: a simulator that does not catch them reaches nothing.

Each is a mistake that somebody could make in good faith. The check at the end runs on the code as it is.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from aiokafka.errors import KafkaError

from schemas.rows import Published
from streams.core import engine as engine_module
from streams.store.errors import DataError, StoreUnavailable
from streams.worker import ledger as ledger_module
from streams.worker import scorer as scorer_module
from streams.worker.ledger import LedgerConsumer
from streams.worker.scorer import Scorer
from streams.worker.sink import Batch, Sink, TooManyDeadLetters, records_of
from tests.simulator.planting import Bugs
from tests.simulator.shells.worker import Consumer

BUGS = Bugs()
bug = BUGS.add


# The order of effects.


@bug
def done_before_the_insert_is_acknowledged(patched: pytest.MonkeyPatch) -> None:
    """Chunks are done as soon as their flush was taken."""
    real = Scorer.flush

    async def flush(self: Any) -> None:
        for part in self._partitions.values():
            if part.ready.is_set():
                for chunk in part.chunks:
                    chunk.done = True
        await real(self)

    patched.setattr(Scorer, "flush", flush)


@bug
def marked_published_before_the_acknowledgement(patched: pytest.MonkeyPatch) -> None:
    """The mark is written in the flush that decides, not in the one after its outcomes are out."""
    real = Sink.write

    async def write(self: Any, batch: Batch) -> None:
        for flush in batch.flushes:
            flush.published.extend(Published(d.key.tenant, d.anchor_ms, d.key.trace_id) for d in flush.decided)
        await real(self, batch)

    patched.setattr(Sink, "write", write)


@bug
def outcomes_are_sent_and_not_awaited(patched: pytest.MonkeyPatch) -> None:
    """A record that was handed to the producer counts as published."""

    async def publish(self: Any, records: Any) -> None:
        async def quietly() -> None:
            with contextlib.suppress(KafkaError):
                await real(self, records)

        asyncio.get_running_loop().create_task(quietly())

    real = Sink._publish
    patched.setattr(Sink, "_publish", publish)


@bug
def outcomes_before_rows(patched: pytest.MonkeyPatch) -> None:
    """What was decided is told before it is stored."""
    real = Sink.write

    async def write(self: Any, batch: Batch) -> None:
        ahead = [d for flush in batch.flushes for d in flush.decided]
        if ahead:
            await self._forever(lambda: self._publish(records_of(ahead)))
        await real(self, batch)

    patched.setattr(Sink, "write", write)


@bug
def rows_before_spans(patched: pytest.MonkeyPatch) -> None:
    """The row of a trace is there before the spans that it was judged from."""
    real = Sink.write

    async def write(self: Any, batch: Batch) -> None:
        await self._insert(self._writer.write_trajectories, [row for f in batch.flushes for row in f.trajectories])
        await real(self, batch)

    patched.setattr(Sink, "write", write)


@bug
def dead_letters_after_the_commit(patched: pytest.MonkeyPatch) -> None:
    """Dead letters go out when there is time for it."""
    real = Sink._publish_dead

    async def publish(self: Any, letters: Any) -> None:
        async def later() -> None:
            await asyncio.sleep(2)
            await self._forever(lambda: real(self, letters))

        asyncio.get_running_loop().create_task(later())

    patched.setattr(Sink, "_publish_dead", publish)


@bug
def the_ledger_after_the_commit(patched: pytest.MonkeyPatch) -> None:
    """What became of the records is written when the flush is over."""
    real = Sink.write

    async def write(self: Any, batch: Batch) -> None:
        ledger, batch.ledger = batch.ledger, []

        async def later() -> None:
            await asyncio.sleep(1)
            await self._insert(self._writer.write_ledger, ledger)

        await real(self, batch)
        asyncio.get_running_loop().create_task(later())

    patched.setattr(Sink, "write", write)


# Retries, and rows that cannot be stored.


@bug
def a_retry_that_gives_up(patched: pytest.MonkeyPatch) -> None:
    """After three attempts the batch is let go."""

    async def forever(self: Any, attempt: Any) -> Any:
        for _ in range(3):
            try:
                return await attempt()
            except (StoreUnavailable, KafkaError):
                await asyncio.sleep(0.2)
        return {}

    patched.setattr(Sink, "_forever", forever)


@bug
def a_timeout_is_taken_for_stored(patched: pytest.MonkeyPatch) -> None:
    """The store said nothing in time; it will have taken the rows."""
    real = Sink._insert

    async def insert(self: Any, call: Any, rows: Any) -> Any:
        def trusting(rows: Any) -> None:
            try:
                call(rows)
            except StoreUnavailable as error:
                if "timed out" not in str(error):
                    raise

        trusting.__name__ = call.__name__
        return await real(self, trusting, rows)

    patched.setattr(Sink, "_insert", insert)


@bug
def a_batch_that_is_not_frozen(patched: pytest.MonkeyPatch) -> None:
    """What a retry sends is no longer what was taken: somebody has drawn on the list meanwhile."""
    real = Sink._insert

    async def insert(self: Any, call: Any, rows: Any) -> Any:
        rows = list(rows)

        def shrinking(rows: Any) -> None:
            try:
                call(rows)
            except StoreUnavailable:
                rows.pop()
                if rows:
                    raise

        shrinking.__name__ = call.__name__
        return await real(self, shrinking, rows)

    patched.setattr(Sink, "_insert", insert)


@bug
def bisect_that_drops_the_good_half(patched: pytest.MonkeyPatch) -> None:
    """Only the half with the bad row is looked at again."""

    async def insert(self: Any, call: Any, rows: Any) -> Any:
        if not rows:
            return []
        loop = asyncio.get_running_loop()
        try:
            await self._forever(lambda: loop.run_in_executor(self._thread, call, rows))
        except DataError as error:
            if len(rows) == 1:
                return [self._bury(rows[0], str(error))]
            half = len(rows) // 2
            return await insert(self, call, rows[:half]) or await insert(self, call, rows[half:])
        self._dead_in_a_row = 0
        return []

    patched.setattr(Sink, "_insert", insert)


@bug
def a_bad_row_is_dropped(patched: pytest.MonkeyPatch) -> None:
    """What cannot be stored is counted, and on no topic."""
    real = Sink._insert

    async def insert(self: Any, call: Any, rows: Any) -> Any:
        await real(self, call, rows)
        return []

    patched.setattr(Sink, "_insert", insert)


@bug
def no_stop_rule(patched: pytest.MonkeyPatch) -> None:
    """A worker that stops itself is swallowed, and goes on."""
    real = Sink.write

    async def write(self: Any, batch: Batch) -> None:
        with contextlib.suppress(TooManyDeadLetters):
            await real(self, batch)

    patched.setattr(Sink, "write", write)


# The scorer: what is taken, folded, read back.


@bug
def the_ledger_twice_under_another_id(patched: pytest.MonkeyPatch) -> None:
    """Each row of the ledger has an epoch of its own time."""
    real = scorer_module.ledger_rows

    def rows(part: Any) -> Any:
        part.epoch = int(scorer_module.time.time() * 1000)
        return real(part)

    patched.setattr(scorer_module, "ledger_rows", rows)


@bug
def a_tally_that_is_not_reset(patched: pytest.MonkeyPatch) -> None:
    """The sums of a flush are counted again in the next."""
    real = Scorer.flush

    async def flush(self: Any) -> None:
        tallies = {tp: part.tally for tp, part in self._partitions.items()}
        await real(self)
        for tp, part in self._partitions.items():
            if part.tally is not tallies.get(tp) and not part.tally and tallies.get(tp):
                part.tally = tallies[tp]

    patched.setattr(Scorer, "flush", flush)


@bug
def dead_letters_of_the_next_flush(patched: pytest.MonkeyPatch) -> None:
    """What cannot be read is put aside after its chunk was handed over."""
    real = Scorer._bury

    def bury(self: Any, part: Any, dead: Any) -> None:
        ahead = getattr(self, "ahead", [])
        self.ahead = [(part, dead)]
        for owner, letters in ahead:
            real(self, owner, letters)

    patched.setattr(Scorer, "_bury", bury)


@bug
def state_kept_over_a_rebalance(patched: pytest.MonkeyPatch) -> None:
    """A worker that gets a partition back goes on with what it has in memory."""
    patched.setattr(Scorer, "revoked", lambda self: None)


@bug
def folded_though_revoked(patched: pytest.MonkeyPatch) -> None:
    """A chunk that was waiting while its partition went is folded into the state of the next assignment."""

    class Never:
        def __get__(self, chunk: Any, owner: Any = None) -> bool:
            return False

        def __set__(self, chunk: Any, value: bool) -> None:
            pass

    patched.setattr(scorer_module.Chunk, "dropped", Never())


@bug
def no_wait_for_recovery(patched: pytest.MonkeyPatch) -> None:
    """The first chunks are folded before the store was asked what is known."""

    async def recover(self: Any, parts: Any) -> None:
        for part in parts:
            part.engine.configure(*self._config)
            part.ready.set()
        self.configure(await self._prepare())

    patched.setattr(Scorer, "_recover", recover)


@bug
def nothing_is_read_back(patched: pytest.MonkeyPatch) -> None:
    """A trace whose first spans are in the store alone begins anew."""

    async def read_back(self: Any, part: Any, decoded: Any) -> None:
        pass

    patched.setattr(Scorer, "_read_back", read_back)


@bug
def a_refused_span_is_forgotten(patched: pytest.MonkeyPatch) -> None:
    """A new owner's rows count only what is stored, and the row before them counted more."""
    patched.setattr(engine_module, "items_of_revision", lambda revision: 0)


@bug
def two_readers_at_once(patched: pytest.MonkeyPatch) -> None:
    """Reading back and folding is nobody's alone."""

    class NoLock:
        async def __aenter__(self) -> None:
            pass

        async def __aexit__(self, *raised: Any) -> None:
            pass

    real = Scorer.__init__

    def made(self: Any, *args: Any, **options: Any) -> None:
        real(self, *args, **options)
        self._reading = NoLock()

    patched.setattr(Scorer, "__init__", made)


@bug
def evicted_traces_are_not_woken(patched: pytest.MonkeyPatch) -> None:
    """Time goes on without a look at what is due in the store."""

    async def tick(self: Any, part: Any, clock_ms: int) -> None:
        part.engine.tick(clock_ms)

    patched.setattr(Scorer, "_tick", tick)
    patched.setattr(Scorer, "_missing", lambda self, part, firsts, clock_ms, unstored: [])


@bug
def a_config_amid_a_flush(patched: pytest.MonkeyPatch) -> None:
    """A config that looks at other attributes is taken over as any other, and memory is kept."""
    patched.setattr(Scorer, "_reads_anew", property(lambda self: False))


@bug
def idle_though_there_is_more(patched: pytest.MonkeyPatch) -> None:
    """The clock goes on with time whatever the broker holds."""
    patched.setattr(Consumer, "idle_since", lambda self, tp, next_offset: self.world.loop.time())


# The ledger consumer: what may be committed.


@bug
def commit_of_what_is_not_flushed_on_revoke(patched: pytest.MonkeyPatch) -> None:
    """All that was handled is committed before the partition goes."""
    real = LedgerConsumer.on_partitions_revoked

    async def revoked(self: Any, tps: Any) -> None:
        for queue in self.ledger.values():
            for chunk in queue:
                chunk.done = chunk.done or not chunk.records
        await real(self, tps)

    patched.setattr(LedgerConsumer, "on_partitions_revoked", revoked)


@bug
def any_done_chunk_is_committed(patched: pytest.MonkeyPatch) -> None:
    """The last chunk that is done, not the end of the prefix of which all are."""

    def new_offset(self: Any, tp: Any) -> int | None:
        queue, offset = self.ledger.get(tp), None
        for chunk in list(queue or ()):
            if chunk.done or not chunk.records:
                offset = chunk.last + 1
                queue.remove(chunk)
        return offset

    patched.setattr(LedgerConsumer, "_new_offset", new_offset)


@bug
def commit_of_one_too_many(patched: pytest.MonkeyPatch) -> None:
    """The offset after the next one is committed."""
    real = LedgerConsumer._new_offset

    def new_offset(self: Any, tp: Any) -> int | None:
        offset = real(self, tp)
        return offset if offset is None else offset + 1

    patched.setattr(LedgerConsumer, "_new_offset", new_offset)


@bug
def the_last_record_of_a_chunk_is_cut_off(patched: pytest.MonkeyPatch) -> None:
    """Chunks are cut one record too short where the bound is reached."""

    def cut(tp: Any, records: list[Any], generation: int) -> Iterator[Any]:
        step = ledger_module.CHUNK_RECORDS_MAX + 1
        for at in range(0, len(records), step):
            yield ledger_module.Chunk(tp, records[at : at + step - 1] or records[at:], generation)

    patched.setattr(ledger_module, "cut", cut)
