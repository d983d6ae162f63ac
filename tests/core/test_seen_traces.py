"""The filter of seen traces: a repetition within an hour is seen, and what it knows follows from the log since `since` alone."""

from hypothesis import given
from hypothesis import strategies as st

from streams.core.seen import HALF_MS, SeenTraces

GAPS_MS = st.sampled_from([0, 1_000, HALF_MS // 2, HALF_MS, 3 * HALF_MS])
LOGS = st.lists(st.tuples(GAPS_MS, st.sampled_from("abc")), min_size=1, max_size=30)
START_MS = 1_760_000_000_000


def told(seen: SeenTraces, log: list[tuple[int, str]], first: int = 0) -> list[bool]:
    """What the filter says of the records from this offset on; their gaps count from the log's start."""
    answers = []
    for offset in range(first, len(log)):
        seen.advance(START_MS + sum(gap for gap, _ in log[: offset + 1]), offset)
        answers.append(seen.add("default", log[offset][1]))
    return answers


def test_what_comes_again_each_hour_counts_once() -> None:
    assert told(SeenTraces(), [(HALF_MS, "a")] * 9) == [True] + [False] * 8


def test_what_comes_again_after_two_hours_may_count_again() -> None:
    assert told(SeenTraces(), [(0, "a"), (3 * HALF_MS, "a")]) == [True, True]


@given(LOGS, st.integers(0, 30))
def test_read_again_from_since_it_answers_as_if_it_had_gone_on(log: list[tuple[int, str]], place: int) -> None:
    cut = place % len(log)
    living = SeenTraces()
    told(living, log[:cut])
    rebuilt = SeenTraces(living.since)
    told(rebuilt, log[:cut], living.since.offset)
    assert rebuilt.since == living.since
    assert told(rebuilt, log, cut) == told(living, log, cut)
