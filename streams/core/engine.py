"""The trajectory engine: one partition's spans -> rows and outcomes. Pure; the same code streams, scores offline and replays.

How it is driven (the shell's obligations):

    recover(heads, ...)         once, on assignment, before anything else
    unknown(...), due(...)      which traces must be read back from the store before the next fold or tick
    read_back(head, items)      for each of them, whether or not the store knew it
    tick(clock)                 before the spans of each record: decides what is due
    fold(item, raw)             every span and log record, in log order
    wanted_truths()             then take(truths): a flush: rows of all that changed, outcomes of what was decided
    acknowledged(flush)         the flush is durable and its outcomes are published: only now memory may go
    configure(seq, registry)    only right after a take; where it changes `watched`, nothing is folded until that flush is
                                acknowledged and forget() was called

The law: final rows are a function of (set of spans, registry, task truth); the outcomes of a trace are a function of (spans
received before its deadline, registry at the decision). Folding is idempotent by (span id, content hash); time enters only as
append times. A decision marks the trace at its tick and is judged at the take that follows.
"""

import heapq
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Final, NamedTuple

from evaluators.catalogue import EVALUATORS
from evaluators.protocols import Evaluator
from schemas.dropping import DropRule
from schemas.item import Item
from schemas.log_record import LogRecord
from schemas.naming import Watched
from schemas.registry import EMPTY, Registry
from schemas.rows import LogRow, Published, SpanRow, items_of_revision
from schemas.span import RawSpan
from schemas.trajectory import CloseReason, TraceKey
from streams.core.flush import Counts, Flush, StoredHead
from streams.core.judging import Judging, Truths
from streams.core.trace import Cap, RowMark, Trace
from streams.core.window import WindowPolicy, grown, opened, window_of

HOUR_MS: Final = 3_600_000
KNOWN_BYTES, ASLEEP_BYTES = 90, 320  # of a trace id that is remembered, and of a trace of which only the deadline is


class EnginePolicy(NamedTuple):
    """Frozen knobs of an engine."""

    window: WindowPolicy = WindowPolicy()
    provisional_every_ms: int = 10_000
    trace_spans_max: int = 10_000
    spans_in_memory_max: int = 500_000
    known_max: int = 2_000_000  # trace ids a partition remembers as already stored
    # An open trace of more than `small` spans is judged anew when it has grown by this share. All judgings of a trace
    # together then cost 1 + 1 / growth times its last one; up to `small` = 2 / growth spans it costs no more to judge it
    # at every flush that brings a span, and nobody waits.
    provisional_growth: float = 0.1
    provisional_small: int = 20
    trace_bytes_max: int = 32 << 20  # of a trace's items in memory, as `bytes_of` counts them

    @property
    def cap(self) -> Cap:
        """Up to where a trace is judged."""
        return Cap(self.trace_spans_max, self.trace_bytes_max)


class TrajectoryEngine:
    """All traces of one partition."""

    def __init__(
        self,
        partition: int,
        policy: EnginePolicy,
        seq: int = 0,
        registry: Registry = EMPTY,
        evaluators: tuple[Evaluator, ...] = EVALUATORS,
    ) -> None:
        self.partition = partition
        self.clock_ms = 0  # the log clock: greatest append time seen
        self._policy = policy
        self._judging = Judging(partition, seq, registry, evaluators, policy.provisional_every_ms, policy.cap)
        self._traces: dict[TraceKey, Trace] = {}
        # Hashes of ids stored by us or a predecessor, in order of age. Two ids of one hash are read back once too often.
        self._known: dict[int, None] = {}
        self._forgetful = False  # some known ids were dropped: every first-seen id must be asked for
        self._timers: list[tuple[int, TraceKey]] = []
        self._asleep: dict[TraceKey, int] = {}  # traces that only the store holds, and when they are due
        self._alarms: list[tuple[int, TraceKey]] = []
        self._dirty: dict[TraceKey, Trace] = {}
        self._span_rows: list[SpanRow] = []
        self._log_rows: list[LogRow] = []
        self._marks: list[Published] = []
        self._counts = Counts()
        self._epoch = 0
        self._cap = policy.cap
        self._spans_held = self._traces_bytes = 0
        self._acknowledged = 0  # the epoch of the last flush that is durable

    # What must be read back first.

    def unknown(self, firsts: Iterable[tuple[TraceKey, int, int]]) -> list[TraceKey]:
        """Which of these traces must be read back before their spans are folded.

        `firsts` are (key, start in ms, received time in ms) of one span a trace. A trace never seen by this partition is
        asked for only when its start lies more than an hour before its append time, or when ids were forgotten.
        """
        asked = []
        for key, start_ms, received_ms in firsts:
            if key in self._traces:
                continue
            if hash(key) in self._known or self._forgetful or received_ms - start_ms > HOUR_MS:
                asked.append(key)
        return asked

    def is_new(self, key: TraceKey) -> bool:
        """Whether this partition has never seen the trace, as far as it remembers."""
        return key not in self._traces and hash(key) not in self._known

    def absent(self, keys: Iterable[TraceKey]) -> list[TraceKey]:
        """Those of these traces that are not in memory: only what is read back of them is new."""
        return [key for key in keys if key not in self._traces]

    def due(self, clock_ms: int) -> list[TraceKey]:
        """Evicted traces whose deadline is at or before this clock: to be read back before the tick."""
        woken = []
        while self._alarms and self._alarms[0][0] <= clock_ms:
            deadline, key = heapq.heappop(self._alarms)
            if self._asleep.get(key) == deadline:
                woken.append(key)
        return woken

    def recover(self, heads: Iterable[StoredHead], known: Iterable[TraceKey], last_log_ms: int | None) -> None:
        """Take over a partition: its open traces get their timers back, decided and unpublished ones their publication."""
        assert not self._traces, "recover comes first"
        self.clock_ms = max(self.clock_ms, last_log_ms or 0)
        for key in known:
            self._remember(key)
        for head in heads:
            self._remember(head.key)
            self._sleep(head.key, head.deadline_ms if head.state == "open" else 0)

    def read_back(self, key: TraceKey, head: StoredHead | None, items: Iterable[Item]) -> None:
        """A trace as the store has it. `items` are all that is stored, decoded; none when the store does not know it."""
        self._asleep.pop(key, None)
        known = sorted(items, key=lambda item: (item.received_ms, item.span_id, item.content_hash))
        if key in self._traces or not known:
            return
        trace = self._open(key, known[0])
        if head is not None:
            trace.anchor_ms = head.anchor_ms
        for item in known:
            if not trace.holds(item):
                self._add(trace, item)
        trace.window = window_of(known, self._policy.window)
        trace.deadline_ms = trace.window.deadline_ms(self._policy.window)
        if head is not None:
            trace.row = RowMark(head.n_items, head.deadline_ms)
            # Else no later row would be newer than one that counted an item which could not be stored.
            trace.n_lost = max(0, items_of_revision(head.revision) - trace.n_items)
            if head.state == "decided":
                self._take_over(trace, head)
        self._arm(trace)
        # Dirty when the store holds more than the row judged, not when an arriving span is new.
        if head is None or head.n_items < trace.n_items or (trace.state == "decided" and not trace.published):
            self._touch(trace)

    def judge_again(self, key: TraceKey) -> None:
        """Have a trace that was read back judged at the next take though none of its spans is new: under a newer config,
        by other evaluators."""
        if (trace := self._traces.get(key)) is not None:
            self._touch(trace)

    def _take_over(self, trace: Trace, head: StoredHead) -> None:
        trace.state, trace.reason = "decided", head.close_reason
        trace.deadline_ms = head.deadline_ms
        trace.outcomes, trace.workflow, trace.published = head.outcomes, head.workflow, head.published
        trace.verdicts = dict(head.verdicts)

    # Events.

    def configure(self, seq: int, registry: Registry, early: frozenset[str] = frozenset()) -> None:
        """From now on this config is in force. Only between a take and the next fold. Of the evaluators in `early` outcomes
        are told as soon as a step is judged."""
        if seq != self._judging.seq or early != self._judging.early:
            self._judging = self._judging.under(seq, registry, early)

    def tick(self, clock_ms: int) -> None:
        """Advance the log clock (it never goes back) and decide what is due."""
        self.clock_ms = max(self.clock_ms, clock_ms)
        while self._timers and self._timers[0][0] <= self.clock_ms:
            _, key = heapq.heappop(self._timers)
            trace = self._traces.get(key)
            if trace is None or trace.state == "decided":
                continue
            if trace.deadline_ms > self.clock_ms:
                self._arm(trace)
            else:
                self._decide(trace, trace.window.reason)

    def finish(self) -> None:
        """The end of the input (offline): every open trace is decided, with reason `marker`."""
        for trace in list(self._traces.values()):
            if trace.state == "open":
                self._decide(trace, "marker")

    def fold(self, item: Item, raw: RawSpan) -> bool:
        """One item, after the tick of its record. False for a known (span id, content hash): nothing happens."""
        key = TraceKey(item.tenant, item.trace_id)
        trace = self._traces.get(key)
        if trace is None:
            trace = self._open(key, item)
        elif trace.holds(item):
            self._counts.duplicate += 1
            return False
        elif trace.state == "open":
            if trace.end_ms is None and item.is_end:
                trace.row = None  # the root names the run: a row without it is worth nothing
            trace.window = grown(trace.window, item)
        else:
            self._counts.late += 1
        self._keep(trace, item, raw)
        self._touch(trace)
        if trace.state == "open":
            before, trace.deadline_ms = trace.deadline_ms, trace.window.deadline_ms(self._policy.window)
            if before == 0 or trace.deadline_ms < before:
                self._arm(trace)
        return True

    # A flush.

    def wanted_truths(self) -> set[str]:
        """Task ids of the traces that the next take judges: their truths are looked up in one batch."""
        return {task for trace in self._dirty.values() for task in trace.tasks}

    def take(self, truths: Truths) -> Flush:
        """Rows of everything that changed, outcomes of what was decided. The caller acknowledges it, or loses the partition."""
        self._epoch += 1
        touched = list(self._dirty.values())
        flush = Flush(self._epoch, self._span_rows, self._log_rows, [], [], self._marks, [], self._counts, touched)
        self._span_rows, self._log_rows, self._marks, self._counts, self._dirty = [], [], [], Counts(), {}
        for trace in flush.touched:
            trace.dirty, trace.epoch = False, self._epoch
            if self._wants_row(trace):
                self._judging.judge(trace, truths, self.clock_ms, flush)
                trace.row = RowMark(trace.n_items, trace.deadline_ms)
        return flush

    def acknowledged(self, flush: Flush) -> None:
        """The flush's rows are durable and its outcomes published: decided traces may be forgotten, their marks are due."""
        for decided in flush.decided:
            self._marks.append(Published(decided.key.tenant, decided.anchor_ms, decided.key.trace_id))
            if (trace := self._traces.get(decided.key)) is not None:
                trace.published = True
        for trace in flush.touched:
            if trace.state == "decided" and trace.epoch == flush.epoch and not trace.dirty:
                self._drop(trace)
        self._acknowledged = flush.epoch
        if self._spans_held > self._policy.spans_in_memory_max:
            self._evict(lambda: self._spans_held <= self._policy.spans_in_memory_max // 2)

    def evict(self, bytes_max: int) -> None:
        """Give up the memory of flushed traces, as far as need be and they go, until no more than so many bytes are held, and of
        ids what is over half of that. At any time: what is not acknowledged stays."""
        if KNOWN_BYTES * len(self._known) > bytes_max // 2:
            self._forget_known(bytes_max // 4 // KNOWN_BYTES)
        if self.bytes_held > bytes_max:
            self._evict(lambda: self.bytes_held <= bytes_max)

    def forget(self) -> None:
        """Give up all memory: every trace is acknowledged, and is read back when it is due or its next item comes.

        For a registry whose rules look at other attributes: what is in memory was decoded without them. Nothing may be folded
        between the take whose flush is acknowledged and this.
        """
        for trace in list(self._traces.values()):
            assert not trace.dirty, "only what is stored can be forgotten"
            if trace.state == "open":
                self._sleep(trace.key, trace.deadline_ms)
            self._drop(trace)

    @property
    def watched(self) -> Watched:
        """The attributes that items must be decoded with now."""
        return self._judging.registry.watched

    @property
    def drops(self) -> tuple[DropRule, ...]:
        """What is not to be decoded now. A newer config's rules hold from its flush boundary on."""
        return self._judging.registry.drops

    @property
    def open_traces(self) -> int:
        """How many traces are open, in memory or asleep."""
        return sum(t.state == "open" for t in self._traces.values()) + len(self._asleep)

    @property
    def spans_held(self) -> int:
        """Spans in memory."""
        return self._spans_held

    @property
    def bytes_held(self) -> int:
        """About how much memory the partition takes: traces with their items, and what is remembered of those that sleep."""
        return self._traces_bytes + KNOWN_BYTES * len(self._known) + ASLEEP_BYTES * len(self._asleep)

    # Leaves.

    def _wants_row(self, trace: Trace) -> bool:
        """Whether a touched trace is judged and its row written now, or later with more of its spans.

        The stored row of an open trace may lack spans, which costs nobody anything: whoever reads the trace back reads
        its spans. But there must be a row, for recovery finds open traces by it; and it may never name a later deadline
        than the true one, or nobody would wake in time. An earlier one only wakes its reader for nothing.
        """
        row, n_items = trace.row, trace.n_items
        if row is None or trace.state == "decided" or trace.deadline_ms < row.deadline_ms:
            return True
        if n_items <= self._policy.provisional_small:
            return True
        return n_items - row.n_items >= self._policy.provisional_growth * row.n_items

    def _keep(self, trace: Trace, item: Item, raw: RawSpan) -> None:
        if isinstance(item, LogRecord):
            self._log_rows.append(LogRow(item, raw))
        else:
            self._counts.conflict += item.span_id in trace.items
            self._span_rows.append(SpanRow(item, raw))
        self._add(trace, item)
        self._counts.stored += 1
        self._counts.over_cap += trace.over_cap
        self._counts.over_bytes += trace.n_bytes > self._cap.bytes

    def _add(self, trace: Trace, item: Item) -> None:
        before = trace.held_bytes
        trace.add(item, self._cap)
        self._spans_held += 1
        self._traces_bytes += trace.held_bytes - before

    def _open(self, key: TraceKey, item: Item) -> Trace:
        trace = self._traces[key] = Trace(key, item.received_ms, {}, opened(item))
        self._traces_bytes += trace.held_bytes
        self._remember(key)
        return trace

    def _remember(self, key: TraceKey) -> None:
        self._known[hash(key)] = None
        if len(self._known) > self._policy.known_max:
            self._forget_known(self._policy.known_max // 2)

    def _forget_known(self, kept: int) -> None:
        """Forget the oldest ids. Many at once: to take one from the front of a dict costs as much as was taken before."""
        self._forgetful = True
        self._known = dict.fromkeys(islice(self._known, len(self._known) - kept, None))

    def _sleep(self, key: TraceKey, deadline_ms: int) -> None:
        self._asleep[key] = deadline_ms
        heapq.heappush(self._alarms, (deadline_ms, key))

    def _touch(self, trace: Trace) -> None:
        if not trace.dirty:
            trace.dirty = True
            self._dirty[trace.key] = trace

    def _arm(self, trace: Trace) -> None:
        if trace.state == "open":
            heapq.heappush(self._timers, (trace.deadline_ms, trace.key))

    def _decide(self, trace: Trace, reason: CloseReason) -> None:
        assert trace.state == "open", "one decision per trace"
        trace.state, trace.reason = "decided", reason
        self._counts.decided += 1
        self._touch(trace)

    def _drop(self, trace: Trace) -> None:
        if self._traces.pop(trace.key, None) is not None:
            self._spans_held -= trace.n_items
            self._traces_bytes -= trace.held_bytes

    def _evict(self, is_enough: Callable[[], bool]) -> None:
        """Put flushed open traces to sleep, longest untouched first, until it is enough."""
        idle = [t for t in self._traces.values() if not t.dirty and t.epoch <= self._acknowledged]
        for trace in sorted(idle, key=lambda t: t.epoch):
            if is_enough():
                break
            if trace.state == "open":
                self._sleep(trace.key, trace.deadline_ms)
            self._drop(trace)
            self._counts.evicted += 1
