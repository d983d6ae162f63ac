"""What the thoughts of a run are held against: which calls failed, were repeated, were recovered, and when.

Kept by ReasoningQuality; nothing here reads a text.
"""

import re
from functools import lru_cache
from typing import Final

from evaluators.base import Context
from evaluators.views.claims import only_looks
from evaluators.views.seen import Seen
from schemas.registry import Workflow
from schemas.result import Judgement
from schemas.trajectory import Step

RETRIES_MAX: Final = 3  # failures of the same call after which even one that may pass is no longer worth a try
# Failures that may pass by themselves: gRPC's UNAVAILABLE, RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED; HTTP 408, 425, 429, 5xx.
_TRANSIENT: Final = re.compile(
    r"time[d]?[ -]?out|rate.?limit|too many|throttl|overload|unavailable|temporar|connection|busy|deadline|retry"
    r"|try again|exhausted|internal server|\b(?:408|425|429|5\d\d)\b",
    re.IGNORECASE,
)
_NAME_OF_ITS_OWN: Final = re.compile(
    r"[a-z0-9][A-Z]|[_.\-/\d]"
)  # no word of a language: get_order, getOrder, orders.get


class Failed:
    """A call that failed, and how often in a row."""

    __slots__ = ("last", "said", "times")

    def __init__(self) -> None:
        self.times = 0
        self.last = -1
        self.said = ""  # what the last failure said


class Observations:
    """The state of one fold."""

    __slots__ = (
        "called",
        "failed",
        "failures",
        "faults",
        "late",
        "looks",
        "models",
        "open",
        "passed",
        "pending",
        "plan",
        "seen",
        "settled",
        "since",
        "some_worked",
        "thinker",
        "thoughts",
        "tools",
        "waiting",
        "worked",
        "workflow",
    )

    def __init__(self, context: Context) -> None:
        self.seen = context.shared(Seen)
        self.workflow = context.workflow
        self.tools = set(_telling(context.workflow))  # names to be told in a text
        self.called: dict[str, int] = {}  # by tool: the last call, by index
        self.worked: set[str] = set()  # tools of which a call did its work
        self.pending: dict[str, Step] = {}  # by tool: a failed call that changes something, neither recovered nor told
        self.failed: dict[bytes, Failed] = {}  # by call, since the last one that worked and the last turn of the talk
        self.since: list[Step] = []  # failed calls since the last thinker
        self.some_worked = False  # whether a call since then worked
        self.thinker: Step | None = None  # the last step of a model
        self.settled = -1  # the last step that was judged at once
        self.waiting: dict[bytes, tuple[Step, Judgement | None]] = {}  # by call asked for again: who asked
        self.late: dict[int, tuple[Step, Judgement]] = {}  # by step: what only later steps told
        self.open: list[tuple[Step, frozenset[str], Judgement | None]] = []  # tools named and not called, so far
        self.plan: tuple[Step, tuple[str, ...]] | None = None  # the last structured plan
        self.failures = 0
        self.models = self.thoughts = self.passed = self.looks = 0
        self.faults: list[tuple[Step, str]] = []

    def act(self, step: Step) -> Step | None:
        """Take a call in. Returns the model's step that ignored an error by asking for it, if it did."""
        call = step.call
        name = call.name
        self.called[name] = step.index
        if name not in self.workflow.tools and name not in self.tools and _NAME_OF_ITS_OWN.search(name):
            self.tools.add(name)
        if call.failed:
            return self._failed(step)
        if call.executed:
            self.some_worked = True
            self.worked.add(name)
            self.pending.pop(name, None)
            self.failed.clear()
            if self.waiting:
                self._release()
        return None

    def _failed(self, step: Step) -> Step | None:
        call, key = step.call, step.call.key
        assert call.failure is not None
        self.since.append(step)
        self.failures += 1
        tool = self.workflow.tools.get(call.name)
        if tool.writes if tool is not None else not only_looks(call.name):
            self.pending[call.name] = step
        if key is None:
            return None
        asked = self.thinker
        before = self.failed.setdefault(key, Failed())
        ignored = asked is not None and asked.index > before.last >= 0 and self.is_hopeless(key)
        before.times += 1
        before.last = step.index
        before.said = f"{call.failure.message} {step.span.error_type}"
        waited = self.waiting.pop(key, None)
        if ignored:
            return waited[0] if waited is not None else asked
        if waited is not None and waited[1] is not None:
            self.tell_late(waited[0], waited[1])
        return None

    def is_hopeless(self, key: bytes) -> bool:
        """Whether the same call failed, with nothing done since, in a way that a repetition does not mend."""
        before = self.failed.get(key)
        return before is not None and (before.times >= RETRIES_MAX or not _is_transient(before.said))

    def think(self, step: Step) -> tuple[list[Step], bool]:
        """Take a model's step in: the calls since the last one that failed, and whether some call worked."""
        since, worked = self.since, self.some_worked
        if self.failed and not since and not worked and self.thinker is not None:
            self.failed.clear()  # the last one spoke to people: what they answered may have changed everything
        if since:
            self.since = []
        self.some_worked = False
        self.thinker = step
        self.models += 1
        return since, worked

    def tell(self, step: Step, judgement: Judgement) -> Judgement:
        """Count what is said of a step at once."""
        self.settled = step.index
        self._count(step, judgement)
        return judgement

    def tell_late(self, step: Step, judgement: Judgement) -> None:
        """Count what later steps told of a step, if nothing was said of it yet."""
        if step.index != self.settled and step.index not in self.late:
            self.late[step.index] = step, judgement
            self._count(step, judgement)

    def _count(self, step: Step, judgement: Judgement) -> None:
        if judgement.verdict == "fail":
            self.faults.append((step, judgement.reason_code))
        elif judgement.verdict == "pass":
            self.passed += 1

    def _release(self) -> None:
        """A call worked: who asked for a failed one again is judged by the thought alone."""
        for step, judgement in self.waiting.values():
            if judgement is not None:
                self.tell_late(step, judgement)
        self.waiting.clear()


@lru_cache(maxsize=256)
def _telling(workflow: Workflow) -> frozenset[str]:
    return frozenset(name for name in workflow.tools if _NAME_OF_ITS_OWN.search(name))


@lru_cache(maxsize=1024)
def _is_transient(said: str) -> bool:
    return _TRANSIENT.search(said) is not None
