"""TaskCompletion: did the run do what the task asked, no less and no more?"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from evaluators.base import ALL_KINDS, CALL_KINDS, COMMON_CODES, Context, scored, unscored
from evaluators.comparison import ExecutedCalls, evidence_of, explain, unknown_code
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


@dataclass(slots=True)
class Course:
    """What was done and said so far."""

    calls: ExecutedCalls
    said: list[Span] = field(default_factory=list)  # spans that hold what was said
    last_model: Span | None = None  # the last call of a model
    last_call: Step | None = None  # the last call of a tool, whether it worked or not
    spoke_since: bool = False  # something was said, or may have been, after the last call
    last_act: Step | None = None  # the last step that is neither a model's call nor an agent's frame

    def add(self, step: Step) -> None:
        """Take the next step in."""
        span = step.span
        kind = span.kind
        self.calls.add(step)
        if span.output_messages is not None:
            self.said.append(span)
        if kind in ("llm", "planner"):
            self.last_model = span
        if kind in CALL_KINDS:
            self.last_call, self.spoke_since = step, False
        elif kind in _SPEAKING:
            self.spoke_since = True
        if kind not in ("llm", "agent"):
            self.last_act = step


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
    kinds = ALL_KINDS
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

    def initial(self, context: Context) -> Course:
        """Nothing done, nothing said."""
        return Course(context.shared(ExecutedCalls))

    def update(self, state: Course, step: Step) -> None:
        """Keep what was done and said: the end of the run decides."""
        state.add(step)

    def finish(self, state: Course, trajectory: Trajectory) -> Iterable[tuple[None, Judgement]]:
        """One judgement of the trajectory."""
        truth = trajectory.truth
        yield None, _without_truth(state, trajectory) if truth is None else _with_truth(state, trajectory, truth)


def _with_truth(state: Course, trajectory: Trajectory, truth: TaskTruth) -> Judgement:
    compared = state.calls.compare()
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
    cut = _cut_off(state, trajectory.root)
    if cut:
        return scored(0.0, _TRUTH, "cut_off", f"the writes are right, but the run did not finish: {cut}", evidence)
    return _outputs(state, trajectory, truth)


def _write_fault(matched: Matched) -> str:
    if matched.extra:
        return "unexpected_write"
    if matched.wrong:
        return "wrong_write"
    if matched.out_of_order:
        return "out_of_order"
    return "missing_write" if matched.missing else ""


_DONE = Judgement("pass", 1.0, "task_truth")


def _outputs(state: Course, trajectory: Trajectory, truth: TaskTruth) -> Judgement:
    """Writes are right and the run finished: the share of required outputs that were said."""
    required = truth.required_outputs
    if not required:
        return _DONE
    spans = state.said + [root for root in trajectory.roots if root.output_messages is not None]
    if not spans:
        return unscored(_TRUTH, "not_captured", "outputs are required, but nothing that was said was captured")
    left = unsaid(required, assistant_texts(spans))
    if not left:
        return _DONE
    said = len(required) - len(left)
    indexes = [index for index, output in enumerate(required) if output in left]
    reason = f"writes are right; {said} of {len(required)} required outputs were said"
    return scored(said / len(required), _TRUTH, "output_not_said", reason, {"unsaid": indexes})


def _without_truth(state: Course, trajectory: Trajectory) -> Judgement:
    if not trajectory.closed:
        return unscored("trace", "still_open", "the run goes on, and there is no task truth")
    cut = _cut_off(state, trajectory.root)
    if cut:
        return scored(0.0, "trace", "cut_off", f"the run did not finish: {cut}")
    last = state.last_call
    if last is not None and last.call.failed:
        assert last.call.failure is not None
        reason = f"the last call, {last.label}, failed and was not recovered ({last.call.failure.rule})"
        evidence = {"span_id": last.span.span_id.hex()}
        if state.spoke_since:
            return unscored("trace", "unrecovered_failure", f"{reason}; what was said after it may be right", evidence)
        return scored(0.0, "trace", "unrecovered_failure", f"{reason}, and nothing was said after it", evidence)
    acted = state.last_act
    if acted is not None and acted.span.kind == "human":
        return unscored("trace", "handed_to_human", f"the run was handed to a person at {acted.label}")
    return unscored("trace", "no_truth", "no task truth; nothing visibly broke, which proves nothing")


def _cut_off(state: Course, root: Span | None) -> str:
    """Why the run did not end by itself; "" when it did, as far as the trace tells."""
    if root is not None and root.status == ERROR:
        return f"the root ended with ERROR {root.status_message[:100]}".rstrip()
    last = state.last_model
    if last is None:
        return ""
    if last.status == ERROR:
        return "the last model call failed"
    cut = CUT_OFF_REASONS & finish_reasons(last)
    return f"the last model call ended with finish reason {min(cut)}" if cut else ""
