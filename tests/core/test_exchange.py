"""Arguments and results that only messages hold (span-conventions 6.1, E8)."""

from typing import Any

import orjson
import pytest

from schemas.span import Span
from schemas.toolcall import read_call
from streams.core.exchange import fill
from tests.builders import span, tool_span


def told(*messages: dict[str, Any], output: bool = False) -> Span:
    text = orjson.dumps(list(messages)).decode()
    return span(9, at_ms=9, **{"output_messages" if output else "input_messages": text})


REQUEST = {"type": "tool_call", "id": "call_1", "name": "pay", "arguments": {"a": 1}}
ANSWER = {"type": "tool_call_response", "id": "call_1", "response": {"error": "500"}}


def filled(call: Span, *others: Span) -> Span:
    spans = [call, *others]
    return fill(spans, {}).get(call.span_id, call)


def test_a_call_finds_its_arguments_and_its_result_by_its_id() -> None:
    call = filled(
        tool_span(1, "pay", result=None),
        told({"role": "assistant", "parts": [REQUEST]}, output=True),
        told({"role": "tool", "parts": [ANSWER]}),
    )
    assert (call.arguments, call.result) == ('{"a":1}', '{"error":"500"}')


def test_an_error_that_only_the_next_model_call_was_told_is_a_swallowed_failure() -> None:
    found = read_call(filled(tool_span(1, "pay", result=None), told({"role": "tool", "parts": [ANSWER]}))).failure
    assert found is not None
    assert (found.severity, found.swallowed) == ("failed", True)


@pytest.mark.parametrize(
    "message",
    [
        {"role": "tool", "tool_call_id": "call_1", "content": "done"},
        {"type": "tool", "data": {"tool_call_id": "call_1", "content": "done"}},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "call_1", "result": "done"}]},
    ],
    ids=["OpenAI", "LangChain", "an older GenAI"],
)
def test_answers_are_found_in_every_shape(message: dict[str, Any]) -> None:
    assert filled(tool_span(1, "pay", result=None), told(message)).result == "done"


def test_a_request_in_openais_shape_is_found() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "pay", "arguments": '{"a": 1}'}}
    said = told({"role": "assistant", "content": None, "tool_calls": [call]}, output=True)
    assert filled(tool_span(1, "pay"), said).arguments == '{"a": 1}'


def test_what_was_captured_is_never_replaced() -> None:
    call = tool_span(1, "pay", arguments={"b": 2}, result="")
    assert filled(call, told({"role": "tool", "parts": [REQUEST, ANSWER]})) == call


def test_a_bare_value_is_replaced_by_the_arguments_that_the_model_gave() -> None:
    said = told({"role": "assistant", "parts": [REQUEST]}, output=True)
    assert filled(tool_span(1, "pay", arguments="W1"), said).arguments == '{"a":1}'


def test_another_calls_content_is_not_taken() -> None:
    call = tool_span(2, "pay", result=None)
    assert filled(call, told({"role": "tool", "parts": [REQUEST, ANSWER]})) == call


def test_a_call_without_an_id_is_left_as_it_is() -> None:
    call = tool_span(1, "pay", result=None, call_id="")
    assert filled(call, told({"role": "tool", "parts": [ANSWER]})) == call


def test_messages_nested_without_end_are_given_up() -> None:
    text = '[{"data": ' * 200 + "1" + "}]" * 200
    call = tool_span(1, "pay", result=None)
    assert filled(call, span(9, at_ms=9, input_messages=text)) == call
