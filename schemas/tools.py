"""A tool and its JSON Schema, compiled once: declared by the registry, or offered in a span itself.

The law: a schema that cannot be used is found when it is read, never when a call is judged; reading fetches nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import jsonschema_rs
import orjson

OFFERED_TOOLS_MAX = 128  # tool definitions read from one span
OFFERED_CACHED = 256  # distinct texts of tool definitions kept compiled: producers repeat them on every span
_APPLICATORS = frozenset({"allOf", "anyOf", "oneOf", "$ref", "$dynamicRef", "if", "dependentSchemas"})


@dataclass(frozen=True, slots=True, eq=False)
class Tool:
    """A tool as declared: by the registry, or offered in a span."""

    name: str
    writes: bool = False  # changes a system of record
    parameters: Mapping[str, Any] | None = None  # JSON Schema 2020-12, as declared; None: nothing is said
    validator: jsonschema_rs.Draft202012Validator | None = None
    entity: Mapping[str, str] = field(default_factory=dict)  # which argument names the customer, order, ticket
    latency_budget_ms: float | None = None
    ordered: frozenset[str] = frozenset()  # arguments whose lists compare in order; the others compare as multisets
    inverse: str = ""  # the tool that undoes a call of this one; "": none is declared


class BadSchema(ValueError):
    """A JSON Schema that cannot be used. `path` leads to the fault inside it."""

    def __init__(self, message: str, path: tuple[str | int, ...]) -> None:
        super().__init__(message)
        self.path = path


def make_tool(name: str, parameters: Mapping[str, Any] | None, **declared: Any) -> Tool:
    """A tool with its schema compiled. Raises BadSchema."""
    if parameters is None:
        return Tool(name, **declared)
    try:
        validator = jsonschema_rs.Draft202012Validator(_closed(parameters), validate_formats=True, offline=True)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError, TypeError) as error:
        path = tuple(getattr(error, "instance_path", ()))
        raise BadSchema(f"not a JSON Schema (draft 2020-12): {getattr(error, 'message', error)}", path) from error
    return Tool(name, parameters=parameters, validator=validator, ordered=_ordered(parameters), **declared)


def _closed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema, closed at its top level unless it says itself what else may come, or declares no properties at all.

    Functions break on arguments they do not declare. Nested objects follow JSON Schema: open unless closed.
    """
    closed = dict(schema)
    closed.setdefault("type", "object")
    says = {"additionalProperties", "unevaluatedProperties", "patternProperties"} & closed.keys()
    if says or not ("properties" in closed or _APPLICATORS & closed.keys()):
        return closed
    closed["unevaluatedProperties" if _APPLICATORS & closed.keys() else "additionalProperties"] = False
    return closed


def _ordered(schema: Mapping[str, Any]) -> frozenset[str]:
    properties = schema.get("properties", {})
    return frozenset(name for name, s in properties.items() if isinstance(s, dict) and s.get("ordered") is True)


def function_of(declared: Any) -> dict[str, Any] | None:
    """`{name, parameters}` of a tool in any of its usual shapes, other keys kept; None when it is no such thing.

    Accepted: `{name, parameters}`, OpenAI's `{type: function, function: {...}}`, and `inputSchema`/`input_schema`.
    """
    if not isinstance(declared, dict):
        return None
    declared = dict(declared)
    inner = declared.get("function")
    if isinstance(inner, dict):
        declared = {**{k: v for k, v in declared.items() if k not in ("function", "type")}, **inner}
    elif declared.get("type") == "function":
        declared = {k: v for k, v in declared.items() if k != "type"}
    for alias in ("inputSchema", "input_schema"):
        if alias in declared and "parameters" not in declared:
            declared["parameters"] = declared.pop(alias)
    return dict(declared)


@lru_cache(maxsize=OFFERED_CACHED)
def offered_tools(definitions: str) -> Mapping[str, Tool]:
    """Tools offered in a span's own `tool_definitions`. What cannot be read there is left out: nobody promised it."""
    try:
        declared = orjson.loads(definitions)
    except orjson.JSONDecodeError:
        return {}
    tools: dict[str, Tool] = {}
    for item in (declared if isinstance(declared, list) else [declared])[:OFFERED_TOOLS_MAX]:
        function = function_of(orjson.loads(item) if _is_json_object(item) else item)
        if function is None or not isinstance(function.get("name"), str):
            continue
        parameters = function.get("parameters")
        try:
            tool = make_tool(function["name"], parameters if isinstance(parameters, dict) else None)
        except BadSchema:
            tool = Tool(function["name"])
        tools[tool.name] = tool
    return tools


def _is_json_object(item: object) -> bool:
    if not isinstance(item, str):
        return False
    try:
        return isinstance(orjson.loads(item), dict)
    except orjson.JSONDecodeError:
        return False
