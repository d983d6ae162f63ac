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
        ('{"function": {"name": "f", "arguments": null}}', {}),
        ('{"name": "f", "arguments": "{\\"a\\": 1}"}', {"a": 1}),
        ('{"name": "another", "arguments": {"a": 1}}', {"name": "another", "arguments": {"a": 1}}),
        ('"[1, 2]"', [1, 2]),
        ('"(a word)"', "(a word)"),
        ('{"function": {"name": "f", "arguments": "[REDACTED]"}}', "[REDACTED]"),
    ],
)
def test_arguments_are_read_and_wrappings_peeled(text, arguments):
    assert (call(text).arguments, call(text).arguments_error) == (arguments, None)


@pytest.mark.parametrize("text", ['{"a": 1', "{'a': 1", '{"a": NaN}', "hello", "f(a=1)"])
def test_broken_json_has_a_position_and_is_not_an_empty_object(text):
    broken = call(text)
    assert broken.arguments is None
    assert "line 1 column" in (broken.arguments_error or "")


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("{'id': 1, 'x': None, 'y': True}", {"id": 1, "x": None, "y": True}),
        ("{'at': (1, -2.5, 1e3), 'one': ('a',), 'none': ()}", {"at": [1, -2.5, 1000.0], "one": ["a"], "none": []}),
        ("""{'who': "O'Brien", 'said': 'a "b" \\'c\\' \\x41\\n'}""", {"who": "O'Brien", "said": "a \"b\" 'c' A\n"}),
        ("{1: 'x', 'true': true}", {"1": "x", "true": True}),
        (""" {'function': {'name': 'f', 'arguments': "{'a': 1}"}} """, {"a": 1}),
        ("\"{'a': 1}\"", {"a": 1}),
        ("['a', {'b': False}]", ["a", {"b": False}]),
    ],
)
def test_a_python_repr_is_read_as_its_values_and_the_call_says_so(text, arguments):
    assert (call(text).arguments, call(text).arguments_error, call(text).is_repr) == (arguments, None, True)


def test_json_is_no_repr():
    assert not call('{"a": 1}').is_repr and not call(None).is_repr and not call("").is_repr


@pytest.mark.parametrize(
    "text",
    [
        "{'a': {'b', 'c'}}",
        "{'a': Decimal('1')}",
        "{'a': <object at 0x7f>}",
        "{'a': 1, **b}",
        "{'a': [1}",
        "{'a': 01}",
        "{'a': '\\ud800'}",
        "{'a': '\\U00110000'}",
        "{'a': __import__('os')}",
        "{" * 5000,
        "[" * 5000 + "]" * 5000,
        "{'a':" * 300 + "1" + "}" * 300,
        '{"a":' * 300 + "1" + "}" * 300,
        "{'a': '" + "x" * 70_000 + "'}",
    ],
)
def test_what_is_no_plain_data_or_out_of_bounds_stays_unread_and_is_no_exception(text):
    broken = call(text, text)
    assert broken.arguments is None and broken.arguments_error
    assert broken.result == text and broken.key is None and not broken.redacted


def test_many_brackets_side_by_side_are_not_deep():
    many = [{"id": n, "tags": [n]} for n in range(500)]
    assert call(result=many).result == many and call({"many": many}).arguments == {"many": many}


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
        ("{'result': {'a': None}}", {"a": None}),
        ('{"result": "{\'a\': 1}"}', {"a": 1}),
        ("[{'a': 1}]", [{"a": 1}]),
        ("{a set, not data}", "{a set, not data}"),
        ("'quoted'", "'quoted'"),
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
