"""The shape of `workflows.yaml` as a person writes it; `schemas.registry` checks what shape alone does not show.

The law: every key that is accepted here is explained in docs/workflows.md, and means something.
"""

from typing import Any

from pydantic import Field

from schemas.config import Declared
from schemas.redaction.levels import Level
from schemas.workflow import AlsoJudged


class OrderText(Declared):
    """`tool` only after `before`."""

    before: str
    tool: str


class ForbiddenText(Declared):
    """`tool` never after `after`; without `after` never at all."""

    after: str | None = None
    tool: str


class PolicyText(Declared):
    """What a run may do."""

    max_steps: int | None = Field(None, ge=1)
    max_repeats: int | None = Field(None, ge=1)
    order: list[OrderText] = Field(default_factory=list)
    forbidden: list[ForbiddenText] = Field(default_factory=list)
    confirm_before_write: bool = False
    latency_budget_ms: float | None = Field(None, gt=0)
    cost_budget_usd: float | None = Field(None, gt=0)


class EvaluatorText(Declared):
    """What a workflow wants of one evaluator."""

    enabled: bool = True
    pass_at: float | None = Field(None, ge=0, le=1)


class ToolText(Declared):
    """A tool, in the plain shape `{name, parameters, ...}`."""

    name: str = Field(min_length=1)
    description: str = ""
    strict: bool | None = None  # OpenAI's flag; our check is strict anyway
    writes: bool = False
    parameters: dict[str, Any] | None = None
    entity: dict[str, str] = Field(default_factory=dict)
    latency_budget_ms: float | None = Field(None, gt=0)
    inverse: str = ""


class DefaultsText(Declared):
    """What every workflow takes over where its own entry says nothing."""

    sample: float = Field(1.0, ge=0, le=1)
    judge_also: list[AlsoJudged] = Field(default_factory=list)
    policy: PolicyText = PolicyText()
    evaluators: dict[str, EvaluatorText] = Field(default_factory=dict)
    trajectory_weights: dict[str, float] = Field(default_factory=dict)
    agents: list[str] = Field(default_factory=list)
    redaction: Level = "keep"


class WorkflowText(DefaultsText):
    """One kind of run. `tools_from` is gone by now: `schemas.tool_files` put those tools in."""

    name: str = Field(min_length=1)
    tools: list[ToolText] = Field(default_factory=list)


class NamingText(Declared):
    """Which runs are this workflow, by globs on attributes of a span and of its resource."""

    workflow: str = Field(min_length=1)
    resource: dict[str, str] = Field(default_factory=dict)
    span: dict[str, str] = Field(default_factory=dict)


class DropText(Declared):
    """What is dropped before it is decoded, by globs on the tenant and on attributes of the resource."""

    tenant: str | None = Field(None, min_length=1)
    resource: dict[str, str] = Field(default_factory=dict)


class RedactionText(Declared):
    """Levels by tenant (names or globs), and attribute keys (globs) that `strict` keeps besides its own."""

    tenants: dict[str, Level] = Field(default_factory=dict)
    allow: list[str] = Field(default_factory=list, max_length=100)


class FileText(Declared):
    """The whole file."""

    drop: list[DropText] = Field(default_factory=list, max_length=100)
    workflow_names: list[NamingText] = Field(default_factory=list, max_length=100)
    redaction: RedactionText = RedactionText()
    workflows: list[WorkflowText] = Field(default_factory=list)
    defaults: DefaultsText = DefaultsText()
