"""IterationCap: a run that goes on too long, or in circles, said at the step that crossed the cap."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from evaluators.base import CALL_KINDS, COMMON_CODES, scored
from schemas.registry import Workflow
from schemas.result import Judgement
from schemas.trajectory import Step, Trajectory

_PASS = Judgement("pass", 1.0, "registry")


@dataclass(slots=True)
class Repeats:
    """How often each call succeeded, and which step was the first to reach each count."""

    times: Counter[bytes] = field(default_factory=Counter)
    first_at: list[int] = field(default_factory=list)  # [k]: index of the step with the first (k+1)th success of a call


class IterationCap:
    """Whether the run stayed within `policy.max_steps` steps and `policy.max_repeats` identical successful calls.

    Counts: steps of every kind; successful calls of one tool with equal arguments. The judgement names the step that
    crossed the cap and is there, provisional, as soon as that step is. Without a policy the defaults are 200 steps and
    10 repeats; an explicit null means no cap, and no caps mean no judgement. Score 1 within, else cap / count.
    Does not count: failed attempts as repeats; calls whose arguments were not captured.
    Fails: too_many_steps, too_many_repeats (the one crossed first).
    """

    name = "IterationCap"
    version = "1"
    reason_codes = COMMON_CODES | {"too_many_steps", "too_many_repeats"}

    def applies(self, workflow: Workflow) -> bool:
        """Only workflows with a cap; the built-in policy has two."""
        return workflow.policy.max_steps is not None or workflow.policy.max_repeats is not None

    def initial(self) -> Repeats:
        """No calls yet."""
        return Repeats()

    def update(self, state: Repeats, step: Step) -> Repeats:
        """Count a successful call."""
        if step.span.kind in CALL_KINDS:
            call = step.call
            key = call.key
            if key is not None and call.executed:
                times = state.times
                times[key] += 1
                if times[key] > len(state.first_at):
                    state.first_at.append(step.index)
        return state

    def finish(self, state: Repeats, trajectory: Trajectory) -> Iterable[tuple[None, Judgement]]:
        """One judgement of the trajectory: the cap that was crossed first, if any."""
        yield None, min(_crossed(state, trajectory), key=lambda found: found[0], default=(0, _PASS))[1]


def _crossed(state: Repeats, trajectory: Trajectory) -> Iterable[tuple[int, Judgement]]:
    policy, steps = trajectory.workflow.policy, trajectory.steps
    if policy.max_steps is not None and len(steps) > policy.max_steps:
        at = policy.max_steps
        yield at, _over("too_many_steps", "steps", policy.max_steps, len(steps), steps[at])
    if policy.max_repeats is not None and len(state.first_at) > policy.max_repeats:
        at = state.first_at[policy.max_repeats]
        what = f"identical successful calls of {steps[at].span.tool!r}"
        yield at, _over("too_many_repeats", what, policy.max_repeats, len(state.first_at), steps[at])


def _over(code: str, what: str, cap: int, count: int, step: Step) -> Judgement:
    reason = f"{count} {what}, cap {cap}: crossed at step {step.index + 1} ({step.label}); score {cap}/{count}"
    evidence = {"span_id": step.span.span_id.hex(), "cap": cap, "count": count}
    return scored(cap / count, "registry", code, reason, evidence)
