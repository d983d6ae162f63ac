"""The laws of the engine under hostile schedules: crashes between any two effects, redelivery, zombies, late spans.

Final rows are a function of the span set; outcomes are a function of the spans received before the deadline; every decided
trace is published at least once, and whatever is published again is the same.
"""

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evaluators.judge import judge
from schemas.outcome import TraceOutcomes
from schemas.registry import parse_registry
from schemas.span import Span
from schemas.trajectory import TraceKey
from streams.core.assemble import assemble
from streams.core.engine import EnginePolicy
from streams.core.window import WindowPolicy, window_of
from tests.builders import EPOCH_MS, llm_span, root_span, tool_span, trace_id
from tests.properties.world import Record, Worker, World

WINDOW = WindowPolicy(settle_one_resource_ms=1_500, settle_many_resources_ms=8_000, abandon_after_ms=60_000)
PAY = {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}
TOOL = {"name": "pay", "writes": True, "parameters": PAY}
REGISTRY = parse_registry(json.dumps({"workflows": [{"name": "shop", "tools": [TOOL]}]}), "workflows.yaml")
ACTIONS = ("consume", "consume", "step", "step", "crash", "zombie", "zombie_acts", "idle", "flush")


@st.composite
def logs(draw: st.DrawFn) -> list[Record]:
    """A log of a few interleaved traces, with duplicates, conflicting contents, missing roots and late spans."""
    spans = []
    for t in range(draw(st.integers(1, 3))):
        count = draw(st.integers(1, 5))
        for n in range(1, count + 1):
            tool = draw(st.booleans())
            common = {"at_ms": n * 100, "trace_id": trace_id(t + 1), "resource_id": draw(st.integers(1, 2))}
            arguments = draw(st.sampled_from([{"id": "7"}, {"id": 7}, {}, None]))
            spans.append(tool_span(n, "pay", arguments, **common) if tool else llm_span(n, "ok", **common))
        if draw(st.booleans()):
            spans.append(root_span(0, trace_id=trace_id(t + 1), service="shop", resource_id=1))
    spans += draw(st.lists(st.sampled_from(spans), max_size=3))  # delivered twice
    twins = draw(st.lists(st.sampled_from(spans), max_size=1))
    spans += [s._replace(status=2, content_hash=s.content_hash ^ 1, end_ns=s.end_ns + 5) for s in twins]
    order = draw(st.permutations(spans))
    log, clock = [], EPOCH_MS
    while order:
        size = draw(st.integers(1, 3))
        clock += draw(st.sampled_from([0, 1, 500, 1_499, 1_500, 5_000, 70_000]))
        log.append(Record(clock, [s._replace(received_ms=clock) for s in order[:size]]))
        order = order[size:]
    return log


def run(log: list[Record], actions: list[str], policy: EnginePolicy) -> World:
    """Play the schedule, then let a last worker finish in peace."""
    world = World(log, policy, REGISTRY)
    worker, zombie = Worker(world), None
    for action in actions:
        match action:
            case "crash":
                worker = Worker(world)
            case "zombie":  # the old owner lives on beside the new one
                zombie, worker = worker, Worker(world)
            case "zombie_acts" if zombie is not None:
                zombie.consume()
                zombie.step()
            case "idle" if worker.position == len(log):
                worker.idle(worker.engine.clock_ms + 2_000)
            case "consume":
                worker.consume()
            case "step":
                worker.step()
            case "flush":
                worker.flush_whole()
    worker = Worker(world)
    while worker.position < len(log):
        worker.consume()
    worker.flush_whole()
    for _ in range(3):
        worker.idle(worker.engine.clock_ms + 100_000)
        worker.flush_whole()
    return world


def stored_once(log: list[Record]) -> dict[TraceKey, dict[tuple[bytes, int], Span]]:
    """Every distinct item of every trace, as first received."""
    traces: dict[TraceKey, dict[tuple[bytes, int], Span]] = {}
    for record in log:
        for span in record.spans:
            items = traces.setdefault(TraceKey(span.tenant, span.trace_id), {})
            items.setdefault((span.span_id, span.content_hash), span)
    return traces


def prefix_outcome(key: TraceKey, items: list[Span]) -> tuple[int, str]:
    """What the decision must say: how many items it judged, and why it came."""
    window = window_of(items, WINDOW)
    deadline = window.deadline_ms(WINDOW)
    return sum(s.received_ms < deadline for s in items), window.reason


@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    log=logs(),
    actions=st.lists(st.sampled_from(ACTIONS), max_size=40),
    memory=st.sampled_from([1, 3, 1_000]),
    growth=st.sampled_from([0.1, 1.0, 100.0]),  # the last: an open trace is judged once, and then at its decision
    small=st.sampled_from([0, 20]),
)
def test_any_schedule_of_crashes_ends_in_the_same_rows_and_outcomes(
    log: list[Record], actions: list[str], memory: int, growth: float, small: int
) -> None:
    policy = EnginePolicy(WINDOW, spans_in_memory_max=memory, provisional_growth=growth, provisional_small=small)
    world = run(log, actions, policy)
    expected = stored_once(log)
    assert {key: len(items) for key, items in expected.items()} == {
        key: row.n_items for key, row in world.store.rows.items()
    }
    for key, items in expected.items():
        row = world.store.rows[key]
        assert row.state == "decided"
        assert row.anchor_ms == min(s.received_ms for s in items.values())
        whole = assemble(key, list(items.values()), REGISTRY, {}, row.close_reason, row.flags & (1 << 13))
        assert row.results == tuple(judge(whole))
        published: list[TraceOutcomes] = [outcomes for owner, outcomes in world.outcomes if owner == key]
        assert published, "a decided trace is published"
        assert {(o.n_items, o.close_reason) for o in published} == {prefix_outcome(key, list(items.values()))}
        assert len(set(published)) == 1, "what is published again is the same"
        assert key in world.store.published


@settings(max_examples=200, deadline=None)
@given(log=logs(), cuts=st.lists(st.booleans(), max_size=12), growth=st.sampled_from([0.1, 100.0]))
def test_where_flushes_fall_changes_nothing(log: list[Record], cuts: list[bool], growth: float) -> None:
    plain = run(log, [], EnginePolicy(WINDOW))
    actions = [a for cut in cuts for a in (("consume", "flush") if cut else ("consume",))]
    flushed = run(log, actions, EnginePolicy(WINDOW, provisional_growth=growth, provisional_small=0))
    assert plain.store.rows.keys() == flushed.store.rows.keys()
    for key, row in plain.store.rows.items():
        again = flushed.store.rows[key]
        assert again == row._replace(last_log_ms=again.last_log_ms)


DIES = {"before": ("step", "crash"), "spans": ("step", "step", "crash"), "rows": ("step", "step", "step", "crash")}


@settings(max_examples=300, deadline=None)
@given(log=logs(), after=st.lists(st.sampled_from(["flush", *DIES]), min_size=12, max_size=12))
def test_a_flush_that_dies_leaves_rows_by_which_every_trace_is_found_in_time(
    log: list[Record], after: list[str]
) -> None:
    actions = [a for fate in after for a in ("consume", *DIES.get(fate, ("flush",)))]
    world = run(log, actions, EnginePolicy(WINDOW, provisional_growth=100.0, provisional_small=0))
    assert all(row.state == "decided" for row in world.store.rows.values())
