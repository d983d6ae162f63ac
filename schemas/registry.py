"""The registry: what `workflows.yaml` says of tools, policy and evaluators, parsed, checked and compiled.

A pure function of its text. The law: what is accepted here can be judged with; every slip is told now, with its line,
and never when a trace is judged. `defaults` stands in where no pattern matches, and gives every entry what it does not
say itself (all but tools, which belong to one workflow).
"""

import fnmatch
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import xxhash

from schemas.config import ConfigError, Path, Problem, read_yaml, unknown
from schemas.dropping import DropRule, make_drop
from schemas.naming import NOTHING, PLACEHOLDER, NamingRule, Watched, make_rule, watched_by
from schemas.redaction.levels import NO_TENANT, Level, TenantLevels, tenant_levels
from schemas.registry_text import (
    DefaultsText,
    DropText,
    EvaluatorText,
    FileText,
    NamingText,
    PolicyText,
    ToolText,
    WorkflowText,
)
from schemas.salvage import NAMELESS, validate_all
from schemas.tool_files import Files, merge, spelled
from schemas.tools import BadSchema, Tool, function_of, make_tool
from schemas.workflow import EvaluatorSettings, Forbidden, Order, Policy, Workflow

__all__ = ["EMPTY", "EvaluatorSettings", "Policy", "Registry", "Tool", "Workflow", "parse_registry"]

DEFAULTS = "defaults"  # name of the block, and of the workflow that stands in where no pattern matches
EVALUATOR_NAMES = (
    "ToolSelectionAccuracy",
    "ParameterValidation",
    "FunctionCallAccuracy",
    "ToolCallSuccess",
    "StepEfficiency",
    "TaskCompletion",
    "GoalProgress",
    "ReasoningQuality",
    "HandoffQuality",
    "VerifierPass",
    "EntityConsistency",
    "ArgumentProvenance",
    "PolicyCompliance",
    "IterationCap",
    "LatencyBudget",
    "CostBudget",
    "TrajectoryScore",
    "FirstFault",
    "Reconciliation",
)
# Those whose verdict needs no more than the span: of them outcomes may be published before a run is decided.
SPAN_LOCAL_NAMES = ("LatencyBudget", "ParameterValidation", "ToolCallSuccess")


@dataclass(frozen=True, eq=False)
class Registry:
    """All workflows of one text. `version` is a hash of that text: equal texts, equal verdicts."""

    version: str
    exact: Mapping[str, Workflow]
    globs: tuple[tuple[re.Pattern[str], Workflow], ...]  # in the order of the file
    defaults: Workflow
    names: tuple[NamingRule, ...] = ()  # in the order of the file
    watched: Watched = NOTHING  # what they look at: decode keeps it
    drops: tuple[DropRule, ...] = ()  # what is not even decoded
    tenants: TenantLevels = NO_TENANT

    def workflow(self, name: str) -> Workflow:
        """The entry of this name; else the first glob that matches it; else the defaults."""
        found = self.exact.get(name)
        if found is not None:
            return found
        return next((workflow for glob, workflow in self.globs if glob.match(name)), self.defaults)

    @property
    def workflow_levels(self) -> set[Level]:
        """The redaction levels that some workflow has."""
        return {workflow.redaction for workflow in (*self.exact.values(), self.defaults)}

    @property
    def redacts(self) -> bool:
        """Whether anything but `keep` is asked for."""
        return self.workflow_levels | self.tenants.levels != {"keep"}


EMPTY = Registry("empty", {}, (), Workflow(DEFAULTS))
# Stands in for one that cannot be read: what it said of redaction is not known.
UNREADABLE = Registry("unreadable", {}, (), Workflow(DEFAULTS, redaction="strict"))


def glob_pattern(pattern: str) -> re.Pattern[str] | None:
    """The compiled glob, or None when the pattern is a plain name."""
    return re.compile(fnmatch.translate(pattern)) if any(c in pattern for c in "*?[") else None


def parse_registry(text: str, source: str, files: Files = MappingProxyType({})) -> Registry:
    """The registry that `text` (YAML or JSON) declares. Raises ConfigError with all problems.

    `files` are the texts of the files that `tools_from` names (`tool_files.names_of`).
    """
    data, line_of = read_yaml(text, source)
    merged = merge({} if data is None else data, line_of, source, files)
    file, problems = validate_all(FileText, _plain_tools(merged.data), source, merged.line_of)
    problems = merged.problems + problems
    tools: list[dict[str, Tool]] = []
    if file is not None:
        problems += [Problem(source, merged.line_of(path), message) for path, message in _faults(file, tools)]
    if problems or file is None:
        raise ConfigError(sorted(problems))
    built = [_workflow(w, t, file.defaults) for w, t in zip(file.workflows, tools, strict=True)]
    globs = ((glob_pattern(workflow.name), workflow) for workflow in built)
    names = tuple(make_rule(entry.workflow, entry.resource, entry.span) for entry in file.workflow_names)
    alone = spelled(merged.data, source) if merged.changed else text
    return Registry(
        version=xxhash.xxh3_128_hexdigest(alone.encode("utf-8", "replace")),
        exact={workflow.name: workflow for workflow in built},
        globs=tuple((glob, workflow) for glob, workflow in globs if glob is not None),
        defaults=_workflow(WorkflowText(name=DEFAULTS), {}, file.defaults),
        names=names,
        watched=watched_by(names),
        drops=tuple(make_drop(entry.tenant, entry.resource) for entry in file.drop),
        tenants=tenant_levels(file.redaction.tenants, file.redaction.allow),
    )


def _plain_tools(data: Any) -> Any:
    """The data with every tool in the one shape `{name, parameters, ...}`; what is odd is left for `validate`."""
    if not isinstance(data, dict) or not isinstance(data.get("workflows"), list):
        return data
    return {**data, "workflows": [_with_plain_tools(entry) for entry in data["workflows"]]}


def _with_plain_tools(entry: Any) -> Any:
    if not isinstance(entry, dict) or not isinstance(entry.get("tools"), list):
        return entry
    return {**entry, "tools": [function_of(tool) or tool for tool in entry["tools"]]}


def _faults(file: FileText, tools: list[dict[str, Tool]]) -> Iterator[tuple[Path, str]]:
    """What types alone do not show. Fills `tools` with the compiled tools of each workflow."""
    yield from _naming_faults(file.workflow_names)
    yield from _drop_faults(file.drop)
    yield from _setting_faults(file.defaults, (DEFAULTS,))
    first: dict[str, int] = {}
    for index, entry in enumerate(file.workflows):
        path: Path = ("workflows", index)
        if first.setdefault(entry.name, index) != index:
            yield (*path, "name"), f"workflow {entry.name!r} is declared twice; merge the two entries"
        compiled: dict[str, Tool] = {}
        yield from _tool_faults(entry, path, compiled)
        yield from _reference_faults(entry, path)
        yield from _setting_faults(entry, path)
        tools.append(compiled)


def _drop_faults(rules: list[DropText]) -> Iterator[tuple[Path, str]]:
    for index, rule in enumerate(rules):
        if rule.tenant is None and not rule.resource:
            yield ("drop", index), "this rule would drop everything; give it a tenant, or attributes under resource"


def _naming_faults(rules: list[NamingText]) -> Iterator[tuple[Path, str]]:
    for index, rule in enumerate(rules):
        path: Path = ("workflow_names", index)
        keys = [*rule.span, *rule.resource]
        if not keys:
            yield path, f"the rule for {rule.workflow!r} looks at nothing; give it attributes under span or resource"
        for key in PLACEHOLDER.findall(rule.workflow):
            if key not in keys:
                yield (*path, "workflow"), unknown(f"{{{key}}} in {rule.workflow!r}", key, keys)
        if re.search(r"[{}]", PLACEHOLDER.sub("", rule.workflow)):
            yield (
                (*path, "workflow"),
                f"a brace in {rule.workflow!r} is not closed; write the key of an attribute as {{key}}",
            )


def _tool_faults(entry: WorkflowText, path: Path, compiled: dict[str, Tool]) -> Iterator[tuple[Path, str]]:
    for index, tool in enumerate(entry.tools):
        at: Path = (*path, "tools", index)
        if tool.name in compiled:
            yield (*at, "name"), f"tool {tool.name!r} is declared twice in workflow {entry.name!r}; keep one"
        try:
            compiled[tool.name] = make_tool(
                tool.name,
                tool.parameters,
                writes=tool.writes,
                entity=tool.entity,
                latency_budget_ms=tool.latency_budget_ms,
                inverse=tool.inverse,
            )
        except BadSchema as error:
            compiled[tool.name] = Tool(tool.name)
            yield (*at, "parameters", *error.path), f"parameters of tool {tool.name!r}: {error}"
        yield from (((*at, *inner), message) for inner, message in _entity_faults(tool))


def _reference_faults(entry: WorkflowText, path: Path) -> Iterator[tuple[Path, str]]:
    """Rules that name tools nobody declared. A workflow without any tools leaves them to the spans."""
    known = [tool.name for tool in entry.tools]
    if not known or any(name.startswith(NAMELESS) for name in known):
        return
    for index, tool in enumerate(entry.tools):
        if tool.inverse and tool.inverse not in known:
            message = unknown(f"inverse {tool.inverse!r} of tool {tool.name!r}", tool.inverse, known)
            yield (*path, "tools", index, "inverse"), message
    rules = [("order", i, rule.model_dump()) for i, rule in enumerate(entry.policy.order)]
    rules += [("forbidden", i, rule.model_dump()) for i, rule in enumerate(entry.policy.forbidden)]
    for section, index, rule in rules:
        for key, name in rule.items():
            if name is not None and name not in known:
                message = unknown(f"tool {name!r} in policy.{section} of workflow {entry.name!r}", name, known)
                yield (*path, "policy", section, index, key), message


def _entity_faults(tool: ToolText) -> Iterator[tuple[Path, str]]:
    """Entities that name arguments which the tool does not have."""
    properties = (tool.parameters or {}).get("properties")
    for entity, pointer in tool.entity.items():
        name = re.match(r"\$\.([^.\[]+)", pointer)
        if name is None:
            message = f"{pointer!r} does not say which argument names the {entity}; write it as $.argument"
            yield ("entity", entity), message
        elif isinstance(properties, dict) and properties and name[1] not in properties:
            yield ("entity", entity), unknown(f"argument {name[1]!r} of tool {tool.name!r}", name[1], properties)


def _setting_faults(entry: DefaultsText, path: Path) -> Iterator[tuple[Path, str]]:
    for section, names in (("evaluators", entry.evaluators), ("trajectory_weights", entry.trajectory_weights)):
        for name in names:
            message = unknown(f"evaluator {name!r}", name, EVALUATOR_NAMES)
            # A name near to none of ours is somebody's own evaluator; one that is near is a slip.
            if name not in EVALUATOR_NAMES and "did you mean" in message:
                yield (*path, section, name), message
    weights = entry.trajectory_weights
    for name, weight in weights.items():
        if weight < 0:
            yield (*path, "trajectory_weights", name), f"the weight of {name} is {weight}; it must be 0 or more"
    if weights and not any(weights.values()):
        yield (*path, "trajectory_weights"), "all weights are 0; give at least one evaluator a weight above 0"


def _workflow(entry: WorkflowText, tools: Mapping[str, Tool], defaults: DefaultsText) -> Workflow:
    said = entry.model_fields_set
    names = {**defaults.evaluators, **entry.evaluators}
    return Workflow(
        name=entry.name,
        sample=entry.sample if "sample" in said else defaults.sample,
        judge_also=frozenset(entry.judge_also if "judge_also" in said else defaults.judge_also),
        tools=tools,
        policy=_policy(entry.policy, defaults.policy),
        evaluators={name: _settings(entry.evaluators.get(name), defaults.evaluators.get(name)) for name in names},
        trajectory_weights=entry.trajectory_weights or defaults.trajectory_weights,
        agents=frozenset(entry.agents or defaults.agents),
        redaction=entry.redaction if "redaction" in said else defaults.redaction,
    )


def _settings(entry: EvaluatorText | None, defaults: EvaluatorText | None) -> EvaluatorSettings:
    """Key by key, as the policy."""
    said = [{key: getattr(text, key) for key in text.model_fields_set} for text in (defaults, entry) if text]
    return EvaluatorSettings(**{key: value for keys in said for key, value in keys.items()})


def _policy(entry: PolicyText, defaults: PolicyText) -> Policy:
    """Key by key: what the entry says, else the defaults block, else the built-in. An explicit null means no limit."""
    said = {
        **{key: getattr(defaults, key) for key in defaults.model_fields_set},
        **{key: getattr(entry, key) for key in entry.model_fields_set},
    }
    for key, kind in (("order", Order), ("forbidden", Forbidden)):
        if key in said:
            said[key] = tuple(kind(**rule.model_dump()) for rule in said[key])
    return Policy(**said)
