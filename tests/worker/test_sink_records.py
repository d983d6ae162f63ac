"""What the sink sends, as values: outcome records of bounded size, and what is said of a dead letter."""

from schemas.outcome import RECORD_OUTCOMES_MAX, Outcome, TraceOutcomes
from streams.worker.sink import DeadLetter, headers_of, index_row, parts_of

OUTCOME = Outcome("a/b", "tool_call", "ToolCallSuccess", "1", "a", "b", 1, 0, "pass", "pass", 1.0, 0, "00", "")
LETTER = DeadLetter(b"x" * 7, "not an OTLP span: truncated \udcff", "otlp_spans", 3, 41, "acme", 2, 1_790_000_000_000)


def trace(n: int, outcomes: int) -> TraceOutcomes:
    return TraceOutcomes(f"{n:032x}", 0, 1, "root_ended", 1, 1.0, "", (OUTCOME,) * outcomes)


def test_records_are_cut_by_what_they_hold_and_nothing_is_lost_or_reordered():
    traces = [trace(n, size) for n, size in enumerate([1, RECORD_OUTCOMES_MAX, 5, 5, 3 * RECORD_OUTCOMES_MAX, 0, 1])]
    parts = list(parts_of(traces))
    assert [one for part in parts for one in part] == traces
    assert [len(part) for part in parts] == [1, 1, 2, 1, 2]
    assert all(len(part) == 1 or sum(len(t.outcomes) for t in part) <= RECORD_OUTCOMES_MAX for part in parts)
    assert not list(parts_of([]))


def test_a_dead_letter_says_where_it_came_from_and_how_long_it_was():
    said = dict(headers_of(LETTER))
    assert (said["topic"], said["partition"], said["offset"]) == (b"otlp_spans", b"3", b"41")
    assert (said["tenant"], said["bytes"]) == (b"acme", b"7")
    assert "value" not in said and said["reason"].startswith(b"not an OTLP span: truncated")


def test_the_row_of_a_dead_letter_has_a_reason_to_group_by_and_the_sentence():
    row = index_row(LETTER)
    assert (row.reason, row.detail) == ("not an OTLP span", LETTER.reason)
    assert (row.topic, row.partition, row.offset, row.item, row.tenant) == ("otlp_spans", 3, 41, 2, "acme")
