"""What any span may say of the run around it: session, workflow, agent by graph node, and a failure in so many words.

These keys are context: span processors stamp them on every span, HTTP and database ones too, so none of them makes a step
(span-conventions 5, 6.1). First present and not empty wins.
"""

from typing import Any, Final

import orjson

from schemas.dialects.kinds import agent_name
from schemas.dialects.view import View

SESSION: Final = (
    "langfuse.session.id",
    "session.id",
    "gen_ai.conversation.id",
    "fi.session.id",
    "traceloop.association.properties.session_id",
    "traceloop.association.properties.thread_id",
    "traceloop.association.properties.conversation_id",
    "traceloop.association.properties.chat_id",
    "ai.telemetry.metadata.sessionId",
    "ai.settings.context.sessionId",
    "langsmith.metadata.session_id",
    "langsmith.metadata.thread_id",
    "langsmith.metadata.conversation_id",
    "gcp.vertex.agent.session_id",
    "langwatch.thread.id",
    "lmnr.association.properties.session_id",
    "mlflow.trace.session",
    "langfuse.observation.metadata.thread_id",
    "thread_id",
)
_SESSION_METADATA: Final = ("session_id", "thread_id", "conversation_id")

WORKFLOW: Final = (
    "gen_ai.workflow.name",
    "langfuse.trace.name",
    "traceloop.workflow.name",
    "workflow.name",
    "workflow_builder.name",
    "mlflow.traceTag.mlflow.traceName",
    "traceloop.association.properties.workflow_name",
    "traceloop.association.properties.workflow",
    "langsmith.metadata.workflow_name",
    "ai.telemetry.metadata.workflow",
    "langgraph.graph.name",
)
_WORKFLOW_METADATA: Final = ("workflow_name", "workflow", "flow_name", "graph_name", "pipeline")

# LangChain's run metadata, under each prefix that an exporter puts before it.
_LANGCHAIN: Final = ("", "traceloop.association.properties.", "langsmith.metadata.", "langfuse.observation.metadata.")
_RENAMED: Final = "langfuse.observation.metadata.langgraph_node"  # Langfuse gives it to nodes of other graphs too
_LC_AGENT: Final = tuple(f"{prefix}lc_agent_name" for prefix in _LANGCHAIN)
_LC_PLACE: Final = tuple(f"{prefix}langgraph_checkpoint_ns" for prefix in _LANGCHAIN)
_LC_NODE: Final = tuple(f"{prefix}langgraph_node" for prefix in _LANGCHAIN)
_LC_SET: Final = frozenset((*_LC_AGENT, *_LC_NODE))
# Nodes that prebuilt graphs name after what they do: whose model or tools these are, they do not say.
_NODES_OF_ALL: Final = frozenset(
    {"tools", "tool", "tool_node", "ToolNode", "action", "model", "call_model", "__start__"}
)

_OUTCOMES: Final = ("gen_ai.tool.status", "gen_ai.task.status", "gen_ai.response.status")
_GOOD: Final = frozenset({"", "success", "completed", "ok", "async_launched", "queued", "in_progress", "incomplete"})
_FAILED_FLAGS: Final = ("gen_ai.tool.execution.success", "gen_ai.workflow.operation.success")
_ERROR_FLAGS: Final = ("lk.function_tool.is_error", "langsmith.metadata.is_error")
_ERROR_TEXTS: Final = (
    "gen_ai.tool.error",
    "pydantic_ai.tool.failure_stage",
    "strands.cancellation.type",
    "error.message",
)
_HTTP: Final = ("http.response.status_code", "http.status_code")
_SAID: Final = frozenset(
    (*_OUTCOMES, *_FAILED_FLAGS, *_ERROR_FLAGS, *_ERROR_TEXTS, *_HTTP, "langfuse.observation.level",
     "logfire.level_num", "rpc.response.status_code")
)  # fmt: skip
_LOGFIRE_ERROR: Final = 17

_SHAPES_MAX: Final = 4_096
_shapes: Final[dict[frozenset[Any], "Shape"]] = {}


class Shape:
    """What the set of a span's keys says before any value is read. An instrumentor writes few sets, millions of times."""

    __slots__ = ("fails", "graph", "messages", "outcome", "place", "present", "session", "workflow")

    def __init__(self, keys: frozenset[Any]) -> None:
        self.session = tuple(key for key in SESSION if key in keys)
        self.workflow = tuple(key for key in WORKFLOW if key in keys)
        self.graph = not keys.isdisjoint(_LC_SET)
        self.outcome = not keys.isdisjoint(_SAID)
        self.fails = self.outcome or "error.type" in keys  # it may say that it failed
        self.present: dict[
            str, Any
        ] = {}  # by dialect: its fields as far as they are there, for `schemas.dialects.reading`
        self.messages: Any = None  # the keys of flattened messages; for `schemas.dialects.messages` to remember
        self.place: int | None = None  # of the dialect that its markers choose; for `schemas.dialects` to remember


def shape_of(view: View) -> Shape:
    """The shape of this span, from one bounded cache."""
    found: Shape | None = view.shape
    if found is None:
        found = _shapes.get(view.keys)
        if found is None:
            found = Shape(view.keys)
            if len(_shapes) < _SHAPES_MAX:
                _shapes[view.keys] = found
        view.shape = found
    return found


def session_of(view: View, metadata: dict[str, Any] | None = None) -> str:
    """The session, thread or conversation."""
    for key in shape_of(view).session:
        if found := view.text(key):
            return found
    return of(metadata, *_SESSION_METADATA) if metadata else ""


def workflow_of(view: View, metadata: dict[str, Any] | None = None) -> str:
    """The workflow as this span names it."""
    for key in shape_of(view).workflow:
        if found := view.low(key):
            return found
    return of(metadata, *_WORKFLOW_METADATA) if metadata else ""


def graph_agent(view: View, metadata: dict[str, Any] | None = None) -> str:
    """The agent by LangChain's metadata: its own name, else the outermost node of the graph that means one."""
    if metadata and ("langgraph_node" in metadata or "lc_agent_name" in metadata):
        place, node = of(metadata, "langgraph_checkpoint_ns"), of(metadata, "langgraph_node")
        said = of(metadata, "lc_agent_name")
    elif not shape_of(view).graph:
        return ""
    else:
        said, place, node = view.lowest(*_LC_AGENT), view.first(*_LC_PLACE) or "", view.lowest(*_LC_NODE)
        if not place and _RENAMED in view.keys:
            return said
    outer = place.partition("|")[0].partition(":")[0]
    return said or next((name for name in (outer, node) if name and name not in _NODES_OF_ALL), "")


def error_of(view: View) -> str:
    """`error.type`, else what an explicit outcome attribute says (rule E3), as `attribute=value`; "" without a failure."""
    if "error.type" in view.keys and (said := view.low("error.type")):
        return said
    return _outcome(view) if shape_of(view).outcome else ""


def _outcome(view: View) -> str:
    for key in _OUTCOMES:
        if (said := view.low(key)).lower() not in _GOOD:
            return f"{key}={said}"
    for key in _FAILED_FLAGS:
        if view.low(key).lower() in ("false", "0"):
            return f"{key}=false"
    for key in _ERROR_FLAGS:
        if view.low(key).lower() in ("true", "1"):
            return f"{key}=true"
    if said := view.low("strands.cancellation.type"):
        return f"CancelledError: strands.cancellation.type={said}"  # control flow, no failure
    for key in _ERROR_TEXTS:
        if (text := view.first(key)) and text.strip().lower() not in ("none", "null", "false", "{}"):
            return f"{key}={text[:200]}"
    if view.low("langfuse.observation.level") == "ERROR":
        return "langfuse.observation.level=ERROR"
    if view.number("logfire.level_num") >= _LOGFIRE_ERROR:
        return f"logfire.level_num={view.number('logfire.level_num')}"
    if view.number(*_HTTP) >= 400:
        return f"http.response.status_code={view.number(*_HTTP)}"
    if view.has("mcp.method.name") and (code := view.low("rpc.response.status_code")) not in ("", "0", "OK"):
        return f"rpc.response.status_code={code}"
    return ""


def metadata_of(view: View) -> dict[str, Any]:
    """The `metadata` attribute, read; {} when it is absent or no JSON object."""
    text = view.text("metadata")
    if not text:
        return {}
    try:
        parsed = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def of(metadata: dict[str, Any] | None, *keys: str) -> str:
    """The first of these that is a text and not empty."""
    for key in keys:
        if isinstance(value := (metadata or {}).get(key), str) and value:
            return value
    return ""


def agent_of(view: View, *keys: str, metadata: dict[str, Any] | None = None) -> str:
    """The agent by these keys, else by the graph's node; an id is no name."""
    return agent_name(view.lowest(*keys)) or graph_agent(view, metadata)
