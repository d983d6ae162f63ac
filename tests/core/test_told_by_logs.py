"""Content that only log records hold meets its span, whatever comes first, and is judged as content of the span itself."""

from itertools import permutations

import orjson
import pytest

from schemas.item import Item
from schemas.registry import parse_registry
from schemas.span import TRUNCATED, RawSpan, Span
from schemas.trajectory import TraceKey
from streams.core import told_by_logs
from streams.core.assemble import assemble
from streams.core.engine import EnginePolicy, TrajectoryEngine
from streams.core.flush import Flush
from streams.core.told_by_logs import joined
from streams.core.window import WindowPolicy
from tests.builders import EPOCH_MS, TENANT, log_record, result_of, root_span, span, tool_span, trace_id

DETAILS, USER, CHOICE = "gen_ai.client.inference.operation.details", "gen_ai.user.message", "gen_ai.choice"
RAW = RawSpan(b"", b"", b"")
SHOP = parse_registry(
    orjson.dumps(
        {
            "workflows": [
                {
                    "name": "shop",
                    "tools": [
                        {
                            "name": "pay",
                            "parameters": {"type": "object", "properties": {"id": {"type": "string"}}},
                        }
                    ],
                }
            ]
        }
    ).decode(),
    "workflows.yaml",
)


def text(role: str, said: str) -> dict[str, object]:
    return {"role": role, "parts": [{"type": "text", "content": said}]}


def told(of: Span, *logs: object) -> Span:
    return joined({of.span_id: of}, logs)[of.span_id]  # type: ignore[arg-type]


def test_a_call_gets_its_arguments_and_its_result() -> None:
    call = told(tool_span(1, "pay", None, None), log_record(arguments={"id": 7}), log_record(result="done"))
    assert (call.arguments, call.result) == ('{"id":7}', "done")


def test_an_empty_content_is_content_and_none_stays_none() -> None:
    assert told(tool_span(1, "pay", None, None), log_record(result="")).result == ""
    assert told(tool_span(1, "pay", None, None), log_record()).result is None
    assert told(span(1), log_record()).input_messages is None


def test_what_the_span_itself_says_wins() -> None:
    call = tool_span(1, "pay", {"id": 8}, "")
    assert told(call, log_record(arguments={"id": 7}, result="done", input_messages=[text("user", "a")])) is call


def test_a_model_call_gets_its_messages_in_the_order_of_their_times_and_numbers_never_of_arrival() -> None:
    logs = [
        log_record(at_ms=1, input_messages=[text("system", "be kind")]),
        log_record(at_ms=2, place=0, input_messages=[text("user", "pay 7")]),
        log_record(at_ms=2, place=1, input_messages=[text("assistant", "which one?")]),
        log_record(event=CHOICE, at_ms=3, output_messages=[text("assistant", "paid")]),
    ]
    seen = {told(span(1), *order) for order in permutations(logs)}
    (call,) = seen
    assert orjson.loads(call.input_messages or "") == [
        text("system", "be kind"),
        text("user", "pay 7"),
        text("assistant", "which one?"),
    ]
    assert orjson.loads(call.output_messages or "") == [text("assistant", "paid")]


def test_a_record_that_holds_all_messages_counts_for_all_of_them() -> None:
    whole = [text("user", "a"), text("assistant", "b")]
    piece = log_record(at_ms=1, input_messages=[text("user", "a")])
    last = log_record(event=DETAILS, at_ms=2, input_messages=whole)
    assert orjson.loads(told(span(1), piece, last).input_messages or "") == whole


def test_an_exception_in_a_log_record_is_the_spans() -> None:
    assert told(tool_span(1, "pay"), log_record(event="exception", exception="ValueError: no")).exception
    own = tool_span(1, "pay", exception="KeyError: x")
    assert told(own, log_record(event="exception", exception="ValueError: no")) is own


def test_records_of_other_spans_tell_nothing() -> None:
    call = tool_span(1, "pay", None, None)
    assert told(call, log_record(2, result="done")) is call


def test_messages_over_the_bound_are_left_out_and_flagged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told_by_logs, "JOINED_CHARS_MAX", 150)
    logs = [log_record(at_ms=n, input_messages=[text("user", f"number {n}")]) for n in range(5)]
    call = told(span(1), *logs)
    assert orjson.loads(call.input_messages or "") == [text("user", "number 0"), text("user", "number 1")]
    assert call.flags & TRUNCATED
    assert not told(span(1), logs[0]).flags & TRUNCATED


def test_a_record_that_was_cut_flags_the_span_that_it_fills() -> None:
    assert told(tool_span(1, "pay", None, None), log_record(result="x", flags=TRUNCATED)).flags & TRUNCATED


def test_a_tool_finds_its_content_in_messages_that_only_log_records_hold() -> None:
    request = {
        "role": "assistant",
        "parts": [{"type": "tool_call", "id": "call_2", "name": "pay", "arguments": {"id": "7"}}],
    }
    items = [root_span(), span(1), tool_span(2, "pay", None, None), log_record(event=CHOICE, output_messages=[request])]
    steps = assemble(TraceKey(TENANT, trace_id()), items, SHOP, {}, "marker").steps
    (call,) = [s.span for s in steps if s.kind == "tool_call"]
    assert call.arguments == '{"id":"7"}'


# The engine: a log record is an item of its trace as a span is.

POLICY = EnginePolicy(WindowPolicy(1_500, 8_000, 60_000))
CALL = tool_span(1, "pay", None, "done", workflow="shop")
ARGUMENTS = log_record(arguments={"id": 7})
ROOT = root_span(workflow="shop")


def engine() -> TrajectoryEngine:
    return TrajectoryEngine(0, POLICY, 1, SHOP)


def fold(into: TrajectoryEngine, at_ms: int, *items: Item) -> None:
    into.tick(EPOCH_MS + at_ms)
    for item in items:
        into.fold(item._replace(received_ms=EPOCH_MS + at_ms), RAW)


def verdict(flush: Flush, evaluator: str = "ParameterValidation", n: int | None = 1) -> str:
    return result_of(flush.trajectories[-1].results, evaluator, n).verdict


@pytest.mark.parametrize("order", list(permutations([CALL, ARGUMENTS, ROOT])))
def test_whatever_comes_first_the_row_is_the_same(order: tuple[Item, ...]) -> None:
    worker = engine()
    for n, item in enumerate(order):
        fold(worker, n, item)
        worker.acknowledged(worker.take({}))
    worker.tick(EPOCH_MS + 9_000)
    flush = worker.take({})
    row = flush.trajectories[-1]
    assert (row.state, row.n_items, row.n_spans, row.n_steps) == ("decided", 3, 2, 2)
    assert verdict(flush) == "fail"


def test_a_log_record_delivered_twice_is_one_item() -> None:
    worker = engine()
    fold(worker, 0, CALL, ARGUMENTS)
    fold(worker, 1, ARGUMENTS, ROOT)
    flush = worker.take({})
    assert (flush.counts.stored, flush.counts.duplicate, len(flush.logs), len(flush.spans)) == (3, 1, 1, 2)


def test_a_trace_with_log_records_waits_for_two_exporters() -> None:
    worker = engine()
    fold(worker, 0, CALL, ARGUMENTS, ROOT)
    worker.tick(EPOCH_MS + 7_999)
    assert worker.take({}).trajectories[-1].state == "open"
    worker.tick(EPOCH_MS + 8_000)
    assert worker.take({}).trajectories[-1].state == "decided"


def test_a_late_log_record_changes_the_row_and_never_what_was_counted() -> None:
    worker = engine()
    fold(worker, 0, CALL, ROOT)
    worker.tick(EPOCH_MS + 1_500)
    first = worker.take({})
    fold(worker, 2_000, ARGUMENTS)
    second = worker.take({})
    assert second.counts.late == 1
    assert (verdict(first), verdict(second)) == ("unscored", "fail")
    assert [(c.evaluator, c.before, c.after) for c in second.changes if c.evaluator == "ParameterValidation"] == [
        ("ParameterValidation", "unscored", "fail")
    ]
    assert second.decided == first.decided


def test_outcomes_are_of_what_came_in_time_though_a_span_was_judged_before_its_log_record() -> None:
    worker = engine()
    fold(worker, 0, CALL)
    worker.acknowledged(worker.take({}))  # judged alone: unscored
    fold(worker, 1, ARGUMENTS, ROOT)
    fold(worker, 9_000, span(5))  # decides, and is late: its take judges two readings
    outcomes = worker.take({}).decided[-1].outcomes
    assert outcomes.n_items == 3
    assert [o.last for o in outcomes.outcomes if o.evaluator == "ParameterValidation"] == ["fail"]


def test_log_records_alone_are_no_run_and_count_nothing() -> None:
    worker = engine()
    fold(worker, 0, ARGUMENTS)
    worker.tick(EPOCH_MS + 60_000)
    flush = worker.take({})
    (row,) = flush.trajectories
    assert (row.state, row.close_reason, row.n_items, row.n_spans) == ("decided", "abandoned", 1, 0)
    assert (row.results, row.weight, row.workflow) == ((), 0.0, "unknown")
    (decided,) = flush.decided
    assert (decided.outcomes.outcomes, decided.outcomes.weight) == ((), 0.0)
    fold(worker, 61_000, CALL, ROOT)  # the spans come after all: judged, never counted
    late = worker.take({})
    assert late.trajectories[-1].n_spans == 2
    assert late.trajectories[-1].weight == 1.0
    assert late.decided == flush.decided


def test_log_records_count_for_the_cap_and_never_push_spans_out() -> None:
    worker = TrajectoryEngine(0, POLICY._replace(trace_spans_max=2), 1, SHOP)
    fold(worker, 0, *(log_record(1, at_ms=n) for n in range(5)), CALL, ROOT)
    (row,) = worker.take({}).trajectories
    assert (row.n_items, row.n_spans, row.workflow) == (7, 2, "shop")
    assert not any(r.span_id for r in row.results)


def test_what_is_read_back_is_what_was_folded() -> None:
    worker = engine()
    fold(worker, 0, CALL, ARGUMENTS, ROOT)
    items = [CALL, ARGUMENTS, ROOT]
    other = engine()
    other.tick(EPOCH_MS)
    other.read_back(TraceKey(TENANT, trace_id()), None, [item._replace(received_ms=EPOCH_MS) for item in items])
    (one,), (two,) = worker.take({}).trajectories, other.take({}).trajectories
    assert one == two
