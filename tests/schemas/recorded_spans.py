"""Recorded spans of real frameworks as trajectories, and what the steps of one say. The files lie beside the project."""

import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from evaluators.views.routes import route_of
from evaluators.views.verdicts import verdict_of
from schemas.decode import decode
from schemas.registry import EMPTY
from schemas.span import Span
from schemas.topic_record import split_record
from schemas.trajectory import Step, TraceKey, Trajectory
from streams.core.assemble import assemble
from streams.core.dedup import base
from tests.builders import EPOCH_MS
from tests.shared import shared


@cache
def manifest() -> dict[str, dict[str, Any]]:
    """The truth about each file, by its name."""
    return {entry["file"]: entry for entry in json.loads(shared("data/spans/manifest.json").read_bytes())["files"]}


def spans_of(path: Path) -> list[Span]:
    """Every span of a file of OTLP/JSON lines."""
    return [
        decode(raw, "default", EPOCH_MS)[0] for line in path.read_bytes().splitlines() for raw in split_record(line)[0]
    ]


def trajectories_of(path: Path) -> list[Trajectory]:
    """The trajectories of a file that have steps, in the order of their first steps."""
    traces: dict[bytes, list[Span]] = {}
    for span in spans_of(path):
        traces.setdefault(span.trace_id, []).append(span)
    found = [assemble(TraceKey("default", t), spans, EMPTY, {}, "marker") for t, spans in traces.items()]
    return sorted((t for t in found if t.steps), key=lambda t: t.steps[0].span.start_ns)


class Seen(NamedTuple):
    """What the steps of one run say."""

    tools: list[tuple[str, Any, str]]  # (name, arguments, "ok" | "raised" | "swallowed")
    results: list[Any]  # of the same calls
    passed_on: list[tuple[str, str]]  # (from, to)
    agents: set[str]
    model_calls: int
    input_tokens: int
    workflow: set[str]
    session: set[str]
    verdicts: list[bool]


def seen(trajectories: list[Trajectory]) -> Seen:
    """One run: several trajectories where a framework spreads it over traces."""
    steps = [step for t in trajectories for step in t.steps]
    delegating = {id(t.steps[step.parent]) for t in trajectories for step in t.steps if _is_agent_below(step, t)}
    tools = [s for s in steps if s.kind in ("tool_call", "retrieval") and id(s) not in delegating]
    return Seen(
        tools=[(s.call.name, s.call.arguments, _outcome(s)) for s in tools],
        results=[s.call.result for s in tools],
        passed_on=[pair for t in trajectories for s in t.steps for pair in _passed_on(s, t)],
        agents={s.agent for s in steps} - {""},
        model_calls=sum(base(s.span) == "llm" for s in steps),
        input_tokens=sum(s.span.input_tokens for s in steps),
        workflow={t.workflow_name for t in trajectories},
        session={s.span.session_id for s in steps} - {""},
        verdicts=[v for s in steps if s.kind == "verifier" and (v := verdict_of(s.span)) is not None],
    )


def _is_agent_below(step: Step, of: Trajectory) -> bool:
    if base(step.span) != "agent" or step.parent is None:
        return False
    above = of.steps[step.parent]
    return above.kind == "tool_call" and above.agent != step.agent


def _outcome(step: Step) -> str:
    failure = step.call.failure
    if failure is None or failure.severity != "failed":
        return "ok"
    return "swallowed" if failure.swallowed else "raised"


def _passed_on(step: Step, of: Trajectory) -> list[tuple[str, str]]:
    """Handoffs by their own spans, and agents that ran inside another agent's tool or step."""
    if step.kind == "handoff":
        route = route_of(step)
        return [(route.source, route.target or step.span.target)]
    if base(step.span) == "agent" and step.parent is not None:
        above = of.steps[step.parent]
        if above.kind != "handoff" and above.agent != step.agent and not _was_handed_to(step, of):
            return [(above.agent, step.agent)]
    return []


def _was_handed_to(step: Step, of: Trajectory) -> bool:
    return any(s.kind == "handoff" for s in of.steps[: step.index] if s.agent == of.steps[step.parent or 0].agent)
