"""Every other span: kept, never lost, and a step only where it uses a word for its kind that several producers share.

What is left is structure: the gateway of an HTTP server, a database call, an application's own frame. Its session and workflow
are read, its error is no step's failure, and `stepwatch dialects` counts it by scope.
"""

from typing import Final

from schemas.dialects.kinds import FRAME, SPAN_KINDS, kind_of_tool
from schemas.dialects.reading import CALLS, GENAI, read_fields
from schemas.dialects.view import Reading, View
from schemas.span import StepKind

NAME: Final = "generic"
KIND_KEYS: Final = ("lmnr.span.type", "langwatch.span.type", "agentops.span.kind", "genkit:metadata:subtype")

_FIELDS: Final = GENAI.before(
    arguments=("lmnr.span.input", "langwatch.input", "genkit:input"),
    result=("lmnr.span.output", "langwatch.output", "genkit:output", "lk.function_tool.output"),
    input=("lmnr.span.input", "langwatch.input", "genkit:input"),
    output=("lmnr.span.output", "langwatch.output", "genkit:output"),
    tool=("genkit:name",),
)
_WORDS: Final[dict[str, StepKind]] = {"MODEL": "llm", "RAG": "retrieval", "EXECUTOR": "internal"}


def read(view: View) -> Reading:
    """The kind by a shared word; else structure, with what it says of the run."""
    kind = _kind(view)
    return read_fields(view, _FIELDS, kind, tool=view.lowest(*_FIELDS.tool) or view.name if kind in CALLS else "")


def _kind(view: View) -> StepKind:
    said = view.lowest(*KIND_KEYS).upper() if view.has(*KIND_KEYS) else ""
    if not said:
        view.rule = "10: no marker"
        return "internal"
    view.rule = "9: " + next(key for key in KIND_KEYS if view.has(key))
    if said == "TOOL":
        return kind_of_tool(view.lowest(*_FIELDS.tool) or view.name)
    if said == "CHAIN":
        return "workflow" if view.is_root and FRAME.search(view.name) else "internal"
    return _WORDS.get(said) or SPAN_KINDS.get(said, "internal")
