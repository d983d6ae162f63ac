"""The executed calls of a run against those that its task truth expects: kept once a fold, read by several evaluators."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from evaluators.base import CALL_KINDS, Context, Follower
from evaluators.views.matching import Expectations, Matched, decides, expectations, forbidden, match
from schemas.expectation import TaskTruth
from schemas.registry import Workflow
from schemas.span import StepKind
from schemas.trajectory import Step

EVIDENCE_MAX: Final = 20  # calls of one sort that evidence names
_MAYBE_CALL_KINDS: Final[frozenset[StepKind]] = frozenset({"handoff", "human"})


def is_call(step: Step, workflow: Workflow) -> bool:
    """Whether a step is a call of a tool. A handoff, or asking a person, is one where the registry has its tool."""
    span = step.span
    return span.kind in CALL_KINDS or (span.kind in _MAYBE_CALL_KINDS and span.tool in workflow.tools)


@dataclass(eq=False)
class Comparison:
    """The executed calls of a trajectory against its truth."""

    truth: TaskTruth
    calls: list[Step]  # executed: failed attempts are none
    decisive: list[Step]  # of them
    expected: Expectations
    matched: Matched
    banned: list[Step]  # executed, although truth forbids them
    _explained: str | None = field(init=False)  # derived: a copy with other calls derives its own
    _evidence: Mapping[str, Any] | None = field(init=False)

    def __post_init__(self) -> None:
        self._explained = self._evidence = None

    @property
    def explained(self) -> str:
        """One sentence from which the score can be recomputed."""
        found = self._explained
        if found is None:
            found = self._explained = explain(self.matched, self.truth)
        return found

    @property
    def evidence(self) -> Mapping[str, Any]:
        """Span ids, and expected calls by index."""
        found = self._evidence
        if found is None:
            found = self._evidence = evidence_of(self.matched, self.truth)
        return found


class ExecutedCalls(Follower):
    """The executed calls so far, and their comparison with the truth. Shared in a fold.

    One call that was recorded twice is one call: a step inside a call of the same tool with the same arguments (a client's
    span around its server's), and a step that shares its call id, tool, arguments and time with another (a program
    instrumented twice).
    """

    def __init__(self, context: Context) -> None:
        super().__init__(context, context.calls)
        self._workflow, self._truth = context.workflow, context.truth
        self._compared: Comparison | None = None
        self._by_index: dict[int, Step] = {}  # calls, whether they did their work or not
        self._by_call_id: dict[str, Step] = {}
        self.calls: list[Step] = []
        self.decisive: list[Step] = []
        self.banned: list[Step] = []

    def take(self, steps: Sequence[Step]) -> None:
        """Take in those of these steps that are calls, and did their work."""
        workflow = self._workflow
        banned = self._truth.forbidden_calls if self._truth is not None else ()
        for step in steps:
            if not is_call(step, workflow):
                continue
            again = self._is_recorded(step)
            self._by_index[step.index] = step
            if again or not step.call.executed:
                continue
            self.calls.append(step)
            if decides(step.call.name, workflow):
                self._compared = None
                self.decisive.append(step)
            if banned and forbidden(step, banned):
                self._compared = None
                self.banned.append(step)

    def _is_recorded(self, step: Step) -> bool:
        """Whether another step records this very call."""
        span = step.span
        outer = self._by_index.get(step.parent) if step.parent is not None else None
        if outer is not None and outer.call.name == step.call.name and _may_be_one(outer, step):
            return True
        if not span.call_id:
            return False
        twin = self._by_call_id.setdefault(span.call_id, step)
        if twin is step or twin.call.name != step.call.name or span.start_ns >= twin.span.end_ns:
            return False
        return _may_be_one(twin, step)

    def compare(self) -> Comparison:
        """The comparison as of now: one and the same value until a call comes that changes it. Only with a truth."""
        self.catch_up()
        if self._compared is None:
            assert self._truth is not None
            expected = expectations(self._truth, self._workflow)
            matched = match(self.decisive, expected.deciding, self._workflow)
            self._compared = Comparison(self._truth, self.calls, self.decisive, expected, matched, self.banned)
        return self._compared


def _may_be_one(one: Step, other: Step) -> bool:
    return one.call.key == other.call.key or other.call.arguments is None


def explain(matched: Matched, truth: TaskTruth) -> str:
    """One sentence from which the score can be recomputed."""
    wrong, extra = len(matched.wrong) + len(matched.unknown), len(matched.extra)
    said = f"{len(matched.right)} right, {wrong} with other arguments, {len(matched.out_of_order)} out of order, "
    said += f"{len(matched.missing)} missing, {extra} unexpected"
    names = [truth.expected_calls[index].name for index in matched.missing[:3]]
    if names:
        said += f"; missing {', '.join(names)}"
    if matched.extra:
        said += f"; unexpected {', '.join(step.call.name for step in matched.extra[:3])}"
    return said


def evidence_of(matched: Matched, truth: TaskTruth) -> dict[str, Any]:
    """Span ids and expected calls by index; the arguments that were expected otherwise, by name."""
    cut = slice(EVIDENCE_MAX)
    evidence: dict[str, Any] = {"right": len(matched.right)}
    if matched.missing:
        evidence["missing"] = [{"index": i, "name": truth.expected_calls[i].name} for i in matched.missing[cut]]
    if matched.extra:
        evidence["unexpected"] = [_named(step) for step in matched.extra[cut]]
    if matched.wrong:
        wrong = matched.wrong[cut]
        evidence["wrong"] = [{**_named(step), "index": i, **other_arguments(step, matched)} for i, step in wrong]
    if matched.out_of_order:
        evidence["out_of_order"] = [{**_named(step), "index": i} for i, step in matched.out_of_order[cut]]
    if matched.unknown:
        evidence["unknown"] = [{**_named(step), "index": i} for i, step in matched.unknown[cut]]
    if matched.capped:
        evidence["capped"] = True
    return evidence


def _named(step: Step) -> dict[str, Any]:
    return {"span_id": step.span.span_id.hex(), "name": step.call.name}


def other_arguments(step: Step, matched: Matched) -> dict[str, Any]:
    """The arguments in which a call differs from the expected one, by name."""
    return {"arguments": sorted(matched.differs.get(step.index, ()))[:EVIDENCE_MAX]}


def unknown_code(matched: Matched) -> str:
    """Why calls that may be right cannot be compared."""
    return "redacted" if any(step.call.redacted for _, step in matched.unknown) else "not_captured"
