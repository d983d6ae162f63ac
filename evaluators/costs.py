"""CostBudget: what a run may cost."""

from collections.abc import Iterable
from typing import ClassVar, Final

from evaluators.base import ALL_KINDS, COMMON_CODES, Context, scored, unscored
from schemas.registry import Workflow
from schemas.result import Judgement
from schemas.span import Span, StepKind, is_step
from schemas.trajectory import Step, Trajectory

_PASS: Final = Judgement("pass", 1.0, "registry")
_NOT_CAPTURED: Final = unscored("registry", "not_captured", "no span of the run says what it cost")
COST_MAX_USD: Final = 1e9  # of one span; more is a slip of who reported it
_NANO: Final = (
    1_000_000_000  # costs add up as whole billionths of a dollar: the sum is exact, whatever was taken out again
)


class Spending:
    """What the leaf spans cost so far. A span above one that costs something tells a total, and is not counted."""

    __slots__ = ("_above", "_costs", "_covered", "budget_nano", "captured", "crossed", "nano")

    def __init__(self, context: Context) -> None:
        budget = context.workflow.policy.cost_budget_usd
        self.budget_nano = round((budget or 0.0) * _NANO)
        self.nano = 0
        self.captured = False  # whether any step says what it cost
        self.crossed: Step | None = None  # the step at which the sum passed the budget
        self._above: dict[int, int | None] = {}  # by step: its nearest ancestor
        self._costs: dict[int, int] = {}
        self._covered: set[int] = set()  # steps above one that costs something

    def add(self, step: Step) -> None:
        """Take the next step in: ancestors come before what is below them."""
        self._above[step.index] = step.parent
        cost = nano_of(step.span)
        if cost is None:
            return
        self.captured = True
        if not cost:
            return
        above = step.parent
        while above is not None and above not in self._covered:
            self._covered.add(above)
            self.nano -= self._costs.pop(above, 0)
            above = self._above.get(above)
        if step.index not in self._covered:
            self._costs[step.index] = cost
            self.nano += cost
        if self.nano <= self.budget_nano:
            self.crossed = None
        elif self.crossed is None:
            self.crossed = step


def nano_of(span: Span) -> int | None:
    """What a span says that it cost, in billionths of a dollar; None where it says nothing that could be a cost."""
    cost = span.cost_usd
    if cost is None or not 0 <= cost < COST_MAX_USD:  # NaN is neither
        return None
    return round(cost * _NANO)


class CostBudget:
    """Whether the run kept to the workflow's `policy.cost_budget_usd`.

    Counts: the cost of every span that says one and has no span below it that does: the calls of models, and of what else
    costs. A total that an agent, or a model's wrapper, reports over such spans is not added to them; where nothing below
    says a cost the total stands. Score 1 within the budget, else 1 - overrun / budget, at least 0. While the run is open it
    is what was spent so far: an overrun is said in mid-flight, with the step that crossed the budget.
    Does not count: costs that are negative or no number; prices that nobody reported.
    Fails: over_budget. Unscored: not_captured (no span says a cost).
    """

    name: ClassVar[str] = "CostBudget"
    version: ClassVar[str] = "1"
    kinds: ClassVar[frozenset[StepKind]] = ALL_KINDS
    reason_codes: ClassVar[frozenset[str]] = COMMON_CODES | {"over_budget", "not_captured"}

    def applies(self, workflow: Workflow) -> bool:
        """Only workflows with a budget."""
        return workflow.policy.cost_budget_usd is not None

    def initial(self, context: Context) -> Spending:
        """Nothing spent."""
        return Spending(context)

    def update(self, state: Spending, step: Step) -> None:
        """Add what a step cost."""
        state.add(step)

    def finish(self, state: Spending, trajectory: Trajectory) -> Iterable[tuple[None, Judgement]]:
        """One judgement of the trajectory."""
        spent, captured = state.nano, state.captured
        if not spent:  # perhaps a frame around the run, which is no step, tells the total
            totals = [nano_of(root) for root in trajectory.roots if not is_step(root.kind)]
            captured = captured or any(total is not None for total in totals)
            spent = sum(total or 0 for total in totals)
        if not captured:
            yield None, _NOT_CAPTURED
        elif spent <= state.budget_nano:
            yield None, _PASS
        else:
            yield None, _over(spent, state)


def _over(spent: int, state: Spending) -> Judgement:
    cost, budget = spent / _NANO, state.budget_nano / _NANO
    over = cost - budget
    score = max(0.0, 1.0 - over / budget) if budget else 0.0
    reason = f"the run cost ${cost:.6g} of ${budget:.6g}: score 1 - {over:.6g}/{budget:.6g}, at least 0"
    evidence: dict[str, float | str] = {"cost_usd": cost, "budget_usd": budget}
    if state.crossed is not None:
        reason += f"; crossed at step {state.crossed.index + 1} ({state.crossed.label})"
        evidence |= {"span_id": state.crossed.span.span_id.hex(), "step": state.crossed.label}
    return scored(score, "registry", "over_budget", reason, evidence)
