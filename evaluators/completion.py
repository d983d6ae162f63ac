"""TaskCompletion: did the run do what the task asked, no less and no more?"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import ClassVar, Final

from evaluators.base import ALL_KINDS, CALL_KINDS, COMMON_CODES, NO_KINDS, Context, Follower, scored, unscored
from evaluators.views.comparison import Comparison, ExecutedCalls, unknown_code
from evaluators.views.matching import Matched
from evaluators.views.outputs import RequiredOutputs
from evaluators.views.recovery import Failures
from schemas.expectation import TaskTruth
from schemas.failure import CUT_OFF_REASONS, finish_reasons
from schemas.registry import Workflow
from schemas.result import Basis, Judgement
from schemas.span import ERROR, Span, StepKind
from schemas.trajectory import Step, Trajectory

_SPEAKING: Final[frozenset[StepKind]] = frozenset({"planner", "verifier", "human"})  # beside models
_TRUTH: Final[Basis] = "task_truth"


class Course(Follower):
    """What was done and said so far."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.calls = context.shared(ExecutedCalls)
        self.outputs = context.shared(RequiredOutputs)
        self.failures = context.shared(Failures)
        self.last_model: Span | None = None  # the last call of a model
        self.last_call: Step | None = None  # the last call of a tool, whether it worked or not
        self.spoke_since = False  # something was said, or may have been, after the last call
        self.last_act: Step | None = None  # the last step that is neither a model's call nor an agent's frame
        self.so_far: tuple[Comparison, Judgement] | None = None  # said while the run was open, of which comparison

    def take(self, steps: Sequence[Step]) -> None:
        """Take the next steps in."""
        model, spoke_since = self.last_model, self.spoke_since
        for step in steps:
            span = step.span
            kind = span.kind
            if kind == "llm":
                spoke_since, model = True, span
            elif kind in CALL_KINDS:
                self.last_call = self.last_act = step
                # A call may run inside the model's call that made it and that goes on to speak.
                spoke_since = model is not None and 0 < span.end_ns < model.end_ns
            else:
                if kind in _SPEAKING:
                    spoke_since = True
                    if kind == "planner":
                        model = span
                if kind != "agent":
                    self.last_act = step
        self.last_model, self.spoke_since = model, spoke_since

    def spoke_last(self, roots: Iterable[Span]) -> bool:
        """Whether something was said after the last call, as far as the trace tells."""
        return self.last_call is None or self.spoke_since or any(root.output_messages for root in roots)


class TaskCompletion:
    """Whether the task was done, from task truth: expected writes happened exactly, outputs were said, the run finished.

    Counts: successful writes as a multiset against the expected ones (as FunctionCallAccuracy compares them; where the
    registry declares no write tool, the expected calls must be there, and others cannot be told from reads); required
    outputs in what the assistant said; a run that ended by itself. Score: 0 unless the writes are exactly right and the
    run finished, else the share of required outputs that were said. Doing nothing scores 0 where a write is expected.
    A root that ended with ERROR did not finish, unless the trace shows otherwise: the last model call ended well, and
    spoke after the last call. Then the run passes as `root_error`: something broke that did not undo the work.
    Does not count: reads, failed attempts, the way to the goal.
    Without truth it never guesses success: it fails what visibly broke off (basis `trace`) and else abstains. A write that
    failed and that nothing repaired fails the run, unless it was handed to a person or what was said afterwards owns up to
    it: a task may rightly end in a refusal. So does any other call that failed last, with nothing said after it.

    Fails: missing_write, unexpected_write, wrong_write, out_of_order, forbidden_call, output_not_said, cut_off,
    unrecovered_write, unrecovered_failure. Passes with a word: root_error.
    Unscored: no_truth, handed_to_human, unrecovered_write, unrecovered_failure, still_open, redacted, not_captured (of
    expected writes, or of what was said last, where outputs are required).
    """

    name: ClassVar[str] = "TaskCompletion"
    version: ClassVar[str] = "1"
    kinds: ClassVar[frozenset[StepKind]] = ALL_KINDS
    shown: ClassVar[frozenset[StepKind]] = NO_KINDS
    reason_codes: ClassVar[frozenset[str]] = COMMON_CODES | {
        "missing_write",
        "unexpected_write",
        "wrong_write",
        "out_of_order",
        "forbidden_call",
        "output_not_said",
        "cut_off",
        "root_error",
        "unrecovered_write",
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
        return Course(context)

    def update(self, state: Course, step: Step) -> None:
        """Never shown a step: the end of the run decides."""

    def finish(self, state: Course, trajectory: Trajectory) -> Iterable[tuple[None, Judgement]]:
        """One judgement of the trajectory."""
        truth = trajectory.truth
        if trajectory.closed:
            state.catch_up()
        yield None, _without_truth(state, trajectory) if truth is None else _with_truth(state, trajectory, truth)


def _with_truth(state: Course, trajectory: Trajectory, truth: TaskTruth) -> Judgement:
    compared = state.calls.compare()
    if trajectory.closed:
        return _compared(compared, state, trajectory, truth)
    if state.so_far is None or state.so_far[0] is not compared:
        state.so_far = compared, _compared(compared, state, trajectory, truth)
    return state.so_far[1]


def _compared(compared: Comparison, state: Course, trajectory: Trajectory, truth: TaskTruth) -> Judgement:
    """The judgement from a comparison; while the run is open it rests on nothing else."""
    if not trajectory.workflow.declares_writes and compared.matched.extra:
        compared = replace(compared, matched=replace(compared.matched, extra=[]))  # an extra write, or just a read
    matched = compared.matched
    code = "forbidden_call" if compared.banned else _write_fault(matched)
    if code and code != "missing_write":
        return scored(0.0, _TRUTH, code, f"writes are not as expected: {compared.explained}", compared.evidence)
    if matched.unknown:
        reason = "the arguments of expected writes are not known"
        return unscored(_TRUTH, unknown_code(matched), reason, compared.evidence)
    if not trajectory.closed:
        return unscored(_TRUTH, "still_open", f"the run goes on; so far {compared.explained}")
    if code:
        return scored(0.0, _TRUTH, code, f"writes are not as expected: {compared.explained}", compared.evidence)
    cut, root_failed = _broke_off(state), _root_failed(trajectory.root)
    if not cut and root_failed and not _closing_words(state, trajectory):
        cut = root_failed
    if cut:
        return scored(
            0.0, _TRUTH, "cut_off", f"the writes are right, but the run did not finish: {cut}", compared.evidence
        )
    outputs = _outputs(state, trajectory, truth)
    if root_failed and outputs is _DONE:
        reason = f"{root_failed}, after the writes were done and the last words were said"
        return Judgement("pass", 1.0, _TRUTH, "root_error", reason)
    return outputs


def _closing_words(state: Course, trajectory: Trajectory) -> bool:
    """Whether a model had the last word: without a model's call nobody can tell."""
    return state.last_model is not None and state.spoke_last(trajectory.roots)


def _write_fault(matched: Matched) -> str:
    if matched.extra:
        return "unexpected_write"
    if matched.wrong:
        return "wrong_write"
    if matched.out_of_order:
        return "out_of_order"
    return "missing_write" if matched.missing else ""


_DONE: Final = Judgement("pass", 1.0, "task_truth")


def _outputs(state: Course, trajectory: Trajectory, truth: TaskTruth) -> Judgement:
    """Writes are right and the run finished: the share of required outputs that were said."""
    required = truth.required_outputs
    if not required:
        return _DONE
    roots = trajectory.roots
    left = state.outputs.unsaid(roots)
    if not left:
        return _DONE
    if not state.outputs.any_captured(roots):
        return unscored(_TRUTH, "not_captured", "outputs are required, but nothing that was said was captured")
    last = state.last_model
    if last is not None and last.output_messages is None and not any(root.output_messages for root in roots):
        return unscored(_TRUTH, "not_captured", "outputs are required, but what was said last was not captured")
    if state.outputs.any_redacted(roots):
        return unscored(
            _TRUTH, "redacted", "outputs are required, and some of what was said is replaced by placeholders"
        )
    said = len(required) - len(left)
    indexes = [index for index, output in enumerate(required) if output in left]
    reason = f"writes are right; {said} of {len(required)} required outputs were said"
    return scored(said / len(required), _TRUTH, "output_not_said", reason, {"unsaid": indexes})


_STILL_OPEN: Final = unscored("trace", "still_open", "the run goes on, and there is no task truth")
_NO_TRUTH: Final = unscored("trace", "no_truth", "no task truth; nothing visibly broke, which proves nothing")


def _without_truth(state: Course, trajectory: Trajectory) -> Judgement:
    if not trajectory.closed:
        return _STILL_OPEN
    cut = _root_failed(trajectory.root) or _broke_off(state)
    if cut:
        return scored(0.0, "trace", "cut_off", f"the run did not finish: {cut}")
    acted = state.last_act
    if acted is not None and acted.span.kind == "human":
        return unscored("trace", "handed_to_human", f"the run was handed to a person at {acted.label}")
    write = state.failures.write()
    if write is not None:
        reason = f"the write {write.label} failed and was not recovered ({_rule(write)})"
        evidence = {"span_id": write.span.span_id.hex(), "step": write.label}
        if state.failures.owned_up(write, trajectory.roots):
            return unscored("trace", "unrecovered_write", f"{reason}; what was said after it owns up to that", evidence)
        return scored(0.0, "trace", "unrecovered_write", f"{reason}, and nothing that was said says so", evidence)
    last = state.last_call
    if last is not None and last.call.failed:
        reason = f"the last call, {last.label}, failed and was not recovered ({_rule(last)})"
        evidence = {"span_id": last.span.span_id.hex(), "step": last.label}
        if state.spoke_last(trajectory.roots):
            return unscored("trace", "unrecovered_failure", f"{reason}; what was said after it may be right", evidence)
        return scored(0.0, "trace", "unrecovered_failure", f"{reason}, and nothing was said after it", evidence)
    return _NO_TRUTH


def _rule(step: Step) -> str:
    return step.call.failure.rule if step.call.failure is not None else ""


def _root_failed(root: Span | None) -> str:
    """What the root says of its own end; "" where it says nothing bad."""
    if root is None or root.status != ERROR:
        return ""
    return f"the root ended with ERROR {root.status_message[:100]}".rstrip()


def _broke_off(state: Course) -> str:
    """Why the last call of a model is not an end; "" when it is one, as far as the trace tells."""
    last = state.last_model
    if last is None:
        return ""
    if last.status == ERROR:
        return "the last model call failed"
    cut = CUT_OFF_REASONS & finish_reasons(last)
    return f"the last model call ended with finish reason {min(cut)}" if cut else ""
