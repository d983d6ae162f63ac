"""Rows turned into columns: every value in its place, producers' numbers in range, nothing of ours bent."""

import pytest

from schemas.result import RESULT_COLUMNS, Result
from schemas.rows import SpanRow, TrajectoryRow, pack_revision
from schemas.span import SPAN_COLUMNS, RawSpan
from streams.store.columns import (
    MS_MAX,
    NS_MAX,
    SPAN_NAMES,
    TRAJECTORY_NAMES,
    clamp,
    column_of,
    span_columns,
    trajectory_columns,
)
from tests.builders import EPOCH_MS, EPOCH_NS, span, span_id, trace_id

RAW = RawSpan(b"resource", b"scope", b"span")


def result(**fields: object) -> Result:
    values = ("a/t", "a", "ToolCallSuccess", "1", "pass", 1.0, "trace", "", "", "", EPOCH_NS)
    return Result(span_id(1), *values)._replace(**fields)


def trajectory_row(*results: Result, **fields: object) -> TrajectoryRow:
    texts = ("refund", "planner", "task", "session", "r1")
    counts = (2, 2, 2, 1, 10, 20)
    head = ("default", EPOCH_MS, trace_id(), pack_revision(2, False, 0), "open", "", 3, *texts, *counts)
    times = (EPOCH_NS, EPOCH_NS + 5, EPOCH_MS, EPOCH_MS + 1)
    return TrajectoryRow(*head, *times, 0, 0, 1.0, results, None)._replace(**fields)


def as_dict(names: tuple[str, ...], columns: list) -> dict:
    return dict(zip(names, columns, strict=True))


def test_each_field_of_a_span_lands_in_the_column_of_its_name():
    given = span(arguments="{}", start_ns=7, end_ns=9)
    columns = as_dict(SPAN_NAMES, span_columns([SpanRow(given, RAW)]))
    assert {name: column[0] for name, column in columns.items()} == {
        **{column_of(field): getattr(given, field) for field in SPAN_COLUMNS},
        "resource": b"resource",
        "scope": b"scope",
        "raw": b"span",
    }


def test_results_become_one_array_a_row_and_column_and_a_trace_without_any_has_empty_ones():
    rows = [trajectory_row(result(), result(evaluator="LatencyBudget")), trajectory_row()]
    columns = as_dict(TRAJECTORY_NAMES, trajectory_columns(rows))
    assert columns["results.evaluator"] == (("ToolCallSuccess", "LatencyBudget"), ())
    for field in RESULT_COLUMNS:
        assert [len(array) for array in columns[f"results.{column_of(field)}"]] == [2, 0]


@pytest.mark.parametrize(
    ("field", "given", "stored"),
    [
        ("start_ns", -1, 0),
        ("start_ns", 0, 0),
        ("end_ns", (1 << 64) - 1, NS_MAX),
        ("end_ns", NS_MAX, NS_MAX),
        ("received_ms", 1 << 62, MS_MAX),
        ("input_tokens", -5, 0),
        ("output_tokens", 1 << 80, (1 << 63) - 1),
        ("status", 1 << 40, 255),
    ],
)
def test_what_a_producer_chooses_is_brought_into_the_range_of_its_column(field: str, given: int, stored: int):
    rows = [SpanRow(span(**{field: value}), RAW) for value in (given, 1)]
    assert list(as_dict(SPAN_NAMES, span_columns(rows))[column_of(field)]) == [stored, 1]


def test_the_event_time_of_a_result_is_brought_into_range_too():
    columns = as_dict(TRAJECTORY_NAMES, trajectory_columns([trajectory_row(result(event_ns=1 << 64), result())]))
    assert [list(times) for times in columns["results.event_time"]] == [[NS_MAX, EPOCH_NS]]


def test_values_in_range_are_not_copied():
    values = (1, 2, 3)
    assert clamp(values, 3) is values
