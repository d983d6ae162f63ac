"""When a committed offset is taken at its word."""

import pytest

from streams.worker.position import is_of_another, note


@pytest.mark.parametrize(
    ("noted", "topic_id", "another"),
    [
        (note("a"), "a", False),
        (note("a"), "b", True),
        (note(None), "a", False),  # an older version committed it, or a broker that told no ids
        (note("a"), None, False),
        ("somebody's own words", "a", False),
    ],
)
def test_an_offset_counts_in_the_topic_that_it_was_read_from(noted: str, topic_id: str | None, another: bool) -> None:
    assert is_of_another(noted, topic_id) is another
