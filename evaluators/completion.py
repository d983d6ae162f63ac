"""TaskCompletion: did the run do what the task asked, no less and no more?"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from evaluators.base import CALL_KINDS, COMMON_CODES, scored, unscored
from evaluators.calls import compare, evidence_of, explain, unknown_code
from evaluators.matching import Matched
from evaluators.speech import assistant_texts, unsaid
from schemas.expectation import TaskTruth
from schemas.failure import CUT_OFF_REASONS, finish_reasons
from schemas.registry import Workflow
from schemas.result import Basis, Judgement
from schemas.span import ERROR, Span
from schemas.trajectory import Step, Trajectory

_SPEAKING = frozenset({"llm", "planner", "verifier", "human"})
_TRUTH: Basis = "task_truth"


class TaskCompletion:
    """Whether the task was done, from task truth: expected writes happened exactly, outputs were said, the run finished.

    Counts: successful writes as a multiset against the expected ones (as FunctionCallAccuracy compares them; where the
    registry declares no write tool, the expected calls must be there, and others cannot be told from reads); required
    outputs in what the assistant said; a run that ended by itself. Score: 0 unless the writes are exactly right and the
    run finished, else the share of required outputs that were said. Doing nothing scores 0 where a write is expected.
    Does not count: reads, failed attempts, the way to the goal.
    Without truth it never guesses success: it fails what visibly broke off (basis `trace`) and else abstains; a last
    call that failed is a fail where nothing was said after it, for a task may rightly end in a refusal.

    Fails: missing_write, unexpected_write, wrong_write, out_of_order, forbidden_call, output_not_said, cut_off,
    unrecovered_failure. Unscored: no_truth, handed_to_human, unrecovered_failure, still_open, redacted, not_captured.
    """

    name = "TaskCompletion"
    version = "1"
    reason_codes = COMMON_CODES | {
        "missing_write",
        "unexpected_write",
        "wrong_write",
        "out_of_order",
        "forbidden_call",
        "output_not_said",
        "cut_off",
        "unrecovered_failure",
        "no_truth",
        "handed_to_human",
        "still_open",
        "redacted",
        "not_captured",
    }

    def applies(self, workflow: Workflow) -> bool:
        """Truth belongs to the trace, not to the workflow."""
        return True

    def initial(self) -> None:
        """An assignment needs all calls at once, and the end of the run: nothing is folded."""

    def update(self, state: None, step: Step) -> None:
        """Nothing is folded."""

    def finish(self, state: None, trajectory: Trajectory) -> Iterable[tuple[None, Judgement]]:
        """One judgement of the trajectory."""
        steps, truth = trajectory.steps, trajectory.truth
        yield None, _without_truth(steps, trajectory) if truth is None else _with_truth(steps, trajectory, truth)


def _with_truth(steps: Sequence[Step], trajectory: Trajectory, truth: TaskTruth) -> Judgement:
    compared = compare(trajectory)
    matched = compared.matched
    if not trajectory.workflow.declares_writes:
        matched = replace(matched, extra=[])  # nobody can tell an extra write from a read
    evidence = evidence_of(matched, truth)
    code = "forbidden_call" if compared.banned else _write_fault(matched)
    if code and code != "missing_write":
        return scored(0.0, _TRUTH, code, f"writes are not as expected: {explain(matched, truth)}", evidence)
    if matched.unknown:
        reason = "the arguments of expected writes are not known"
        return unscored(_TRUTH, unknown_code(matched), reason, evidence)
    if not trajectory.closed:
        return unscored(_TRUTH, "still_open", f"the run goes on; so far {explain(matched, truth)}", evidence)
    if code:
        return scored(0.0, _TRUTH, code, f"writes are not as expected: {explain(matched, truth)}", evidence)
    cut = _cut_off(steps, trajectory.root)
    if cut:
        return scored(0.0, _TRUTH, "cut_off", f"the writes are right, but the run did not finish: {cut}", evidence)
    return _outputs(steps, trajectory, truth)


def _write_fault(matched: Matched) -> str:
    if matched.extra:
        return "unexpected_write"
    if matched.wrong:
        return "wrong_write"
    if matched.out_of_order:
        return "out_of_order"
    return "missing_write" if matched.missing else ""


_DONE = Judgement("pass", 1.0, "task_truth")


def _outputs(steps: Sequence[Step], trajectory: Trajectory, truth: TaskTruth) -> Judgement:
    """Writes are right and the run finished: the share of required outputs that were said."""
    required = truth.required_outputs
    if not required:
        return _DONE
    spans = [step.span for step in steps if step.span.output_messages is not None]
    spans += [root for root in trajectory.roots if root.output_messages is not None]
    if not spans:
        return unscored(_TRUTH, "not_captured", "outputs are required, but nothing that was said was captured")
    left = unsaid(required, assistant_texts(spans))
    if not left:
        return _DONE
    said = len(required) - len(left)
    indexes = [index for index, output in enumerate(required) if output in left]
    reason = f"writes are right; {said} of {len(required)} required outputs were said"
    return scored(said / len(required), _TRUTH, "output_not_said", reason, {"unsaid": indexes})


def _without_truth(steps: Sequence[Step], trajectory: Trajectory) -> Judgement:
    if not trajectory.closed:
        return unscored("trace", "still_open", "the run goes on, and there is no task truth")
    cut = _cut_off(steps, trajectory.root)
    if cut:
        return scored(0.0, "trace", "cut_off", f"the run did not finish: {cut}")
    last = next((step for step in reversed(steps) if step.span.kind in CALL_KINDS), None)
    if last is not None and last.call.failed:
        assert last.call.failure is not None
        reason = f"the last call, {last.label}, failed and was not recovered ({last.call.failure.rule})"
        evidence = {"span_id": last.span.span_id.hex()}
        if any(step.span.kind in _SPEAKING for step in steps[last.index + 1 :]):
            return unscored("trace", "unrecovered_failure", f"{reason}; what was said after it may be right", evidence)
        return scored(0.0, "trace", "unrecovered_failure", f"{reason}, and nothing was said after it", evidence)
    acted = next((step for step in reversed(steps) if step.span.kind not in ("llm", "agent")), None)
    if acted is not None and acted.span.kind == "human":
        return unscored("trace", "handed_to_human", f"the run was handed to a person at {acted.label}")
    return unscored("trace", "no_truth", "no task truth; nothing visibly broke, which proves nothing")


def _cut_off(steps: Sequence[Step], root: Span | None) -> str:
    """Why the run did not end by itself; "" when it did, as far as the trace tells."""
    if root is not None and root.status == ERROR:
        return f"the root ended with ERROR {root.status_message[:100]}".rstrip()
    last = next((step.span for step in reversed(steps) if step.span.kind in ("llm", "planner")), None)
    if last is None:
        return ""
    if last.status == ERROR:
        return "the last model call failed"
    cut = CUT_OFF_REASONS & finish_reasons(last)
    return f"the last model call ended with finish reason {min(cut)}" if cut else ""
