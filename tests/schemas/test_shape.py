"""A schema learnt from values accepts them all, and closes a set of words only where it looks closed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.shape import PROPERTIES_MAX, Shape
from schemas.tools import make_tool

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
)
WORDS = st.sampled_from(["now", "later", "2024-05-01", "2024-13-45", "[REDACTED]", "a b c d"])
VALUES = st.recursive(
    SCALARS | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from(["id", "mode", "x", "y", ""]), VALUES, max_size=5)


def learnt(values, runs=None):
    shape = Shape()
    for index, value in enumerate(values):
        shape.see(value, index if runs is None else runs[index])
    return shape.schema()


def of_argument(name, values, runs=None):
    return learnt([{name: value} for value in values], runs)["properties"][name]


@given(st.lists(OBJECTS, min_size=1, max_size=12))
def test_a_schema_accepts_all_that_it_was_learnt_from(values):
    validator = make_tool("t", learnt(values)).validator
    assert validator is not None
    for value in values:
        assert validator.is_valid(value), (learnt(values), value)


@given(st.lists(OBJECTS, min_size=1, max_size=8), st.randoms())
def test_order_does_not_matter(values, random):
    pairs = list(enumerate(values))
    random.shuffle(pairs)
    assert learnt([v for _, v in pairs], [i for i, _ in pairs]) == learnt(values)


@pytest.mark.parametrize(
    ("values", "schema"),
    [
        ([1, 2], {"type": "integer"}),
        ([1, 2.5], {"type": "number"}),
        (["a", 1], {"type": ["integer", "string"]}),
        ([None, "a"], {"type": ["null", "string"]}),
        ([[{"a": 1}, {"a": 2, "b": 1}]], {"type": "array", "items": {
            "type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}, "required": ["a"]}}),
        ([[]], {"type": "array"}),
        (["2024-05-01"] * 9, {"type": "string"}),
        (["2024-05-01"] * 10, {"type": "string", "format": "date"}),
        (["2024-05-01"] * 20 + ["soon"], {"type": "string"}),
        (["a", "__REDACTED__"], {}),  # what was taken away may have been anything
        ([{str(n): 1} for n in range(PROPERTIES_MAX + 1)], {"type": "object"}),
        ([{f"item {n}": 1} for n in range(20)], {"type": "object"}),  # the keys are data
    ],
)  # fmt: skip
def test_what_is_learnt(values, schema):
    assert of_argument("x", values) == schema


def test_required_is_what_was_always_there():
    assert learnt([{"a": 1, "b": 2}, {"a": None}])["required"] == ["a"]


@pytest.mark.parametrize(
    ("name", "words", "runs", "closed"),
    [
        ("mode", ["now", "later"] * 20, None, True),
        ("mode", ["now", "later"] * 10, None, False),  # too few calls
        ("mode", ["now"] * 40, None, False),  # one word is no choice
        ("mode", ["now", "later"] * 20 + ["never"], None, False),  # seen once: more may come
        ("mode", ["now", "later"] * 20 + ["never"] * 3, list(range(40)) + [99] * 3, False),  # all in one run
        ("mode", [f"m{chr(97 + n % 9)}" for n in range(200)], None, False),  # too many words
        ("plan_id", ["basic", "plus"] * 20, None, False),
        ("customerName", ["ann", "bob"] * 20, None, False),
        ("seat", ["12A", "14B"] * 20, None, False),  # digits: a thing, not a choice
        ("currency", ["EUR", "USD"] * 20, None, False),  # codes
        ("state", ["OPEN", "CLOSED", "pre-paid", "not paid"] * 20, None, False),
        ("state", ["OPENED", "CLOSED", "pre-paid", "not paid"] * 20, None, True),
        ("why", ["it came broken and late", "no"] * 20, None, False),  # a sentence
    ],
)
def test_words_are_a_closed_set_only_where_they_look_like_one(name, words, runs, closed):
    assert ("enum" in of_argument(name, words, runs)) is closed
