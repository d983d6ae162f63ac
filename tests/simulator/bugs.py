"""Bugs planted into the real code, one at a time, while schedules are played: a checker that does not catch them is none.

Each is a mistake that somebody could make in good faith. The check at the end runs on the code as it is.
"""

from collections.abc import Callable
from typing import Any

import pytest

from schemas.rows import Published
from streams.core import engine as engine_module
from streams.core import judging, window
from streams.core.engine import TrajectoryEngine
from streams.core.judging import Judging
from streams.core.trace import Trace
from tests.properties.world import Worker
from tests.simulator.planting import Bugs
from tests.simulator.play import Group

BUGS = Bugs()
bug = BUGS.add


def _in_this_order(*effects: str) -> Callable[[Worker], None]:
    def step(self: Any) -> None:
        getattr(self, effects[self.stage])()
        self.stage = (self.stage + 1) % len(effects)

    return step


# The shell: in which order effects come, and what a new owner starts with.


@bug
def commit_before_insert(patched: pytest.MonkeyPatch) -> None:
    """The offset goes first, the rows later."""

    def take(self: Any) -> None:
        real(self)
        if self.world.owner is self:
            self.world.committed = max(self.world.committed, self.flush_end)

    real = Worker._take
    patched.setattr(Worker, "_take", take)


@bug
def skip_by_offset(patched: pytest.MonkeyPatch) -> None:
    """A new owner takes the record at the committed offset for done."""
    real = Worker.__init__

    def made(self: Any, world: Any) -> None:
        real(self, world)
        self.position = min(world.committed + bool(world.committed), len(world.log))

    patched.setattr(Worker, "__init__", made)


@bug
def state_kept_over_a_rebalance(patched: pytest.MonkeyPatch) -> None:
    """A worker that gets its partition back goes on with what it had in memory."""

    def come_back(self: Any, before: Worker) -> Worker:
        before.position, self.world.owner = max(before.position, self.world.committed), before
        before.stage = 0  # the flush under way was given up
        return before

    patched.setattr(Group, "come_back", come_back)


@bug
def marked_published_before_the_acknowledgement(patched: pytest.MonkeyPatch) -> None:
    """The mark is written with the rows, before anything was published."""
    real = Worker._write_rows

    def write(self: Any) -> None:
        self.flush.published.extend(Published(d.key.tenant, d.anchor_ms, d.key.trace_id) for d in self.flush.decided)
        real(self)

    patched.setattr(Worker, "_write_rows", write)


@bug
def rows_before_spans(patched: pytest.MonkeyPatch) -> None:
    """Rows are there before the spans that they were judged from."""
    order = "_take", "_write_rows", "_write_spans", "_publish", "_acknowledge"
    patched.setattr(Worker, "step", _in_this_order(*order))


@bug
def published_before_the_row(patched: pytest.MonkeyPatch) -> None:
    """Outcomes are out before the row that keeps them."""
    order = "_take", "_write_spans", "_publish", "_write_rows", "_acknowledge"
    patched.setattr(Worker, "step", _in_this_order(*order))


@bug
def tick_dropped(patched: pytest.MonkeyPatch) -> None:
    """Time moves with the idle clock alone, not with the records."""
    real = TrajectoryEngine.tick

    def tick(self: Any, clock_ms: int) -> None:
        if clock_ms - self.clock_ms > 1_600:
            real(self, clock_ms)

    patched.setattr(TrajectoryEngine, "tick", tick)


@bug
def idle_clock_past_the_last_fetch(patched: pytest.MonkeyPatch) -> None:
    """Time goes on although there are records that were not read."""
    patched.setattr(Group, "may_idle", lambda self, worker: True)


@bug
def config_read_late(patched: pytest.MonkeyPatch) -> None:
    """A new owner begins under the first config and hears of newer ones at its first flush."""
    real = Worker.__init__

    def made(self: Any, world: Any) -> None:
        configs, world.configs = world.configs, world.configs[:1]
        real(self, world)
        world.configs = configs

    patched.setattr(Worker, "__init__", made)


# Recovery: what is known of traces that others had.


@bug
def filter_not_rebuilt(patched: pytest.MonkeyPatch) -> None:
    """A new owner does not know which traces are stored."""
    real = TrajectoryEngine.recover
    patched.setattr(TrajectoryEngine, "recover", lambda self, heads, known, last: real(self, heads, [], last))


@bug
def unpublished_traces_are_not_taken_over(patched: pytest.MonkeyPatch) -> None:
    """Recovery looks for open traces alone."""
    real = TrajectoryEngine.recover
    patched.setattr(
        TrajectoryEngine,
        "recover",
        lambda self, heads, known, last: real(self, [h for h in heads if h.state == "open"], known, last),
    )


@bug
def a_second_publication_by_a_new_owner_that_differs(patched: pytest.MonkeyPatch) -> None:
    """A trace that was decided and not marked is decided again, by what is known now."""
    real = TrajectoryEngine._take_over

    def take_over(self: Any, trace: Trace, head: Any) -> None:
        real(self, trace, head)
        if not trace.published:
            trace.outcomes, trace.deadline_ms = None, self.clock_ms + 1

    patched.setattr(TrajectoryEngine, "_take_over", take_over)


@bug
def late_spans_change_what_was_counted(patched: pytest.MonkeyPatch) -> None:
    """A stored decision is made again with every late span, and published again."""
    real = TrajectoryEngine._take_over

    def take_over(self: Any, trace: Trace, head: Any) -> None:
        real(self, trace, head)
        trace.outcomes, trace.published, trace.reason = None, False, "marker"

    patched.setattr(TrajectoryEngine, "_take_over", take_over)


@bug
def log_records_are_not_read_back(patched: pytest.MonkeyPatch) -> None:
    """A trace comes back without its log records."""
    real = TrajectoryEngine.read_back
    patched.setattr(
        TrajectoryEngine,
        "read_back",
        lambda self, key, head, items: real(self, key, head, [i for i in items if hasattr(i, "parent_id")]),
    )


@bug
def eviction_that_drops_the_deadline(patched: pytest.MonkeyPatch) -> None:
    """A trace that was put to sleep is never woken."""

    def evict(self: Any, is_enough: Callable[[], bool]) -> None:
        for trace in [t for t in self._traces.values() if not t.dirty and t.epoch <= self._acknowledged]:
            if is_enough():
                break
            self._drop(trace)

    patched.setattr(TrajectoryEngine, "_evict", evict)


@bug
def eviction_of_what_is_not_acknowledged(patched: pytest.MonkeyPatch) -> None:
    """Memory is given up as soon as a flush has taken it."""
    real = TrajectoryEngine.take

    def take(self: Any, truths: Any) -> Any:
        flush = real(self, truths)
        for trace in flush.touched:
            if trace.state == "open":
                self._sleep(trace.key, trace.deadline_ms)
            self._drop(trace)
        return flush

    patched.setattr(TrajectoryEngine, "take", take)


# The engine: identity, order of rows, time.


@bug
def anchor_from_client_time(patched: pytest.MonkeyPatch) -> None:
    """A trace is filed under the time that its producer says."""
    real = TrajectoryEngine._open

    def opened(self: Any, key: Any, item: Any) -> Trace:
        trace = real(self, key, item)
        trace.anchor_ms = getattr(item, "start_ns", 0) // 1_000_000 or item.received_ms
        return trace

    patched.setattr(TrajectoryEngine, "_open", opened)


@bug
def anchor_from_whoever_opens(patched: pytest.MonkeyPatch) -> None:
    """A trace that is read back is filed under the last of its items."""
    real = TrajectoryEngine.read_back

    def read_back(self: Any, key: Any, head: Any, items: Any) -> None:
        real(self, key, head, items)
        trace = self._traces.get(key)
        if trace is not None:
            trace.anchor_ms = max(item.received_ms for item in trace.all_items())

    patched.setattr(TrajectoryEngine, "read_back", read_back)


@bug
def provisional_beats_final(patched: pytest.MonkeyPatch) -> None:
    """Of two rows of the same items the open one wins."""

    def packed(n_items: int, final: bool, config_seq: int) -> int:
        return n_items << 32 | int(not final) << 31 | config_seq

    patched.setattr(judging, "pack_revision", packed)


@bug
def revision_not_raised_by_late_spans(patched: pytest.MonkeyPatch) -> None:
    """A final row is final: a better one does not replace it."""

    def packed(n_items: int, final: bool, config_seq: int) -> int:
        return (1 << 62 if final else n_items << 32) | (0xFFFF - n_items if final else config_seq)

    patched.setattr(judging, "pack_revision", packed)


@bug
def off_by_one_prefix(patched: pytest.MonkeyPatch) -> None:
    """What is received at the deadline counts too."""
    real = Trace.received_before
    patched.setattr(Trace, "received_before", lambda self, deadline_ms: real(self, deadline_ms + 1))


@bug
def decided_at_the_flush(patched: pytest.MonkeyPatch) -> None:
    """The decision judges all that is there when the flush is taken."""
    real = Judging.judge

    def judge(self: Any, trace: Trace, truths: Any, clock_ms: int, flush: Any) -> None:
        if trace.state == "decided" and trace.outcomes is None:
            trace.deadline_ms = clock_ms + 1
        real(self, trace, truths, clock_ms, flush)

    patched.setattr(Judging, "judge", judge)


@bug
def duplicates_are_new(patched: pytest.MonkeyPatch) -> None:
    """A span that comes again is another span."""
    patched.setattr(Trace, "holds", lambda self, item: False)


@bug
def known_by_span_id_alone(patched: pytest.MonkeyPatch) -> None:
    """A span id that is known is not looked at again, whatever its content."""
    real = Trace.holds
    patched.setattr(Trace, "holds", lambda self, item: item.span_id in self.items or real(self, item))


@bug
def one_exporter_settles_for_all(patched: pytest.MonkeyPatch) -> None:
    """The wait for other exporters is that of the first one."""

    def deadline_ms(self: Any, policy: Any) -> int:
        settle = policy.settle_one_resource_ms
        return int(self.last_ms + policy.abandon_after_ms if self.end_ms is None else self.end_ms + settle)

    patched.setattr(window.Window, "deadline_ms", deadline_ms)


@bug
def forgotten_while_dirty(patched: pytest.MonkeyPatch) -> None:
    """An acknowledged trace is dropped although a span has come meanwhile."""
    real = TrajectoryEngine.acknowledged

    def acknowledged(self: Any, flush: Any) -> None:
        real(self, flush)
        for trace in flush.touched:
            if trace.state == "decided":
                self._dirty.pop(trace.key, None)
                self._drop(trace)

    patched.setattr(TrajectoryEngine, "acknowledged", acknowledged)


@bug
def a_timer_is_enough(patched: pytest.MonkeyPatch) -> None:
    """A trace is decided when its first timer rings, however its deadline has moved since."""

    def tick(self: Any, clock_ms: int) -> None:
        self.clock_ms = max(self.clock_ms, clock_ms)
        while self._timers and self._timers[0][0] <= self.clock_ms:
            _, key = engine_module.heapq.heappop(self._timers)
            trace = self._traces.get(key)
            if trace is not None and trace.state == "open":
                trace.deadline_ms = min(trace.deadline_ms, self.clock_ms)
                self._decide(trace, trace.window.reason)

    patched.setattr(TrajectoryEngine, "tick", tick)
