"""expectations.jsonl: one line, one task truth; other usual shapes are accepted, slips have a line."""

import orjson
import pytest

from schemas.config import ConfigError
from schemas.expectation import ExpectedCall, ForbiddenCall, encode_expectation, parse_expectation, truth_from_span


def parsed(**fields):
    return parse_expectation(orjson.dumps({"workflow": "w", "task_id": "1", **fields}), "e.jsonl", 7)


def test_a_full_line_is_read_and_written_back_the_same():
    truth = parsed(
        task="refund order 7",
        expected_calls=[
            {"name": "a", "arguments": {"x": 1}, "acceptable": {"x": [2, ""]}, "optional": True},
            {"name": "b", "after": [0]},
        ],
        required_outputs=["42"],
        forbidden_calls=["c", {"name": "d", "arguments": {"x": 1}}],
    )
    assert truth.expected_calls[0] == ExpectedCall("a", {"x": 1}, {"x": (2, "")}, True)
    assert truth.expected_calls[1].after == (0,)
    assert truth.forbidden_calls == (ForbiddenCall("c"), ForbiddenCall("d", {"x": 1}))
    encoded = encode_expectation(truth)
    assert encode_expectation(parse_expectation(encoded, "e.jsonl", 1)) == encoded


@pytest.mark.parametrize(
    "calls",
    [
        [{"name": "f", "arguments": {"a": 1}}],
        [{"name": "f", "arguments": '{"a": 1}'}],
        [{"function": {"name": "f", "arguments": '{"a": 1}'}}],
        [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": {"a": 1}}}],
        '[{"name": "f", "arguments": {"a": 1}}]',
    ],
)
def test_the_usual_shapes_of_a_call_are_accepted(calls):
    assert parsed(expected_calls=calls).expected_calls == (ExpectedCall("f", {"a": 1}),)


def test_numbers_to_be_said_may_be_written_as_numbers():
    assert parsed(required_outputs=[327, 1.5]).required_outputs == ("327", "1.5")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{", "e.jsonl:7: not JSON"),
        (b"[1]", "e.jsonl:7:"),
        (b'{"workflow":"w"}', "key 'task_id' is missing"),
        (b'{"workflow":"w","task_id":"1","expected_call":[]}', "did you mean 'expected_calls'?"),
        (b'{"workflow":"w","task_id":"1","expected_calls":[{"name":"a","after":[1]}]}', "after names no other"),
        (b'{"workflow":"w","task_id":"1","expected_calls":[{"name":"a","args":{}}]}', "unknown key 'args'"),
        (
            b'{"workflow":"w","task_id":"1","expected_calls":[{"name":"a","arguments":"{"}]}',
            "expected_calls[0].arguments",
        ),
        (b'{"workflow":"' + b"w" * (1 << 20) + b'"}', "longer than"),
    ],
)
def test_a_slip_names_source_line_and_cure(line, said):
    with pytest.raises(ConfigError) as caught:
        parse_expectation(line, "e.jsonl", 7)
    assert said in str(caught.value)
    assert str(caught.value).startswith("e.jsonl:7: ")


@pytest.mark.parametrize(
    "text", ['{"expected_calls":[{"name":"f"}]}', '[{"name":"f"}]', '[{"function":{"name":"f","arguments":"{}"}}]']
)
def test_truth_carried_by_a_span_needs_no_workflow_and_may_be_a_bare_list(text):
    truth = truth_from_span(text)
    assert truth is not None and truth.expected_calls == (ExpectedCall("f"),)


@pytest.mark.parametrize("text", ["", "not json", "3", '{"expected_calls": 3}'])
def test_unreadable_truth_on_a_span_is_no_truth(text):
    assert truth_from_span(text) is None
