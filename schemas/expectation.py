"""Task truth: what a run of a task was expected to call and to say. A line of `expectations.jsonl`, or a span's own.

Truth enters from outside and is handed to evaluators on purpose; no label ever travels in a span. Values are kept as
they were given; comparing is `evaluators.views.matching`'s work.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import orjson
from pydantic import Field

from schemas.config import ConfigError, Declared, Problem, validate
from schemas.tools import function_of

LINE_BYTES_MAX = 1 << 20
CALLS_MAX = 256  # expected calls of one task; more is refused
OUTPUTS_MAX = 256
_FROM_SPANS_CACHED = 256


@dataclass(frozen=True, slots=True)
class ExpectedCall:
    """A call that should happen: once, in any order unless `after` says otherwise."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    acceptable: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)  # right beside the value in `arguments`
    optional: bool = False  # may be missing
    after: tuple[int, ...] = ()  # indexes of expected calls that must come before


class ForbiddenCall(NamedTuple):
    """A call that must not happen; with `arguments` None whatever its arguments are."""

    name: str
    arguments: Mapping[str, Any] | None = None


@dataclass(frozen=True, eq=False)
class TaskTruth:
    """What is right for one task. Compared and hashed by identity, so that what is derived from it can be kept."""

    workflow: str
    task_id: str
    task: str = ""
    expected_calls: tuple[ExpectedCall, ...] = ()
    required_outputs: tuple[str, ...] = ()
    forbidden_calls: tuple[ForbiddenCall, ...] = ()


class _Call(Declared):
    name: str = Field(min_length=1)
    arguments: dict[str, Any] = Field(default_factory=dict)
    acceptable: dict[str, list[Any]] = Field(default_factory=dict)
    optional: bool = False
    after: list[int] = Field(default_factory=list)


class _Forbidden(Declared):
    name: str = Field(min_length=1)
    arguments: dict[str, Any] | None = None


class _Carried(Declared):
    """An expectation on a span: the span says workflow and task."""

    workflow: str = ""
    task_id: str = ""
    task: str = ""
    expected_calls: list[_Call] = Field(default_factory=list, max_length=CALLS_MAX)
    required_outputs: list[str] = Field(default_factory=list, max_length=OUTPUTS_MAX)
    forbidden_calls: list[_Forbidden] = Field(default_factory=list, max_length=CALLS_MAX)


class _Line(_Carried):
    workflow: str = Field(min_length=1)
    task_id: str = Field(min_length=1)


def parse_expectation(line: str | bytes, source: str, line_number: int) -> TaskTruth:
    """The truth of one line. Raises ConfigError naming source, line and cure."""
    return _parse(line, source, line_number, _Line)


def truth_from_span(text: str) -> TaskTruth | None:
    """Truth that a span carries (`Span.expectation`): an expectation object, or a bare list of expected calls.

    None when it cannot be read: a producer's slip must not cost the trace its other verdicts.
    """
    return _from_span(text)


@lru_cache(_FROM_SPANS_CACHED)
def _from_span(text: str) -> TaskTruth | None:
    try:
        return _parse(text, "span", 1, _Carried)
    except ConfigError:
        return None


def _parse(line: str | bytes, source: str, number: int, model: type[_Carried]) -> TaskTruth:
    def problem(message: str) -> ConfigError:
        return ConfigError([Problem(source, number, message)])

    if len(line) > LINE_BYTES_MAX:
        raise problem(f"the line is longer than {LINE_BYTES_MAX} bytes")
    try:
        data = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise problem(f"not JSON: {error}; write one JSON object a line") from error
    said = validate(model, _plain(data), source, lambda path: number)
    for index, call in enumerate(said.expected_calls):
        if any(not 0 <= at < len(said.expected_calls) or at == index for at in call.after):
            raise problem(f"expected_calls[{index}].after names no other expected call; indexes count from 0")
    return TaskTruth(
        workflow=said.workflow,
        task_id=said.task_id,
        task=said.task,
        expected_calls=tuple(_expected(call) for call in said.expected_calls),
        required_outputs=tuple(said.required_outputs),
        forbidden_calls=tuple(ForbiddenCall(call.name, call.arguments) for call in said.forbidden_calls),
    )


def _expected(call: _Call) -> ExpectedCall:
    acceptable = {name: tuple(values) for name, values in call.acceptable.items()}
    return ExpectedCall(call.name, call.arguments, acceptable, call.optional, tuple(call.after))


def _plain(data: Any) -> Any:
    """The usual other shapes made ours: a bare list, a list in a JSON string, OpenAI calls, arguments as JSON text."""
    if isinstance(data, list):
        data = {"expected_calls": data}
    if not isinstance(data, dict):
        return data
    data = {key: value for key, value in data.items() if value is not None}
    for key in ("expected_calls", "required_outputs", "forbidden_calls"):
        data[key] = _loaded(data.get(key, []))
    for key in ("expected_calls", "forbidden_calls"):
        if isinstance(data[key], list):
            data[key] = [_plain_call(call) for call in data[key]]
    if isinstance(data["required_outputs"], list):
        data["required_outputs"] = [
            str(said) if isinstance(said, int | float) and not isinstance(said, bool) else said
            for said in data["required_outputs"]
        ]
    return data


def _plain_call(call: Any) -> Any:
    if isinstance(call, str):
        loaded = _loaded(call)
        call = loaded if isinstance(loaded, dict) else {"name": call}
    plain = function_of(call)
    if plain is None:
        return call
    plain = {key: value for key, value in plain.items() if key not in ("id", "type")}
    if isinstance(plain.get("arguments"), str):
        plain["arguments"] = _loaded(plain["arguments"])
    return plain


def _loaded(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return value


def encode_expectation(truth: TaskTruth) -> bytes:
    """The truth as one canonical JSON object (keys sorted, every field present): equal truths give equal bytes."""
    fields = {
        "workflow": truth.workflow,
        "task_id": truth.task_id,
        "task": truth.task,
        "expected_calls": [
            {
                "name": call.name,
                "arguments": call.arguments,
                "acceptable": call.acceptable,
                "optional": call.optional,
                "after": call.after,
            }
            for call in truth.expected_calls
        ],
        "required_outputs": truth.required_outputs,
        "forbidden_calls": [{"name": call.name, "arguments": call.arguments} for call in truth.forbidden_calls],
    }
    return orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)
