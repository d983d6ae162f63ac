"""A world in miniature for the engine: a log of one partition, a store, workers that crash, zombies that come back late.

Configs are applied at any moment; a worker takes the newest one over at its flushes, and has it when it starts.

Everything that the shell does around `TrajectoryEngine` is here in a few lines and in the same order, so that a schedule of
actions can stop a worker between any two of its effects. No Kafka, no ClickHouse, no clock.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from evaluators.catalogue import EVALUATORS
from evaluators.protocols import Evaluator
from schemas.item import Item, began_ns
from schemas.log_record import LogRecord
from schemas.naming import Watched
from schemas.outcome import TraceOutcomes
from schemas.registry import EMPTY, Registry
from schemas.rows import TrajectoryRow
from schemas.trajectory import TraceKey
from streams.core.engine import EnginePolicy, TrajectoryEngine
from streams.core.flush import Flush, StoredHead
from streams.core.judging import Truths
from streams.core.window import window_of


@dataclass
class Record:
    """One record of the log."""

    append_ms: int
    spans: list[Item]


@dataclass
class Store:
    """ClickHouse as the views show it: rows by key, the greatest revision wins, the earliest received time is kept."""

    spans: dict[tuple[TraceKey, bytes, int], Item] = field(default_factory=dict)
    rows: dict[TraceKey, TrajectoryRow] = field(default_factory=dict)
    published: set[TraceKey] = field(default_factory=set)

    def insert_spans(self, flush: Flush) -> None:
        raws: list[Any] = [row.raw for row in (*flush.spans, *flush.logs)]  # the whole items, as the bytes hold them
        for item in raws:
            identity = (TraceKey(item.tenant, item.trace_id), item.span_id, item.content_hash)
            known = self.spans.get(identity)
            if known is None or item.received_ms < known.received_ms:
                self.spans[identity] = item

    def insert_rows(self, flush: Flush) -> None:
        for row in flush.trajectories:
            key = TraceKey(row.tenant, row.trace_id)
            known = self.rows.get(key)
            assert known is None or known.anchor_ms == row.anchor_ms, "a second anchor"
            if known is None or known.revision <= row.revision:
                self.rows[key] = row
        for mark in flush.published:
            self.published.add(TraceKey(mark.tenant, mark.trace_id))

    def items(self, key: TraceKey) -> list[Item]:
        return [span for (owner, _, _), span in self.spans.items() if owner == key]

    def head(self, key: TraceKey) -> StoredHead | None:
        row = self.rows.get(key)
        if row is None:
            return None
        return head_of(key, row, key in self.published)


def head_of(key: TraceKey, row: TrajectoryRow, published: bool) -> StoredHead:
    """What a reader sees of a row."""
    return StoredHead(
        key, row.anchor_ms, row.revision, row.state, row.close_reason, row.partition, row.n_items, row.last_log_ms,
        row.deadline_ms, row.config_seq, row.workflow, row.weight, published, row.outcomes,
        {(r.span_id, r.evaluator): (r.step, r.verdict) for r in row.results},
    )  # fmt: skip


@dataclass
class World:
    """The log, the configs, the store, what was published, and the committed offset."""

    log: list[Record]
    policy: EnginePolicy
    registry: Registry = EMPTY
    evaluators: tuple[Evaluator, ...] = EVALUATORS
    truths: Truths = field(default_factory=dict)
    store: Store = field(default_factory=Store)
    outcomes: list[tuple[TraceKey, TraceOutcomes]] = field(default_factory=list)
    committed: int = 0
    owner: "Worker | None" = None
    configs: list[Registry] = field(default_factory=list)  # in the order applied; the first is `registry`

    def __post_init__(self) -> None:
        self.configs = [self.registry]

    def apply(self, registry: Registry) -> None:
        """A newer config."""
        self.configs.append(registry)

    @property
    def seq(self) -> int:
        """The number of the newest config."""
        return len(self.configs)

    def under(self, seq: int) -> Registry:
        """The registry of a config."""
        return self.configs[seq - 1]


def seen_by(item: Item, watched: Watched) -> Item:
    """An item with its marks under the keys that are watched."""
    if isinstance(item, LogRecord) or not item.marks:
        return item
    return item._replace(marks=tuple(m for m in item.marks if m[1] in getattr(watched, m[0])))


class Worker:
    """One owner of the partition. Its effects come one by one, so that a test can end it between any two."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.engine = TrajectoryEngine(0, world.policy, world.seq, world.under(world.seq), world.evaluators)
        self.position = world.committed
        self.flush: Flush
        self.flush_end = 0
        self.stage = 0
        world.owner = self
        rows = world.store.rows
        heads = [world.store.head(key) for key in rows]
        unfinished = [h for h in heads if h and (h.state == "open" or not h.published)]
        last = max((row.last_log_ms for row in rows.values()), default=None)
        self.engine.recover(unfinished, list(rows), last)

    def consume(self) -> None:
        """The next record of the log."""
        if self.position >= len(self.world.log):
            return
        record = self.world.log[self.position]
        self.position += 1
        firsts = {}
        for span in record.spans:
            key = TraceKey(span.tenant, span.trace_id)
            firsts.setdefault(key, (key, began_ns(span) // 1_000_000, record.append_ms))
        self._load([*self.engine.unknown(firsts.values()), *self.engine.due(record.append_ms)])
        self.engine.tick(record.append_ms)
        whole: Any
        for whole, item in zip(record.spans, self._decoded(record.spans), strict=True):
            self.engine.fold(item, whole)

    def idle(self, clock_ms: int) -> None:
        """Time passes on a partition that is caught up."""
        self._load(self.engine.due(clock_ms))
        self.engine.tick(clock_ms)

    def _load(self, keys: Iterable[TraceKey]) -> None:
        for key in dict.fromkeys(keys):
            self.engine.read_back(key, self.world.store.head(key), self._decoded(self.world.store.items(key)))

    def _decoded(self, items: Iterable[Item]) -> list[Item]:
        """The items as decode makes them for this engine: with what its rules look at, and no more."""
        return [seen_by(item, self.engine.watched) for item in items]

    def step(self) -> None:
        """The next effect of a flush, in the order that makes a crash between any two harmless. A config that wants items
        decoded otherwise is taken over by a whole flush, in which nothing is folded."""
        if not self.stage and self.engine.watched != self.world.under(self.world.seq).watched:
            for effect in (self._take, self._write_spans, self._write_rows, self._publish, self._acknowledge):
                effect()
            self.engine.forget()
            return
        effects = (self._take, self._write_spans, self._write_rows, self._publish, self._acknowledge)
        effects[self.stage]()
        self.stage = (self.stage + 1) % len(effects)

    def flush_whole(self) -> None:
        """The rest of the flush under way, or a whole one."""
        self.step()
        while self.stage:
            self.step()

    def _take(self) -> None:
        self.flush, self.flush_end = self.engine.take(self.world.truths), self.position
        self.engine.configure(self.world.seq, self.world.under(self.world.seq))

    def _write_spans(self) -> None:
        self.world.store.insert_spans(self.flush)

    def _write_rows(self) -> None:
        self.world.store.insert_rows(self.flush)

    def _publish(self) -> None:
        self.world.outcomes += [(d.key, d.outcomes) for d in self.flush.decided]

    def _acknowledge(self) -> None:
        self.engine.acknowledged(self.flush)
        if self.world.owner is self:  # the group refuses a zombie's commit
            self.world.committed = max(self.world.committed, self.flush_end)
            self._check_rows()

    def _check_rows(self) -> None:
        """Every trace whose offsets are committed has a row by which recovery finds it, and wakes for it in time."""
        folded: dict[TraceKey, dict[tuple[bytes, int], Item]] = {}
        for record in self.world.log[: self.world.committed]:
            for span in record.spans:
                items = folded.setdefault(TraceKey(span.tenant, span.trace_id), {})
                items.setdefault((span.span_id, span.content_hash), span)
        window = self.world.policy.window
        for key, items in folded.items():
            row = self.world.store.rows[key]
            if row.state == "open" and row.n_items <= len(items):  # one with more was made further on in the log
                assert row.deadline_ms <= window_of(items.values(), window).deadline_ms(window)
