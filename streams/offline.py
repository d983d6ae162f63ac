"""Scoring without Kafka or ClickHouse: the streaming engine, driven by a file.

Every span is received at one instant and the end of the input is the end marker of every trace. So the rows equal those of the
stream but for received and scored times, partition and close reason.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import orjson

from schemas.decode import decode
from schemas.expectation import TaskTruth
from schemas.otlp import InvalidOtlp
from schemas.registry import Registry
from schemas.rows import TrajectoryRow
from schemas.topic_record import split_record
from streams.core.engine import EnginePolicy, TrajectoryEngine

TENANT = "default"


class Skipped(NamedTuple):
    """A part of the input that was no span, and why."""

    source: str
    line: int
    reason: str


def score(
    records: Iterable[tuple[str, int, bytes]],
    registry: Registry,
    truths: Mapping[tuple[str, str], TaskTruth],
    received_ms: int,
    skipped: list[Skipped],
) -> Iterator[TrajectoryRow]:
    """Final rows of all traces in these (source, line, OTLP record), in the order of their first spans.

    What cannot be read is appended to `skipped`; its neighbours are scored.
    """
    engine = TrajectoryEngine(0, EnginePolicy(), registry=registry)
    engine.tick(received_ms)
    for source, line, record in records:
        skipped.extend(Skipped(source, line, reason) for reason in _fold(engine, record, received_ms))
    engine.finish()
    yield from engine.take(truths).trajectories


def _fold(engine: TrajectoryEngine, record: bytes, received_ms: int) -> Iterator[str]:
    """Fold one record; yield a sentence for each part that is no span."""
    try:
        raws, refused = split_record(record)
    except InvalidOtlp as error:
        yield str(error)
        return
    yield from (refusal.reason for refusal in refused)
    for raw in raws:
        try:
            engine.fold(*decode(raw, TENANT, received_ms))
        except InvalidOtlp as error:
            yield str(error)


def result_rows(row: TrajectoryRow) -> Iterator[dict[str, Any]]:
    """The results of one trace as JSON objects: the columns of `v1_results` that do not depend on when it was scored."""
    for result in row.results:
        yield {
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
