"""IterationCap: a run that goes on too long, or in circles, said at the step that crossed the cap."""

from collections.abc import Iterable, Sequence
from typing import ClassVar, Final

from evaluators.base import ALL_KINDS, CALL_KINDS, COMMON_CODES, NO_KINDS, Context, Follower, scored
from schemas.registry import Workflow
from schemas.result import Judgement
from schemas.span import StepKind
from schemas.trajectory import Step, Trajectory

_PASS: Final = Judgement("pass", 1.0, "registry")


class Counts(Follower):
    """How often each call succeeded, and which step was the first to cross each cap. Shared in a fold."""

    __slots__ = ("_all", "max_repeats", "max_steps", "most", "over_repeats", "times")

    def __init__(self, context: Context) -> None:
        super().__init__(context, context.calls)
        self._all = context.steps
        policy = context.workflow.policy
        self.max_steps, self.max_repeats = policy.max_steps, policy.max_repeats
        self.times: dict[bytes, int] = {}
        self.most = 0
        self.over_repeats: Step | None = None

    @property
    def steps(self) -> int:
        """How many steps there were."""
        return len(self._all)

    @property
    def over_steps(self) -> Step | None:
        """The step that crossed the cap of steps."""
        cap = self.max_steps
        return self._all[cap] if cap is not None and len(self._all) > cap else None

    def take(self, steps: Sequence[Step]) -> None:
        """Count successful calls."""
        if self.max_repeats is None:
            return
        counted = self.times
        for step in steps:
            call = step.call
            if step.span.kind in CALL_KINDS and call.executed and (key := call.key) is not None:
                counted[key] = times = counted.get(key, 0) + 1
                if times > self.most:
                    self.most = times
                    if self.over_repeats is None and times > self.max_repeats:
                        self.over_repeats = step


class IterationCap:
    """Whether the run stayed within `policy.max_steps` steps and `policy.max_repeats` identical successful calls.

    Counts: steps of every kind; successful calls of one tool with equal arguments. The judgement names the step that
    crossed the cap and is there, provisional, as soon as that step is. Without a policy the defaults are 200 steps and
    10 repeats; an explicit null means no cap, and no caps mean no judgement. Score 1 within, else cap / count.
    Does not count: failed attempts as repeats; calls whose arguments were not captured.
    Fails: too_many_steps, too_many_repeats (the one crossed first).
    """

    name: ClassVar[str] = "IterationCap"
    version: ClassVar[str] = "1"
    kinds: ClassVar[frozenset[StepKind]] = ALL_KINDS
    shown: ClassVar[frozenset[StepKind]] = NO_KINDS
    reason_codes: ClassVar[frozenset[str]] = COMMON_CODES | {"too_many_steps", "too_many_repeats"}

    def applies(self, workflow: Workflow) -> bool:
        """Only workflows with a cap; the built-in policy has two."""
        return workflow.policy.max_steps is not None or workflow.policy.max_repeats is not None

    def initial(self, context: Context) -> Counts:
        """Nothing counted yet."""
        return context.shared(Counts)

    def update(self, state: Counts, step: Step) -> None:
        """Never shown a step: they are counted when somebody asks."""

    def finish(self, state: Counts, trajectory: Trajectory) -> Iterable[tuple[None, Judgement]]:
        """One judgement of the trajectory: the cap that was crossed first, if any."""
        yield None, crossed_first(state) or _PASS


def crossed_first(state: Counts) -> Judgement | None:
    """The failure of the cap that was crossed first, if any."""
    state.catch_up()
    if state.over_repeats is None and state.over_steps is None:
        return None
    return min(_crossed(state), key=lambda found: found[0])[1]


def _crossed(state: Counts) -> Iterable[tuple[int, Judgement]]:
    if (at := state.over_steps) is not None:
        assert state.max_steps is not None
        yield at.index, _over("too_many_steps", "steps", state.max_steps, state.steps, at)
    if (at := state.over_repeats) is not None:
        assert state.max_repeats is not None
        what = f"identical successful calls of {at.span.tool!r}"
        yield at.index, _over("too_many_repeats", what, state.max_repeats, state.most, at)


def _over(code: str, what: str, cap: int, count: int, step: Step) -> Judgement:
    reason = f"{count} {what}, cap {cap}: crossed at step {step.index + 1} ({step.label}); score {cap}/{count}"
    evidence = {"span_id": step.span.span_id.hex(), "step": step.label, "agent": step.agent, "cap": cap, "count": count}
    return scored(cap / count, "registry", code, reason, evidence)
