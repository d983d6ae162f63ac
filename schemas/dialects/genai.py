"""OpenTelemetry GenAI semantic conventions, generations from v1.36 on (span-conventions 1).

The operation name decides the kind; a tool's name is evidence of a tool call where an emitter leaves the operation out.
Content is opt-in for emitters, so arguments, results and messages may be absent: "not captured".
"""

from schemas.dialects.kinds import kind_of_tool, refine
from schemas.dialects.view import Reading, View
from schemas.span import StepKind

NAME = "genai"

_MODEL_CALLS = frozenset(
    {"chat", "text_completion", "completion", "generate_content", "llm_request", "model_request", "embeddings"}
)
_KINDS: dict[str, StepKind] = {
    "chat": "llm",
    "text_completion": "llm",
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
    # Structure, set-up and look-ups that are no step of the work.
    "create_agent": "internal",
    "fetch_response": "internal",
    "embeddings": "internal",
}
_MARKERS = (
    "gen_ai.operation.name",
    "gen_ai.tool.name",
    "gen_ai.request.model",
    "gen_ai.agent.name",
    "gen_ai.workflow.name",
)


def claims(view: View) -> bool:
    """Any of the conventions' leading attributes."""
    get = view.get
    return any(get(marker) is not None for marker in _MARKERS)


def read(view: View) -> Reading:
    """The span in canonical fields."""
    operation = view.low("gen_ai.operation.name")
    tool = view.low("gen_ai.tool.name")
    agent = view.low("gen_ai.agent.name") or _agent_in_name(view, operation)
    kind = refine(kind_of(view, operation, tool), agent)
    if kind in ("tool_call", "handoff", "human", "retrieval"):
        return _tool_call(view, kind, agent, tool or view.name.removeprefix("execute_tool "))
    return Reading(
        kind=kind,
        workflow=view.low("gen_ai.workflow.name"),
        agent=agent,
        model=view.lowest("gen_ai.response.model", "gen_ai.request.model"),
        provider=view.lowest("gen_ai.provider.name", "gen_ai.system"),
        session_id=view.text("gen_ai.conversation.id") or "",
        error_type=view.low("error.type"),
        input_tokens=view.number("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"),
        output_tokens=view.number("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
        cost_usd=view.amount("gen_ai.usage.cost", "gen_ai.cost.total"),
        input_messages=view.text("gen_ai.input.messages"),
        output_messages=view.text("gen_ai.output.messages"),
        tool_definitions=view.text("gen_ai.tool.definitions"),
    )


def kind_of(view: View, operation: str, tool: str) -> StepKind:
    """The step kind before refinement by agent name (span-conventions 6.2, rules 1-6 and 10)."""
    if tool and operation not in _MODEL_CALLS and operation != "invoke_agent":
        if view.get("gen_ai.transfer.mode") is not None or view.get("gen_ai.transfer.target.name") is not None:
            return "handoff"
        return "retrieval" if view.low("gen_ai.tool.type") == "datastore" else kind_of_tool(tool)
    if known := _KINDS.get(operation):
        return known
    if "memory" in operation:
        return "memory"
    return "llm" if view.get("gen_ai.request.model") is not None else "internal"


def _tool_call(view: View, kind: StepKind, agent: str, tool: str) -> Reading:
    return Reading(
        kind=kind,
        workflow=view.low("gen_ai.workflow.name"),
        agent=agent,
        tool=tool,
        call_id=view.text("gen_ai.tool.call.id") or "",
        session_id=view.text("gen_ai.conversation.id") or "",
        error_type=view.low("error.type"),
        arguments=view.text("gen_ai.tool.call.arguments"),
        result=view.text("gen_ai.tool.call.result"),
    )


def _agent_in_name(view: View, operation: str) -> str:
    if operation != "invoke_agent":
        return ""
    return view.name.removeprefix("invoke_agent").strip()
