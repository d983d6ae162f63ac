"""What a log record tells of its span (span-conventions 1.3 c and d, 7): the events of `told`, as records of their own.

The event's name is the record's, or its attribute `event.name`. Its fields lie in attributes (newest), in a structured body
(before v1.37), or in a body that is the JSON text of one. What names no such event and holds no content is somebody's log line.
Results of evaluations (`gen_ai.evaluation.result`, ours among them) are never content: nothing judges what was judged.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import orjson

from schemas.cut import string_value
from schemas.dialects import unwrap
from schemas.dialects.told import DETAILS, EVENTS, PIECES, Told
from schemas.dialects.view import View

EVALUATION: Final = "gen_ai.evaluation.result"
EXCEPTIONS: Final = frozenset({"exception", "gen_ai.client.operation.exception"})
_EVENTS: Final = frozenset(name.decode() for name in EVENTS)
_PIECES: Final = frozenset(name.decode() for name in PIECES)
_ARGUMENTS, _RESULT, _DEFINITIONS = "gen_ai.tool.call.arguments", "gen_ai.tool.call.result", "gen_ai.tool.definitions"
_CONTENT: Final = ("gen_ai.input.messages", "gen_ai.output.messages", _ARGUMENTS, _RESULT, _DEFINITIONS)
_PLACE: Final = "gen_ai.message.index"
_EXCEPTION_CHARS: Final = 1_000  # of its message, as of an exception event


class Logged(NamedTuple):
    """The content of one record. None: not captured."""

    input_messages: str | None = None
    output_messages: str | None = None
    arguments: str | None = None
    result: str | None = None
    tool_definitions: str | None = None
    exception: str = ""
    place: int = 0


class _Event(NamedTuple):
    name: bytes
    attributes: Mapping[str, bytes]


def name_of(event_name: bytes, attributes: Any) -> str:
    """The event's name; "" for a record that is no event."""
    return event_name.decode("utf-8", "replace") or View(attributes, "", "", False).low("event.name")


def is_content(name: str, attributes: Any) -> bool:
    """Whether a record of this name and with these attributes may tell something of its span."""
    if name == EVALUATION:
        return False
    return name in _EVENTS or name in EXCEPTIONS or any(key in attributes for key in _CONTENT)


def is_piece(name: str) -> bool:
    """Whether an event of this name holds one message of several; any other holds all of a call's."""
    return name in _PIECES


def fields_of(body: Any, attributes: Any) -> dict[str, bytes]:
    """Keys and AnyValue bytes of an event: those of its body, and over them its attributes."""
    return {**_of_body(body), **attributes}


def _of_body(body: Any) -> dict[str, bytes]:
    if body.HasField("kvlist"):
        return dict(body.kvlist.values)
    if not body.HasField("text"):
        return {}
    text = body.text.decode("utf-8", "replace")
    value = _object(text)
    if value is None:
        return {"content": string_value(text)}
    return {key: string_value(_text(inner)) for key, inner in value.items() if inner is not None}


def _object(text: str) -> dict[str, Any] | None:
    if text[:1] != "{":
        return None
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def read(name: str, fields: Mapping[str, bytes]) -> tuple[Logged, int]:
    """The content of an event with these fields, and the flags of what could not be read."""
    view = View(fields, name, "", False)
    if name in EXCEPTIONS:
        return Logged(exception=_exception(view)), view.flags
    event = _Event(name.encode() if name in _EVENTS else DETAILS, fields)
    told = Told(View({}, "", "", False, (event,)))
    arguments, result = view.text(_ARGUMENTS), view.text(_RESULT)
    result = told.result if result is None else result
    return Logged(
        told.input,
        told.output,
        told.arguments if arguments is None else arguments,
        unwrap.blocks(result),
        view.first(_DEFINITIONS),
        place=view.number(_PLACE),
    ), view.flags


def _exception(view: View) -> str:
    kind, text = view.low("exception.type"), view.text("exception.message") or ""
    return f"{kind}: {text[:_EXCEPTION_CHARS]}" if kind or text else ""
