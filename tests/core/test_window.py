"""When a trace is due, and which spans its decision judges."""

import pytest

from schemas.span import Span
from streams.core.window import WindowPolicy, window_of
from tests.builders import EPOCH_MS, root_span, span

POLICY = WindowPolicy(settle_one_resource_ms=1_500, settle_many_resources_ms=8_000, abandon_after_ms=60_000)


def leaf(n: int, received: int, resource: int = 1) -> Span:
    return span(n, received_ms=EPOCH_MS + received, resource_id=resource)


def root(received: int, resource: int = 1) -> Span:
    return root_span(received_ms=EPOCH_MS + received, resource_id=resource)


@pytest.mark.parametrize(
    ("spans", "deadline", "reason"),
    [
        pytest.param([leaf(1, 0)], 60_000, "abandoned", id="no root: the abandon time after the last span"),
        pytest.param([leaf(1, 0), leaf(2, 500)], 60_500, "abandoned", id="each span moves an abandoned deadline"),
        pytest.param([root(0)], 1_500, "root_ended", id="a root alone settles"),
        pytest.param([leaf(1, 0), root(100)], 1_600, "root_ended", id="settle runs from the root, not the first span"),
        pytest.param([root(0), leaf(1, 1_000)], 1_500, "root_ended", id="a straggler does not move the deadline"),
        pytest.param([leaf(1, 0, 2), root(100)], 8_100, "root_ended", id="two resources settle longer"),
        pytest.param(
            [root(0), leaf(1, 1_499, 2)], 8_000, "root_ended", id="a second resource lengthens the settle time"
        ),
        pytest.param([root(0), leaf(1, 1_500, 2)], 1_500, "root_ended", id="a span at the deadline is late"),
        pytest.param([leaf(1, 0), root(60_000)], 60_000, "abandoned", id="a root after the abandon time is late"),
    ],
)
def test_the_deadline_follows_from_received_times(spans: list[Span], deadline: int, reason: str) -> None:
    for arrival in (spans, spans[::-1]):
        window = window_of(arrival, POLICY)
        assert window.deadline_ms(POLICY) - EPOCH_MS == deadline
        assert window.reason == reason


def test_an_end_marker_stands_for_a_root() -> None:
    marked = span(1, received_ms=EPOCH_MS, is_end=True)
    assert window_of([marked], POLICY).reason == "root_ended"
