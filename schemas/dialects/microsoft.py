"""Microsoft Agent Framework and Semantic Kernel (span-conventions 5): GenAI operations, and the workflow engine's own spans.

An agent's name may be a random UUID, which is no name. `message.send` and `edge_group.process` are structure.
"""

from typing import Final

from schemas.dialects import genai
from schemas.dialects.context import error_of, session_of, workflow_of
from schemas.dialects.kinds import agent_name
from schemas.dialects.reading import GENAI
from schemas.dialects.view import Reading, View

NAME: Final = "microsoft"
MARKERS: Final = frozenset(
    {"executor.id", "workflow.id", "workflow_builder.name", "message.source_id", "sk.available_functions"}
)
SCOPES: Final = frozenset({"agent_framework"})

_FINISH: Final = ("gen_ai.response.finish_reasons", "gen_ai.response.finish_reason")


def read(view: View) -> Reading:
    """The span in canonical fields."""
    if view.has("gen_ai.operation.name", "gen_ai.tool.name", "gen_ai.request.model"):
        found = genai.read(view)
        definitions = found.tool_definitions or view.text("sk.available_functions")
        return found._replace(tool_definitions=definitions, finish_reasons=view.lowest(*_FINISH))
    view.rule = "9: span name"
    return Reading(
        kind="workflow" if view.name.startswith("workflow.run") else "internal",
        workflow=workflow_of(view),
        agent=agent_name(view.lowest(*GENAI.agent)),
        session_id=session_of(view),
        error_type=error_of(view),
    )
