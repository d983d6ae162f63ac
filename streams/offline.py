"""Scoring without Kafka or ClickHouse: the streaming engine, driven by files.

Every span is received at one instant and the end of the input is the end marker of every trace. So the rows equal those of the
stream but for received and scored times, partition and close reason, and the count of spans of a trace over the cap. Memory
is bounded (`streams.spool`), whatever the size of the input.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import orjson

from evaluators.catalogue import EVALUATORS
from evaluators.protocols import Evaluator
from schemas.expectation import TaskTruth
from schemas.item import Item, items_of
from schemas.redaction.redactor import Redactor
from schemas.registry import EMPTY, Registry
from schemas.result import Result
from schemas.rows import TrajectoryRow
from schemas.span import RawSpan
from streams.core.engine import EnginePolicy, TrajectoryEngine
from streams.spool import TraceSpool

TENANT = "default"
SKIPPED_KEPT = 100  # told in full; more are counted
_NO_BYTES = RawSpan(b"", b"", b"")  # nothing is stored, so raw spans need not be kept

Records = Iterable[tuple[str, int, bytes]]  # (source, line, OTLP document)
Truths = Mapping[tuple[str, str], TaskTruth]  # by (workflow, task id)


class Skipped(NamedTuple):
    """A part of the input that was no span, and why."""

    source: str
    line: int
    reason: str


class SkipList:
    """What was skipped: all counted, the first kept."""

    def __init__(self) -> None:
        self.count = 0
        self.ignored = 0  # log records that hold no content of a span: nothing is wrong with them
        self.sampled_out = 0  # spans that a rule of the registry drops
        self.first: list[Skipped] = []

    def clear(self) -> None:
        """Forget all: the input is walked once more."""
        self.count = self.ignored = self.sampled_out = 0
        self.first.clear()

    def add(self, skipped: Skipped) -> None:
        """Take note of one."""
        self.count += 1
        if len(self.first) < SKIPPED_KEPT:
            self.first.append(skipped)


def read_items(
    records: Records,
    received_ms: int,
    skipped: SkipList,
    registry: Registry = EMPTY,
    redactor: Redactor | None = None,
) -> Iterator[Item]:
    """Spans and log records of these documents, in their order. What cannot be read is noted, and its neighbours are there.
    `registry` is that which they will be judged under, `redactor` its redactor; what its rules drop is counted."""
    for source, line, record in records:
        taken = items_of(record, TENANT, received_ms, watched=registry.watched, drops=registry.drops, redactor=redactor)
        skipped.ignored += taken.ignored
        skipped.sampled_out += taken.sampled_out
        for refusal in taken.refused:
            skipped.add(Skipped(source, line, refusal.reason))
        for item, _ in taken.items:
            yield item


def score(
    spool: TraceSpool,
    registry: Registry,
    truths: Truths,
    received_ms: int,
    judged: Callable[[int], object] = lambda spans: None,
    evaluators: tuple[Evaluator, ...] = EVALUATORS,
) -> Iterator[TrajectoryRow]:
    """Final rows of all traces in a spool, in its order; log records whose spans are not there make none. `judged` is told
    how many items each batch had."""
    for traces in spool.batches():
        engine = TrajectoryEngine(0, EnginePolicy(), registry=registry, evaluators=evaluators)
        engine.tick(received_ms)
        for items in traces.values():
            for item in items:
                engine.fold(item, _NO_BYTES)
        engine.finish()
        yield from (row for row in engine.take(truths).trajectories if row.n_spans)
        judged(sum(map(len, traces.values())))


def result_rows(row: TrajectoryRow) -> Iterator[dict[str, Any]]:
    """The results of one trace as JSON objects: the columns of `v1_results` that do not depend on when it was scored."""
    return (result_row(row, result) for result in row.results)


def result_row(row: TrajectoryRow, result: Result) -> dict[str, Any]:
    """One result of a trace as a JSON object."""
    return {
        "trace_id": row.trace_id.hex(),
        "span_id": result.span_id.hex(),
        "workflow": row.workflow,
        "agent": result.agent,
        "step": result.step,
        "evaluator": result.evaluator,
        "evaluator_version": result.evaluator_version,
        "verdict": result.verdict,
        "score": result.score,
        "basis": result.basis,
        "reason_code": result.reason_code,
        "reason": result.reason,
        "evidence": orjson.loads(result.evidence) if result.evidence else None,
        "final": row.state == "decided",
    }
