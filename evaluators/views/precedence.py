"""What the policy says of the next call, given those that succeeded: kept once a fold, read by several evaluators.

The law: a breach is said of the call that commits it, and of nothing else; later calls never revise it.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple

from evaluators.base import Context
from evaluators.folding.plan import WORKFLOWS_PLANNED
from schemas.registry import Workflow
from schemas.trajectory import Step
from schemas.workflow import Forbidden, Order

BreachCode = Literal[
    "forbidden_call",  # the policy never allows this call
    "forbidden_transition",  # not once another call succeeded
    "missing_predecessor",  # another call must have succeeded first
]
_GRAVITY: Final[tuple[BreachCode, ...]] = ("forbidden_call", "forbidden_transition", "missing_predecessor")


class Breach(NamedTuple):
    """How a call breaks the policy; of several ways the gravest."""

    code: BreachCode
    reason: str
    evidence: dict[str, Any]


class _Rules(NamedTuple):
    about: Mapping[str, tuple[Order | Forbidden, ...]]  # by the tool whose calls a rule allows or not
    watched: frozenset[str]  # the tools whose success a rule asks for


@lru_cache(maxsize=WORKFLOWS_PLANNED)
def _rules(workflow: Workflow) -> _Rules:
    about: dict[str, tuple[Order | Forbidden, ...]] = {}
    rules: tuple[Order | Forbidden, ...] = (*workflow.policy.forbidden, *workflow.policy.order)
    for rule in rules:
        about[rule.tool] = (*about.get(rule.tool, ()), rule)
    watched = {rule.after for rule in workflow.policy.forbidden if rule.after is not None}
    return _Rules(about, frozenset(watched | {rule.before for rule in workflow.policy.order}))


def has_rules(workflow: Workflow) -> bool:
    """Whether the policy says anything about which call may follow which."""
    return bool(workflow.policy.order or workflow.policy.forbidden)


class Precedence:
    """Which of the calls that rules ask for succeeded so far. Shared in a fold: a step is taken in once."""

    def __init__(self, context: Context) -> None:
        self._about, self._watched = _rules(context.workflow)
        self._done: dict[str, Step] = {}  # watched tools, with their first success
        self._seen = -1
        self._breach: Breach | None = None

    def rules(self, tool: str) -> bool:
        """Whether any rule says when this tool may be called."""
        return tool in self._about

    def breach(self, step: Step) -> Breach | None:
        """How this call breaks the policy, given the calls before it. Ask in the order of the steps."""
        if step.index > self._seen:
            self._seen = step.index
            name = step.span.tool or step.span.name
            rules = self._about.get(name)
            self._breach = None if rules is None else self._judged(rules)
            if name in self._watched and step.call.executed:
                self._done.setdefault(name, step)
        return self._breach

    def _judged(self, rules: tuple[Order | Forbidden, ...]) -> Breach | None:
        found = [breach for rule in rules if (breach := self._of(rule)) is not None]
        return min(found, key=lambda breach: _GRAVITY.index(breach.code), default=None)

    def _of(self, rule: Order | Forbidden) -> Breach | None:
        if isinstance(rule, Order):
            if rule.before in self._done:
                return None
            reason = f"{rule.tool} may be called only after {rule.before} succeeded, and it did not"
            return Breach("missing_predecessor", reason, {"before": rule.before})
        if rule.after is None:
            return Breach("forbidden_call", f"the policy never allows {rule.tool}", {})
        earlier = self._done.get(rule.after)
        if earlier is None:
            return None
        reason = f"{rule.tool} may not be called once {rule.after} succeeded"
        return Breach("forbidden_transition", reason, {"after": rule.after, "span_id": earlier.span.span_id.hex()})
