"""The tools that task truth expects, as slots that calls fill one to one: what is left of them as the run goes on.

The law: tools alone are compared, never arguments; a call fills at most one slot, in the order of the steps; a required
slot is filled before an optional one, and one whose predecessors are filled before one that must wait.
"""

from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from evaluators.views.matching import expectations
from schemas.expectation import TaskTruth
from schemas.registry import Workflow


class Slot(NamedTuple):
    """An expected call, as far as its tool goes."""

    place: int  # index of the expected call
    tool: str
    after: tuple[int, ...]
    optional: bool
    deciding: bool


class _All(NamedTuple):
    by_tool: Mapping[str, tuple[Slot, ...]]  # required ones first
    required: int
    required_reads: int


@lru_cache(maxsize=512)
def _all(truth: TaskTruth, workflow: Workflow) -> _All:
    deciding = {e.index for e in expectations(truth, workflow).deciding.calls}
    calls = enumerate(truth.expected_calls)
    slots = sorted((Slot(i, c.name, c.after, c.optional, i in deciding) for i, c in calls), key=lambda s: s.optional)
    by_tool: dict[str, tuple[Slot, ...]] = {}
    for slot in slots:
        by_tool[slot.tool] = (*by_tool.get(slot.tool, ()), slot)
    required = sum(slot.deciding and not slot.optional for slot in slots)
    return _All(by_tool, required, sum(not slot.deciding and not slot.optional for slot in slots))


class Slots:
    """What truth still expects. Deciding slots (writes, where the registry declares any) and reads are counted apart."""

    def __init__(self, truth: TaskTruth, workflow: Workflow) -> None:
        all_ = _all(truth, workflow)
        self.open = {tool: list(slots) for tool, slots in all_.by_tool.items()}
        self.required, self.required_reads = all_.required, all_.required_reads
        self.filled: set[int] = set()
        self.optional = 0  # deciding slots filled although they need not be
        self.chosen = 0  # executed calls that decide
        self.right = 0  # of them those that filled a slot, and were good choices
        self.reads = 0  # required reads that were made
        self._tried: Counter[str] = Counter()  # good choices whose call failed: they stand where no other call does

    def slot(self, tool: str) -> Slot | None:
        """The slot that a call of this tool fills; None where truth expects no further one."""
        waiting = self.open.get(tool)
        if not waiting:
            return None
        for slot in waiting:
            if self.ready(slot):
                return slot
        return waiting[0]

    def ready(self, slot: Slot) -> bool:
        """Whether the expected calls that must come before are there."""
        return self.filled.issuperset(slot.after)

    def fill(self, slot: Slot, good: bool) -> None:
        """A call that did its work fills a slot."""
        self.open[slot.tool].remove(slot)
        self.filled.add(slot.place)
        if not slot.deciding:
            self.reads += not slot.optional
            return
        self.right += good
        self.optional += slot.optional

    def attempt(self, slot: Slot) -> None:
        """A good choice whose call failed."""
        if slot.deciding and not slot.optional:
            self._tried[slot.tool] += 1

    @property
    def counts(self) -> tuple[int, ...]:
        """Equal as long as nothing changed that could be said of the whole."""
        return self.chosen, len(self.filled), self.tried

    @property
    def tried(self) -> int:
        """Open slots whose tool was chosen, though no call of it worked."""
        if not self._tried:
            return 0
        return sum(min(count, self._missing(tool)) for tool, count in self._tried.items())

    def missing(self) -> list[Slot]:
        """Required slots that nothing filled."""
        return [slot for waiting in self.open.values() for slot in waiting if not slot.optional]

    def _missing(self, tool: str) -> int:
        return sum(not slot.optional for slot in self.open.get(tool, ()))
