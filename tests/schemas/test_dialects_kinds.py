"""The golden table of kinds: each rule of span-conventions 6.2 has a case that names it."""

from typing import Any

import pytest

from tests.schemas.dialect_spans import CHAT, ERROR, FI, OI, OP, TL, TOOL, VERCEL, read

# 6.2: (rule, kind, attributes, anything else of the span).
KINDS: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("0", "internal", {"logfire.span_type": "pending_span", **CHAT}, {}),
    ("0", "internal", {"logfire.span_type": "log", "logfire.msg": "x"}, {}),
    ("0", "internal", {"http.request.method": "GET"}, {"scope": "opentelemetry.instrumentation.httpx", "status": ERROR}),
    ("0, context is no marker", "internal", {"gen_ai.conversation.id": "s", "session.id": "s", "user.id": "u",
     "gen_ai.task.id": "t", "gen_ai.agent.name": "a", "traceloop.workflow.name": "w",
     "traceloop.association.properties.x": "y", "langsmith.metadata.x": "y"}, {}),
    ("0", "internal", {OP: "create_agent"}, {}),
    ("0", "internal", {OP: "fetch_response"}, {}),
    ("0", "internal", {"langsmith.span.kind": "prompt", OP: "chat"}, {}),
    ("0", "internal", {"langsmith.span.kind": "parser"}, {}),
    ("0", "internal", {"mcp.method.name": "tools/list"}, {}),
    ("0", "internal", {"mcp.method.name": "initialize"}, {}),
    ("0", "internal", {"tool_name": "pay", "crew_key": "k"}, {"name": "Tool Usage", "scope": "crewai.telemetry"}),
    ("0", "internal", {OP: "execute_event_loop_cycle"}, {}),
    ("0", "internal", {OP: "agent_step"}, {"name": "step 1"}),
    ("0", "internal", {OI: "CHAIN"}, {"name": "turn"}),
    ("0", "internal", {OI: "CHAIN"}, {"name": "RunnableSequence"}),
    ("1", "handoff", {OI: "TOOL"}, {"name": "handoff to billing"}),
    ("1", "handoff", {**TOOL, "gen_ai.transfer.mode": "pass_control"}, {}),
    ("1", "handoff", {OP: "agent_handoff", "gen_ai.handoff.to_agent": "billing"}, {}),
    ("1", "handoff", {OP: "goto", "langgraph.command.goto_node": "billing"}, {}),
    ("1, the end is nobody", "internal", {OP: "goto", "langgraph.command.goto_node": "__end__"}, {}),
    *(("1", "handoff", {OP: "execute_tool", "gen_ai.tool.name": tool}, {})
      for tool in ("transfer_to_billing", "transfer_back_to_planner", "transfer_to_agent", "handoff_to_agent",
                   "handoff_to_billing", "Delegate work to coworker", "Ask question to coworker")),
    ("2", "human", {FI: "CHAIN", "langgraph.interrupt": True}, {}),
    ("2", "human", {FI: "CHAIN"}, {"events": {"interrupt": {}}}),
    ("2", "human", {**TOOL, "pydantic_ai.tool.deferral.name": "ApprovalRequired"}, {}),
    ("2", "human", {OP: "user_input"}, {}),
    ("2", "human", {"mcp.method.name": "elicitation/create"}, {}),
    ("2", "human", {OP: "execute_tool", "gen_ai.tool.name": "ask_human"}, {}),
    *(("3", kind, {"langfuse.observation.type": said}, {})
      for said, kind in (("generation", "llm"), ("tool", "tool_call"), ("agent", "agent"), ("retriever", "retrieval"),
                         ("guardrail", "verifier"), ("evaluator", "verifier"), ("chain", "internal"))),
    ("3, span says nothing", "llm", {"langfuse.observation.type": "span", OI: "LLM"}, {}),
    ("4", "retrieval", {"langsmith.span.kind": "retriever", OP: "embeddings"}, {}),
    ("4", "tool_call", {"langsmith.span.kind": "tool", OP: "chat"}, {}),
    ("5", "tool_call", {OI: "AGENT", "tool.name": "call_agent"}, {}),
    ("5", "tool_call", {"gen_ai.tool.name": "pay"}, {}),
    ("5", "tool_call", {"ai.toolCall.name": "pay"}, {}),
    ("5, output function", "internal", {**TOOL, "logfire.msg": "running output function: final_result"}, {}),
    ("5, final answer", "internal", {OI: "TOOL", "tool.name": "final_answer"}, {}),
    *(("6", "llm", {OP: operation}, {})
      for operation in ("chat", "text_completion", "completion", "generate_content", "llm_request", "model_request")),
    ("6", "planner", {OP: "plan"}, {}),
    ("6", "tool_call", {OP: "execute_tool"}, {}),
    ("6", "retrieval", {**TOOL, "gen_ai.tool.type": "datastore"}, {}),
    *(("6", "retrieval", {OP: operation}, {}) for operation in ("retrieval", "vector_db_retrieve", "vectordb", "rerank")),
    ("6", "internal", {OP: "embeddings", "gen_ai.request.model": "m"}, {}),
    *(("6", "workflow", {OP: operation}, {}) for operation in ("invoke_workflow", "invoke_swarm", "invoke_graph")),
    ("6, nested workflow", "internal", {OP: "invoke_workflow", "gen_ai.workflow.nested": True},
     {"scope": "gcp.vertex.agent"}),
    *(("6", "memory", {OP: operation}, {}) for operation in ("search_memory", "upsert_memory", "memory.search")),
    *(("6", "verifier", {OP: operation}, {}) for operation in ("apply_guardrail", "run_guardrail", "guardrail_check")),
    ("6", "agent", {OP: "invoke_agent"}, {}),
    ("6, a task is its kind", "internal", {OP: "execute_task", TL: "task"}, {}),
    ("6, a workflow is its kind", "workflow", {OP: "invoke_agent", TL: "workflow"}, {}),
    ("6, an unknown operation says nothing", "llm", {OP: "something_new", "gen_ai.request.model": "m"}, {}),
    *(("7", kind, {key: said}, {})
      for key in ("fi.span.kind", FI, OI)
      for said, kind in (("LLM", "llm"), ("TOOL", "tool_call"), ("RETRIEVER", "retrieval"), ("RERANKER", "retrieval"),
                         ("GUARDRAIL", "verifier"), ("EVALUATOR", "verifier"), ("AGENT", "agent"), ("DECISION", "llm"),
                         ("EMBEDDING", "internal"), ("PROMPT", "internal"), ("UNKNOWN", "internal"))),
    ("7", "retrieval", {FI: "VECTOR_DB"}, {}),
    ("7", "agent", {FI: "A2A_CLIENT"}, {}),
    ("7", "workflow", {FI: "CONVERSATION"}, {}),
    ("7, older keys win", "tool_call", {"fi.span.kind": "TOOL", FI: "LLM"}, {}),
    ("7, a chain at the root", "workflow", {OI: "CHAIN"}, {"root": True}),
    ("7, a kickoff", "workflow", {OI: "CHAIN"}, {"name": "Crew.kickoff"}),
    ("7, a memory", "memory", {OI: "CHAIN"}, {"name": "load_memory"}),
    ("7, the trace of an SDK", "workflow", {OI: "AGENT"},
     {"name": "Agent workflow", "scope": "openinference.instrumentation.openai_agents"}),
    ("7, of the otel v2 dialect", "workflow", {OP: "invoke_agent"},
     {"root": True, "name": "Agent workflow", "scope": "opentelemetry.instrumentation.openai_agents"}),
    *(("8", kind, {TL: said}, {})
      for said, kind in (("workflow", "workflow"), ("agent", "agent"), ("tool", "tool_call"), ("handoff", "handoff"),
                         ("task", "internal"))),
    ("9", "agent", {VERCEL: "ai.generateText"}, {}),
    ("9", "llm", {VERCEL: "ai.streamText.doStream"}, {}),
    ("9", "tool_call", {VERCEL: "ai.toolCall", "ai.toolCall.name": "pay"}, {}),
    ("9", "internal", {VERCEL: "ai.embed"}, {}),
    ("9", "tool_call", {"mlflow.spanType": '"TOOL"'}, {}),
    ("9", "llm", {"mlflow.spanType": '"CHAT_MODEL"'}, {}),
    ("9", "llm", {"lmnr.span.type": "LLM"}, {}),
    ("9", "tool_call", {"langwatch.span.type": "tool"}, {}),
    ("9", "llm", {"genkit:metadata:subtype": "model"}, {}),
    ("9", "tool_call", {"mcp.method.name": "tools/call"}, {}),
    ("9", "retrieval", {"mcp.method.name": "resources/read"}, {}),
    ("9", "agent", {"pydantic_ai.all_messages": "[]", "agent_name": "a"}, {"scope": "pydantic-ai"}),
    ("9", "workflow", {"workflow.id": "w"}, {"name": "workflow.run"}),
    ("9", "workflow", {}, {"name": "invocation", "scope": "gcp.vertex.agent"}),
    ("9", "llm", {"gen_ai.request.model": "m"}, {"name": "call_llm", "scope": "gcp.vertex.agent"}),
    ("9", "internal", {"executor.id": "e"}, {"name": "executor.process"}),
    ("9", "tool_call", {"logfire.msg": "running tool", "tool_name": "pay"}, {"name": "running tool"}),
    ("9", "agent", {"logfire.msg": "agent run"}, {"name": "agent run"}),
    ("10", "llm", {"gen_ai.request.model": "m"}, {}),
    ("10", "internal", {}, {}),
    ("refinement", "planner", {**CHAT, "gen_ai.agent.name": "supervisor"}, {}),
    ("refinement", "verifier", {OP: "invoke_agent", "gen_ai.agent.name": "critic"}, {}),
    ("refinement", "verifier", {OI: "LLM", "graph.node.id": "code_reviewer"}, {}),
    ("agent.trajectory.step", "planner", {"agent.trajectory.step": "planner", FI: "LLM"}, {}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "attributes", "span"),
    [pytest.param(*case[1:], id=f"6.2 rule {case[0]} {n}") for n, case in enumerate(KINDS)],
)
def test_the_kind_is_that_of_the_first_rule_that_fires(
    kind: str, attributes: dict[str, Any], span: dict[str, Any]
) -> None:
    assert read(attributes, **span).kind == kind


def test_every_rule_of_the_kinds_has_a_case() -> None:
    assert {case[0].partition(",")[0] for case in KINDS} >= {str(rule) for rule in range(11)} | {"refinement"}
