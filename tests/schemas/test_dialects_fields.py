"""The golden table of fields: each row of span-conventions 6.1 has a case that names it.

A case is a span as some producer writes it, and what must be read. Ids of the cases begin with the row.
"""

from typing import Any

import orjson
import pytest

from tests.schemas.dialect_spans import (
    AGENT,
    ASSISTANT,
    CHAT,
    ERROR,
    FI,
    LC,
    OI,
    OP,
    PARENT,
    SPAN,
    TL,
    TOOL,
    TRACE,
    VERCEL,
    read,
)
from tests.shared import shared

# 6.1: (row, field of Span, expected, attributes, anything else of the span).
FIELDS: list[tuple[str, str, Any, dict[str, Any], dict[str, Any]]] = [
    ("trace_id", "trace_id", TRACE, TOOL, {}),
    ("span_id", "span_id", SPAN, TOOL, {}),
    ("parent_span_id", "parent_id", PARENT, TOOL, {}),
    ("parent_span_id, root", "parent_id", b"", TOOL, {"root": True}),
    *(
        ("session_id", "session_id", "s1", {**TOOL, key: "s1"}, {})
        for key in (
            "langfuse.session.id", "session.id", "gen_ai.conversation.id", "fi.session.id",
            "traceloop.association.properties.session_id", "traceloop.association.properties.thread_id",
            "traceloop.association.properties.conversation_id", "traceloop.association.properties.chat_id",
            "ai.telemetry.metadata.sessionId", "langsmith.metadata.session_id", "langsmith.metadata.thread_id",
            "gcp.vertex.agent.session_id", "langwatch.thread.id", "lmnr.association.properties.session_id", "thread_id",
        )
    ),
    ("session_id, precedence", "session_id", "a", {**TOOL, "session.id": "a", "gen_ai.conversation.id": "b"}, {}),
    ("session_id, metadata", "session_id", "s1", {OI: "TOOL", "metadata": '{"thread_id": "s1"}'}, {}),
    ("session_id, LangSmith's project is none", "session_id", "",
     {"langsmith.span.kind": "llm", "langsmith.trace.session_name": "project"}, {}),
    *(
        ("workflow_name", "workflow", "refund", {**CHAT, key: "refund"}, {})
        for key in ("gen_ai.workflow.name", "langfuse.trace.name", "traceloop.workflow.name", "workflow.name",
                    "workflow_builder.name", "mlflow.traceTag.mlflow.traceName",
                    "traceloop.association.properties.workflow_name")
    ),
    ("workflow_name, structure says it too", "workflow", "refund", {"gen_ai.workflow.name": "refund"}, {}),
    ("agent_name", "agent", "executor", {**TOOL, "gen_ai.agent.name": "executor"}, {}),
    *(
        ("agent_name", "agent", "executor", {OI: "AGENT", key: "executor"}, {})
        for key in ("agent.name", "graph.node.name", "graph.node.id", "tool.agent_role")
    ),
    ("agent_name", "agent", "executor", {FI: "AGENT", "gen_ai.agent.graph.node_name": "executor"}, {}),
    ("agent_name, Traceloop's entity", "agent", "executor", {TL: "agent", "traceloop.entity.name": "executor"}, {}),
    ("agent_name, graph node", "agent", "executor", {OI: "LLM", "metadata": '{"langgraph_node": "executor"}'}, {}),
    ("agent_name, outermost node", "agent", "executor",
     {OI: "TOOL", "metadata": '{"langgraph_node": "tools", "langgraph_checkpoint_ns": "executor:1|tools:2"}'}, {}),
    ("agent_name, Vercel's function", "agent", "executor",
     {VERCEL: "ai.generateText", "ai.telemetry.functionId": "executor"}, {}),
    ("agent_name, span name", "agent", "executor", AGENT, {"name": "invoke_agent executor"}),
    ("agent_name, a model in the span name", "agent", "", {**AGENT, "gen_ai.request.model": "m"}, {"name": "invoke_agent m"}),
    ("agent_name, smolagents' run", "agent", "executor", {OI: "AGENT"}, {"name": "executor.run"}),
    ("agent_name, an id is none", "agent", "", {**AGENT, "gen_ai.agent.name": "171105b7-59dd-49c0-9677-0b95395aa46a"}, {}),
    ("step name", "name", "execute_tool pay", TOOL, {"name": "execute_tool pay"}),
    ("tool_name", "tool", "pay", TOOL, {}),
    ("tool_name", "tool", "pay", {OI: "TOOL", "tool.name": "pay"}, {"name": "PayTool"}),
    ("tool_name", "tool", "pay", {VERCEL: "ai.toolCall", "ai.toolCall.name": "pay"}, {}),
    ("tool_name", "tool", "pay", {TL: "tool", "traceloop.entity.name": "pay"}, {"name": "pay.tool"}),
    ("tool_name", "tool", "pay", {"langsmith.span.kind": "tool", "langsmith.trace.name": "pay"}, {}),
    ("tool_name", "tool", "pay", {"logfire.msg": "Function: pay", "name": "pay"}, {"name": "Function: {name}"}),
    ("tool_name", "tool", "pay", {"mlflow.spanType": '"TOOL"', "mlflow.spanFunctionName": '"pay"'}, {}),
    ("tool_name", "tool", "pay", {OP: "execute_tool"}, {"name": "execute_tool pay"}),
    ("tool_name", "tool", "pay", {"mcp.method.name": "tools/call"}, {"name": "MCP send tools/call pay"}),
    ("tool_name, class-like span name", "tool", "Pay", {OI: "TOOL"}, {"name": "Pay"}),
    ("tool_call_id", "call_id", "c1", {**TOOL, "gen_ai.tool.call.id": "c1"}, {}),
    ("tool_call_id", "call_id", "c1", {OI: "TOOL", "tool.id": "c1"}, {}),
    ("tool_call_id", "call_id", "c1", {OI: "TOOL", "tool_call.id": "c1"}, {}),
    ("tool_call_id", "call_id", "c1", {VERCEL: "ai.toolCall", "ai.toolCall.id": "c1"}, {}),
    ("tool_call_id, in the result", "call_id", "c1", {OI: "TOOL", "output.value": LC}, {}),
    ("tool_call_id, sentinel", "call_id", "", {**TOOL, "gen_ai.tool.call.id": "<not specified>"}, {}),
    *(
        ("arguments", "arguments", '{"a": 1}', {**marks, key: '{"a": 1}'}, {})
        for marks, key in (
            (TOOL, "gen_ai.tool.call.arguments"), ({VERCEL: "ai.toolCall"}, "ai.toolCall.args"),
            ({**TOOL, "gcp.vertex.agent.event_id": "e"}, "gcp.vertex.agent.tool_call_args"),
            ({**TOOL, "logfire.msg": "running tool"}, "tool_arguments"), ({OI: "TOOL"}, "input.value"),
            ({"langfuse.observation.type": "tool"}, "langfuse.observation.input"), ({TL: "tool"}, "traceloop.entity.input"),
            ({"mlflow.spanType": "TOOL"}, "mlflow.spanInputs"), (TOOL, "gen_ai.tool.args"), (TOOL, "gen_ai.tool.input"),
            ({OI: "TOOL"}, "tool.parameters"), ({"mcp.method.name": "tools/call"}, "mcp.request.argument"),
            ({"langsmith.span.kind": "tool"}, "gen_ai.prompt"), ({"lmnr.span.type": "TOOL"}, "lmnr.span.input"),
        )
    ),
    ("arguments, a schema is none", "arguments", None,
     {OI: "TOOL", "tool.parameters": '{"properties": {"a": {"type": "string"}}}'}, {}),
    ("arguments, an event", "arguments", '{"a": 1}', TOOL, {"events": {"gen_ai.tool.message": {"content": '{"a": 1}'}}}),
    ("arguments, not captured", "arguments", None, TOOL, {}),
    ("arguments, captured empty", "arguments", "", {**TOOL, "gen_ai.tool.call.arguments": ""}, {}),
    *(
        ("result", "result", "done", {**marks, key: "done"}, {})
        for marks, key in (
            (TOOL, "gen_ai.tool.call.result"), ({VERCEL: "ai.toolCall"}, "ai.toolCall.result"),
            ({**TOOL, "gcp.vertex.agent.event_id": "e"}, "gcp.vertex.agent.tool_response"),
            ({**TOOL, "logfire.msg": "running tool"}, "tool_response"), ({OI: "TOOL"}, "output.value"),
            ({"langfuse.observation.type": "tool"}, "langfuse.observation.output"), ({TL: "tool"}, "traceloop.entity.output"),
            ({"mlflow.spanType": "TOOL"}, "mlflow.spanOutputs"), (TOOL, "gen_ai.tool.result"), (TOOL, "gen_ai.tool.output"),
            ({"mcp.method.name": "tools/call"}, "mcp.response.value"), ({"langsmith.span.kind": "tool"}, "gen_ai.completion"),
        )
    ),
    ("result, an event", "result", "done", TOOL, {"events": {"gen_ai.choice": {"message": '[{"text": "done"}]'}}}),
    *(
        ("unwrap", "arguments", '{"a":1}', {TL: "tool", "traceloop.entity.input": wrapped}, {})
        for wrapped in (
            '{"args": [], "kwargs": {"a": 1}}', '{"input_str": "{\'a\': 1}", "tags": [], "metadata": {}}',
            '{"inputs": {"a": 1}, "tags": []}', '{"tool_name": "pay", "arguments": {"a": 1}}', '{"input": {"a": 1}}',
        )
    ),
    ("unwrap, positional", "arguments", '{"a":1}',
     {OI: "TOOL", "input.value": '{"args": [1], "kwargs": {}}', "tool.parameters": '{"a": {"type": "integer"}}'}, {}),
    ("unwrap, Python repr", "arguments", '{"a":1}', {"langsmith.span.kind": "tool", "gen_ai.prompt": "{'a': 1}"}, {}),
    *(
        ("unwrap", "result", "done", {OI: "TOOL", "output.value": wrapped}, {})
        for wrapped in (
            LC, '{"output": "done", "kwargs": {}}', '{"outputs": "done"}', '{"id": "c1", "name": "pay", "response": "done"}',
            '{"type": "tool", "data": {"content": "done"}}', '{"type": "tool", "content": "done", "tool_call_id": "c1"}',
            '{"output": "content=\'done\' name=\'pay\' tool_call_id=\'c1\'"}',
        )
    ),
    ("input / output", "output_messages", ASSISTANT, {**CHAT, "gen_ai.output.messages": ASSISTANT}, {}),
    ("input / output", "input_messages", "[1]", {**CHAT, "gen_ai.input.messages": "[1]"}, {}),
    ("input / output", "output_messages", "bye", {OI: "LLM", "output.value": "bye"}, {}),
    ("input / output", "output_messages", "bye", {"mlflow.spanType": "LLM", "mlflow.spanOutputs": "bye"}, {}),
    ("input / output", "output_messages", "bye", {**AGENT, "pydantic_ai.all_messages": "[]", "final_result": "bye"}, {}),
    ("available tools", "tool_definitions", "[1]", {**CHAT, "gen_ai.tool.definitions": "[1]"}, {}),
    ("available tools", "tool_definitions", '[{"type":"function"}]',
     {OI: "LLM", "llm.tools.0.tool.json_schema": '{"type":"function"}'}, {}),
    ("available tools", "tool_definitions", "[1]", {VERCEL: "ai.x.doStream", "ai.prompt.tools": "[1]"}, {}),
    *(
        ("model / provider", "model", "m", {**marks, key: "m"}, {})
        for marks, key in (
            ({}, "gen_ai.response.model"), ({}, "gen_ai.request.model"), ({OI: "LLM"}, "llm.response.model_name"),
            ({OI: "LLM"}, "llm.model_name"), ({VERCEL: "ai.x.doGenerate"}, "ai.response.model"),
            ({VERCEL: "ai.x.doGenerate"}, "ai.model.id"),
            ({"langfuse.observation.type": "generation"}, "langfuse.observation.model.name"),
            ({"mlflow.spanType": "LLM"}, "mlflow.llm.model"), ({FI: "LLM"}, "ls_model_name"),
        )
    ),
    ("model / provider", "provider", "p", {**CHAT, "gen_ai.provider.name": "p"}, {}),
    ("model / provider", "provider", "p", {OI: "LLM", "llm.provider": "p"}, {}),
    *(
        ("tokens_in / out", "input_tokens", 12, {**marks, key: value}, {})
        for marks, key, value in (
            (CHAT, "gen_ai.usage.input_tokens", 12), (CHAT, "gen_ai.usage.prompt_tokens", 12.0),
            (CHAT, "gen_ai.usage.input_tokens", "12"), ({OI: "LLM"}, "llm.token_count.prompt", 12),
            ({VERCEL: "ai.x.doGenerate"}, "ai.usage.inputTokens", 12), ({VERCEL: "ai.x.doStream"}, "ai.usage.promptTokens", 12),
            ({"langfuse.observation.type": "generation"}, "langfuse.observation.usage_details", '{"input": 12}'),
            ({"mlflow.spanType": "LLM"}, "mlflow.chat.tokenUsage", '{"input_tokens": 12}'),
        )
    ),
    *(
        ("cost USD", "cost_usd", 0.5, {**marks, key: value}, {})
        for marks, key, value in (
            (CHAT, "gen_ai.usage.cost", 0.5), (CHAT, "gen_ai.cost.total", 0.5), ({OI: "LLM"}, "llm.cost.total", 0.5),
            (CHAT, "operation.cost", 0.5), ({"langfuse.observation.type": "generation"}, "langfuse.observation.cost_details",
            '{"total": 0.5}'), ({"mlflow.spanType": "LLM"}, "mlflow.llm.cost", '{"total_cost": 0.5}'),
        )
    ),
    ("status / error", "error_type", "timeout", {**TOOL, "error.type": "timeout"}, {}),
    ("status / error", "status_message", "boom", TOOL, {"status": ERROR}),
    ("status / error", "exception", "E: m", TOOL, {"events": {"exception": {"exception.type": "E", "exception.message": "m"}}}),
    ("expectations / task definition", "task_id", "t1", {"stepwatch.task.id": "t1"}, {"root": True}),
    ("expectations / task definition", "task_id", "t1", {"metadata": '{"stepwatch.task.id": "t1"}'}, {"root": True}),
    ("expectations / task definition", "expectation", "[]",
     {"langfuse.trace.metadata.stepwatch.expectation": "[]"}, {"root": True}),
    ("expectations / task definition", "expectation", "[]", {"eval.expected_tool_calls": "[]"}, {"root": True}),
    ("evaluation results", "result", '{"name":"tone","score.label":"fail","passed":false}',
     {"gen_ai.evaluation.name": "tone", "gen_ai.evaluation.score.label": "fail"}, {}),
]  # fmt: skip

# Rows of 6.1 that are read elsewhere: by the assembly of a trajectory, by evaluators, or in ClickHouse out of the raw span.
ELSEWHERE = {
    "requested tool calls": "test_requested_calls_are_parts_of_the_output",
    "thought": "test_thoughts_are_parts_of_the_output",
    "token scope": "tests/core/test_dedup.py",
    "latency": "start_ns and end_ns of the span; clocks are flagged in test_decode.py",
    "user_id": "no verdict hangs on it; it is in the stored raw span",
    "tags / metadata": "no verdict hangs on them; they are in the stored raw span",
}


@pytest.mark.parametrize(
    ("field", "expected", "attributes", "span"),
    [pytest.param(*case[1:], id=f"6.1 {case[0]} {n}") for n, case in enumerate(FIELDS)],
)
def test_a_field_is_read_from_the_first_key_that_has_it(
    field: str, expected: Any, attributes: dict[str, Any], span: dict[str, Any]
) -> None:
    assert getattr(read(attributes, **span), field) == expected


def test_every_row_of_the_field_table_has_a_case_or_a_place() -> None:
    text = shared("design/span-conventions.md").read_text()
    table = text.partition("### 6.1")[2].partition("### 6.2")[0]
    rows = [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("| ")][1:]
    rows = [name.strip() for row in rows for name in (row.split(" / ") if "trace_id" in row else [row])]
    named = {case[0].partition(",")[0] for case in FIELDS} | set(ELSEWHERE)
    named |= {name.removesuffix(" (both)") for name in named}
    missing = [row for row in rows if row.partition(" (")[0] not in named and row not in ("---", "canonical field")]
    assert missing == []


REQUESTED = [
    ("GenAI parts", {**CHAT, "gen_ai.output.messages":
                     '[{"role":"assistant","parts":[{"type":"tool_call","id":"c1","name":"pay"}]}]'}),
    ("OpenInference", {OI: "LLM", "llm.output_messages.0.message.role": "assistant",
                       "llm.output_messages.0.message.tool_calls.0.tool_call.id": "c1",
                       "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "pay"}),
    ("indexed", {**CHAT, "gen_ai.completion.0.role": "assistant", "gen_ai.completion.0.tool_calls.0.id": "c1",
                 "gen_ai.completion.0.tool_calls.0.name": "pay"}),
    ("Vercel", {VERCEL: "ai.x.doGenerate", "ai.response.toolCalls": '[{"toolCallId":"c1","toolName":"pay","input":{}}]'}),
    ("ADK", {"gen_ai.request.model": "m", "gcp.vertex.agent.llm_response":
             '{"content":{"role":"model","parts":[{"function_call":{"id":"c1","name":"pay","args":{}}}]}}'}),
    ("traceAI", {FI: "LLM", "gen_ai.output.messages.0.message.role": "assistant",
                 "gen_ai.output.messages.0.message.tool_calls.0.tool_call.id": "c1",
                 "gen_ai.output.messages.0.message.tool_calls.0.tool_call.function.name": "pay"}),
]  # fmt: skip


@pytest.mark.parametrize("attributes", [pytest.param(a, id=f"6.1 requested tool calls, {n}") for n, a in REQUESTED])
def test_requested_calls_are_parts_of_the_output(attributes: dict[str, Any]) -> None:
    parts = [part for message in orjson.loads(read(attributes).output_messages or "") for part in message["parts"]]
    assert [(part["type"], part["id"], part["name"]) for part in parts] == [("tool_call", "c1", "pay")]


THOUGHTS = [
    ("OpenInference", {OI: "LLM", "llm.output_messages.0.message.contents.0.message_content.type": "reasoning",
                       "llm.output_messages.0.message.contents.0.message_content.text": "hm"}),
    ("Vercel", {VERCEL: "ai.x.doGenerate", "ai.response.reasoning": "hm", "ai.response.text": ""}),
    ("ADK", {"gen_ai.request.model": "m", "gcp.vertex.agent.llm_response":
             '{"content":{"role":"model","parts":[{"text":"hm","thought":true}]}}'}),
]  # fmt: skip


@pytest.mark.parametrize("attributes", [pytest.param(a, id=f"6.1 thought, {n}") for n, a in THOUGHTS])
def test_thoughts_are_parts_of_the_output(attributes: dict[str, Any]) -> None:
    parts = orjson.loads(read(attributes).output_messages or "")[0]["parts"]
    assert parts == [{"type": "reasoning", "content": "hm"}]
