"""traceAI by Future AGI (span-conventions 3): OpenInference's words and flattening under gen_ai names, or older `fi.*` ones.

`gen_ai.span.kind` is no convention but theirs. `agent.trajectory.step`, where somebody sets it, names the kind itself.
"""

from typing import Any, Final

from schemas.dialects import messages, unwrap, verdict
from schemas.dialects.context import of
from schemas.dialects.kinds import kind_of_tool
from schemas.dialects.openinference import kind_of_word
from schemas.dialects.reading import CALLS, GENAI, read_fields
from schemas.dialects.view import Reading, View
from schemas.span import STEP_KINDS, StepKind

NAME: Final = "traceai"
MARKERS: Final = frozenset({"fi.span.kind", "gen_ai.span.kind", "agent.trajectory.step"})

_FIELDS: Final = GENAI.before(
    arguments=("gen_ai.tool.call.arguments", "input.value", "fi.tool.arguments"),
    input_tokens=("gen_ai.usage.input_tokens",),
)
_SDK_TRACE: Final = "traceai_openai_agents"
_SAME: Final[dict[str, StepKind]] = {
    "tool": "tool_call",
    "retriever": "retrieval",
    "guardrail": "verifier",
    "router": "planner",
}


def read(view: View) -> Reading:
    """The span in canonical fields."""
    tool = view.lowest("gen_ai.tool.name", "tool.name")
    kind = _kind(view, tool)
    if kind in CALLS:
        given = view.captured(*_FIELDS.arguments)
        answered = unwrap.result(view.captured(*_FIELDS.result))
        text = unwrap.json_prefix(answered.text) if view.name == "ToolUsage._use" else answered.text
        call_id = view.first(*_FIELDS.call_id) or answered.call_id
        return read_fields(
            view, _FIELDS, kind, tool=tool, call_id=call_id, arguments=unwrap.arguments(given), result=text
        )
    asked, said = messages.flattened(view, "gen_ai.input.messages.", "gen_ai.output.messages.")
    return read_fields(
        view,
        _FIELDS,
        kind,
        agent=_agent(view, kind),
        input_messages=asked,
        output_messages=said,
        tool_definitions=messages.tools(view, "gen_ai.tool.definitions."),
        result=verdict.of(view) if kind == "verifier" else None,
    )


def _kind(view: View, tool: str) -> StepKind:
    said = view.low("agent.trajectory.step").lower()
    if said in STEP_KINDS or said in _SAME:
        view.rule = "agent.trajectory.step"
        kind: StepKind = _SAME.get(said) or said  # type: ignore[assignment]  # it is one of STEP_KINDS
        return kind_of_tool(tool) if kind == "tool_call" else kind
    if view.has("langgraph.interrupt") or any(view.event(b"interrupt")):
        view.rule = "2: langgraph.interrupt"
        return "human"
    view.rule = "7: fi.span.kind, gen_ai.span.kind"
    return kind_of_word(view, view.lowest("fi.span.kind", "gen_ai.span.kind").upper(), tool, _SDK_TRACE)


def _agent(view: View, kind: StepKind) -> str:
    """A CrewAI agent's role is only inside the input of its task; elsewhere the table finds it, or the span is named after it."""
    if kind != "agent" or view.has(*_FIELDS.agent):
        return ""
    if view.name != "Task._execute_core":
        return view.name
    given: Any = messages.loaded(view.text("input.value") or "")
    args = given.get("args") if isinstance(given, dict) else None
    agent = args[0] if isinstance(args, list) and args else None
    return of(agent, "role") if isinstance(agent, dict) else ""
