"""What a run is called: decided on the whole set of its spans (span-conventions 6.4).

A rule of the user's comes before everything that spans say; then explicit names, on the root before any other span; then what
else names the root. Names that instrumentors give every workflow say nothing and are passed over.
"""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from schemas.naming import NamingRule, named_by
from schemas.span import Span

UNKNOWN_WORKFLOW: Final = "unknown"
_GENERIC: Final = re.compile(
    r"^(agent workflow|langgraph|crew(\.kickoff)?|crewai\.workflow|invocation|runnablesequence|agentexecutor|agent run|"
    r"invoke_(agent|workflow|swarm|graph)|workflow\.run|unknown_service.*|default|(get|post|put|delete|patch)( .*)?|"
    r"(.*[ ._-])?[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12})$",
    re.IGNORECASE,
)


class WorkflowName(NamedTuple):
    """A name, and for people what gave it."""

    name: str
    source: str


def workflow_name(spans: Sequence[Span], roots: Sequence[Span], rules: Sequence[NamingRule] = ()) -> WorkflowName:
    """The name of a run: its spans in their total order, its roots, the rules in the order of the file."""
    if not spans:
        return WorkflowName(UNKNOWN_WORKFLOW, "no span")
    first = roots[0] if roots else spans[0]
    if rules:
        by_rule = named_by(rules, (span.marks for span in (*roots, *spans)))
        if by_rule is not None:
            what = ", ".join(f"{place} {key}={value}" for place, key, value in by_rule.marks)
            return WorkflowName(by_rule.workflow, f"workflow_names[{by_rule.rule}]: {what}")
    return next(
        (WorkflowName(name, source) for name, source in _said(spans, first) if name and not _GENERIC.match(name)),
        WorkflowName(UNKNOWN_WORKFLOW, "nothing names it"),
    )


def _said(spans: Sequence[Span], first: Span) -> list[tuple[str, str]]:
    """What could name the run, best first."""
    frame = next((span for span in [first, *spans] if span.kind == "workflow"), first)
    named = frame.name.removesuffix(".kickoff").removeprefix("invoke_workflow ") if frame.kind == "workflow" else ""
    return [
        (first.workflow, "the root says it"),
        *((span.workflow, "a span says it") for span in spans if span.workflow),
        (named, "the name of the frame"),
        (first.agent, "the root's agent"),
        (_only_agent_below(frame, spans), "the only agent below the frame"),
        (first.service, "service.name"),
        (first.name, "the name of the root"),
    ]


def _only_agent_below(frame: Span, spans: Sequence[Span]) -> str:
    """The agent right below a frame that has no name of its own, when it is the only one there."""
    if frame.kind != "workflow":
        return ""
    below = {span.agent for span in spans if span.parent_id == frame.span_id and span.operation == "agent"}
    return below.pop() if len(below) == 1 else ""
