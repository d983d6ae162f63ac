"""A trajectory: the ordered steps of one run, one per trace. Pure values; `streams.core.assemble` makes them."""

from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from schemas.expectation import TaskTruth
from schemas.registry import Workflow
from schemas.span import Span, StepKind
from schemas.toolcall import ToolCall, read_call

CloseReason = Literal[
    "",  # still open: everything said of it is provisional
    "root_ended",  # a root was seen and the settle time passed
    "marker",  # an explicit end; end of file offline
    "abandoned",  # no root, and no span for the abandon time
]

# Flags of a trajectory, a bit each, beside those of its spans (schemas.span), which it inherits.
NO_ROOT: Final = 1 << 8
MISSING_PARENT: Final = 1 << 9  # a span names a parent that is not there
MANY_ROOTS: Final = 1 << 10  # several parentless spans: a virtual root holds them
CYCLE: Final = 1 << 11  # parent links form a cycle; it was cut at the smallest (start, span id)
OVER_CAP: Final = 1 << 12  # more spans than `trace_spans_max`: contextual evaluators answer unscored/truncated
CONFLICT: Final = 1 << 13  # one span id came with different content; the greater (end, hash) was folded
LABELS_CAPPED: Final = 1 << 14  # the workflow's cap of step labels was reached
FLAG_NAMES: Final = {
    NO_ROOT: "no_root",
    MISSING_PARENT: "missing_parent",
    MANY_ROOTS: "many_roots",
    CYCLE: "cycle",
    OVER_CAP: "over_cap",
    CONFLICT: "conflict",
    LABELS_CAPPED: "labels_capped",
}


class TraceKey(NamedTuple):
    """Identity of a trace: the same trace id of two tenants is two traces."""

    tenant: str
    trace_id: bytes


class Step:
    """One step in its place: a span of a step kind, its label, and the agent it belongs to (own or nearest ancestor's)."""

    def __init__(self, index: int, span: Span, label: str, agent: str, parent: int | None = None) -> None:
        self.index = index  # position in the total order, from 0
        self.span = span
        self.label = label
        self.agent = agent
        self.parent = parent  # index of the nearest ancestor step
        self._call: ToolCall | None = None

    @property
    def kind(self) -> StepKind:
        """The step's kind, as decode read it."""
        return self.span.kind

    @property
    def call(self) -> ToolCall:
        """Arguments, result and failure, parsed once. Meaningful for tool_call, retrieval and handoff steps."""
        call = self._call
        if call is None:
            call = self._call = read_call(self.span)
        return call


@dataclass(frozen=True, slots=True)
class Trajectory:
    """All that contextual evaluators may know of one run. `closed` is "" while the trace is open."""

    key: TraceKey
    workflow_name: str
    workflow: Workflow  # the registry's entry, or its defaults
    steps: tuple[Step, ...]
    root: Span | None  # the earliest parentless span
    n_items: int
    flags: int
    closed: CloseReason
    truth: TaskTruth | None = None
    roots: tuple[Span, ...] = field(default=())

    @property
    def has_root(self) -> bool:
        """Whether a root was seen; without one trajectory evaluators answer unscored/no_root."""
        return self.root is not None
