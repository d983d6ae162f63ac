"""LangSmith's OpenTelemetry export (span-conventions 5). Its own kind beats the operation: a retriever says `embeddings`.

`langsmith.trace.session_name` is the project and no session.
"""

from typing import Final

from schemas.dialects import unwrap
from schemas.dialects.kinds import FRAME, kind_of_tool
from schemas.dialects.reading import CALLS, GENAI, read_fields
from schemas.dialects.view import Reading, View
from schemas.span import StepKind

NAME: Final = "langsmith"
MARKERS: Final = frozenset({"langsmith.span.kind"})

_FIELDS: Final = GENAI.before(
    tool=("gen_ai.tool.name", "langsmith.trace.name"),
    arguments=("gen_ai.prompt",),
    result=("gen_ai.completion",),
    model=("gen_ai.response.model", "gen_ai.request.model", "langsmith.metadata.ls_model_name"),
    input=("gen_ai.input.messages", "gen_ai.prompt"),
    output=("gen_ai.output.messages", "gen_ai.completion"),
)
_KINDS: Final[dict[str, StepKind]] = {"llm": "llm", "retriever": "retrieval"}


def read(view: View) -> Reading:
    """The span in canonical fields."""
    tool = view.lowest(*_FIELDS.tool) or view.name
    kind = _kind(view, tool)
    if kind not in CALLS:
        return read_fields(view, _FIELDS, kind)
    answered = unwrap.result(view.captured(*_FIELDS.result))
    given = unwrap.arguments(view.captured(*_FIELDS.arguments))
    call_id = view.first(*_FIELDS.call_id) or answered.call_id
    return read_fields(view, _FIELDS, kind, tool=tool, arguments=given, result=answered.text, call_id=call_id)


def _kind(view: View, tool: str) -> StepKind:
    view.rule = "4: langsmith.span.kind"
    said = view.low("langsmith.span.kind")
    if said == "tool":
        return kind_of_tool(tool)
    if said == "chain":
        return "workflow" if view.is_root or FRAME.search(view.name) else "internal"
    return _KINDS.get(said, "internal")
