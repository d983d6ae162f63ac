"""What is nested too deeply costs no neighbour, and nothing recurses."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.json_depth import CUT, DEPTH_MAX, shallow
from schemas.otlp import InvalidOtlp
from schemas.otlp_json import load, spans_of_json

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text() | st.sampled_from(["[[[", '{"', "\\", '\\"]']),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def nested(depth: int, innermost: bytes = b"1") -> bytes:
    return b"[" * depth + innermost + b"]" * depth


@given(json_values)
def test_what_is_not_deep_stays(value: object) -> None:
    document = orjson.dumps(value)
    assert shallow(document) is document


@given(st.integers(1, DEPTH_MAX), st.integers(1, 5), json_values)
def test_only_what_is_too_deep_is_cut_out(kept: int, more: int, neighbour: object) -> None:
    other = orjson.dumps(neighbour)
    deep = b"[" + nested(DEPTH_MAX - 1 + more, b'"]["') + b"," + other + b"]"
    assert shallow(deep) == b"[" + nested(DEPTH_MAX - 1, CUT) + b"," + other + b"]"
    fine = b"[" + nested(DEPTH_MAX - 1 - (kept % 3)) + b"," + other + b"]"
    assert shallow(fine) is fine


@pytest.mark.parametrize("depth", [1_100, 10_000, 1_000_000])
def test_a_span_with_a_value_of_any_depth_is_read_and_so_are_its_neighbours(depth: int) -> None:
    def span(n: int, value: bytes) -> bytes:
        ids = b'{"traceId":"%032x","spanId":"%016x","name":"s",' % (1, n)
        return ids + b'"attributes":[{"key":"deep","value":{"arrayValue":{"values":' + value + b"}}}]}"

    spans = b",".join([span(1, b"[]"), span(2, nested(depth)), span(3, b"[]")])
    document = b'{"resourceSpans":[{"scopeSpans":[{"spans":[' + spans + b"]}]}]}"
    read, refused = spans_of_json(document)
    assert (len(read), refused) == (3, [])


@pytest.mark.parametrize(
    "broken", [b"[" * 100_000, b"{" * 5_000, b'"' + b"\\" * 99_999, nested(3_000)[:-1], b"]" * 3_000]
)
def test_what_is_no_json_is_told_and_ends_soon(broken: bytes) -> None:
    with pytest.raises(InvalidOtlp, match=r"not JSON|nested too deeply"):
        load(broken)
