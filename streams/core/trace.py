"""One trace in memory: its items and where it stands. State only; `streams.core.engine` drives it."""

from dataclasses import dataclass, field
from typing import NamedTuple

from evaluators.folding.evaluation import Evaluation
from schemas.outcome import TraceOutcomes
from schemas.registry import Workflow
from schemas.result import Result
from schemas.rows import State
from schemas.span import Span
from schemas.trajectory import CloseReason, TraceKey
from streams.core.window import Window

ROOTS_ABOVE_CAP = 16  # roots that are kept above the cap: they end last, and tell workflow and task
Verdicts = dict[tuple[bytes, str], tuple[str, str]]  # (span id, evaluator) -> (step, verdict)


class RowMark(NamedTuple):
    """What the latest row of a trace was made of."""

    n_items: int
    deadline_ms: int


@dataclass(eq=False, slots=True)
class Trace:
    """A trace since it was opened or read back. Items are distinct (span id, content hash)."""

    key: TraceKey
    anchor_ms: int
    items: dict[bytes, Span]
    window: Window
    extras: dict[tuple[bytes, int], Span] = field(default_factory=dict)  # other contents of a span id, by identity
    overflow: dict[tuple[bytes, int], int] = field(
        default_factory=dict
    )  # identities above the cap, with received times
    over_cap: bool = False  # more items than the cap, whichever of them are kept
    start_ns: int = 0  # earliest start and latest end of all items, those above the cap included
    end_ns: int = 0
    state: State = "open"
    reason: CloseReason = ""
    deadline_ms: int = 0
    outcomes: TraceOutcomes | None = None
    workflow: str = ""  # that the outcomes were published under
    published: bool = False
    tasks: frozenset[str] = frozenset()  # task ids that its spans name
    local: dict[bytes, tuple[Result, ...]] = field(default_factory=dict)
    local_for: Workflow | None = None  # the registry entry that `local` was judged under
    evaluation: Evaluation | None = None  # the fold of its steps so far, while it is open
    contextual: tuple[Result, ...] = ()
    contextual_ms: int = -1
    verdicts: Verdicts | None = None  # of the last final row
    told_early: set[tuple[str, str]] = field(
        default_factory=set
    )  # (step, evaluator) of outcomes told before the decision
    row: RowMark | None = None  # None: there is none yet, or none that is worth anything
    dirty: bool = False
    epoch: int = 0  # of the flush that last took it

    @property
    def n_items(self) -> int:
        """Distinct (span id, content hash), kept or not."""
        return len(self.items) + len(self.extras) + len(self.overflow)

    def holds(self, span: Span) -> bool:
        """Whether this very item is here already."""
        known = self.items.get(span.span_id)
        if known is not None and known.content_hash == span.content_hash:
            return True
        identity = (span.span_id, span.content_hash)
        return identity in self.extras or identity in self.overflow

    def add(self, span: Span, cap: int) -> None:
        """Keep a new item; above the cap only its identity and its times, but for a few roots: they name the run."""
        if span.task_id:
            self.tasks |= {span.task_id}
        self.start_ns = min(self.start_ns or span.start_ns, span.start_ns)
        self.end_ns = max(self.end_ns, span.end_ns)
        if self.n_items >= cap and (span.parent_id or len(self.items) >= cap + ROOTS_ABOVE_CAP):
            self.overflow[span.span_id, span.content_hash] = span.received_ms
        elif span.span_id in self.items:
            self.extras[span.span_id, span.content_hash] = span
        else:
            self.items[span.span_id] = span
        self.over_cap = self.n_items > cap

    def received_before(self, deadline_ms: int) -> int:
        """How many distinct items were received before a time, kept or not."""
        kept = sum(span.received_ms < deadline_ms for span in self.all_items())
        return kept + sum(received_ms < deadline_ms for received_ms in self.overflow.values())

    def all_items(self) -> list[Span]:
        """The kept items, in no order that means anything."""
        return [*self.items.values(), *self.extras.values()]

    @property
    def is_open(self) -> bool:
        """Not decided yet."""
        return self.state == "open"

    @property
    def end_ms(self) -> int | None:
        """Received time of the latest span that ends the trace; None before."""
        return self.window.end_ms
