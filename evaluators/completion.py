"""TaskCompletion: did the run do what the task asked, no less and no more?"""

from collections.abc import Iterable, Sequence

from evaluators.base import CALL_KINDS, COMMON_CODES, scored, unscored
from evaluators.calls import deciding, evidence_of, executed_calls, explain, unknown_code
from evaluators.matching import Matched, expectations, forbidden, match
from evaluators.speech import assistant_texts, unsaid
from schemas.expectation import TaskTruth
from schemas.failure import CUT_OFF_REASONS, finish_reasons
from schemas.registry import Workflow
from schemas.result import Basis, Judgement
from schemas.span import ERROR, Span
from schemas.trajectory import Step, Trajectory

_TRUTH: Basis = "task_truth"


class TaskCompletion:
    """Whether the task was done, from task truth: expected writes happened exactly, outputs were said, the run finished.

    Counts: successful writes as a multiset against the expected ones (as FunctionCallAccuracy compares them; where the
    registry declares no write tool, the expected calls must be there, and others cannot be told from reads); required
    outputs in what the assistant said; a run that ended by itself. Score: 0 unless the writes are exactly right and the
    run finished, else the share of required outputs that were said. Doing nothing scores 0 where a write is expected.
    Does not count: reads, failed attempts, the way to the goal.
    Without truth it never guesses success: it fails what visibly broke (basis `trace`) and else abstains.

    Fails: missing_write, unexpected_write, wrong_write, out_of_order, forbidden_call, output_not_said, cut_off,
    unrecovered_failure. Unscored: no_truth, handed_to_human, still_open, redacted, not_captured.
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

    def initial(self) -> list[Step]:
        """No steps yet."""
        return []

    def update(self, state: list[Step], step: Step) -> list[Step]:
        """Keep every step: the last ones tell how the run ended."""
        state.append(step)
        return state

    def finish(self, state: list[Step], trajectory: Trajectory) -> Iterable[tuple[None, Judgement]]:
        """One judgement of the trajectory."""
        truth = trajectory.truth
        yield None, _without_truth(state, trajectory) if truth is None else _with_truth(state, trajectory, truth)


def _with_truth(steps: Sequence[Step], trajectory: Trajectory, truth: TaskTruth) -> Judgement:
    workflow = trajectory.workflow
    calls = executed_calls(steps, workflow)
    matched = match(deciding(calls, workflow), expectations(truth, workflow).deciding, workflow)
    if not workflow.declares_writes:
        matched.extra = []  # without declared writes nobody can tell an extra write from a read
    banned = [step for step in calls if truth.forbidden_calls and forbidden(step, truth.forbidden_calls)]
    evidence = evidence_of(matched, truth)
    code = "forbidden_call" if banned else _write_fault(matched)
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
        return scored(0.0, "trace", "unrecovered_failure", reason, {"span_id": last.span.span_id.hex()})
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
