"""Step kinds by name: the rules that hold in every dialect (span-conventions 6.2, 6.6)."""

import re
from functools import lru_cache

from schemas.span import StepKind

_HANDOFF_TOOL = re.compile(r"^(transfer_(back_)?to_.+|handoff_to_.+|transfer_to_agent|handoff_to_agent)$")
# A person is asked, not looked up: `get_user_details` reads a record (docs/decisions/0009).
_HUMAN_TOOL = re.compile(
    r"^(ask|wait_for)_?(human|user|operator|approval|confirmation)(_|$)"
    r"|^(request|get)_?((human|user|operator)_)?(approval|confirmation|input|feedback|reply|answer|decision)(_|$)"
    r"|human_(input|feedback|approval|in_the_loop)$"
)
_PLANNER = re.compile(r"plan(n?er)?\b|supervisor|orchestrat|router|coordinator|manager", re.IGNORECASE)
_VERIFIER = re.compile(r"verif|critic|review|judge|validat|guardrail|moderat|checker|grader|reflect", re.IGNORECASE)


@lru_cache(maxsize=20_000)
def kind_of_tool(tool: str) -> StepKind:
    """What a call of this tool is: most producers type handoffs and questions to people as tools."""
    if _HANDOFF_TOOL.match(tool):
        return "handoff"
    return "human" if _HUMAN_TOOL.search(tool) else "tool_call"


@lru_cache(maxsize=20_000)
def refine(kind: StepKind, agent: str) -> StepKind:
    """A model call of a planner or verifier by its agent's name; an agent that verifies."""
    if kind == "llm" and _PLANNER.search(agent):
        return "planner"
    if kind in ("llm", "agent") and _VERIFIER.search(agent):
        return "verifier"
    return kind
