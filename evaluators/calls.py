"""FunctionCallAccuracy: the calls that were executed against those that were expected."""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from evaluators.base import CALL_KINDS, COMMON_CODES, scored, unscored
from evaluators.matching import Expectations, Matched, decides, expectations, forbidden, match
from schemas.expectation import TaskTruth
from schemas.registry import Workflow
from schemas.result import Judgement, Result
from schemas.trajectory import Step, Trajectory

EVIDENCE_MAX = 20  # calls of one sort that evidence names
_CODES = COMMON_CODES | {
    "missing_call",
    "unexpected_call",
    "wrong_arguments",
    "out_of_order",
    "forbidden_call",
    "still_open",
    "redacted",
    "not_captured",
}
_PASS = Judgement("pass", 1.0, "task_truth")
_MAYBE_CALL_KINDS = frozenset({"handoff", "human"})


def executed_calls(steps: Iterable[Step], workflow: Workflow) -> list[Step]:
    """The calls that did their work: failed attempts are none. A handoff is one where the registry has its tool."""
    return [step for step in steps if _is_call(step, workflow) and step.call.executed]


def _is_call(step: Step, workflow: Workflow) -> bool:
    kind = step.span.kind
    return kind in CALL_KINDS or (kind in _MAYBE_CALL_KINDS and step.span.tool in workflow.tools)


class Comparison(NamedTuple):
    """The executed calls of a trajectory against its truth."""

    calls: list[Step]  # executed
    decisive: list[Step]  # of them
    expected: Expectations
    matched: Matched
    banned: list[Step]  # executed, although truth forbids them


@lru_cache(maxsize=1)
def compare(trajectory: Trajectory) -> Comparison:
    """The comparison, kept for the one trajectory in hand: two evaluators ask for it."""
    truth, workflow = trajectory.truth, trajectory.workflow
    assert truth is not None
    calls = executed_calls(trajectory.steps, workflow)
    decisive = [step for step in calls if decides(step.call.name, workflow)]
    expected = expectations(truth, workflow)
    banned = [step for step in calls if truth.forbidden_calls and forbidden(step, truth.forbidden_calls)]
    return Comparison(calls, decisive, expected, match(decisive, expected.deciding, workflow), banned)


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
    evidence: dict[str, Any] = {
        "right": len(matched.right),
        "missing": [{"index": i, "name": truth.expected_calls[i].name} for i in matched.missing[cut]],
        "unexpected": [_named(step) for step in matched.extra[cut]],
        "wrong": [{**_named(step), "index": i, **_other(step, matched)} for i, step in matched.wrong[cut]],
        "out_of_order": [{**_named(step), "index": i} for i, step in matched.out_of_order[cut]],
        "unknown": [{**_named(step), "index": i} for i, step in matched.unknown[cut]],
    }
    evidence = {key: value for key, value in evidence.items() if value or key == "right"}
    return {**evidence, "capped": True} if matched.capped else evidence


def _named(step: Step) -> dict[str, Any]:
    return {"span_id": step.span.span_id.hex(), "name": step.call.name}


def _other(step: Step, matched: Matched) -> dict[str, Any]:
    return {"arguments": sorted(matched.differs.get(step.index, ()))[:EVIDENCE_MAX]}


def unknown_code(matched: Matched) -> str:
    """Why calls that may be right cannot be compared."""
    return "redacted" if any(step.call.redacted for _, step in matched.unknown) else "not_captured"


class FunctionCallAccuracy:
    """Executed calls against expected calls, as the best one-to-one assignment.

    Counts: calls that did their work; failed attempts are not executed calls. Arguments compare by value (1 == 1.0,
    true != 1; lists as multisets unless the registry marks the argument `ordered: true`); `acceptable` values are right
    too, `optional` calls may be missing, `after` demands order. Writes decide and reads are told apart in the evidence;
    where no write tool is declared all calls decide, and a call of an unknown tool always does.
    Score: right / (right + out of order + other arguments + missing + unexpected). Nothing expected and nothing called
    is 1. A forbidden call makes it 0. Steps: each deciding call, 1 or 0.

    Fails: missing_call, unexpected_call, wrong_arguments, out_of_order, forbidden_call.
    Unscored: redacted, not_captured (a call may be right, but its arguments are not known), still_open (only missing
    calls so far, and the run goes on). Without truth see FunctionCallAccuracyByRegistry.
    """

    name = "FunctionCallAccuracy"
    version = "1"
    reason_codes = _CODES

    def applies(self, workflow: Workflow) -> bool:
        """Truth belongs to the trace, not to the workflow."""
        return True

    def initial(self) -> None:
        """An assignment needs all calls at once: nothing is folded."""

    def update(self, state: None, step: Step) -> None:
        """Nothing is folded."""

    def finish(self, state: None, trajectory: Trajectory) -> Iterator[tuple[Step | None, Judgement]]:
        """With truth: each deciding call, and the trajectory."""
        truth = trajectory.truth
        if truth is None:
            return
        compared = compare(trajectory)
        yield from _of_steps(compared.matched, compared.banned, truth)
        reads = _reads(compared, trajectory.workflow)
        yield None, _of_trajectory(compared.matched, compared.banned, trajectory, truth, reads)


def _reads(compared: Comparison, workflow: Workflow) -> dict[str, int]:
    calls, decisive, expected = compared.calls, compared.decisive, compared.expected
    if len(calls) == len(decisive) and not expected.reads:
        return {}
    known = {step.index for step in decisive}
    executed = [step for step in calls if step.index not in known]
    right = len(match(executed, expected.reads, workflow).right) if expected.reads else 0
    return {"expected": len(expected.reads), "right": right, "executed": len(executed)}


def _of_steps(matched: Matched, banned: Sequence[Step], truth: TaskTruth) -> Iterator[tuple[Step, Judgement]]:
    told = {step.index for step in banned}
    for step in banned:
        yield step, scored(0.0, "task_truth", "forbidden_call", f"{step.call.name} is forbidden for this task")
    for _, step in matched.right:
        if step.index not in told:
            yield step, _PASS
    for step, judgement in _wrong_steps(matched, truth):
        if step.index not in told:
            yield step, judgement


def _wrong_steps(matched: Matched, truth: TaskTruth) -> Iterator[tuple[Step, Judgement]]:
    for index, step in matched.wrong:
        other = _other(step, matched)
        reason = f"expected call {index} of {step.call.name} has other values of: {', '.join(other['arguments'])}"
        yield step, scored(0.0, "task_truth", "wrong_arguments", reason, {"index": index, **other})
    for index, step in matched.out_of_order:
        after = truth.expected_calls[index].after
        reason = f"expected call {index} must come after {', '.join(map(str, after))}"
        yield step, scored(0.0, "task_truth", "out_of_order", reason, {"index": index, "after": list(after)})
    for step in matched.extra:
        yield step, scored(0.0, "task_truth", "unexpected_call", f"no such call of {step.call.name} is expected")
    for index, step in matched.unknown:
        code = "redacted" if step.call.redacted else "not_captured"
        yield step, unscored("task_truth", code, f"may be expected call {index}; its arguments are not known")


def _of_trajectory(
    matched: Matched, banned: Sequence[Step], trajectory: Trajectory, truth: TaskTruth, reads: dict[str, int]
) -> Judgement:
    evidence = evidence_of(matched, truth)
    if reads:
        evidence["reads"] = reads
    reason = explain(matched, truth)
    if banned:
        names = ", ".join(sorted({step.call.name for step in banned}))
        return scored(0.0, "task_truth", "forbidden_call", f"forbidden for this task: {names}", evidence)
    if matched.unknown:
        return unscored("task_truth", unknown_code(matched), f"arguments are not known: {reason}", evidence)
    code = _first_fault(matched)
    if code == "missing_call" and not trajectory.closed:
        return unscored("task_truth", "still_open", f"so far {reason}", evidence)
    return scored(matched.score, "task_truth", code, f"{reason}: score {matched.score:.3g}", evidence)


def _first_fault(matched: Matched) -> str:
    """The fault that names the trajectory: what was done wrongly before what was left out."""
    if matched.wrong:
        return "wrong_arguments"
    if matched.extra:
        return "unexpected_call"
    if matched.out_of_order:
        return "out_of_order"
    return "missing_call" if matched.missing else ""


class FunctionCallAccuracyByRegistry:
    """FunctionCallAccuracy without task truth: selection x parameters x success of every call, basis `registry`.

    Counts: calls that ParameterValidation and ToolCallSuccess could judge: 1 where the tool is in the registry, its
    arguments fit, and the call worked, else 0; the score is the mean. Steps are not judged again: those two told them.
    Fails: bad_call. Unscored: no_truth (no truth, and no call that the registry can judge). Only without truth.
    """

    name = "FunctionCallAccuracy"
    version = "1"
    reason_codes = COMMON_CODES | {"bad_call", "no_truth"}

    def applies(self, workflow: Workflow) -> bool:
        """Whatever the registry lists."""
        return True

    def combine(self, results: Sequence[Result], trajectory: Trajectory) -> Judgement | None:
        """One judgement of the trajectory, from what was said of its calls; None where truth decided."""
        if trajectory.truth is not None:
            return None
        parts: dict[bytes, bool] = {}
        for name, basis in (("ParameterValidation", "registry"), ("ToolCallSuccess", "trace")):
            for r in results:
                if r.evaluator == name and r.basis == basis and r.verdict in ("pass", "fail") and r.span_id:
                    good = r.verdict == "pass"
                    if name == "ParameterValidation":
                        parts[r.span_id] = good
                    elif r.span_id in parts:
                        parts[r.span_id] &= good
        if not parts:
            return unscored("registry", "no_truth", "no task truth, and no call that the registry can judge")
        good_calls, score = sum(parts.values()), sum(parts.values()) / len(parts)
        if good_calls == len(parts):
            return Judgement("pass", 1.0, "registry")
        bad = [span_id.hex() for span_id, good in parts.items() if not good][:EVIDENCE_MAX]
        reason = f"{good_calls} of {len(parts)} calls had a known tool, fitting arguments, and worked"
        return scored(score, "registry", "bad_call", reason, {"span_ids": bad})
