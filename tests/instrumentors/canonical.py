"""A run as fields that every framework must give alike: a flat map from a path to a value. `canonical.yaml` is the truth.

Model calls and tool calls are named by whose they are and which one of them (`executor 2`), so that one that is missing
shifts no other. The law: a field says what Stepwatch's own readers say, nothing is worked out here.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from evaluators.views.routes import route_of
from evaluators.views.verdicts import verdict_of
from schemas.trajectory import Step, Trajectory
from streams.core.dedup import base

Fields = dict[str, Any]
TRUTH = Path(__file__).with_name("canonical.yaml")
CALLS = ("tool_call", "retrieval")


def canonical(shape: str) -> Fields:
    """The truth, in the shape of a framework: control that is handed over does not come back, work that is delegated does."""
    said = yaml.safe_load(TRUTH.read_text(encoding="utf-8"))
    own = said.pop("shapes")[shape]
    without = own.pop("without", ())
    common = {path: value for path, value in _flat(said) if not any(fnmatchcase(path, one) for one in without)}
    return common | dict(_flat(own))


def fields(run: list[Trajectory]) -> Fields:
    """What the trajectories of one run say."""
    steps = [step for one in run for step in one.steps]
    spans = [*(step.span for step in steps), *(one.root for one in run)]
    delegations = [pair for one in run for pair in _delegated(one)]
    delegating = {id(above) for above, _ in delegations}
    tools = [step for step in steps if step.kind in CALLS and id(step) not in delegating]
    models = [step for step in steps if base(step.span) == "llm"]
    passed = [(step, *route_of(step)[:2]) for step in steps if step.kind == "handoff"]
    passed += [(above, above.agent, below.agent) for above, below in delegations]
    others = [s for s in steps if s.kind not in (*CALLS, "handoff") and base(s.span) not in ("llm", "agent")]
    verdicts = {verdict_of(step.span) for step in steps if step.kind == "verifier"} - {None}
    said = {
        "workflow": "/".join(sorted({one.workflow_name for one in run})),
        "session": "/".join(sorted({span.session_id for span in spans if span is not None} - {""})),
        "agents": sorted({step.agent for step in steps} - {""}),
        "model": dict(_numbered(models, lambda step: step.agent, _model)),
        "tool": dict(_numbered(tools, lambda step: step.call.name, lambda step: _tool(step, tools))),
        "handoff": [
            {"from": source, "to": target} for _, source, target in sorted(passed, key=lambda p: p[0].span.start_ns)
        ],
        "verdict": "/".join(sorted("pass" if verdict else "fail" for verdict in verdicts)),
        "failed": [step.label for step in steps if step.call.failure is not None and step.call.failed],
        "other": [step.label for step in others],
        "tokens": sum(step.span.input_tokens + step.span.output_tokens for step in steps),
    }
    return dict(_flat(said))


def _model(step: Step) -> Fields:
    span = step.span
    said = {"kind": step.kind, "model": span.model, "input_tokens": span.input_tokens}
    return {**said, "output_tokens": span.output_tokens}


def _tool(step: Step, tools: list[Step]) -> Fields:
    call = step.call
    failure = call.failure if call.failed else None
    return {
        "kind": step.kind,
        "agent": step.agent,
        "arguments": call.arguments,
        "result": None
        if call.failed and not isinstance(call.result, dict)
        else call.result,  # words about a failure vary
        "failure": failure and failure.rule,
        "swallowed": failure is not None and failure.swallowed,
        "retries": any(_retried(before, step) for before in tools),
    }


def _retried(before: Step, step: Step) -> bool:
    """Whether this call repeats one that had failed (span conventions 6.6)."""
    failed = before.call.failed and before.span.start_ns < step.span.start_ns
    return failed and before.call.key is not None and before.call.key == step.call.key


def _delegated(run: Trajectory) -> Iterator[tuple[Step, Step]]:
    """Agents that ran inside another's tool: (the tool call, the agent's step)."""
    for step in run.steps:
        above = run.steps[step.parent] if step.parent is not None else None
        if above is not None and base(step.span) == "agent" and above.kind in CALLS and above.agent != step.agent:
            yield above, step


def _numbered(steps: list[Step], whose: Any, said: Any) -> Iterator[tuple[str, Fields]]:
    counted: Counter[str] = Counter()
    for step in steps:
        counted[whose(step)] += 1
        yield f"{whose(step)} {counted[whose(step)]}", said(step)


def _flat(value: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Paths of values; arguments and results are values, not paths."""
    for key, inner in value.items():
        path = f"{above}{key}"
        if isinstance(inner, Mapping) and key not in ("arguments", "result"):
            yield from _flat(inner, f"{path}.")
        elif key == "handoff":
            for number, one in enumerate(inner, 1):
                yield from _flat(one, f"{path}.{number}.")
        else:
            yield path, inner
