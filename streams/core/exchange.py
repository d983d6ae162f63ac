"""Arguments and results that only the messages hold: the request in a model's output, the answer in the next one's input.

Some instrumentors write a tool call without its content; the model was told it all the same (span-conventions 6.1, last sources
of arguments and result; E8). A call finds its content by call id and by nothing else: nothing is guessed. Each text is read at
most once, and none when no call lacks anything.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from schemas.dialects.messages import loaded
from schemas.dialects.unwrap import dumped
from schemas.span import Span

_CALLS: Final = frozenset({"tool_call", "retrieval", "handoff"})
PARTS_MAX: Final = 4_096  # of one text


class Exchanged(NamedTuple):
    """What messages say of calls, as JSON text by call id."""

    arguments: dict[str, str]
    results: dict[str, str]


def fill(spans: Sequence[Span], merged: Mapping[bytes, Span]) -> dict[bytes, Span]:
    """The spans that gain content from messages, by span id, on top of `merged`. `spans` are in their total order."""
    lacking = [known for span in spans if _lacks(known := merged.get(span.span_id, span))]
    if not lacking:
        return {}
    told = _told(spans, {span.call_id for span in lacking})
    filled = {}
    for span in lacking:
        given, answered = span.arguments, span.result
        if not _is_object(given):
            given = told.arguments.get(span.call_id, given)
        if answered is None:
            answered = told.results.get(span.call_id)
        if (given, answered) != (span.arguments, span.result):
            filled[span.span_id] = span._replace(arguments=given, result=answered)
    return filled


def _lacks(span: Span) -> bool:
    return span.kind in _CALLS and span.call_id != "" and (span.result is None or not _is_object(span.arguments))


def _is_object(text: str | None) -> bool:
    """Whether arguments were captured as such: a tool with one argument may show only its value."""
    return text is not None and (text[:1] in ("{", "[") or not text)


def _told(spans: Sequence[Span], wanted: set[str]) -> Exchanged:
    told = Exchanged({}, {})
    for span in spans:
        for text in (span.output_messages, span.input_messages):
            if text is not None and '"' in text:
                for kind, call_id, value in _parts(loaded(text)):
                    if call_id in wanted and value is not None:
                        into = told.arguments if kind == "tool_call" else told.results
                        into.setdefault(call_id, value if isinstance(value, str) else dumped(value))
        if len(told.arguments) == len(told.results) == len(wanted):
            break
    return told


def _parts(value: Any) -> Iterator[tuple[str, str, Any]]:
    """(kind, call id, content) of the calls and answers in messages: GenAI's parts, OpenAI's and LangChain's lists."""
    level, left = [value], PARTS_MAX
    while level and left > 0:
        inner: list[Any] = []
        for node in level[:left]:
            left -= 1
            if isinstance(node, list):
                inner += node
            elif isinstance(node, dict):
                found = _part(node)
                if found is not None:
                    yield found
                inner += [
                    node[key] for key in ("parts", "tool_calls", "messages", "data", "update", "input") if key in node
                ]
        level = inner


def _part(node: dict[str, Any]) -> tuple[str, str, Any] | None:
    call_id = node.get("id") or node.get("tool_call_id")
    if not isinstance(call_id, str):
        return None
    if node.get("type") == "tool_call_response":
        return "result", call_id, node.get("response", node.get("result"))
    if "tool_call_id" in node and "content" in node:
        return "result", call_id, node["content"]
    function = node.get("function")
    said = function if isinstance(function, dict) else node
    if isinstance(said.get("name"), str) and ("arguments" in said or "args" in said):
        return "tool_call", call_id, said.get("arguments", said.get("args"))
    return None
