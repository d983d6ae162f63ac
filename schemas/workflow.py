"""A workflow: one kind of run; its tools, policy and evaluators. Values only; `schemas.registry` parses them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

from schemas.redaction.levels import Level
from schemas.tools import Tool

DEFAULT_MAX_STEPS = 200  # an agent that needs more for one conversation is almost surely in a loop
DEFAULT_MAX_REPEATS = 10  # identical successful calls; polling is legitimate, for ever is not


# Why a run outside the sample is judged all the same, and never counted: a span of it reports an error; it names a task, so
# somebody wrote down what it should have done.
AlsoJudged = Literal["errors", "tasks"]


class Order(NamedTuple):
    """`tool` may be called only after `before` succeeded."""

    before: str
    tool: str


class Forbidden(NamedTuple):
    """`tool` may not be called once `after` succeeded; with `after` None it may never be called."""

    after: str | None
    tool: str


@dataclass(frozen=True, slots=True)
class Policy:
    """What a run of a workflow may do. None: no such limit."""

    max_steps: int | None = DEFAULT_MAX_STEPS
    max_repeats: int | None = DEFAULT_MAX_REPEATS
    order: tuple[Order, ...] = ()
    forbidden: tuple[Forbidden, ...] = ()
    confirm_before_write: bool = False
    latency_budget_ms: float | None = None
    cost_budget_usd: float | None = None


class EvaluatorSettings(NamedTuple):
    """What a workflow wants of one evaluator. `pass_at` None: the evaluator's own threshold."""

    enabled: bool = True
    pass_at: float | None = None


@dataclass(frozen=True, eq=False)
class Workflow:
    """One kind of run. Compared and hashed by identity: what is derived from it can be kept beside it."""

    name: str  # the pattern it was declared under
    sample: float = 1.0  # share of traces evaluated, by hash of the trace id
    judge_also: frozenset[AlsoJudged] = frozenset()  # which of the other traces are evaluated, with weight 0
    tools: Mapping[str, Tool] = field(default_factory=dict)
    policy: Policy = Policy()
    evaluators: Mapping[str, EvaluatorSettings] = field(default_factory=dict)
    trajectory_weights: Mapping[str, float] = field(default_factory=dict)
    agents: frozenset[str] = frozenset()  # the agents that work in it; empty: nothing is said
    redaction: Level = "keep"  # of its spans, where their tenant's is not stricter

    @cached_property
    def declares_writes(self) -> bool:
        """Whether any tool is declared to write; then writes decide, else all calls do."""
        return any(tool.writes for tool in self.tools.values())

    def settings(self, evaluator: str) -> EvaluatorSettings:
        """What this workflow wants of an evaluator."""
        return self.evaluators.get(evaluator, _SETTINGS)


_SETTINGS = EvaluatorSettings()
