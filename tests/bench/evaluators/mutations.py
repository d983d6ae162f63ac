"""Wrong calls made of right ones, by class. Pure: a function's JSON Schema and arguments that satisfy it, in; mutants, out.

A class is only tried where the schema forbids its outcome, so that every mutant is wrong by the case's own declaration.
"""

from collections.abc import Iterator
from itertools import islice, product
from typing import Any, NamedTuple

CLASSES = (
    "unknown function",
    "required dropped",
    "wrong type",
    "null",
    "bool for integer",
    "2.5 for integer",
    "enum",
    "unknown argument",
    "array item",
    "nested",
)
ANSWERS_MAX = 64  # plain values made of one nested set of alternatives
_TYPES = {"dict": "object", "float": "number", "tuple": "array", "list": "array"}
_KINDS: dict[str, Any] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "array": list,
    "object": dict,
    "boolean": bool,
}
Arguments = dict[str, Any]


class Mutant(NamedTuple):
    """A wrong call, and what is wrong with it."""

    sort: str
    name: str
    arguments: Arguments


def as_schema(value: Any) -> Any:
    """Words for types that are not JSON Schema's, made so; `any` is no constraint."""
    if not isinstance(value, dict):
        return value
    out: dict[str, Any] = {}
    for key, item in value.items():
        if key == "type" and isinstance(item, str):
            if item != "any":
                out[key] = _TYPES.get(item, item)
        elif key == "properties" and isinstance(item, dict):
            out[key] = {name: as_schema(schema) for name, schema in item.items()}
        elif key == "items":
            out[key] = as_schema(item)
        elif key in ("required", "enum", "additionalProperties"):
            out[key] = item
    return out


def plain(value: Any) -> list[Any]:
    """The values that a set of acceptable answers stands for: inside objects every member is a list of alternatives."""
    if isinstance(value, dict):
        members = [[(key, one) for v in values if v != "" for one in plain(v)] for key, values in value.items()]
        return [dict(chosen) for chosen in islice(product(*members), ANSWERS_MAX)]
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return [list(chosen) for chosen in islice(product(*(plain(item) for item in value)), ANSWERS_MAX)]
    return [value]


def fits(schema: Any, value: Any) -> bool:
    """Whether a value is of the declared type, and its items and members are: what the classes below break."""
    declared = schema.get("type")
    if declared not in _KINDS:
        return True
    if not isinstance(value, _KINDS[declared]) or (isinstance(value, bool) and declared != "boolean"):
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    if isinstance(value, list):
        return all(fits(schema.get("items", {}), item) for item in value)
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        return all(fits(properties[key], item) for key, item in value.items() if key in properties) and all(
            key in value for key in schema.get("required", ())
        )
    return True


def mutants(name: str, schema: Any, arguments: Arguments) -> Iterator[Mutant]:
    """All mutants of one right call."""
    yield Mutant("unknown function", name + "_x", arguments)
    yield Mutant("unknown argument", name, {**arguments, "no_such_argument": 1})
    properties = schema.get("properties", {})
    for key, value in arguments.items():
        if key in schema.get("required", ()):
            yield Mutant("required dropped", name, {k: v for k, v in arguments.items() if k != key})
        declared = properties.get(key, {})
        for sort, wrong in _wrong(declared, value):
            yield Mutant(sort, name, {**arguments, key: wrong})
        for sort, wrong in _inside(declared, value):
            yield Mutant(sort, name, {**arguments, key: wrong})


def _wrong(schema: Any, value: Any) -> Iterator[tuple[str, Any]]:
    """Values that are wrong for this schema as a whole."""
    declared = schema.get("type")
    if declared not in _KINDS:
        return
    yield "null", None
    yield "wrong type", 7 if declared in ("string", "boolean") else "seven"
    if declared == "integer":
        yield "bool for integer", True
        yield "2.5 for integer", 2.5
    if "enum" in schema and not isinstance(value, list):
        yield "enum", "no such value" if declared == "string" else -987_654


def _inside(schema: Any, value: Any) -> Iterator[tuple[str, Any]]:
    """Values with one wrong item, or one wrong member at any depth."""
    if isinstance(value, list):
        items = schema.get("items", {})
        for at, item in enumerate(value):
            for _, wrong in _wrong(items, item):
                yield "array item", [*value[:at], wrong, *value[at + 1 :]]
            for _, wrong in _inside(items, item):
                yield "nested", [*value[:at], wrong, *value[at + 1 :]]
    elif isinstance(value, dict):
        properties = schema.get("properties", {})
        for key, item in value.items():
            declared = properties.get(key, {})
            for _, wrong in (*_wrong(declared, item), *_inside(declared, item)):
                yield "nested", {**value, key: wrong}
            if key in schema.get("required", ()):
                yield "nested", {k: v for k, v in value.items() if k != key}
