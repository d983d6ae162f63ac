"""A dialect's fields as a table: which keys hold what, in order of precedence (span-conventions 6.1).

`Fields` is that table, `read_fields` reads a span by it. The two dialects that most spans speak read by hand, for speed; every
other one adds its own keys before those of GenAI, which it may write beside them.
"""

from typing import Any, Final, NamedTuple

from schemas.dialects.context import agent_of, error_of, metadata_of, session_of, shape_of, workflow_of
from schemas.dialects.kinds import refine
from schemas.dialects.told import Told
from schemas.dialects.view import Reading, View
from schemas.span import StepKind

Keys = tuple[str, ...]


class Fields(NamedTuple):
    """Keys of each canonical field. The defaults are GenAI's; a dialect puts its own before them with `before`."""

    agent: Keys = ("gen_ai.agent.name", "agent.name", "agent_name", "gen_ai.agent.graph.node_name", "graph.node.name",
                   "graph.node.id", "tool.agent_role", "executor.id", "crewai.agent.role")  # fmt: skip
    tool: Keys = ("gen_ai.tool.name", "tool.name")
    call_id: Keys = ("gen_ai.tool.call.id", "tool.id", "tool_call.id")
    arguments: Keys = ("gen_ai.tool.call.arguments", "input.value", "langfuse.observation.input", "gen_ai.tool.args",
                       "gen_ai.tool.input", "gen_ai.tool.input_kwargs", "mcp.request.argument")  # fmt: skip
    result: Keys = ("gen_ai.tool.call.result", "output.value", "langfuse.observation.output", "gen_ai.tool.result",
                    "gen_ai.tool.output", "mcp.response.value")  # fmt: skip
    model: Keys = ("gen_ai.response.model", "gen_ai.request.model", "llm.response.model_name", "llm.model_name",
                   "ls_model_name", "model_name")  # fmt: skip
    provider: Keys = ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system")
    input_tokens: Keys = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt",
                          "llm.usage.prompt_tokens")  # fmt: skip
    output_tokens: Keys = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion",
                           "llm.usage.completion_tokens")  # fmt: skip
    cost: Keys = ("gen_ai.usage.cost", "gen_ai.cost.total", "llm.cost.total", "operation.cost", "gen_ai.usage.total_cost",
                  "langwatch.span.cost", "llm.cost.total_usd")  # fmt: skip
    input: Keys = ("gen_ai.input.messages", "input.value", "langfuse.observation.input")
    output: Keys = ("gen_ai.output.messages", "output.value", "langfuse.observation.output")
    definitions: Keys = ("gen_ai.tool.definitions", "llm.tools", "mlflow.chat.tools", "gen_ai.agent.tools")
    finish: Keys = ("gen_ai.response.finish_reasons", "llm.finish_reason", "gen_ai.response.finish_reason")

    def before(self, **keys: Keys) -> "Fields":
        """This table with keys of a dialect put before those of the same field."""
        return self._replace(**{name: (*own, *getattr(self, name)) for name, own in keys.items()})


def present(view: View, dialect: str, fields: Fields) -> Fields:
    """The table with the keys that this span has, kept with its shape: what is not there need not be asked for."""
    known = shape_of(view).present
    found: Fields | None = known.get(dialect)
    if found is None:
        found = known[dialect] = Fields(*(tuple(key for key in keys if key in view.keys) for keys in fields))
    return found


GENAI: Final = Fields()
CALLS: Final[frozenset[StepKind]] = frozenset({"tool_call", "handoff", "human", "retrieval"})


def read_fields(view: View, fields: Fields, kind: StepKind, **said: Any) -> Reading:
    """The span as `kind`, by the table. `said` are fields that the dialect read itself; they win where they are not empty."""
    metadata = metadata_of(view)
    agent = said.pop("agent", "") or agent_of(view, *fields.agent, metadata=metadata)
    told = Told(view)
    found: dict[str, Any] = {
        "workflow": workflow_of(view, metadata),
        "agent": agent,
        "session_id": session_of(view, metadata),
        "error_type": error_of(view),
    }
    if kind in CALLS:
        found |= {
            "tool": view.lowest(*fields.tool) or view.name,
            "call_id": view.first(*fields.call_id) or "",
            "arguments": told.arguments if (a := view.captured(*fields.arguments)) is None else a,
            "result": told.result if (r := view.captured(*fields.result)) is None else r,
        }
    else:
        found |= _of_a_thinker(view, fields, told)
    found |= {name: value for name, value in said.items() if value not in ("", None)}
    return Reading(kind=refine(kind, agent), operation=kind, **found)


def _of_a_thinker(view: View, fields: Fields, told: Told) -> dict[str, Any]:
    """Fields of a model call, an agent or a frame."""
    return {
        "model": view.lowest(*fields.model),
        "provider": view.lowest(*fields.provider),
        "input_tokens": view.number(*fields.input_tokens),
        "output_tokens": view.number(*fields.output_tokens),
        "cost_usd": view.amount(*fields.cost),
        "input_messages": view.first(*fields.input) or told.input,
        "output_messages": view.first(*fields.output) or told.output,
        "tool_definitions": view.first(*fields.definitions),
        "finish_reasons": view.lowest(*fields.finish),
    }
