"""OpenInference (span-conventions 2): `openinference.span.kind` and flattened attributes.

The kind is AGENT whenever "agent" occurs in a LangChain run's name, so a tool's own name beats it. Spans that dual-write gen_ai.*
are one span: an explicit `gen_ai.operation.name` wins the kind, OpenInference's keys win the content.
"""

import re
from typing import Any, Final

from schemas.dialects import genai, messages, unwrap, verdict
from schemas.dialects.context import error_of, graph_agent, metadata_of, session_of, shape_of, workflow_of
from schemas.dialects.kinds import FRAME, SPAN_KINDS, agent_name, kind_of_tool, refine
from schemas.dialects.reading import CALLS, Fields, present
from schemas.dialects.view import Reading, View
from schemas.span import StepKind

NAME: Final = "openinference"
MARKERS: Final = frozenset({"openinference.span.kind"})

_RUN: Final = re.compile(r"^(.+)\.run$")  # smolagents' agents, whose name is nowhere else
_FIELDS: Final = Fields(
    agent=("agent.name", "gen_ai.agent.name", "graph.node.name", "graph.node.id", "tool.agent_role"),
    tool=("tool.name", "gen_ai.tool.name"),
    call_id=("tool_call.id", "gen_ai.tool.call.id", "tool.id"),
    arguments=("gen_ai.tool.call.arguments", "input.value"),
    result=("gen_ai.tool.call.result", "output.value"),
    model=("llm.response.model_name", "llm.model_name", "gen_ai.response.model", "gen_ai.request.model"),
    provider=("llm.provider", "llm.system", "gen_ai.provider.name"),
    input_tokens=("llm.token_count.prompt", "gen_ai.usage.input_tokens"),
    output_tokens=("llm.token_count.completion", "gen_ai.usage.output_tokens"),
    cost=("llm.cost.total",),
    input=("gen_ai.input.messages", "input.value"),
    output=("gen_ai.output.messages", "output.value"),
    definitions=("llm.tools", "gen_ai.tool.definitions", "llm.tools.0.tool.json_schema"),
    finish=("llm.finish_reason",),
)
_CLAUDE: Final = "ClaudeAgentSDK."
_SDK_TRACE: Final = (
    "openinference.instrumentation.openai_agents"  # an AGENT without a name there is the frame of the run
)
_FINAL_ANSWER: Final = frozenset({"final_answer", "FinalAnswerTool"})  # smolagents' way to end, no tool


def read(view: View) -> Reading:
    """The span in canonical fields."""
    shape, there = shape_of(view), present(view, NAME, _FIELDS)
    metadata = metadata_of(view) if "metadata" in view.keys else None
    tool = view.lowest(*there.tool) if there.tool else ""
    kind = kind_of(view, tool)
    agent = _agent(view, there, kind, metadata)
    workflow = workflow_of(view, metadata) if shape.workflow or metadata else ""
    session = session_of(view, metadata) if shape.session or metadata else ""
    error = error_of(view) if shape.fails else ""
    if kind in CALLS:
        given = view.captured(*there.arguments) if there.arguments else None
        if given is None:
            given = _arguments_among_parameters(view)
        answered = unwrap.result(view.captured(*there.result) if there.result else None)
        schema = view.text("tool.parameters") if given is not None and given[:7] == '{"args"' else None
        return Reading(  # by place, for speed: this is a trodden path
            kind,
            kind,
            workflow,
            agent,
            tool or view.name,
            (view.first(*there.call_id) if there.call_id else "") or answered.call_id,
            "",
            "",
            session,
            error,
            0,
            0,
            unwrap.arguments(given, schema),
            answered.text,
        )
    if kind == "internal" and not view.is_root:  # structure: nobody reads its content
        return Reading(kind, kind, workflow, agent, "", "", "", "", session, error)
    asked, said = messages.flattened(view, "llm.input_messages.", "llm.output_messages.")
    return Reading(  # by place, for speed: this is a trodden path
        refine(kind, agent),
        kind,
        workflow,
        agent,
        "",
        "",
        view.lowest(*there.model) if there.model else "",
        view.lowest(*there.provider) if there.provider else "",
        session,
        error,
        view.number(*there.input_tokens) if there.input_tokens else 0,
        view.number(*there.output_tokens) if there.output_tokens else 0,
        None,
        verdict.of(view) if kind == "verifier" else None,
        view.amount("llm.cost.total") if there.cost else None,
        asked or (view.first(*there.input) if there.input else None),
        said or (view.first(*there.output) if there.output else None),
        None
        if not there.definitions
        else messages.tools(view, "llm.tools.") or view.first("llm.tools", "gen_ai.tool.definitions"),
        view.low("llm.finish_reason") if there.finish else "",
    )


def kind_of(view: View, tool: str) -> StepKind:
    """The kind by an operation that is written beside it, else by the word for it (6.2, rules 1, 5 to 7)."""
    operation = view.low("gen_ai.operation.name")
    if operation:
        return genai.kind_of(view, operation, tool)
    view.rule = "7: openinference.span.kind"
    return kind_of_word(view, view.low("openinference.span.kind").upper(), tool, _SDK_TRACE)


def kind_of_word(view: View, said: str, tool: str, sdk_trace: str) -> StepKind:
    """The kind by a word of OpenInference's list, as the span's name, tool and place qualify it."""
    if said == "TOOL" and view.name[:11].lower() == "handoff to ":
        view.rule = "1: handoff by name"
        return "handoff"
    if said == "TOOL" or (said == "AGENT" and tool):
        view.rule = "5: tool name" if tool else view.rule
        return "internal" if (tool or view.name) in _FINAL_ANSWER else kind_of_tool(tool or view.name)
    if said == "CHAIN":
        if view.is_root or FRAME.search(view.name):
            return "workflow"
        return "memory" if "memory" in view.name.lower() else "internal"
    if said == "AGENT" and view.scope == sdk_trace and not view.has("agent.name", "graph.node.id"):
        view.rule = "7: the trace of the SDK"
        return "workflow"
    return SPAN_KINDS.get(said, "internal")


def _agent(view: View, there: Fields, kind: StepKind, metadata: dict[str, Any] | None) -> str:
    if view.name.startswith(_CLAUDE):
        return ""  # it says `Agent`, whoever it is: the call above it names the one that was asked
    if there.agent and (said := agent_name(view.lowest(*there.agent))):
        return said
    if (metadata or shape_of(view).graph) and (said := graph_agent(view, metadata)):
        return said
    if kind != "agent":
        return ""
    run = _RUN.match(view.name)
    return agent_name(run.group(1) if run else view.name)


def _arguments_among_parameters(view: View) -> str | None:
    """`tool.parameters` holds the schema with some instrumentors, the arguments with others."""
    text = view.text("tool.parameters")
    if text is None:
        return None
    value = messages.loaded(text)
    if not isinstance(value, dict) or "properties" in value:
        return None
    return None if any(isinstance(v, dict) and "type" in v for v in value.values()) else text
