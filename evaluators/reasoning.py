"""ReasoningQuality: the thought against the observations, checked and not counted."""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import ClassVar, Final, NamedTuple

from evaluators.base import CALL_KINDS, COMMON_CODES, Context, scored, unscored
from evaluators.views.claims import claims_success, claims_work_of, owns_up
from evaluators.views.literals import is_id, leaves, shape_of
from evaluators.views.observations import Observations
from evaluators.views.thoughts import Said, may_hold_thought, planned_tools, said_in
from schemas.payload import is_placeholder
from schemas.registry import Workflow
from schemas.result import Judgement
from schemas.span import StepKind
from schemas.trajectory import Step, Trajectory

EVIDENCE_MAX: Final = 20
IDS_MAX: Final = 50  # ids of one thought that are looked for
LOOKS_MAX: Final = 8  # searches for ids of the same shape, in one run
_MODELS: Final[frozenset[StepKind]] = frozenset({"llm", "planner"})
_ID: Final = re.compile(r"[^\s\"'`(),;!?<>\[\]{}*|]+")
_PASS: Final = Judgement("pass", 1.0, "trace")
_REDACTED: Final = unscored("trace", "redacted", "the thought is replaced by a placeholder")
_UNCHECKED: Final = unscored(
    "trace", "nothing_to_check", "the thought names no tool, no id and no outcome to hold against"
)
_NO_THOUGHT: Final = unscored("trace", "no_thought", "no thought was captured")
_OTHER_TOOL: Final = "the thought names {}, which was not called, neither then nor later"


class Fault(NamedTuple):
    """What is wrong with a thought; evidence holds ids of spans and names, never content."""

    code: str
    reason: str
    evidence: dict[str, object]


class ReasoningQuality:
    """Whether what a model thinks and says agrees with what it has observed: 1 or 0 a step, their mean for the run.

    Counts: of model and planner steps the thought: reasoning parts, text that comes with the calls it asks for, ReAct's
    `Thought:`; and what is said to people after a failure. It passes where it was held against something and agreed:
    it names the tool that it calls, cites ids that were seen, or owns up to a failure.
    - other_tool: it names known tools and calls another one, and none of those named is called later.
    - unseen_value: it cites an id that no words, result or message had, and passes it to the call, or ids of its shape
      were seen. Only where all input of the models was captured.
    - false_claim: it claims, in English, that a failed call which no later call recovered did its work, or, right after
      nothing but failures, success. A text that owns up to a failure claims nothing (rules: evaluators/views/claims.py).
    - ignored_error: after an error that a repetition does not mend (or the third one that it might), it asks for the
      same call with the same arguments, nothing else having worked in between, and that fails again.
    - plan_not_executed (run): a structured plan names a known tool that was never called, though nothing failed.
    Does not count: the length, style and language of a thought; amounts in it, for thoughts calculate; names of tools
    that are words of a language; plans in prose.

    Fails: other_tool, unseen_value, false_claim, ignored_error; plan_not_executed on the trajectory.
    Unscored: no_thought (none was captured in the run), nothing_to_check (it says nothing that could be held against
    observations), redacted.
    """

    name: ClassVar[str] = "ReasoningQuality"
    version: ClassVar[str] = "1"
    kinds: ClassVar[frozenset[StepKind]] = _MODELS | CALL_KINDS
    reason_codes: ClassVar[frozenset[str]] = COMMON_CODES | {
        "other_tool",
        "unseen_value",
        "false_claim",
        "ignored_error",
        "plan_not_executed",
        "no_thought",
        "nothing_to_check",
        "redacted",
    }

    def applies(self, workflow: Workflow) -> bool:
        """Whoever thinks."""
        return True

    def initial(self, context: Context) -> Observations:
        """Nothing observed, nothing thought."""
        return Observations(context)

    def update(self, state: Observations, step: Step) -> Judgement | None:
        """Judge a model's step by what came before it."""
        kind = step.span.kind
        if kind in _MODELS:
            return _answered(state, step)
        if kind in CALL_KINDS:
            ignoring = state.act(step)
            if ignoring is not None:
                state.tell_late(ignoring, _ignored(step))
        return None

    def finish(self, state: Observations, trajectory: Trajectory) -> Iterator[tuple[Step | None, Judgement]]:
        """What later steps told, and the trajectory."""
        if not state.models:
            return
        if not (state.late or state.waiting or state.open):
            yield None, _of_trajectory(state, state.passed, state.faults, bool(trajectory.closed))
            return
        passed, faults = state.passed, list(state.faults)
        late = dict(state.late)
        for step, judgement in (*state.waiting.values(), *_resolved(state, bool(trajectory.closed))):
            if judgement is not None and step.index != state.settled and step.index not in late:
                late[step.index] = step, judgement
                passed += judgement.verdict == "pass"
                faults += [(step, judgement.reason_code)] if judgement.verdict == "fail" else []
        yield from late.values()
        yield None, _of_trajectory(state, passed, faults, bool(trajectory.closed))


def _answered(state: Observations, step: Step) -> Judgement | None:
    """What is said at once of a model's step."""
    failed, worked = state.think(step)
    raw = step.span.output_messages
    if raw is None:
        return None
    thinks = may_hold_thought(raw)
    if not (thinks or state.pending or failed):
        if step.span.kind == "planner":
            _plan(state, step, said_in(raw))
        return None
    said = said_in(raw)
    if step.span.kind == "planner":
        _plan(state, step, said)
    if said.thought:
        return _thought(state, step, said, [] if worked else failed)
    if said.text:
        return _spoken(state, step, said.text, [] if worked else failed)
    return None


def _plan(state: Observations, step: Step, said: Said) -> None:
    named = planned_tools(said.text, frozenset(state.workflow.tools))
    if named:
        state.plan = step, named
        state.failures = 0


def _spoken(state: Observations, step: Step, text: str, failed: list[Step]) -> Judgement | None:
    """What is said to people after a failure."""
    if not (state.pending or failed):
        return None
    if owns_up(text):
        state.pending.clear()
        return state.tell(step, _PASS)
    claim = _claim(state, text, failed)
    return None if claim is None else state.tell(step, _fail(claim))


def _thought(state: Observations, step: Step, said: Said, failed: list[Step]) -> Judgement | None:
    state.thoughts += 1
    text = said.thought
    if is_placeholder(text):
        return state.tell(step, _REDACTED)
    called = {call.name for call in said.calls}
    named = {tool for tool in state.tools if tool in text and _stands(tool, text)}
    ids = _ids(text)
    unseen = [value for value in ids if not state.seen.holds(value)] if ids else []
    fault = _claim(state, text, failed) if state.pending or failed else None
    if fault is None and unseen:
        fault = _unseen(state, said, unseen)
    agrees = bool(named & called) or len(ids) > len(unseen) or (bool(failed) and owns_up(text))
    judgement = _fail(fault) if fault is not None else _PASS if agrees else _UNCHECKED
    for call in said.calls if state.failed else ():
        key = call.key()
        if key is not None and state.is_hopeless(key):
            state.waiting[key] = step, judgement
            return None
    if fault is None and called and named and not named & called and not any(tool in state.called for tool in named):
        state.open.append((step, frozenset(named), judgement))
        return None
    return state.tell(step, judgement)


def _claim(state: Observations, text: str, failed: list[Step]) -> Fault | None:
    """A success that was not one."""
    for tool, step in state.pending.items():
        if claims_work_of(text, tool, state.worked):
            return _false(step, f"claims that {tool} did its work, but it failed and was not recovered")
    if failed and claims_success(text):
        return _false(failed[-1], "claims success, but all calls before it failed")
    return None


def _false(step: Step, reason: str) -> Fault:
    return Fault("false_claim", reason, {"span_id": step.span.span_id.hex(), "name": step.call.name})


def _ids(text: str) -> list[str]:
    if not any(map(text.__contains__, "0123456789@")):
        return []
    words = dict.fromkeys(word.strip(".:#-_") for word in _ID.findall(text) if not word.isalpha())
    return [word for word in words if is_id(word)][:IDS_MAX]


def _unseen(state: Observations, said: Said, unseen: list[str]) -> Fault | None:
    """An id that was made up: passed on to a call, or of a shape that was seen; else it may be general knowledge."""
    if state.seen.doubt():
        return None
    passed = {value for call in said.calls for _, value in leaves(call.arguments) if isinstance(value, str)}
    made_up = sum(value in passed or _is_familiar(state, value) for value in unseen)
    if not made_up:
        return None
    return Fault("unseen_value", f"{made_up} of the ids that it cites were in nothing seen before", {"ids": made_up})


def _is_familiar(state: Observations, value: str) -> bool:
    shape = shape_of(value)
    if shape is None or state.looks >= LOOKS_MAX:
        return False
    state.looks += 1
    return state.seen.shows(shape)


def _stands(tool: str, text: str) -> bool:
    return _standing(tool).search(text) is not None


@lru_cache(maxsize=1024)
def _standing(tool: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w.-]){re.escape(tool)}(?![\w-])")


def _fail(fault: Fault) -> Judgement:
    return scored(0.0, "trace", fault.code, fault.reason, fault.evidence)


def _ignored(step: Step) -> Judgement:
    reason = f"asks for the call of {step.call.name} that had failed, with the same arguments, and it fails again"
    return scored(0.0, "trace", "ignored_error", reason, {"span_id": step.span.span_id.hex(), "name": step.call.name})


def _resolved(state: Observations, closed: bool) -> Iterable[tuple[Step, Judgement | None]]:
    """The thoughts that name tools which they did not call, as far as the run has come."""
    for step, named, judgement in state.open:
        if any(state.called.get(tool, -1) > step.index for tool in named):
            yield step, judgement
        elif closed:
            names = sorted(named)[:EVIDENCE_MAX]
            yield step, _fail(Fault("other_tool", _OTHER_TOOL.format(", ".join(names)), {"names": names}))


def _of_trajectory(state: Observations, passed: int, faults: list[tuple[Step, str]], closed: bool) -> Judgement:
    left = _not_executed(state) if closed else []
    if not (faults or left):
        if passed:
            return _PASS
        return _UNCHECKED if state.thoughts else _NO_THOUGHT
    bad = len(faults) + bool(left)
    codes = [code for _, code in faults] or ["plan_not_executed"]
    worst = max(dict.fromkeys(codes), key=codes.count)
    evidence: dict[str, object] = {"span_ids": [step.span.span_id.hex() for step, _ in faults[:EVIDENCE_MAX]]}
    reason = f"{passed} of {passed + bad} checks of thoughts and claims agreed with what was observed"
    if left:
        evidence["not_executed"] = left
        reason += f"; planned and never called: {', '.join(left)}"
    return scored(passed / (passed + bad), "trace", worst, reason, evidence)


def _not_executed(state: Observations) -> list[str]:
    """Tools of the last plan that were never called, where nothing failed after it."""
    if state.plan is None or state.failures:
        return []
    return sorted({tool for tool in state.plan[1] if tool not in state.called})[:EVIDENCE_MAX]
