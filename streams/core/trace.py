"""One trace in memory: its items and where it stands. State only; `streams.core.engine` drives it."""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from evaluators.folding.evaluation import Evaluation
from schemas.item import Item, bytes_of
from schemas.log_record import LogRecord
from schemas.outcome import TraceOutcomes
from schemas.registry import Workflow
from schemas.result import Result
from schemas.rows import State
from schemas.span import Span
from schemas.trajectory import CloseReason, TraceKey
from streams.core.window import Window

TRACE_BYTES: Final = 2_000  # of a trace in memory beside its items, the results of its last judging included
IDENTITY_BYTES: Final = 250  # of an item above the cap
ROOTS_ABOVE_CAP: Final = 16  # roots that are kept above the cap: they end last, and tell workflow and task
Verdicts = dict[tuple[bytes, str], tuple[str, str]]  # (span id, evaluator) -> (step, verdict)


class Cap(NamedTuple):
    """Up to where the items of a trace are kept, and the trace is judged."""

    items: int
    bytes: int  # as `bytes_of` counts them


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
    logs: dict[tuple[bytes, int], LogRecord] = field(default_factory=dict)  # content of its spans, by identity
    roots_above: int = 0  # roots that are kept above the cap
    n_logs: int = 0  # log records, kept or not
    overflow: dict[tuple[bytes, int], int] = field(
        default_factory=dict
    )  # identities above the cap, with received times
    n_lost: int = 0  # items that its row counted and the store has not: refused by it, or expired
    n_bytes: int = 0  # of all its items, kept or not
    held_bytes: int = TRACE_BYTES  # what it takes in memory
    over_cap: bool = False  # more items or bytes than the cap, whichever of them are kept
    start_ns: int = 0  # earliest start and latest end of all spans, those above the cap included
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
        return len(self.items) + len(self.extras) + len(self.logs) + len(self.overflow)

    @property
    def n_spans(self) -> int:
        """Those of them that are spans: none is a trace that was not sampled, of which only logs came."""
        return self.n_items - self.n_logs

    def holds(self, item: Item) -> bool:
        """Whether this very item is here already."""
        known = self.items.get(item.span_id)
        if known is not None and known.content_hash == item.content_hash:
            return True
        identity = (item.span_id, item.content_hash)
        return identity in self.extras or identity in self.logs or identity in self.overflow

    def add(self, item: Item, cap: Cap) -> None:
        """Keep a new item; above the cap only its identity and its times, but for a few roots: they name the run.

        Spans and log records are kept up to the cap each: what the spans tell of the run must not hang on how many
        log records came before them.
        """
        size = bytes_of(item)
        self.n_bytes += size
        full = self.n_bytes > cap.bytes
        if isinstance(item, LogRecord):
            kept = self._add_log(item, full or self.n_logs >= cap.items)
        else:
            kept = self._add_span(item, full or self.n_spans >= cap.items)
        self.held_bytes += size if kept else IDENTITY_BYTES
        self.over_cap = full or self.n_items > cap.items

    def _add_log(self, log: LogRecord, full: bool) -> bool:
        if full:
            self.overflow[log.span_id, log.content_hash] = log.received_ms
        else:
            self.logs[log.span_id, log.content_hash] = log
        self.n_logs += 1
        return not full

    def _add_span(self, span: Span, full: bool) -> bool:
        if span.task_id:
            self.tasks |= {span.task_id}
        self.start_ns = min(self.start_ns or span.start_ns, span.start_ns)
        self.end_ns = max(self.end_ns, span.end_ns)
        if full and (span.parent_id or self.roots_above >= ROOTS_ABOVE_CAP):
            self.overflow[span.span_id, span.content_hash] = span.received_ms
            return False
        self.roots_above += full
        if span.span_id in self.items:
            self.extras[span.span_id, span.content_hash] = span
        else:
            self.items[span.span_id] = span
        return True

    def received_before(self, deadline_ms: int) -> int:
        """How many distinct items were received before a time, kept or not."""
        kept = sum(item.received_ms < deadline_ms for item in self.all_items())
        return kept + sum(received_ms < deadline_ms for received_ms in self.overflow.values())

    def over_cap_before(self, deadline_ms: int, cap: Cap) -> bool:
        """Whether the items received before a time were over the cap. One that is not kept came after more than the cap."""
        if any(received_ms < deadline_ms for received_ms in self.overflow.values()):
            return True
        judged = [item for item in self.all_items() if item.received_ms < deadline_ms]
        return len(judged) > cap.items or sum(map(bytes_of, judged)) > cap.bytes

    def all_items(self) -> list[Item]:
        """The kept items, in no order that means anything."""
        return [*self.items.values(), *self.extras.values(), *self.logs.values()]

    @property
    def root_span_id(self) -> bytes:
        """The earliest span without a parent, of those that are kept; b"" where there is none."""
        roots = [(span.start_ns, span.span_id) for span in self.items.values() if not span.parent_id]
        return min(roots)[1] if roots else b""

    @property
    def is_open(self) -> bool:
        """Not decided yet."""
        return self.state == "open"

    @property
    def end_ms(self) -> int | None:
        """Received time of the latest span that ends the trace; None before."""
        return self.window.end_ms
