"""What the store says of a trace, and what a flush says to the store: the values at the engine's two borders."""

from dataclasses import dataclass, field
from typing import NamedTuple

from schemas.outcome import StepOutcome, TraceOutcomes
from schemas.rows import LogRow, Published, SpanRow, State, TrajectoryRow, VerdictChange
from schemas.trajectory import CloseReason, TraceKey
from streams.core.trace import Trace, Verdicts


class StoredHead(NamedTuple):
    """What the store says of a trace: its row without the results."""

    key: TraceKey
    anchor_ms: int
    revision: int
    state: State
    close_reason: CloseReason
    partition: int
    n_items: int
    last_log_ms: int
    deadline_ms: int
    config_seq: int
    workflow: str
    weight: float
    published: bool
    outcomes: TraceOutcomes | None
    verdicts: Verdicts


class EarlyStep(NamedTuple):
    """The outcome of one step of a run that is not decided, to be published for the rules that do not wait."""

    tenant: str
    workflow: str
    step: StepOutcome


class DecidedTrace(NamedTuple):
    """Outcomes to publish: one per decided trace."""

    key: TraceKey
    anchor_ms: int
    workflow: str
    outcomes: TraceOutcomes


@dataclass(slots=True)
class Counts:
    """What became of the spans folded since the last take; the ledger's terms, and bounds that were hit."""

    stored: int = 0
    duplicate: int = 0
    late: int = 0
    conflict: int = 0
    decided: int = 0
    over_cap: int = 0
    over_bytes: int = 0  # of them those of traces that are over it in bytes
    evicted: int = 0


@dataclass(slots=True)
class Flush:
    """All that changed since the last take, frozen until it is acknowledged."""

    epoch: int
    spans: list[SpanRow]
    logs: list[LogRow]
    trajectories: list[TrajectoryRow]
    decided: list[DecidedTrace]
    published: list[Published]
    changes: list[VerdictChange]
    counts: Counts
    touched: list[Trace]
    early: list[EarlyStep] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Nothing to write or publish."""
        return not (self.spans or self.logs or self.trajectories or self.decided or self.published)
