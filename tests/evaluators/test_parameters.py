"""ParameterValidation: all of the schema, with a reason code, a path, and what was expected."""

import orjson
import pytest

from evaluators.judge import judge_span
from tests.builders import result_of, span_id, tool, tool_span, workflow

PROPERTIES = {
    "id": {"type": "string"},
    "count": {"type": "integer"},
    "size": {"enum": ["s", "m"]},
    "when": {"type": "string", "format": "date"},
    "lines": {
        "type": "array",
        "items": {"type": "object", "properties": {"sku": {"type": "string"}}, "required": ["sku"]},
    },
    "address": {"type": "object", "properties": {"zip": {"type": "string", "minLength": 3}}},
    "note": {"type": ["string", "null"]},
}
SHOP = workflow(tools=[tool("order", PROPERTIES, ["id"], writes=True), {"name": "ping"}])


def judged(arguments, workflow=SHOP, name="order", **fields):
    return result_of(judge_span(tool_span(1, name, arguments, **fields), workflow), "ParameterValidation", 1)


@pytest.mark.parametrize(
    "arguments",
    [
        {"id": "a"},
        {
            "id": "a",
            "count": 2,
            "size": "s",
            "when": "2024-02-29",
            "lines": [{"sku": "x", "gift": True}],
            "address": {"zip": "123"},
        },
        {"id": "a", "count": 2.0, "note": None},
        {"function": {"name": "order", "arguments": '{"id": "a"}'}},
        '"{\\"id\\": \\"a\\"}"',
    ],
)
def test_fitting_arguments_pass(arguments):
    assert judged(arguments)[5:9] == ("pass", 1.0, "registry", "")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ({}, "missing_argument", "'id'"),
        ({"id": "a", "coutn": 1}, "unexpected_argument", "'coutn'"),
        ({"id": 3}, "wrong_type", "'id': string expected, not integer"),
        ({"id": None}, "wrong_type", "not null"),
        ({"id": "a", "count": 2.5}, "wrong_type", "integer expected, not number"),
        ({"id": "a", "count": True}, "wrong_type", "integer expected, not boolean"),
        ({"id": "a", "count": "2"}, "wrong_type", "'count'"),
        ({"id": "a", "size": "xl"}, "not_in_enum", "one of ['s', 'm']"),
        ({"id": "a", "when": "2023-02-29"}, "wrong_format", "date"),
        ({"id": "a", "lines": [{"sku": "x"}, {"sku": 3}]}, "wrong_type", "'lines[1].sku'"),
        ({"id": "a", "lines": [{}]}, "missing_argument", "'lines[0].sku'"),
        ({"id": "a", "address": {"zip": "1"}}, "constraint", "'address.zip': minLength 3"),
        ('{"id": "a"', "not_json", "line 1 column"),
        ("[1]", "wrong_type", "not array"),
        ({"id": 3, "x": 1}, "unexpected_argument", "and 1 more"),
    ],
)
def test_faults_have_a_code_and_a_sentence_that_names_the_path(arguments, code, said):
    result = judged(arguments)
    assert (result.verdict, result.score, result.reason_code) == ("fail", 0.0, code)
    assert said in result.reason


def test_evidence_holds_paths_and_what_was_expected_but_no_content():
    evidence = orjson.loads(judged({"id": "a", "count": "secret"}).evidence)
    assert evidence == {
        "faults": [{"argument": "count", "code": "wrong_type", "expected": "integer expected, not string"}]
    }


@pytest.mark.parametrize(
    ("arguments", "fields", "code"),
    [
        (None, {}, "not_captured"),
        ("__REDACTED__", {}, "redacted"),
        ({"id": "<PHONE_NUMBER>"}, {}, "redacted"),
        ({"id": "a", "count": "[REDACTED]"}, {}, "redacted"),
        ('{"id": "aaa', {"flags": 2}, "truncated"),
        ({"a": 1}, {"name": "ping"}, "no_schema"),
    ],
)
def test_what_cannot_be_judged_is_unscored(arguments, fields, code):
    result = judged(arguments, **fields)
    assert (result.verdict, result.score, result.reason_code) == ("unscored", None, code)


def test_a_redacted_value_does_not_hide_another_fault():
    assert judged({"id": "[REDACTED]", "size": "xl"}).reason_code == "not_in_enum"


def test_a_tool_that_the_registry_does_not_list_is_unknown():
    assert judged({}, name="delete_all").reason_code == "unknown_tool"


def test_where_the_registry_is_silent_the_tools_offered_in_the_span_decide():
    offered = orjson.dumps(
        [{"type": "function", "function": {"name": "order", "parameters": {"properties": {"id": {"type": "string"}}}}}]
    )
    result = judged({"id": 3}, workflow("silent"), tool_definitions=offered.decode())
    assert (result.verdict, result.basis, result.reason_code) == ("fail", "trace", "wrong_type")
    assert judged({"id": "a"}, workflow("silent"), tool_definitions="[{").reason_code == "no_schema"


def test_it_is_silent_about_steps_that_are_no_calls():
    assert judge_span(tool_span(1, "", kind="llm"), SHOP) == ()
    assert span_id(1)


def test_arguments_logged_as_a_python_repr_are_judged_by_their_values_and_pass_with_a_word():
    right = judged("{'id': 'aaa'}")
    assert (right.verdict, right.score, right.reason_code) == ("pass", 1.0, "python_repr") and right.reason
    assert judged("{'id': 'aaa', 'count': True}").reason_code == "wrong_type"
    assert judged("{'id': '[REDACTED]'}").reason_code == "redacted"
    assert judged("{'id': object()}").reason_code == "not_json"


@pytest.mark.parametrize("kind", ["handoff", "retrieval"])
def test_a_declared_tool_is_judged_as_a_call_whatever_its_name_says(kind):
    bank = workflow(tools=[tool("transfer_to_account", {"iban": {"type": "string"}}, ["iban"], writes=True)])
    (checked, worked) = judge_span(tool_span(1, "transfer_to_account", {}, {"error": "500"}, kind=kind), bank)
    assert (checked.evaluator, checked.reason_code) == ("ParameterValidation", "missing_argument")
    assert (worked.evaluator, worked.reason_code) == ("ToolCallSuccess", "swallowed")
    assert not judge_span(tool_span(1, "transfer_to_billing", {}, kind="handoff"), bank)
