"""The results of one trajectory, folding on: extend it with steps in their order, ask as often as you like.

The law: what it answers is a function of the steps, the trajectory's frame and the evaluators alone. How the steps came
(one by one, all at once) and how often somebody asked changes nothing; so batch is one `extend` and one `results`.

It contains what an evaluator throws: that becomes one result with verdict `error`, and the others go on. A trace that
was closed without a root is `unscored/no_root` as a whole.
"""

from collections.abc import Iterable
from typing import Any, Final

from evaluators.base import Context, unscored
from evaluators.folding.layout import Late, Layout
from evaluators.folding.local import Known, local_results
from evaluators.folding.plan import PassAt, Plan, plan
from evaluators.folding.rows import about_step, about_whole, fault, until
from evaluators.protocols import Combining, Evaluator
from schemas.expectation import TaskTruth
from schemas.registry import Workflow
from schemas.result import Judgement, Result
from schemas.span import Span
from schemas.trajectory import OVER_CAP, CloseReason, Step, Trajectory

_NO_ROOT: Final = unscored("trace", "no_root", "the trace was closed without a root")


class _Broken(Exception):
    """An evaluator threw. Never leaves this module."""

    def __init__(self, evaluator: Evaluator, error: Exception) -> None:
        self.evaluator = evaluator
        self.judgement = fault(error)


def _is_same(one: Step, other: Step) -> bool:
    return (
        one.span is other.span and one.label == other.label and one.agent == other.agent and one.parent == other.parent
    )


class Evaluation:
    """The fold of all evaluators over the steps of one trajectory."""

    def __init__(
        self,
        workflow: Workflow,
        truth: TaskTruth | None,
        evaluators: tuple[Evaluator, ...],
        known: Known | None = None,
    ) -> None:
        """`known` holds span-local results by span id, from `judge_span`; without it they are computed here."""
        self._workflow, self._truth, self._known = workflow, truth, known
        self._evaluators = evaluators
        self._broken: list[_Broken] = []
        self._steps: list[Step] = []
        try:
            self._start(plan(workflow, evaluators))
        except _Broken as broken:
            self._leave_out(broken)

    def _start(self, chosen: Plan) -> None:
        """Everything as it is before the first step."""
        for thrower, thrown in chosen.broken:
            raise _Broken(thrower, thrown)
        context = Context(self._workflow, self._truth)
        self._plan = chosen
        self._context = context
        evaluator: Evaluator | None = None
        try:
            self._states: list[Any] = []
            for evaluator, _ in chosen.contextual:
                self._states.append(evaluator.initial(context))
            self._combined: list[tuple[Combining, Any, PassAt]] = []
            for evaluator, pass_at in chosen.combining:
                self._combined.append((evaluator, evaluator.initial(context), pass_at))
        except Exception as error:
            assert evaluator is not None
            raise _Broken(evaluator, error) from error
        self._settled: list[list[Result]] = []  # by step: what later steps never revise
        self._late: list[Late] = [{} for _ in chosen.contextual]
        self._layout = Layout()
        self._changed = 0  # the first step of which something else is said than was laid out
        self._whole: list[list[tuple[Judgement, Result]]] = [[] for _ in chosen.contextual]
        self._total: dict[int, tuple[Judgement, Result]] = {}  # by place of the combining evaluator
        self._every = self._touched = (1 << len(chosen.contextual)) - 1  # a bit each: may have something new to say
        self._frame: tuple[CloseReason, tuple[Span, ...]] | None = None
        self._steps_end_ns = self._end_ns = 0

    def __len__(self) -> int:
        """How many steps were folded."""
        return len(self._steps)

    def continues(self, trajectory: Trajectory) -> bool:
        """Whether the steps of this trajectory go on where the fold ended: it begins with just those that were folded."""
        steps = trajectory.steps
        if trajectory.workflow is not self._workflow or trajectory.truth is not self._truth or len(steps) < len(self):
            return False
        return all(_is_same(one, other) for one, other in zip(self._steps, steps, strict=False))

    def extend(self, steps: Iterable[Step]) -> None:
        """Fold the steps that follow those already folded, in their order."""
        new = list(steps)
        self._steps += new
        try:
            self._fold(new)
        except _Broken as broken:
            self._leave_out(broken)

    def results(self, trajectory: Trajectory) -> tuple[Result, ...]:
        """All results of these steps: steps in their order, the trajectory last.

        `trajectory` is their frame: of it the roots and `closed` are read. Not for a trace over its cap.
        """
        assert not trajectory.flags & OVER_CAP
        while True:
            try:
                return self._ask(trajectory)
            except _Broken as broken:
                self._leave_out(broken)

    def _leave_out(self, broken: _Broken) -> None:
        """An evaluator that threw says so once, and the others are folded anew without it."""
        while True:
            self._broken.append(broken)
            left_out = {id(b.evaluator) for b in self._broken}
            try:
                self._start(plan(self._workflow, tuple(e for e in self._evaluators if id(e) not in left_out)))
                return self._fold(self._steps)
            except _Broken as another:
                broken = another

    def _fold(self, steps: Iterable[Step]) -> None:
        chosen, states, workflow, known = self._plan, self._states, self._workflow, self._known
        shown, calls, settled = self._context.steps, self._context.calls, self._settled
        of_kind, combined = chosen.of_kind, self._combined
        evaluator: Evaluator | None = None
        touched, end_ns = self._touched, self._steps_end_ns
        for step in steps:
            span = step.span
            local, folding, touching, is_call = of_kind[span.kind]
            said = local_results(step, chosen, workflow, known) if local else []
            shown.append(step)
            if is_call:
                calls.append(step)
            try:
                for place, update, evaluator, pass_at in folding:
                    judgement = update(states[place], step)
                    if judgement is not None:
                        said.append(about_step(step, evaluator, judgement, pass_at))
                if said:
                    for evaluator, state, _ in combined:
                        evaluator.update(state, step, said)
            # Here, in `_start`, `_finish`, `_combine`, and in plan and local, an evaluator's fault ends.
            except Exception as error:
                assert evaluator is not None
                raise _Broken(evaluator, error) from error
            settled.append(said)
            touched |= touching
            if span.end_ns > end_ns:
                end_ns = span.end_ns
        self._touched, self._steps_end_ns = touched, end_ns

    def _ask(self, trajectory: Trajectory) -> tuple[Result, ...]:
        end_ns = self._steps_end_ns
        for root in trajectory.roots:
            if root.end_ns > end_ns:
                end_ns = root.end_ns
        frame = (trajectory.closed, trajectory.roots)
        if frame != self._frame:
            self._frame, self._touched = frame, self._every
            self._whole = [[] for _ in self._whole]  # its rows tell the root's agent
            self._total.clear()
        self._end_ns = end_ns
        if self._touched:
            self._finish(trajectory)
        whole = [until(row, end_ns) for told in self._whole for _, row in told]
        if self._broken:
            whole += [about_whole(trajectory, end_ns, b.evaluator, b.judgement, None) for b in self._broken]
        self._combine(trajectory, [row for late in self._late for _, row in late.values()], whole)
        rows = self._layout.rows(self._settled, self._late, self._changed)
        self._changed = len(self._settled)
        return (*rows, *whole)

    def _finish(self, trajectory: Trajectory) -> None:
        """Ask the evaluators that may have something new to say."""
        rootless = trajectory.root is None and bool(trajectory.closed)
        states, changed = self._states, self._changed
        for place, evaluator, pass_at in self._plan.contextual_of(self._touched):
            before, before_whole = self._late[place], self._whole[place]
            late: dict[int, tuple[Judgement, Result]] = {}
            whole: list[tuple[Judgement, Result]] = []
            try:
                for step, judgement in evaluator.finish(states[place], trajectory):
                    if step is not None:
                        index = step.index
                        told = before.get(index)
                        if told is None or told[0] is not judgement:
                            told = (judgement, about_step(step, evaluator, judgement, pass_at))
                            changed = min(changed, index)
                        late[index] = told
                    else:
                        said = _NO_ROOT if rootless else judgement
                        told = before_whole[len(whole)] if len(before_whole) > len(whole) else None
                        if told is None or told[0] is not said:
                            told = (said, about_whole(trajectory, self._end_ns, evaluator, said, pass_at))
                        whole.append(told)
            except Exception as error:
                raise _Broken(evaluator, error) from error
            if before and not before.keys() <= late.keys():  # of some steps it says nothing any more
                changed = min(changed, min(before.keys() - late.keys()))
            self._late[place], self._whole[place] = late, whole
        self._touched, self._changed = 0, changed

    def _combine(self, trajectory: Trajectory, late: list[Result], whole: list[Result]) -> None:
        """Append to `whole` what the combining evaluators say."""
        said = {result.evaluator: result for result in whole}
        rootless = trajectory.root is None and bool(trajectory.closed)
        for place, (evaluator, state, pass_at) in enumerate(self._combined):
            if evaluator.name in said:
                continue
            try:
                judgement = evaluator.combine(state, trajectory, late, said)
            except Exception as error:
                raise _Broken(evaluator, error) from error
            if judgement is not None:
                judgement = _NO_ROOT if rootless else judgement
                told = self._total.get(place)
                if told is None or told[0] is not judgement:
                    told = (judgement, about_whole(trajectory, self._end_ns, evaluator, judgement, pass_at))
                    self._total[place] = told
                row = said[evaluator.name] = until(told[1], self._end_ns)
                whole.append(row)
