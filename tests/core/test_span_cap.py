"""A trace above its span cap: what is said of it must not depend on which of its spans came first."""

import random

import pytest

from schemas.item import ITEM_BYTES
from schemas.otlp import RawSpan
from schemas.trajectory import OVER_CAP
from streams.core.engine import EnginePolicy, TrajectoryEngine
from tests.builders import EPOCH_MS, root_span, tool_span

CAP = 5
POLICIES = {
    "spans": EnginePolicy(trace_spans_max=CAP),
    "bytes": EnginePolicy(trace_bytes_max=int((CAP + 0.5) * ITEM_BYTES)),
}
RAW = RawSpan(b"", b"", b"")
SPANS = [tool_span(n, "look", {"id": n}, at_ms=100 * n, received_ms=EPOCH_MS) for n in range(1, 9)]
ROOT = root_span(workflow="refund", task_id="t1", at_ms=0, received_ms=EPOCH_MS)


@pytest.fixture(params=POLICIES)
def policy(request):
    """The cap in spans, and the same in bytes."""
    return POLICIES[request.param]


def final(spans, policy):
    engine = TrajectoryEngine(0, policy)
    engine.tick(EPOCH_MS)
    for span in spans:
        engine.fold(span, RAW)
    engine.finish()
    (row,) = engine.take({}).trajectories
    return row


@pytest.mark.parametrize("count", [CAP - 1, CAP, CAP + 3])
def test_the_row_is_the_same_in_whatever_order_spans_came(count, policy):
    spans = [ROOT, *SPANS[:count]]
    rows = []
    for seed in range(20):
        random.Random(seed).shuffle(spans)
        row = final(spans, policy)
        rows.append((*row._replace(outcomes=None), row.flags & OVER_CAP))
    assert len({repr(row) for row in rows}) == 1
    assert bool(rows[0][-1]) == (count + 1 > CAP)


def test_above_the_cap_the_run_keeps_its_name_and_every_result_says_truncated(policy):
    row = final([*SPANS, ROOT], policy)
    assert (row.workflow, row.task_id, row.n_items) == ("refund", "t1", 9)
    assert {(r.span_id, r.reason_code) for r in row.results} == {(b"", "truncated")}


@pytest.mark.parametrize("late_first", [True, False], ids=["folded before the take", "folded after it"])
@pytest.mark.parametrize("early", [3, CAP + 2])
def test_spans_that_are_late_change_no_outcome_even_where_they_cross_the_cap(late_first, early, policy):
    engine = TrajectoryEngine(0, policy)
    engine.tick(EPOCH_MS)
    for span in [*SPANS[: early - 1], ROOT]:
        engine.fold(span, RAW)
    engine.tick(EPOCH_MS + 60_000)  # decided
    late = [span._replace(received_ms=EPOCH_MS + 60_000) for span in SPANS[early - 1 :]]
    if late_first:
        for span in late:
            engine.fold(span, RAW)
    (decided,) = engine.take({}).decided
    alone = TrajectoryEngine(0, policy)
    for span in [*SPANS[: early - 1], ROOT]:
        alone.fold(span, RAW)
    alone.tick(EPOCH_MS + 60_000)
    assert decided.outcomes == alone.take({}).decided[0].outcomes
    steps = {outcome.step for outcome in decided.outcomes.outcomes}
    assert (steps == {"(trajectory)"} or not steps) == (early > CAP)
