"""Content as it really comes: whatever messages, arguments and results hold, evaluators that read them answer."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators.base import COMMON_CODES
from evaluators.entity import EntityConsistency
from evaluators.folding.evaluation import Evaluation
from evaluators.judge import judge
from evaluators.provenance import ArgumentProvenance
from evaluators.reasoning import ReasoningQuality
from streams.console.evaluators import definition_of
from tests.builders import root_span, span, tool, tool_span, trajectory, workflow

READERS = (ArgumentProvenance(), EntityConsistency(), ReasoningQuality())
SHOP = workflow(
    tools=[
        tool("look_up", entity={"customer": "$.id"}),
        tool("pay_out", writes=True, entity={"customer": "$.id", "order": "$.items[*].order.id"}),
    ]
)
IDS = st.sampled_from(
    ["C-1001", "C-1002", "O-48213", "149.99", "<EMAIL>", "[REDACTED]", "\ud800", "ÄÖ1234", "", "\\u00e4\\n1"]
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), IDS, st.sampled_from([149.99, 10**40, -(10**7) - 1])
)
KEYS = st.sampled_from(
    [
        "role",
        "type",
        "content",
        "text",
        "parts",
        "tool_calls",
        "function",
        "name",
        "arguments",
        "args",
        "id",
        "items",
        "order",
        "tool_call_id",
        "kwargs",
        "lc",
        "thought",
        "steps",
        "reasoning",
        "response",
    ]
)
WORDS = st.sampled_from(
    ["user", "assistant", "tool", "ai", "text", "tool_call", "reasoning", "thinking", "look_up", "pay_out"]
)
VALUES = st.recursive(
    st.one_of(SCALARS, WORDS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=5)),
    max_leaves=12,
)
TEXTS = st.one_of(
    st.none(),
    st.sampled_from(
        [
            "",
            "{",
            "[{'role': 'user', 'content': 'C-1001'}]",
            "Thought: I pay_out C-1002\nAction: pay_out",
            "***",
            "null",
        ]
    ),
    st.builds(lambda value: json.dumps(value), VALUES),
    st.builds(lambda value: json.dumps(value)[:-2], VALUES),
    st.builds(repr, VALUES),
)
SPANS = st.builds(
    lambda kind, name, texts, status, flags: (
        lambda n: (
            tool_span(n, name, texts[0], texts[1], kind=kind, status=status, flags=flags)
            if kind in ("tool_call", "retrieval", "human", "handoff")
            else span(n, kind=kind, input_messages=texts[0], output_messages=texts[1], flags=flags)
        )
    ),
    st.sampled_from(
        ["tool_call", "tool_call", "retrieval", "human", "handoff", "llm", "llm", "planner", "agent", "verifier"]
    ),
    st.sampled_from(["look_up", "pay_out", "other"]),
    st.tuples(TEXTS, TEXTS),
    st.sampled_from([0, 2]),
    st.sampled_from([0, 0, 0, 2]),
)


@settings(max_examples=150, deadline=None)
@given(
    made=st.lists(SPANS, max_size=10),
    kind=st.sampled_from(["agent", "workflow"]),
    frame=TEXTS,
    closed=st.sampled_from(["", "marker"]),
)
def test_no_content_throws_and_results_do_not_depend_on_when_they_are_asked_for(made, kind, frame, closed):
    spans = (root_span(100, kind=kind, input_messages=frame), *(make(n) for n, make in enumerate(made, 1)))
    whole = trajectory(*spans, workflow=SHOP, closed=closed)
    results = judge(whole, evaluators=READERS)
    assert not [r for r in results if r.verdict == "error"]
    assert len({(r.span_id, r.evaluator) for r in results}) == len(results)
    on = Evaluation(SHOP, None, READERS)
    for one in whole.steps:
        on.extend((one,))
        on.results(whole)
    assert on.results(whole) == results


@pytest.mark.parametrize("evaluator", READERS, ids=lambda e: e.name)
def test_every_reason_code_is_in_the_definition(evaluator):
    said = definition_of(evaluator)
    assert all(part in said for part in ("Counts:", "Does not count:", "Fails:", "Unscored:"))
    assert [code for code in evaluator.reason_codes - COMMON_CODES if code not in said] == []


def test_content_nested_beyond_measure_is_read_as_far_as_it_goes():
    deep = "[" * 900 + '"C-1002"' + "]" * 900
    spans = [span(1, input_messages=deep, output_messages=deep), tool_span(2, "pay_out", deep, deep)]
    assert not [r for r in judge(trajectory(*spans, workflow=SHOP), evaluators=READERS) if r.verdict == "error"]


@pytest.mark.parametrize(
    "text",
    [
        "*" * 60_000,
        "\n" * 60_000,
        "Thought:" + "\n" * 60_000,
        "__A" * 20_000,
        "<AB>" * 15_000,
        "1," * 30_000,
        "a-1 " * 15_000,
    ],
)
def test_long_texts_without_sense_cost_no_more_than_others(text):
    said = json.dumps([{"role": "user", "content": text}, {"role": "assistant", "reasoning": text}])
    spans = [
        root_span(100),
        span(1, input_messages=said, output_messages=said),
        tool_span(2, "pay_out", {"id": "C-1009"}, text),
    ]
    spans += [tool_span(n, "pay_out", {"id": f"C-{n}", "amount": n + 0.99}, text, status=2) for n in range(1010, 1020)]
    assert not [r for r in judge(trajectory(*spans, workflow=SHOP), evaluators=READERS) if r.verdict == "error"]
