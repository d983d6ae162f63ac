"""OpenLIT (span-conventions 5): GenAI operations, with keys of its own for a tool's content and outcome."""

from typing import Final

from schemas.dialects import genai
from schemas.dialects.reading import CALLS, GENAI, read_fields
from schemas.dialects.view import Reading, View

NAME: Final = "openlit"
MARKERS: Final = frozenset(
    {"gen_ai.tool.args", "gen_ai.tool.input", "gen_ai.tool.execution.success", "gen_ai.workflow.input"}
)

_FIELDS: Final = GENAI.before(
    arguments=("gen_ai.tool.call.arguments", "gen_ai.tool.args", "gen_ai.tool.input"),
    result=("gen_ai.tool.call.result", "gen_ai.tool.result", "gen_ai.tool.output"),
    input=("gen_ai.input.messages", "gen_ai.workflow.input", "gen_ai.agent.input"),
    output=("gen_ai.output.messages", "gen_ai.workflow.output", "gen_ai.agent.output"),
)


def read(view: View) -> Reading:
    """The span in canonical fields."""
    tool = view.low("gen_ai.tool.name")
    kind = genai.kind_of(view, view.low("gen_ai.operation.name"), tool)
    return read_fields(view, _FIELDS, kind, tool=tool if kind in CALLS else "")
