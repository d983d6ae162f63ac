"""Model Context Protocol, client and server spans (span-conventions 1.4, 8.5).

Only `tools/call` and its kin are steps; listing, handshakes and stream writers are structure. One call makes up to three nested
spans; `streams.core.dedup` makes them one.
"""

from typing import Final

from schemas.dialects.kinds import kind_of_tool
from schemas.dialects.reading import GENAI, read_fields
from schemas.dialects.view import Reading, View
from schemas.span import StepKind

NAME: Final = "mcp"
MARKERS: Final = frozenset({"mcp.method.name", "mcp.request.id", "mcp.response.value"})
SCOPES: Final = frozenset({"mcp-python-sdk", "fastmcp"})

_METHODS: Final[dict[str, StepKind]] = {
    "resources/read": "retrieval",
    "elicitation/create": "human",
    "sampling/createMessage": "llm",
}


def read(view: View) -> Reading:
    """The span in canonical fields."""
    method = view.low("mcp.method.name")
    tool = view.low("gen_ai.tool.name") or _tool_in_name(view.name, method)
    view.rule = "9: mcp.method.name"
    if method == "tools/call":
        return read_fields(view, GENAI, kind_of_tool(tool), tool=tool)
    kind = _METHODS.get(method, "internal")
    return read_fields(view, GENAI, kind, tool=view.low("mcp.resource.uri") if kind == "retrieval" else "")


def _tool_in_name(name: str, method: str) -> str:
    """`tools/call pay`, `MCP send tools/call pay`: the tool stands behind the method."""
    return name.rpartition(f"{method} ")[2] if method and f"{method} " in name else ""
