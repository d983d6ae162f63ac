"""GoalProgress: how far a run has come towards what its task expects."""

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import ClassVar, Final, NamedTuple

from evaluators.base import ALL_KINDS, COMMON_CODES, NO_KINDS, Context, scored, unscored
from evaluators.caps import Counts, crossed_first
from evaluators.views.comparison import ExecutedCalls, unknown_code
from evaluators.views.matching import Expected, agrees, decides, expectations, key_of
from evaluators.views.outputs import RequiredOutputs
from schemas.expectation import TaskTruth
from schemas.registry import Workflow
from schemas.result import Basis, Judgement
from schemas.span import StepKind
from schemas.trajectory import Step, Trajectory

WRITE, READ, OUTPUT = 1.0, 0.5, 1.0  # what a milestone weighs: a read is a step on the way, a write is the thing itself
TRIED_MAX: Final = 500  # calls of one tool that are tried on expected calls with alternatives; more reach nothing new

_TRUTH: Final[Basis] = "task_truth"
_DONE: Final = Judgement("pass", 1.0, _TRUTH)
_NO_TRUTH: Final = unscored("trace", "no_truth", "no task truth says what the goal is")
_NO_MILESTONES: Final = unscored(
    _TRUTH, "no_milestones", "the task expects no call and no output: there is nothing to reach"
)


class _Milestones(NamedTuple):
    """The required calls of a task, sorted for being reached; what they weigh together."""

    plain: Mapping[tuple[str, bytes], int]  # by tool and key: of tools whose milestones all are plain
    others: Mapping[str, tuple[Expected, ...]]  # by tool: not all of its milestones are plain
    by_tool: Mapping[str, int]
    weigh: float


@lru_cache(maxsize=512)
def _milestones(truth: TaskTruth, workflow: Workflow) -> _Milestones:
    expected = expectations(truth, workflow)
    wanted = [e for e in (*expected.deciding.calls, *expected.reads.calls) if not e.call.optional]
    flexible = {e.call.name for e in wanted if not e.plain}
    return _Milestones(
        Counter((e.call.name, e.key) for e in wanted if e.call.name not in flexible),
        {name: tuple(e for e in wanted if e.call.name == name) for name in flexible},
        Counter(e.call.name for e in wanted),
        sum(_weight(e.call.name, workflow) for e in wanted),
    )


class Reached:
    """The expected calls that the executed ones have reached so far: a matching that only grows.

    An expected call without alternatives is reached by a call of equal key. Where calls of a tool have alternatives, every
    new call looks for an augmenting path: it reaches one more milestone, or none, and takes none back.
    """

    def __init__(self, milestones: _Milestones, workflow: Workflow) -> None:
        self._workflow = workflow
        self._plain = dict(milestones.plain)  # what is left of them
        self._others = milestones.others
        self._left = dict(milestones.by_tool)
        self._fits: dict[int, list[Expected]] = {}  # by step: the milestones that it could be
        self._owner: dict[int, int] = {}  # by index of the milestone: the step that reached it
        self._tried: dict[str, int] = {}  # by tool, of those with alternatives: the calls that were tried
        self._unknown: dict[str, str] = {}  # by tool: why a call that may have reached a milestone cannot be compared

    def add(self, step: Step) -> bool:
        """Whether this executed call reaches a milestone."""
        call = step.call
        name = call.name
        if not self._left.get(name):
            return False
        if call.redacted or (call.arguments is None and call.arguments_error is None):
            self._unknown[name] = "redacted" if call.redacted else "not_captured"
            return False
        if not isinstance(call.arguments, dict):
            return False
        reached = self._augment(step) if name in self._others else self._take(step)
        self._left[name] -= reached
        return reached

    @property
    def unknown(self) -> str:
        """Why nobody can tell whether a milestone that seems left was reached; "" where one can."""
        return next((code for name, code in self._unknown.items() if self._left[name]), "")

    def _take(self, step: Step) -> bool:
        key = step.call.name, key_of(step.call, self._workflow)
        if not self._plain.get(key):
            return False
        self._plain[key] -= 1
        return True

    def _augment(self, step: Step) -> bool:
        name = step.call.name
        self._tried[name] = tried = self._tried.get(name, 0) + 1
        if tried > TRIED_MAX:
            return False
        self._fits[step.index] = [e for e in self._others[name] if agrees(step, e)]
        return self._serve(step.index, set())

    def _serve(self, index: int, seen: set[int]) -> bool:
        for e in self._fits[index]:
            if e.index in seen:
                continue
            seen.add(e.index)
            owner = self._owner.get(e.index)
            if owner is None or self._serve(owner, seen):
                self._owner[e.index] = index
                return True
        return False


class Progress:
    """Milestones reached so far, for a task with truth."""

    def __init__(self, context: Context, truth: TaskTruth) -> None:
        workflow = context.workflow
        milestones = _milestones(truth, workflow)
        self.calls = context.shared(ExecutedCalls)
        self.outputs = context.shared(RequiredOutputs)
        self.counts = context.shared(Counts)
        self._workflow = workflow
        self.reached = Reached(milestones, workflow)
        self.calls_weigh = milestones.weigh
        self.outputs_weigh = OUTPUT * len(truth.required_outputs)
        self.calls_reached = 0.0
        self._taken = 0  # executed calls that were tried
        self.so_far: tuple[tuple[float, int], Judgement] | None = None  # what was said last while the run was open

    def catch_up(self) -> None:
        """Try the calls that were executed since the last time on the milestones that are left."""
        self.calls.catch_up()
        executed = self.calls.calls
        while self._taken < len(executed):
            step = executed[self._taken]
            self._taken += 1
            if self.reached.add(step):
                self.calls_reached += _weight(step.call.name, self._workflow)


class GoalProgress:
    """The share of milestones that the run has reached so far; it never falls while the trace is open.

    Counts: milestones are the required calls of the task truth (`optional` ones are none) and its required outputs. A write
    weighs 1, a read 0.5, an output 1; where the registry declares no write tool every call weighs 1. A call is reached by
    an executed call of equal arguments, one call for each, in whatever order; an output by what the assistant said.
    When the run is closed the score is reached / (all + 1 for each write that is unexpected, wrong or out of order), times
    cap / count where a cap of IterationCap was crossed; a forbidden call makes it 0. Where nothing is expected, an open run
    has no milestones, and a closed one scores 1 if it wrote nothing, else 0.
    Does not count: failed attempts; extra reads; how long it took, below the cap. So the score falls at the end at most.

    Fails: so_far (open, and not all is reached), missing_call, output_not_said, unexpected_write, wrong_write,
    out_of_order, runaway, forbidden_call. Unscored: no_truth, no_milestones, redacted, not_captured.
    """

    name: ClassVar[str] = "GoalProgress"
    version: ClassVar[str] = "1"
    kinds: ClassVar[frozenset[StepKind]] = ALL_KINDS
    shown: ClassVar[frozenset[StepKind]] = NO_KINDS
    reason_codes: ClassVar[frozenset[str]] = COMMON_CODES | {
        "so_far",
        "missing_call",
        "output_not_said",
        "unexpected_write",
        "wrong_write",
        "out_of_order",
        "runaway",
        "forbidden_call",
        "no_truth",
        "no_milestones",
        "redacted",
        "not_captured",
    }

    def applies(self, workflow: Workflow) -> bool:
        """Truth belongs to the trace, not to the workflow."""
        return True

    def initial(self, context: Context) -> Progress | None:
        """Nothing reached; None without a truth."""
        return None if context.truth is None else Progress(context, context.truth)

    def update(self, state: Progress | None, step: Step) -> None:
        """Never shown a step: milestones are looked for when somebody asks."""

    def finish(self, state: Progress | None, trajectory: Trajectory) -> Iterable[tuple[None, Judgement]]:
        """One judgement of the trajectory."""
        if state is None or trajectory.truth is None:
            yield None, _NO_TRUTH
            return
        state.catch_up()
        if trajectory.closed:
            yield None, _at_the_end(state, trajectory)
        else:
            yield None, _so_far(state, trajectory)


def _weight(name: str, workflow: Workflow) -> float:
    return WRITE if decides(name, workflow) else READ


def _so_far(state: Progress, trajectory: Trajectory) -> Judgement:
    total = state.calls_weigh + state.outputs_weigh
    if not total:
        return _NO_MILESTONES
    unsaid = len(state.outputs.unsaid(trajectory.roots)) if state.outputs_weigh else 0
    key = state.calls_reached, unsaid
    if state.so_far is None or state.so_far[0] != key:
        reached = state.calls_reached + state.outputs_weigh - OUTPUT * unsaid
        said = f"{_explain(state, unsaid)}; the run goes on"
        done = reached >= total
        state.so_far = key, _DONE if done else scored(min(1.0, reached / total), _TRUTH, "so_far", said)
    return state.so_far[1]


def _explain(state: Progress, unsaid: int) -> str:
    said = f"reached {state.calls_reached:g} of {state.calls_weigh:g} in calls"
    if state.outputs_weigh:
        said += f", {state.outputs_weigh - OUTPUT * unsaid:g} of {state.outputs_weigh:g} in outputs"
    return said


def _at_the_end(state: Progress, trajectory: Trajectory) -> Judgement:
    compared = state.calls.compare()
    matched = compared.matched
    extra = matched.extra if trajectory.workflow.declares_writes else []  # else nobody can tell them from reads
    if compared.banned:
        reason = f"forbidden for this task: {', '.join(sorted({step.call.name for step in compared.banned})[:3])}"
        return scored(0.0, _TRUTH, "forbidden_call", reason, compared.evidence)
    unknown = unknown_code(matched) if matched.unknown else state.reached.unknown
    if unknown:
        reason = f"the arguments of calls that may be expected ones are not known: {compared.explained}"
        return unscored(_TRUTH, unknown, reason, compared.evidence)
    outputs, unsaid = state.outputs_weigh, 0
    if outputs:
        if state.outputs.any_captured(trajectory.roots):
            unsaid = len(state.outputs.unsaid(trajectory.roots))
            if unsaid and state.outputs.any_redacted(trajectory.roots):
                return unscored(
                    _TRUTH, "redacted", "some of what was said is replaced by placeholders: an output may be there"
                )
        elif not state.calls_weigh:
            return unscored(_TRUTH, "not_captured", "outputs are the only milestones, and nothing said was captured")
        else:
            outputs = 0.0  # nobody can tell: the calls decide
    reached = state.calls_reached + outputs - OUTPUT * unsaid
    wrong = WRITE * (len(extra) + len(matched.wrong) + len(matched.out_of_order))
    total = state.calls_weigh + outputs + wrong
    if not total and not trajectory.workflow.declares_writes:
        return _NO_MILESTONES  # nobody can tell whether it wrote
    score = reached / total if total else 1.0
    code = _fault(state, unsaid, extra != [], bool(matched.wrong), bool(matched.out_of_order))
    over = crossed_first(state.counts)
    if not code and over is None:
        return _DONE
    reason = f"{_explain(state, unsaid)}; {wrong:g} in writes that are not as expected: {reached:g}/{total:g}"
    if over is not None:
        assert over.score is not None
        score, code, reason = score * over.score, "runaway", f"{reason}, times {over.score:.3g}: {over.reason}"
    return scored(min(1.0, score), _TRUTH, code, reason, compared.evidence)


def _fault(state: Progress, unsaid: int, extra: bool, wrong: bool, out_of_order: bool) -> str:
    """What names the shortfall: what was done wrongly before what was left out."""
    if extra:
        return "unexpected_write"
    if wrong:
        return "wrong_write"
    if out_of_order:
        return "out_of_order"
    if state.calls_reached < state.calls_weigh:
        return "missing_call"
    return "output_not_said" if unsaid else ""
