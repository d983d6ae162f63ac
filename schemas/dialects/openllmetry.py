"""OpenLLMetry by Traceloop (span-conventions 4): `traceloop.*` beside GenAI operations.

For `invoke_agent` and `execute_task` Traceloop's kind wins, because every task of a graph says one of them; for the other
operations the operation wins. Arguments and results arrive inside LangChain's run envelope or a Python repr.
"""

from typing import Final

from schemas.dialects import genai, unwrap
from schemas.dialects.context import graph_agent
from schemas.dialects.kinds import agent_name, kind_of_tool
from schemas.dialects.messages import indexed
from schemas.dialects.reading import CALLS, GENAI, read_fields
from schemas.dialects.view import Reading, View
from schemas.span import StepKind

NAME: Final = "openllmetry"
MARKERS: Final = frozenset(
    {"traceloop.span.kind", "traceloop.entity.input", "gen_ai.workflow.nodes", "llm.request.type"}
)
CONTEXT: Final = "traceloop.workflow.name"  # on every span below a workflow: theirs, if the span is a step at all

_FIELDS: Final = GENAI.before(
    tool=("gen_ai.tool.name",),
    arguments=("gen_ai.tool.call.arguments", "traceloop.entity.input"),
    result=("gen_ai.tool.call.result", "traceloop.entity.output"),
    input=("gen_ai.input.messages", "traceloop.entity.input", "gen_ai.task.input"),
    output=("gen_ai.output.messages", "traceloop.entity.output", "gen_ai.task.output"),
)
_KINDS: Final[dict[str, StepKind]] = {
    "workflow": "workflow",
    "agent": "agent",
    "tool": "tool_call",
    "handoff": "handoff",
    "task": "internal",
}
_DECIDED_BY_KIND: Final = frozenset({"", "invoke_agent", "execute_task"})


def read(view: View) -> Reading:
    """The span in canonical fields."""
    said = view.low("traceloop.span.kind")
    tool = view.low("gen_ai.tool.name") or (view.low("traceloop.entity.name") if said == "tool" else "")
    kind = _kind(view, said, tool)
    if kind in CALLS:
        given = view.captured(*_FIELDS.arguments)
        answered = unwrap.result(view.captured(*_FIELDS.result))
        source = view.low("langgraph.command.source_node") or view.low("gen_ai.handoff.from_agent")
        return read_fields(
            view,
            _FIELDS,
            kind,
            agent=source,
            tool=tool,
            call_id=view.first(*_FIELDS.call_id) or answered.call_id,
            arguments=unwrap.arguments(given),
            result=unwrap.result(answered.text).text,
            target=view.lowest("gen_ai.handoff.to_agent", "langgraph.command.goto_node"),
        )
    asked, said_back = indexed(view)
    return read_fields(
        view,
        _FIELDS,
        kind,
        agent=_agent(view, said, kind),
        model="" if (model := view.lowest(*_FIELDS.model)) == "unknown" else model,
        input_messages=asked,
        output_messages=said_back,
    )


def _kind(view: View, said: str, tool: str) -> StepKind:
    operation = view.low("gen_ai.operation.name")
    if operation in _DECIDED_BY_KIND and said in _KINDS:
        view.rule = "8: traceloop.span.kind"
        return kind_of_tool(tool) if said == "tool" and tool else _KINDS[said]
    if "gen_ai.workflow.nodes" in view.keys:
        # The graph itself: at the top it is the workflow, below a span it is the agent that a node runs.
        view.rule = "8: gen_ai.workflow.nodes"
        return "workflow" if view.is_root else "agent"
    if operation:
        return genai.kind_of(view, operation, tool)
    view.rule = "10: llm.request.type"
    return "llm" if view.has("llm.request.type", "gen_ai.request.model") else "internal"


def _agent(view: View, said: str, kind: StepKind) -> str:
    named = view.low("gen_ai.agent.name")
    if said in ("workflow", "task") or kind == "workflow":
        return graph_agent(view)  # there the name is the graph's
    if named or kind != "agent":
        return ""
    name = view.low("traceloop.entity.name") or view.name.removesuffix(".agent")
    return agent_name(name)
