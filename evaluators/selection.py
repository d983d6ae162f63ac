"""ToolSelectionAccuracy: was this the right tool at this step, given what happened so far?"""

from collections.abc import Iterable
from typing import Any, ClassVar, Final, NamedTuple

from evaluators.base import CALL_KINDS, COMMON_CODES, MAYBE_CALLS, Context, scored, unscored
from evaluators.views.comparison import EVIDENCE_MAX, is_call
from evaluators.views.matching import decides, forbidden
from evaluators.views.offered import Offers, is_offered
from evaluators.views.precedence import Precedence, has_rules
from evaluators.views.repeats import Repeats
from evaluators.views.slots import Slot, Slots
from schemas.registry import Workflow
from schemas.result import Basis, Judgement
from schemas.span import StepKind
from schemas.trajectory import Step, Trajectory

_BY_TRUTH: Final = Judgement("pass", 1.0, "task_truth")
_BY_REGISTRY: Final = Judgement("pass", 1.0, "registry")
_BY_OFFER: Final = Judgement("pass", 1.0, "trace")
_NO_BASIS: Final = unscored("trace", "no_basis", "no truth, registry or offered tools tell which tool would be right")
_NO_CALLS: Final = unscored("trace", "no_calls", "no tool was called, and no truth says that one should be")


Names = frozenset[str] | None  # of the tools that were offered; None: not known


class _Fault(NamedTuple):
    """Why a tool was the wrong one."""

    basis: Basis
    code: str
    reason: str
    evidence: dict[str, Any] | None = None


class Choices:
    """The calls so far, what each may be judged by, and how many of them were good choices."""

    def __init__(self, context: Context) -> None:
        workflow, truth = context.workflow, context.truth
        self.workflow, self.truth = workflow, truth
        self.offers = context.shared(Offers)
        self.precedence = context.shared(Precedence) if has_rules(workflow) else None
        self.repeats = context.shared(Repeats) if workflow.tools else None
        self.slots = Slots(truth, workflow) if truth is not None else None
        self.calls = self.judged = self.bad = 0
        self.first_code = ""  # of a bad choice
        self.wrong_code = ""  # of a bad choice that was executed and decides
        self.bad_ids: list[str] = []  # the first EVIDENCE_MAX
        self.told: tuple[Any, Judgement] | None = None  # what was last said of the whole, and what it rests on

    def judge(self, step: Step) -> Judgement | None:
        """Take a call in; what is said of it."""
        name, slots = step.call.name, self.slots
        names = self.offers.names(step) if step.span.kind == "tool_call" else None
        self.calls += 1
        if slots is None:
            deciding, fault = False, self._fault(step, names, None, False)
        else:
            deciding, slot = decides(name, self.workflow), slots.slot(name)
            fault = self._fault(step, names, slot, deciding)
            self._settle(slots, step, slot, deciding, fault)
        if fault is not None:
            return self._bad(step, fault)
        if deciding:
            good = _BY_TRUTH
        elif name in self.workflow.tools or (self.precedence is not None and self.precedence.rules(name)):
            good = _BY_REGISTRY
        elif names is not None:
            good = _BY_OFFER
        else:
            return _NO_BASIS if step.span.kind == "tool_call" else None
        self.judged += 1
        return good

    def _bad(self, step: Step, fault: _Fault) -> Judgement:
        self.judged += 1
        self.bad += 1
        self.first_code = self.first_code or fault.code
        if len(self.bad_ids) < EVIDENCE_MAX:
            self.bad_ids.append(step.span.span_id.hex())
        return scored(0.0, fault.basis, fault.code, fault.reason, fault.evidence)

    def _fault(self, step: Step, names: Names, slot: Slot | None, deciding: bool) -> _Fault | None:
        """The first fault, what the tool is before when it came."""
        repeated = None
        if self.repeats is not None and step.span.kind in CALL_KINDS:
            repeated = self.repeats.earlier(step)
        breach = self.precedence.breach(step) if self.precedence is not None else None
        fault = None
        if names is not None or step.call.name not in self.workflow.tools:
            fault = self._unknown(step, names)
        if fault is None and breach is not None:
            fault = _Fault("registry", breach.code, breach.reason, breach.evidence)
        if fault is None and self.slots is not None:
            fault = self._against_truth(step, slot, deciding)
        if fault is None and repeated is not None and slot is None:
            fault = _repeat(step, repeated, self.workflow)
        return fault

    def _unknown(self, step: Step, names: Names) -> _Fault | None:
        name, tools = step.call.name, self.workflow.tools
        if names is not None:
            if is_offered(name, names):
                return None
            return _Fault("trace", "not_offered", f"{name!r} is not among the {len(names)} tools that were offered")
        if not tools or step.span.kind != "tool_call":
            return None
        reason = f"{name!r} is not among the {len(tools)} tools of workflow {self.workflow.name!r}"
        return _Fault("registry", "unknown_tool", reason)

    def _against_truth(self, step: Step, slot: Slot | None, deciding: bool) -> _Fault | None:
        assert self.truth is not None
        assert self.slots is not None
        name = step.call.name
        if self.truth.forbidden_calls and forbidden(step, self.truth.forbidden_calls):
            return _Fault("task_truth", "forbidden_call", f"{name} is forbidden for this task")
        if slot is None:
            reason = f"the task expects no further call of {name}"
            return _Fault("task_truth", "unexpected_tool", reason) if deciding else None
        if slot.after and not self.slots.ready(slot):
            after = [index for index in slot.after if index not in self.slots.filled]
            reason = f"expected call {slot.place} of {name} must come after {', '.join(map(str, after))}"
            return _Fault("task_truth", "missing_predecessor", reason, {"index": slot.place, "after": after})
        return None

    def _settle(self, slots: Slots, step: Step, slot: Slot | None, deciding: bool, fault: _Fault | None) -> None:
        """Count a call against the truth. One that is forbidden decides, whatever it does."""
        if not step.call.executed:
            if slot is not None and fault is None:
                slots.attempt(slot)
            return
        deciding = deciding or (fault is not None and fault.code == "forbidden_call")
        slots.chosen += deciding
        if deciding and fault is not None:
            self.wrong_code = self.wrong_code or fault.code
        if slot is not None:
            slots.fill(slot, fault is None)


def _repeat(step: Step, earlier: Step, workflow: Workflow) -> _Fault | None:
    """The fault of calling a declared tool again with nothing written since.

    Where a read brought something else this time, something had changed: who polls is no fool.
    """
    tool = workflow.tools.get(step.call.name)
    if tool is None:
        return None
    before, again = earlier.span.result, step.span.result
    if not tool.writes and step.call.executed and before is not None and again is not None and before != again:
        return None
    reason = f"the same call of {tool.name} succeeded before, and nothing was written since"
    return _Fault("registry", "repeat", reason, {"span_id": earlier.span.span_id.hex()})


class ToolSelectionAccuracy:
    """Whether the tool was the right one at this step, given the steps before it; and of the whole run.

    Counts: every call of a tool, failed attempts too: choosing is judged, not the outcome. A step is a bad choice if
    - not_offered: not among the tools offered in the span itself, or in its agent's last model call (all of them read);
    - unknown_tool: nothing was offered, and the registry lists tools but not this one;
    - forbidden_call, forbidden_transition, missing_predecessor: `policy.forbidden`, `policy.order`, or task truth
      (`forbidden_calls`, `after`) speak against it now;
    - unexpected_tool: truth expects no (further) call of this tool, and the tool decides: a write, or any tool where
      the registry declares no write or does not know this one;
    - repeat: a declared tool was called with the same arguments before, that succeeded, nothing was written since (nor
      a tool called that nobody declared), and truth does not expect it twice. A read whose result came out otherwise
      is no repeat.
    Trajectory, with truth: tools as a one-to-one assignment with the expected ones, F1 = 2 x right / (executed +
    expected) over the calls that decide; extra ones count, and a bad choice is not right. Reads are how an agent learns
    what to do, and many ways of reading are right: they only decide, by the share of expected reads made, where no
    write is expected and none was done. A rightly chosen tool whose call never worked counts as chosen. Without truth:
    good choices / choices that could be judged.
    Does not count: arguments, results (other evaluators' work); calls interrupted by control flow; optional calls.

    Fails: the codes above (on the trajectory the first of them); missing_tool; nothing_called (0: truth demands a call).
    Unscored: no_basis (no truth, registry or offered tools), no_calls, still_open (tools are missing so far).
    """

    name: ClassVar[str] = "ToolSelectionAccuracy"
    version: ClassVar[str] = "1"
    kinds: ClassVar[frozenset[StepKind]] = MAYBE_CALLS
    reason_codes: ClassVar[frozenset[str]] = COMMON_CODES | {
        "not_offered",
        "unknown_tool",
        "forbidden_call",
        "forbidden_transition",
        "missing_predecessor",
        "unexpected_tool",
        "repeat",
        "missing_tool",
        "nothing_called",
        "no_basis",
        "no_calls",
        "still_open",
    }

    def applies(self, workflow: Workflow) -> bool:
        """Spans may offer tools, and truth belongs to the trace."""
        return True

    def initial(self, context: Context) -> Choices:
        """No calls yet."""
        return Choices(context)

    def update(self, state: Choices, step: Step) -> Judgement | None:
        """Judge a call."""
        span = step.span
        if state.precedence is not None:
            state.precedence.breach(step)  # a handoff that no registry has may be what a rule asks for
        if span.kind not in CALL_KINDS and not is_call(step, state.workflow):
            return None
        failure = step.call.failure
        if failure is not None and failure.severity == "handled":
            return None
        return state.judge(step)

    def finish(self, state: Choices, trajectory: Trajectory) -> Iterable[tuple[None, Judgement]]:
        """One judgement of the trajectory."""
        if state.slots is not None:
            rests_on = (trajectory.closed, state.slots.counts, state.bad, bool(state.calls))
            if state.told is None or state.told[0] != rests_on:
                state.told = rests_on, _with_truth(state, state.slots, bool(trajectory.closed))
            yield None, state.told[1]
        elif not state.judged:
            yield None, _NO_BASIS if state.calls else _NO_CALLS
        else:
            yield None, _without_truth(state)


def _with_truth(state: Choices, slots: Slots, closed: bool) -> Judgement:
    tried = slots.tried
    right, chosen, expected = slots.right + tried, slots.chosen + tried, slots.required + slots.optional
    by_reads = not chosen + expected
    if by_reads:
        right = chosen = slots.reads
        expected = slots.required_reads
    if right == chosen == expected:
        return _BY_TRUTH
    wrong = right < chosen
    if not wrong and not closed:
        return unscored("task_truth", "still_open", f"so far {right} of {expected} expected tools were called")
    evidence = _evidence(state, slots, by_reads, {"right": right, "chosen": chosen, "expected": expected})
    if not state.calls:
        return scored(0.0, "task_truth", "nothing_called", f"{expected} calls were expected, none was made", evidence)
    if by_reads:
        reason = f"{right} of {expected} expected reads were made"
        return scored(right / expected, "task_truth", "missing_tool", reason, evidence)
    score = 2 * right / (chosen + expected)
    reason = f"{right} right of {chosen} chosen and {expected} expected: F1 2 x {right}/({chosen} + {expected})"
    return scored(score, "task_truth", state.wrong_code if wrong else "missing_tool", reason, evidence)


def _evidence(state: Choices, slots: Slots, by_reads: bool, evidence: dict[str, Any]) -> dict[str, Any]:
    missing = [slot for slot in slots.missing() if slot.deciding != by_reads][:EVIDENCE_MAX]
    if missing:
        evidence["missing"] = [{"index": slot.place, "name": slot.tool} for slot in missing]
    if state.bad_ids:
        evidence["span_ids"] = state.bad_ids[:]
    return evidence


def _without_truth(state: Choices) -> Judgement:
    registered = bool(state.workflow.tools) or state.precedence is not None
    if not state.bad:
        return _BY_REGISTRY if registered else _BY_OFFER
    good = state.judged - state.bad
    reason = f"{good} of {state.judged} choices were good"
    basis: Basis = "registry" if registered else "trace"
    return scored(good / state.judged, basis, state.first_code, reason, {"span_ids": state.bad_ids[:]})
