"""Judging what is stored once more: the streaming engine, driven by the store instead of the log.

The law: a row written here is the row that a scorer would write of the same stored spans under the same config. Rows win by
revision, so this may run beside scorers; outcomes are never published, for a run counts once. What verdicts changed is
written before the rows: cut off in between, the same changes are found again.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from evaluators.protocols import Evaluator
from schemas.expectation import TaskTruth
from schemas.item import Item
from schemas.registry import Registry
from schemas.rows import TrajectoryRow, VerdictChange
from schemas.span import Span
from schemas.trajectory import TraceKey
from streams.core.engine import EnginePolicy, TrajectoryEngine
from streams.core.flush import Flush, StoredHead
from streams.store.reader import Reader
from streams.store.writer import Writer

BATCH_TRACES = 200  # read, judged and written at once


@dataclass(slots=True)
class Sums:
    """What came of it."""

    seen: int = 0
    judged: int = 0
    without_spans: int = 0  # their spans are gone by TTL: the row stays as it is
    changes: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)  # workflow, evaluator, before, after


class Rejudge:
    """Judges stored traces under one config."""

    def __init__(
        self,
        reader: Reader,
        writer: Writer | None,
        policy: EnginePolicy,
        seq: int,
        registry: Registry,
        evaluators: tuple[Evaluator, ...],
    ) -> None:
        """Without a writer nothing is written: a dry run."""
        self._reader, self._writer = reader, writer
        self.seq, self._registry = seq, registry
        self._policy, self._evaluators = policy, evaluators
        self.sums = Sums()

    def judge(self, keys: Sequence[TraceKey], *, always: bool) -> None:
        """Judge a batch; without `always` only traces of which more is stored than was judged. Raises StoreUnavailable."""
        heads = {key: head for key, head in self._reader.read_heads(keys).items() if head.state == "decided"}
        stored = self._reader.read_items(heads)
        items = {
            key: [item.decoded(key.tenant, self._registry.watched) for item in of_trace]
            for key, of_trace in stored.items()
        }
        spans = (item for of_trace in items.values() for item in of_trace if isinstance(item, Span))
        truths = self._reader.truths({span.task_id for span in spans if span.task_id})
        rows: list[TrajectoryRow] = []
        changes: list[VerdictChange] = []
        for key, head in heads.items():
            self.sums.seen += 1
            # Fewer items than were judged: some are gone by TTL, and what is left would be judged as if it were all.
            if len(items.get(key, ())) < head.n_items:
                self.sums.without_spans += 1
                continue
            flush = self._one(head, items[key], truths, always)
            rows += flush.trajectories
            changes += flush.changes
        self.sums.judged += len(rows)
        self.sums.changes.update((c.workflow, c.evaluator, c.before, c.after) for c in changes)
        if self._writer is not None:
            self._writer.write_verdict_changes(changes)
            self._writer.write_trajectories(rows)

    def _one(
        self, head: StoredHead, items: list[Item], truths: dict[tuple[str, str], TaskTruth], always: bool
    ) -> Flush:
        engine = TrajectoryEngine(head.partition, self._policy, self.seq, self._registry, self._evaluators)
        engine.tick(head.last_log_ms)  # the row says up to when it was judged; recovery goes by that
        engine.tick(max(item.received_ms for item in items))
        engine.read_back(head.key, head, items)
        if always:
            engine.judge_again(head.key)
        return engine.take(truths)
