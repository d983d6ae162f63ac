"""One assigned partition of the scorer: its engine, what waits for the next flush, and the ledger's sums of that."""

import asyncio
from dataclasses import dataclass, field

from faust.types import TP

from schemas.ledger import LedgerRow
from schemas.signal import LOGS
from streams.core.engine import TrajectoryEngine
from streams.worker.ledger import Chunk
from streams.worker.sink import DeadLetter


@dataclass(slots=True)
class Fate:
    """What became of things of one kind: the ledger's terms."""

    seen: int = 0
    stored: int = 0
    duplicate: int = 0
    ignored: int = 0
    sampled_out: int = 0
    dead_lettered: int = 0


@dataclass(slots=True)
class Tally:
    """What became of what came of one tenant in one flush of a partition."""

    spans: Fate = field(default_factory=Fate)
    logs: Fate = field(default_factory=Fate)

    def of(self, signal: str) -> Fate:
        """The sums of a signal."""
        return self.logs if signal == LOGS else self.spans


@dataclass(eq=False, slots=True)
class Partition:
    """One assigned partition: its engine, and what has accumulated for the next flush."""

    tp: TP
    epoch: int  # wall clock of the assignment in ms, or what supersedes all of the partition that the ledger has
    engine: TrajectoryEngine
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    chunks: list[Chunk] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    tally: dict[str, Tally] = field(default_factory=dict)
    next_offset: int | None = None
    clock_anchor: tuple[int, float] = (0, 0.0)  # a log clock and the monotonic time at which it was current


def ledger_rows(part: Partition) -> list[LedgerRow]:
    """What the chunks since the last flush amount to, a row a tenant."""
    if not part.chunks:
        return []
    first, last = part.chunks[0].first, part.chunks[-1].last
    records = last - first + 1
    return [
        LedgerRow(
            topic=part.tp.topic,
            partition=part.tp.partition,
            tenant=tenant,
            epoch=part.epoch,
            first_offset=first,
            last_offset=last,
            records=records,
            spans=tally.spans.seen,
            stored=tally.spans.stored,
            duplicate=tally.spans.duplicate,
            sampled_out=tally.spans.sampled_out,
            dead_lettered=tally.spans.dead_lettered,
            log_records=tally.logs.seen,
            logs_stored=tally.logs.stored,
            logs_duplicate=tally.logs.duplicate,
            logs_ignored=tally.logs.ignored,
            logs_dead_lettered=tally.logs.dead_lettered,
        )
        for tenant, tally in part.tally.items()
    ]
