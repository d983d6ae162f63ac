"""LatencyBudget: how long a call, and a run, may take. Two evaluators under one name: per span, and per trajectory."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final

from evaluators.base import ALL_KINDS, COMMON_CODES, MAYBE_CALLS, Context, scored, unscored
from schemas.registry import Workflow
from schemas.result import Judgement
from schemas.span import StepKind
from schemas.trajectory import Step, Trajectory

_PASS: Final = Judgement("pass", 1.0, "registry")
_CODES: Final = COMMON_CODES | {"over_budget", "bad_clock"}


def within(budget_ms: float, start_ns: int, end_ns: int, tool: str = "") -> Judgement:
    """A duration of a tool's call, or of the run, against its budget: 1 within it, else 1 - overrun / budget, at least 0."""
    took_ms = (end_ns - start_ns) / 1_000_000
    if start_ns > 0 and 0 <= took_ms <= budget_ms:
        return _PASS
    what = f"tool {tool!r}" if tool else "the run"
    if end_ns <= 0 or start_ns <= 0 or took_ms < 0:
        return unscored("registry", "bad_clock", f"start and end of {what} give no duration")
    overrun = (took_ms - budget_ms) / budget_ms
    reason = f"{what} took {took_ms:.0f} ms of {budget_ms:.0f} ms: score 1 - {took_ms - budget_ms:.0f}/{budget_ms:.0f}"
    evidence = {"took_ms": round(took_ms, 3), "budget_ms": budget_ms}
    return scored(max(0.0, 1.0 - overrun), "registry", "over_budget", reason, evidence)


class StepLatencyBudget:
    """Whether a call kept to its tool's `latency_budget_ms`.

    Counts: calls and retrievals of tools that have a budget. Score 1 within it, else 1 - overrun / budget, at least 0.
    Fails: over_budget. Unscored: bad_clock (no end, or an end before the start).
    """

    name: ClassVar[str] = "LatencyBudget"
    version: ClassVar[str] = "1"
    kinds: ClassVar[frozenset[StepKind]] = MAYBE_CALLS
    reason_codes: ClassVar[frozenset[str]] = _CODES

    def judge(self, step: Step, workflow: Workflow) -> Judgement | None:
        """The judgement of one call; None without a budget."""
        span = step.span
        tool = workflow.tools.get(span.tool)
        if tool is None or tool.latency_budget_ms is None:
            return None
        return within(tool.latency_budget_ms, span.start_ns, span.end_ns, span.tool)


@dataclass(slots=True)
class Extent:
    """Earliest start and latest end of the steps, ns; 0 without steps."""

    start_ns: int = 0
    end_ns: int = 0


class TrajectoryLatencyBudget:
    """Whether the run kept to the workflow's `policy.latency_budget_ms`.

    Counts: from the root's start to the root's end; while no root is there, what the steps span so far, which can only
    grow: an overrun is said in mid-flight. Score as for steps.
    Fails: over_budget. Unscored: bad_clock.
    """

    name: ClassVar[str] = "LatencyBudget"
    version: ClassVar[str] = "1"
    kinds: ClassVar[frozenset[StepKind]] = ALL_KINDS
    reason_codes: ClassVar[frozenset[str]] = _CODES

    def applies(self, workflow: Workflow) -> bool:
        """Only workflows with a budget."""
        return workflow.policy.latency_budget_ms is not None

    def initial(self, context: Context) -> Extent:
        """No extent yet."""
        return Extent()

    def update(self, state: Extent, step: Step) -> None:
        """The extent with this step in it."""
        start, end = step.span.start_ns, step.span.end_ns
        state.start_ns = min(state.start_ns or start, start)
        state.end_ns = max(state.end_ns, end)

    def finish(self, state: Extent, trajectory: Trajectory) -> Iterable[tuple[None, Judgement]]:
        """One judgement of the trajectory."""
        budget, root = trajectory.workflow.policy.latency_budget_ms, trajectory.root
        extent = root if root is not None else state
        if budget is not None and (root is not None or state.start_ns):
            yield None, within(budget, extent.start_ns, extent.end_ns)
