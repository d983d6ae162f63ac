"""ParameterValidation: the arguments of a call against its tool's JSON Schema, all of it."""

from itertools import islice
from typing import Any, ClassVar, Final

from evaluators.base import COMMON_CODES, MAYBE_CALLS, scored, unscored
from schemas.config import spell_path
from schemas.payload import has_token, is_placeholder, placeholder_paths
from schemas.registry import Tool, Workflow
from schemas.result import Basis, Judgement
from schemas.span import TRUNCATED, StepKind
from schemas.tools import offered_tools
from schemas.trajectory import Step

FAULTS_MAX: Final = 20  # faults of one call that are kept; the first decides
_CODES: Final = {
    "required": "missing_argument",
    "dependentRequired": "missing_argument",
    "type": "wrong_type",
    "enum": "not_in_enum",
    "const": "not_in_enum",
    "additionalProperties": "unexpected_argument",
    "unevaluatedProperties": "unexpected_argument",
    "propertyNames": "unexpected_argument",
    "format": "wrong_format",
}
# Which fault names a call that has several: the one that explains most.
_GRAVITY: Final = ("unexpected_argument", "missing_argument", "wrong_type", "not_in_enum", "wrong_format", "constraint")
_PASS: Final = Judgement("pass", 1.0, "registry")
_OFFERED_PASS: Final = Judgement("pass", 1.0, "trace")
_REPR: Final = "they fit; the log holds them as Python's repr and not as JSON"
_REPR_PASS: Final = {
    basis: Judgement("pass", 1.0, basis, "python_repr", _REPR) for basis in (_PASS.basis, _OFFERED_PASS.basis)
}
_NOT_AN_OBJECT: Final = "arguments must be a JSON object, not {}"


class ParameterValidation:
    """Whether the arguments of a call fit its tool's JSON Schema (draft 2020-12): 1 or 0.

    Counts: every tool call; retrievals, handoffs and questions to people whose tool is declared. All of the schema is
    checked: nested objects, array items, enums, formats, missing and undeclared arguments, null; `integer` refuses 2.5 and
    `true`. The schema is the registry's; where the registry is silent, the one offered in the span itself (basis `trace`).
    Does not count: whether the values are right (FunctionCallAccuracy), whether the call worked (ToolCallSuccess), and
    the form of the log: arguments logged as Python's repr are judged by their values, and pass with a word.

    Fails: missing_argument, unexpected_argument, wrong_type, not_in_enum, wrong_format, constraint (any other keyword
    of the schema), not_json, unknown_tool (the registry lists tools, but not this one).
    Passes with a word: python_repr.
    Unscored: no_schema, not_captured, redacted (a placeholder is an unknown value), truncated (cut in decode).
    """

    name: ClassVar[str] = "ParameterValidation"
    version: ClassVar[str] = "1"
    kinds: ClassVar[frozenset[StepKind]] = MAYBE_CALLS
    reason_codes: ClassVar[frozenset[str]] = COMMON_CODES | {
        *_GRAVITY,
        "not_json",
        "unknown_tool",
        "no_schema",
        "not_captured",
        "redacted",
        "python_repr",
    }

    def judge(self, step: Step, workflow: Workflow) -> Judgement | None:
        """The judgement of one call; None for what is no tool call, where no registry declares its tool."""
        span = step.span
        tool = workflow.tools.get(span.tool)
        if tool is not None and tool.validator is not None:
            return _against(tool, step, _PASS)
        if span.kind != "tool_call":
            return None
        offered = offered_tools(span.tool_definitions).get(span.tool) if span.tool_definitions else None
        if offered is not None and offered.validator is not None:
            return _against(offered, step, _OFFERED_PASS)
        if tool is None and offered is None and workflow.tools:
            reason = f"tool {span.tool!r} is not among the {len(workflow.tools)} tools of workflow {workflow.name!r}"
            return scored(0.0, "registry", "unknown_tool", reason)
        return unscored("registry", "no_schema", f"no schema of tool {span.tool!r} is known")


def _against(tool: Tool, step: Step, passed: Judgement) -> Judgement:
    call, basis = step.call, passed.basis
    arguments = call.arguments
    if call.arguments_error is not None:
        if step.span.flags & TRUNCATED:
            return unscored(basis, "truncated", "the arguments were cut before they could be read")
        return scored(0.0, basis, "not_json", f"arguments are {call.arguments_error}")
    if arguments is None:
        return unscored(basis, "not_captured", "the arguments were not captured")
    if not isinstance(arguments, dict):
        if is_placeholder(arguments):
            return unscored(basis, "redacted", "the arguments were redacted")
        return scored(0.0, basis, "wrong_type", _NOT_AN_OBJECT.format(type_name(arguments)))
    assert tool.validator is not None
    if not tool.validator.is_valid(arguments):
        return _faulty(tool, arguments, passed)
    if call.redacted:
        return _redacted(arguments, basis)
    return _REPR_PASS[basis] if call.is_repr else passed


def _faulty(tool: Tool, arguments: dict[str, Any], passed: Judgement) -> Judgement:
    assert tool.validator is not None
    errors = islice(tool.validator.iter_errors(arguments), FAULTS_MAX)
    faults = [_fault(error) for error in errors if not is_unknown(error.instance)]
    if not faults:
        return _redacted(arguments, passed.basis)
    faults.sort(key=lambda fault: (_GRAVITY.index(fault[0]), fault[1]))
    code, path, expected = faults[0]
    more = f"; and {len(faults) - 1} more" if len(faults) > 1 else ""
    evidence = {"faults": [{"argument": p, "code": c, "expected": e} for c, p, e in faults]}
    return scored(0.0, passed.basis, code, f"argument {path!r}: {expected}{more}", evidence)


def is_unknown(value: object) -> bool:
    """Whether a redactor replaced this value, or a part of it."""
    return is_placeholder(value) or (isinstance(value, str) and has_token(value))


def _redacted(arguments: dict[str, Any], basis: Basis) -> Judgement:
    paths = placeholder_paths(arguments)
    return unscored(
        basis, "redacted", f"redacted arguments cannot be checked: {', '.join(paths)}", {"arguments": paths}
    )


Fault = tuple[str, str, str]  # reason code, path of the argument, what was expected


def _fault(error: Any) -> Fault:
    keyword, value = error.kind.name, error.kind.value
    path = spell_path(error.instance_path)
    code = _CODES.get(keyword, "constraint")
    match keyword:
        case "required":
            return code, _inner(path, str(value)), "required, but missing"
        case "additionalProperties" | "unevaluatedProperties":
            unexpected = [str(name) for name in (value if isinstance(value, list) else [value])]
            return code, ", ".join(_inner(path, name) for name in unexpected), "not declared by the tool's schema"
        case "type":
            types = value if isinstance(value, list) else [value]
            return code, path, f"{' or '.join(map(str, types))} expected, not {type_name(error.instance)}"
        case "enum":
            return code, path, f"one of {_short(value)} expected"
        case _:
            return code, path, f"{keyword} {_short(value)} expected"


def _inner(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 120 else text[:117] + "..."


def type_name(value: object) -> str:
    """The JSON name of a value's type."""
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return "null" if value is None else names.get(type(value), type(value).__name__)
