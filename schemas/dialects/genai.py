"""OpenTelemetry GenAI semantic conventions, three generations of them (span-conventions 1).

The operation name decides the kind; a tool's name is evidence of a tool call where an emitter leaves the operation out.
Content is opt-in, and lies in attributes, in indexed attributes (before v1.37) or in span events; or it is not captured.
"""

from typing import Final

from schemas.dialects import messages, unwrap, verdict
from schemas.dialects.context import error_of, graph_agent, session_of, shape_of, workflow_of
from schemas.dialects.kinds import MODEL_OPERATIONS, OPERATIONS, agent_name, kind_of_tool, refine
from schemas.dialects.reading import CALLS, Fields, present
from schemas.dialects.told import Told
from schemas.dialects.view import Reading, View
from schemas.span import StepKind

NAME: Final = "genai"
MARKERS: Final = frozenset(
    {
        "gen_ai.operation.name",
        "gen_ai.tool.name",
        "gen_ai.tool.call.id",
        "gen_ai.request.model",
        "gen_ai.response.model",
        "gen_ai.transfer.mode",
        "gen_ai.guardrail.result.type",
        "gen_ai.guardrail.component.name",
        "gen_ai.evaluation.name",
        "langgraph.command.goto_node",
        "langgraph.interrupt",
    }
)
_TRANSFER: Final = frozenset({"gen_ai.transfer.mode", "gen_ai.transfer.target.name"})
_FIELDS: Final = Fields(
    agent=("gen_ai.agent.name",),
    tool=("gen_ai.tool.name",),
    model=("gen_ai.response.model", "gen_ai.request.model"),
    provider=("gen_ai.provider.name", "gen_ai.system"),
    input_tokens=("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"),
    output_tokens=("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
    input=("gen_ai.input.messages",),
    output=("gen_ai.output.messages",),
    definitions=("gen_ai.tool.definitions", "gen_ai.agent.tools"),
    finish=("gen_ai.response.finish_reasons",),
)
SENTINELS: Final = frozenset({"<not specified>", "unknown", "none", "null"})  # call ids that mean nothing
_NOWHERE: Final = frozenset({"__end__", "end", ""})


def read(view: View) -> Reading:
    """The span in canonical fields."""
    shape, there = shape_of(view), present(view, NAME, _FIELDS)
    operation = view.low("gen_ai.operation.name")
    tool = view.low("gen_ai.tool.name") if there.tool else ""
    kind = kind_of(view, operation, tool)
    agent = agent_name(view.low("gen_ai.agent.name")) if there.agent else ""
    agent = agent or _agent_in_name(view, operation) or (graph_agent(view) if shape.graph else "")
    if kind in CALLS:
        return _call(view, there, kind, agent, tool)
    given = view.text("gen_ai.input.messages") if there.input else None
    answered = view.text("gen_ai.output.messages") if there.output else None
    if given is None and answered is None:
        given, answered = messages.indexed(view)
    if view.events and (given is None or answered is None):
        told = Told(view)
        given = told.input if given is None else given
        answered = told.output if answered is None else answered
    return Reading(  # by place, for speed: this is the most trodden path
        refine(kind, agent),
        kind,
        workflow_of(view) if shape.workflow else "",
        agent,
        "",
        "",
        view.lowest(*there.model) if there.model else "",
        view.lowest(*there.provider) if there.provider else "",
        session_of(view) if shape.session else "",
        error_of(view) if shape.fails else "",
        view.number(*there.input_tokens) if there.input_tokens else 0,
        view.number(*there.output_tokens) if there.output_tokens else 0,
        None,
        verdict.of(view) if kind == "verifier" else None,
        view.amount(*there.cost) if there.cost else None,
        given,
        answered,
        view.first(*there.definitions) if there.definitions else None,
        view.low("gen_ai.response.finish_reasons") if there.finish else "",
    )


def kind_of(view: View, operation: str, tool: str) -> StepKind:
    """The step kind before refinement by agent name (span-conventions 6.2, rules 0-2, 5, 6 and 10)."""
    if "langgraph.interrupt" in view.keys:
        view.rule = "2: langgraph.interrupt"
        return "human"
    if tool and operation not in MODEL_OPERATIONS and operation != "invoke_agent":
        if not view.keys.isdisjoint(_TRANSFER):
            view.rule = "1: gen_ai.transfer.*"
            return "handoff"
        if view.low("gen_ai.tool.type") == "datastore":
            view.rule = "6: gen_ai.tool.type datastore"
            return "retrieval"
        view.rule = "5: tool name"
        return kind_of_tool(tool)
    known = OPERATIONS.get(operation)
    if known is not None:
        view.rule = "6: gen_ai.operation.name"
        if operation == "execute_task" and "gen_ai.agent.name" not in view.keys:
            return "internal"  # a node or an empty hook of a graph: nobody's run
        if known == "handoff" and _target(view) in _NOWHERE and operation == "goto":
            return "internal"
        return known
    if "memory" in operation:
        view.rule = "6: gen_ai.operation.name"
        return "memory"
    if view.has("gen_ai.request.model", "gen_ai.response.model"):
        view.rule = "10: model attribute"
        return "llm"
    if view.has("gen_ai.guardrail.result.type", "gen_ai.guardrail.component.name", "gen_ai.evaluation.name"):
        view.rule = "6: gen_ai.guardrail.* or gen_ai.evaluation.*"
        return "verifier"
    view.rule = "10: nothing more"
    return "internal"


def _call(view: View, there: Fields, kind: StepKind, agent: str, tool: str) -> Reading:
    shape = shape_of(view)
    given = view.captured(*there.arguments) if there.arguments else None
    answered = view.captured(*there.result) if there.result else None
    if view.events and (given is None or answered is None):
        told = Told(view)
        given = told.arguments if given is None else given
        answered = told.result if answered is None else answered
    target = _target(view) if kind == "handoff" else ""
    call_id = (view.first(*there.call_id) or "") if there.call_id else ""
    if kind == "handoff":
        agent = view.lowest("gen_ai.handoff.from_agent", "from_agent", "langgraph.command.source_node") or agent
    return Reading(
        kind,
        kind,
        workflow_of(view) if shape.workflow else "",
        agent,
        tool or (f"handoff to {target}" if target else view.name.removeprefix("execute_tool ")),
        "" if call_id in SENTINELS else call_id,
        "",
        "",
        session_of(view) if shape.session else "",
        error_of(view) if shape.fails else "",
        0,
        0,
        given,
        unwrap.blocks(answered),
        None,
        None,
        None,
        None,
        "",
        target,
    )


def _target(view: View) -> str:
    return view.lowest(
        "gen_ai.transfer.target.name",
        "gen_ai.handoff.to_agent",
        "to_agent",
        "langgraph.command.goto_node",
        "langgraph.command.goto_nodes",
    )


def _agent_in_name(view: View, operation: str) -> str:
    if operation != "invoke_agent" or not view.name.startswith("invoke_agent "):
        return ""
    said = view.name[len("invoke_agent ") :].strip()
    return "" if said == view.low("gen_ai.request.model") else agent_name(said)
