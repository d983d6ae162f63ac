"""The rows that the sink writes: columns of `spans`, `log_records`, `trajectories`, `published` and `verdict_changes`.

Declared once, here; the numbered SQL in infra/clickhouse must have the same columns, which a test checks. `revision` is the
law of the store: a greater set of items beats its subset, final beats provisional, a newer config an older one, and equal
inputs give equal rows (architecture 6.1).
"""

from typing import Literal, NamedTuple

from schemas.log_record import LogRecord
from schemas.outcome import TraceOutcomes
from schemas.result import Result
from schemas.span import RawSpan, Span

State = Literal["open", "decided"]


class SpanRow(NamedTuple):
    """One stored span: its columns and its bytes."""

    span: Span
    raw: RawSpan


class LogRow(NamedTuple):
    """One stored log record: its columns and its bytes."""

    log: LogRecord
    raw: RawSpan


class TrajectoryRow(NamedTuple):
    """One trace: head columns, and as Nested columns all its results. Replaced as a whole."""

    tenant: str
    anchor_ms: int  # received time of the first span in the log: immutable
    trace_id: bytes
    revision: int
    state: State
    close_reason: str
    partition: int  # of the spans topic: recovery reads the rows of a partition
    workflow: str
    agent: str  # of the root
    task_id: str
    session_id: str
    release: str
    n_items: int
    n_spans: int
    n_steps: int
    n_tool_calls: int
    input_tokens: int
    output_tokens: int
    start_ns: int
    end_ns: int
    last_log_ms: int  # log clock when this row was made
    deadline_ms: int  # when an open trace is due; when a decided one was decided
    config_seq: int
    flags: int
    weight: float
    results: tuple[Result, ...]
    outcomes: TraceOutcomes | None  # of the decision; None while open


class Published(NamedTuple):
    """Mark: the outcomes of this decided trace are acknowledged on `eval.outcomes`."""

    tenant: str
    anchor_ms: int
    trace_id: bytes


class VerdictChange(NamedTuple):
    """A final verdict that a late span, a sweep or a backfill changed."""

    tenant: str
    anchor_ms: int
    trace_id: bytes
    revision: int
    workflow: str
    span_id: bytes
    step: str
    evaluator: str
    before: str  # verdict, or "" for a new result
    after: str  # verdict, or "" for a result that is gone
    changed_log_ms: int


def items_of_revision(revision: int) -> int:
    """How many items a row of this revision counted, those included that the store has no more."""
    return revision >> 32


def pack_revision(n_items: int, final: bool, config_seq: int) -> int:
    """UInt64: n_items in the upper 32 bits, then final, then 31 bits of config_seq."""
    assert 0 <= n_items < 1 << 32, n_items
    assert 0 <= config_seq < 1 << 31, config_seq
    return n_items << 32 | int(final) << 31 | config_seq
