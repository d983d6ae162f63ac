"""Arguments and results as captured: parsed once, wrappings peeled, nothing guessed."""

import pytest

from schemas.payload import is_placeholder, placeholder_paths
from schemas.toolcall import read_call
from tests.builders import tool_span


def call(arguments=None, result=None):
    return read_call(tool_span(1, "f", arguments, result))


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        (None, None),
        ("", {}),
        ("null", {}),
        ('{"a": 1}', {"a": 1}),
        ('"{\\"a\\": 1}"', {"a": 1}),
        ('{"function": {"name": "f", "arguments": "{\\"a\\": 1}"}}', {"a": 1}),
        ('{"id": "1", "type": "function", "function": {"name": "f", "arguments": {"a": 1}}}', {"a": 1}),
        ('{"args": [], "kwargs": {"a": 1}}', {"a": 1}),
        ("[1, 2]", [1, 2]),
        ("__REDACTED__", "__REDACTED__"),
        ('{"function": "sum"}', {"function": "sum"}),
    ],
)
def test_arguments_are_read_and_wrappings_peeled(text, arguments):
    assert (call(text).arguments, call(text).arguments_error) == (arguments, None)


@pytest.mark.parametrize("text", ['{"a": 1', "{'a': 1}", '{"a": NaN}', "hello"])
def test_broken_json_has_a_position_and_is_not_an_empty_object(text):
    broken = call(text)
    assert broken.arguments is None
    assert "line 1 column" in (broken.arguments_error or "")


@pytest.mark.parametrize(
    ("text", "result"),
    [
        (None, None),
        ("", ""),
        ("42.0", "42.0"),
        ('{"result": {"a": 1}}', {"a": 1}),
        ('{"result": "{\\"a\\": 1}"}', {"a": 1}),
        ('{"lc": 1, "type": "constructor", "kwargs": {"content": "fine", "status": "success"}}', "fine"),
        ('{"type": "tool", "content": "fine", "tool_call_id": "1"}', "fine"),
        ("{broken", "{broken"),
    ],
)
def test_results_are_read_and_wrappings_peeled(text, result):
    assert call(result=text).result == result


@pytest.mark.parametrize(
    "value", ["__REDACTED__", "[REDACTED]", "<PHONE_NUMBER>", "[EMAIL]", "***", "{{NAME}}", " [redacted] "]
)
def test_what_a_redactor_leaves_is_recognised(value):
    assert is_placeholder(value)


@pytest.mark.parametrize(
    "value", ["", "Rome", "[1, 2]", "<b>bold</b>", "call [REDACTED] now please", 3, None, "R2D2", "**"]
)
def test_other_values_are_no_placeholders(value):
    assert not is_placeholder(value)


def test_placeholders_are_found_by_path():
    assert placeholder_paths({"a": [{"b": "<EMAIL>"}], "c": "x", "d": "[REDACTED]"}) == ["a[0].b", "d"]


def test_equal_calls_have_equal_keys_whatever_the_order_of_arguments():
    assert call('{"a":1,"b":2}').key == call('{"b": 2, "a": 1}').key != call('{"a":1,"b":3}').key
    assert call(None).key is None


def test_arguments_too_deep_to_compare_have_no_key():
    assert call('{"a":' * 400 + "1" + "}" * 400).key is None
