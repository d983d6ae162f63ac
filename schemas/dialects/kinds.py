"""Step kinds by word and by name: the rules that hold in every dialect (span-conventions 6.2, 6.6)."""

import re
from functools import lru_cache
from typing import Final

from schemas.span import StepKind

# `gen_ai.operation.name`, as conventions and instrumentors write it (rule 6). An operation that is not here says nothing.
OPERATIONS: Final[dict[str, StepKind]] = {
    "chat": "llm",
    "text_completion": "llm",
    "text_completions": "llm",
    "completion": "llm",
    "generate_content": "llm",
    "llm_request": "llm",
    "model_request": "llm",
    "plan": "planner",
    "execute_tool": "tool_call",
    "retrieval": "retrieval",
    "vector_db_retrieve": "retrieval",
    "vectordb": "retrieval",
    "rerank": "retrieval",
    "invoke_agent": "agent",
    "execute_task": "agent",
    "invoke_workflow": "workflow",
    "invoke_swarm": "workflow",
    "invoke_graph": "workflow",
    "apply_guardrail": "verifier",
    "run_guardrail": "verifier",
    "guardrail_check": "verifier",
    "handoff": "handoff",
    "agent_handoff": "handoff",
    "goto": "handoff",
    "user_input": "human",
    # Structure, set-up and look-ups that are no step of the work (rule 0).
    "create_agent": "internal",
    "fetch_response": "internal",
    "embeddings": "internal",
    "agent_step": "internal",
    "invoke_node": "internal",
    "execute_event_loop_cycle": "internal",
    "chain": "internal",
    "prompt": "internal",
    "parser": "internal",
    "experiment": "internal",
    "transcription": "internal",
    "speech": "internal",
    "image": "internal",
}
MODEL_OPERATIONS: Final = frozenset(name for name, kind in OPERATIONS.items() if kind == "llm") | {"embeddings"}

# The kind words of OpenInference and of those who took them over, in capitals (rule 7). CHAIN depends on its place.
SPAN_KINDS: Final[dict[str, StepKind]] = {
    "LLM": "llm",
    "DECISION": "llm",
    "GENERATION": "llm",
    "CHAT_MODEL": "llm",
    "TOOL": "tool_call",
    "AGENT": "agent",
    "A2A_SERVER": "agent",
    "A2A_CLIENT": "agent",
    "RETRIEVER": "retrieval",
    "RERANKER": "retrieval",
    "VECTOR_DB": "retrieval",
    "GUARDRAIL": "verifier",
    "EVALUATOR": "verifier",
    "HANDOFF": "handoff",
    "MEMORY": "memory",
    "WORKFLOW": "workflow",
    "CONVERSATION": "workflow",
}
FRAME: Final = re.compile(r"\.kickoff$|^LangGraph$|^Crew")  # names of chains that frame a run

_HANDOFF_TOOL: Final = re.compile(
    r"^(transfer_(back_)?to_.+|hand_?off_to_.+"
    r"|delegate[_ ]work[_ ]to[_ ]co-?worker|ask[_ ]question[_ ]to[_ ]co-?worker)$",
    re.IGNORECASE,
)
# A person is asked, not looked up: `get_user_details` reads a record (docs/decisions/0009).
_HUMAN_TOOL: Final = re.compile(
    r"^(ask|wait_for)_?(human|user|operator|approval|confirmation)(_|$)"
    r"|^(request|get)_?((human|user|operator)_)?(approval|confirmation|input|feedback|reply|answer|decision)(_|$)"
    r"|human_(input|feedback|approval|in_the_loop)$"
)
_PLANNER: Final = re.compile(r"plan(n?er)?\b|supervisor|orchestrat|router|coordinator|manager", re.IGNORECASE)
_VERIFIER: Final = re.compile(
    r"verif|critic|review|judge|validat|guardrail|moderat|checker|grader|reflect", re.IGNORECASE
)
_NO_NAME: Final = re.compile(
    r"(?:\w*[-_.])?[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.IGNORECASE
)


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


@lru_cache(maxsize=20_000)
def agent_name(said: str) -> str:
    """A name for an agent, or "" where an id stands in its place: rates are grouped by it, and ids never repeat."""
    return "" if _NO_NAME.fullmatch(said) else said
