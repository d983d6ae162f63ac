"""VerifierPass: what a verifier said of the work, and whether it passed what had visibly failed."""

from collections.abc import Iterable, Sequence
from typing import ClassVar, Final

import orjson

from evaluators.base import CALL_KINDS, COMMON_CODES, Context, Follower, scored, unscored
from evaluators.views.comparison import EVIDENCE_MAX
from evaluators.views.matching import decides
from evaluators.views.verdicts import Verdicts
from schemas.registry import Tool, Workflow
from schemas.result import Judgement
from schemas.span import ERROR, Span, StepKind
from schemas.trajectory import Step, Trajectory

_VERIFIER: Final[frozenset[StepKind]] = frozenset({"verifier"})
_PASS: Final = Judgement("pass", 1.0, "trace")
_REJECTED: Final = scored(0.0, "trace", "rejected", "the verifier did not pass the work")
_NOT_CAPTURED: Final = unscored("trace", "not_captured", "what the verifier said was not captured")
_NOT_PARSED: Final = unscored("trace", "not_parsed", "no verdict can be read from what the verifier said")
_BROKE: Final = unscored("trace", "verifier_failed", "the verifier itself failed, and gave no verdict")


class Unrecovered(Follower):
    """The failed writes that no later success has made good, by tool."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, context.calls)
        self.workflow = context.workflow
        self.verdicts = context.shared(Verdicts)
        self.failed: dict[str, dict[bytes, Step]] = {}  # by tool, then by what they write to: the last failure

    def take(self, steps: Sequence[Step]) -> None:
        """Take calls in."""
        for step in steps:
            if step.span.kind not in CALL_KINDS:
                continue
            call = step.call
            if call.executed:
                if self.failed:
                    self._recover(step)
            elif call.failed and self._counts(step):
                self.failed.setdefault(call.name, {})[_target(step, self.workflow)] = step

    def _counts(self, step: Step) -> bool:
        """Declared writes; calls of a tool that nobody declared, for they may have been."""
        name = step.call.name
        return decides(name, self.workflow) and (name in self.workflow.tools or step.span.kind == "tool_call")

    def _recover(self, step: Step) -> None:
        waiting = self.failed.get(step.call.name)
        if waiting is None:
            return
        target = _target(step, self.workflow)
        if target:
            waiting.pop(target, None)
            waiting.pop(b"", None)
        if not target or not waiting:
            del self.failed[step.call.name]

    def steps(self) -> list[Step]:
        """The last failed write of each tool and target, in their order."""
        return sorted((s for waiting in self.failed.values() for s in waiting.values()), key=lambda s: s.index)


def _target(step: Step, workflow: Workflow) -> bytes:
    """What a call acts on, as the registry's `entity` names it; b"" where nobody knows."""
    tool: Tool | None = workflow.tools.get(step.call.name)
    arguments = step.call.arguments
    if tool is None or not tool.entity or not isinstance(arguments, dict) or step.call.redacted:
        return b""
    named = [arguments.get(path.removeprefix("$.")) for path in tool.entity.values()]
    if all(value is None for value in named):
        return b""
    try:
        return orjson.dumps(named, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # nested deeper than can be written
        return b""


class VerifierPass:
    """The verifier's own verdict, and whether it passed work that had visibly failed.

    Counts: every verifier step that said something. The verdict is what it wrote in a structured output: an object's
    keys (`verdict: fail`, `approved: true`, `flagged: true`, a `score` in [0, 1] against its `threshold`, else 0.5), a
    line `Verdict: pass`, a text that is one such word, or a guardrail's tripwire. The step passes where the verifier
    passed the work: a verifier that rightly rejects is a step that fails, with `rejected`; the fail rate is the share
    of work that did not get through, or should not have. `missed`: it passed although a write before it had failed and
    was not recovered by a later success of that tool (on the same entity, where the registry names one). Writes are
    those that the registry declares (basis `registry`); a tool that it does not know may have written, and where it
    declares no write any tool (basis `trace`). Score: 1 or 0.
    Does not count: whether a rejection is right; failed reads; prose; a verdict about a part of the work.

    Fails: rejected, missed. Unscored: not_captured, not_parsed (no verdict there, or two that contradict each other),
    verifier_failed (the check itself broke).
    """

    name: ClassVar[str] = "VerifierPass"
    version: ClassVar[str] = "1"
    kinds: ClassVar[frozenset[StepKind]] = _VERIFIER
    reason_codes: ClassVar[frozenset[str]] = COMMON_CODES | {
        "rejected",
        "missed",
        "not_captured",
        "not_parsed",
        "verifier_failed",
    }

    def applies(self, workflow: Workflow) -> bool:
        """Any run may have a verifier."""
        return True

    def initial(self, context: Context) -> Unrecovered:
        """Nothing failed yet."""
        return Unrecovered(context)

    def update(self, state: Unrecovered, step: Step) -> Judgement | None:
        """Judge a verifier."""
        return _judged(state, step)

    def finish(self, state: Unrecovered, trajectory: Trajectory) -> Iterable[tuple[None, Judgement]]:
        """Nothing: a verifier is judged by what came before it."""
        return ()


def _judged(state: Unrecovered, step: Step) -> Judgement:
    said = state.verdicts.of(step)
    if said is None:
        return _silent(step.span)
    if not said:
        return _REJECTED
    state.catch_up()
    if not state.failed:
        return _PASS
    missed = state.steps()
    declared = [s for s in missed if (tool := state.workflow.tools.get(s.call.name)) is not None and tool.writes]
    last = (declared or missed)[-1]
    evidence = {"span_ids": [s.span.span_id.hex() for s in missed[:EVIDENCE_MAX]]}
    reason = f"the verifier passed the work although {last.label} had failed and was not recovered"
    return scored(0.0, "registry" if declared else "trace", "missed", reason, evidence)


def _silent(span: Span) -> Judgement:
    if span.status == ERROR or span.error_type:
        return _BROKE
    return _NOT_CAPTURED if span.result is None and span.output_messages is None else _NOT_PARSED
