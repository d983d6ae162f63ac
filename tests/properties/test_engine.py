"""The laws of the engine under hostile schedules: crashes between any two effects, redelivery, zombies, late spans, new configs.

Final rows are a function of the span set and the config they name; outcomes are a function of the spans received before the
deadline and the config at the decision; every decided trace is published at least once, and whatever is published again is
the same. All of it holds above the span cap too, and however short the folds are that are kept from judging to judging.
"""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evaluators.judge import judge
from schemas.item import Item
from schemas.outcome import TraceOutcomes
from schemas.registry import Registry, parse_registry
from schemas.result import Result
from schemas.rows import TrajectoryRow
from schemas.span import ERROR, Span
from schemas.trajectory import CONFLICT, OVER_CAP, TraceKey
from streams.core import judging
from streams.core.assemble import assemble
from streams.core.engine import EnginePolicy
from streams.core.judging import in_cohort
from streams.core.window import WindowPolicy, window_of
from tests.builders import EPOCH_MS, llm_span, log_record, root_span, tool_span, trace_id
from tests.properties.world import Record, Worker, World, seen_by

WINDOW = WindowPolicy(settle_one_resource_ms=1_500, settle_many_resources_ms=8_000, abandon_after_ms=60_000)
NO_CAP = 10_000


def registry(max_steps: int, names: tuple[Any, ...] = (), sample: float = 1.0, **parameters: str) -> Registry:
    """What the workflow of these tests may do: pay, with parameters of these types, in so many steps; and which runs it is."""
    schema = {
        "type": "object",
        "properties": {name: {"type": of} for name, of in parameters.items()},
        "required": list(parameters),
    }
    tool = {"name": "pay", "writes": True, "parameters": schema}
    shop = {"name": "shop", "tools": [tool], "policy": {"max_steps": max_steps}, "sample": sample}
    shop["judge_also"] = ["errors"]
    return parse_registry(json.dumps({"workflow_names": names, "workflows": [shop]}), "workflows.yaml")


REGISTRY = registry(max_steps=9, id="string")
# Judges the same steps otherwise, not of every run, and names runs by what their spans say under keys that the other does
# not look at.
LATER = registry(
    3,
    ({"workflow": "shop", "span": {"desk": "till*"}}, {"workflow": "{place}", "resource": {"place": "*"}}),
    sample=0.1,  # of the three traces of these tests the second
    id="integer",
)
ACTIONS = ("consume", "consume", "step", "step", "crash", "zombie", "zombie_acts", "idle", "flush", "config")


MARKS = [(), (), (("span", "desk", "till 1"),), (("span", "desk", "back"),), (("resource", "place", "annex"),)]


@st.composite
def logs(draw: st.DrawFn) -> list[Record]:
    """A log of a few interleaved traces, with duplicates, conflicting contents, missing roots, late spans, log records."""
    spans: list[Item] = []
    for t in range(draw(st.integers(1, 3))):
        count = draw(st.integers(1, 5))
        marked = draw(st.sampled_from(MARKS))  # by every span: above the cap rules look at those that are kept
        named = draw(st.sampled_from(["", "shop"]))  # by every span, or by the root alone
        for n in range(1, count + 1):
            tool = draw(st.booleans())
            common = {
                "at_ms": n * 100,
                "trace_id": trace_id(t + 1),
                "resource_id": draw(st.integers(1, 2)),
                "workflow": named,
                "marks": marked,
            }
            arguments = draw(st.sampled_from([{"id": "7"}, {"id": 7}, {}, None]))
            spans.append(tool_span(n, "pay", arguments, **common) if tool else llm_span(n, "ok", **common))
            if draw(st.integers(0, 3)) == 0:  # content of this span, or of one that never comes
                said = draw(st.sampled_from([{"arguments": {"id": "7"}}, {"result": {"error": "no"}}, {"place": 1}]))
                spans.append(log_record(draw(st.sampled_from([n, 9])), at_ms=n * 100, trace_id=trace_id(t + 1), **said))
        if draw(st.booleans()):
            marks = marked or draw(st.sampled_from(MARKS))
            spans.append(root_span(0, trace_id=trace_id(t + 1), workflow="shop", resource_id=1, marks=marks))
    spans += draw(st.lists(st.sampled_from(spans), max_size=3))  # delivered twice
    twins = draw(st.lists(st.sampled_from(spans), max_size=1))
    spans += [
        s._replace(status=2, content_hash=s.content_hash ^ 1, end_ns=s.end_ns + 5) for s in twins if isinstance(s, Span)
    ]
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
            case "config":
                world.apply(LATER if world.seq % 2 else REGISTRY)
    worker = Worker(world)
    while worker.position < len(log):
        worker.consume()
    worker.flush_whole()
    for _ in range(3):
        worker.idle(worker.engine.clock_ms + 100_000)
        worker.flush_whole()
    return world


def stored_once(log: list[Record]) -> dict[TraceKey, dict[tuple[bytes, int], Item]]:
    """Every distinct item of every trace, as first received."""
    traces: dict[TraceKey, dict[tuple[bytes, int], Item]] = {}
    for record in log:
        for span in record.spans:
            items = traces.setdefault(TraceKey(span.tenant, span.trace_id), {})
            items.setdefault((span.span_id, span.content_hash), span)
    return traces


def prefix_outcome(key: TraceKey, items: list[Item]) -> tuple[int, str]:
    """What the decision must say: how many items it judged, and why it came."""
    window = window_of(items, WINDOW)
    deadline = window.deadline_ms(WINDOW)
    return sum(s.received_ms < deadline for s in items), window.reason


def final_results(
    key: TraceKey, items: list[Item], row: TrajectoryRow, under: Registry, cap: int
) -> tuple[Result, ...]:
    """What a final row must hold: the results of all items, judged at once; above the cap the run's own, of no step; none
    where only log records came."""
    spans = [item for item in items if isinstance(item, Span)]
    if not spans:
        return ()
    over = len(items) > cap
    flags = (row.flags & CONFLICT) | (OVER_CAP if over else 0)
    seen = [seen_by(item, under.watched) for item in items]
    trajectory = assemble(key, seen, under, {}, row.close_reason, flags)
    if not in_cohort(key.trace_id, trajectory.workflow.sample):
        assert row.weight == 0
        told = [*trajectory.roots, *(step.span for step in trajectory.steps)]
        if over or not any(s.status == ERROR or s.error_type or s.exception for s in told):
            return ()
    results = judge(trajectory)
    if not over:
        return tuple(results)
    return tuple(r._replace(event_ns=max(s.end_ns for s in spans)) for r in results if not r.span_id)


SAID_ABOVE_CAP = (
    *("anchor_ms", "revision", "state", "close_reason", "workflow", "n_items", "start_ns", "end_ns", "deadline_ms"),
    *("n_spans", "n_steps", "n_tool_calls", "input_tokens", "output_tokens", "flags", "results", "outcomes"),
)
CAPS = st.sampled_from([2, 4, NO_CAP])
KEPT_FROM = st.sampled_from([1, 3, 20])


@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    log=logs(),
    actions=st.lists(st.sampled_from(ACTIONS), max_size=40),
    memory=st.sampled_from([1, 3, 1_000]),
    growth=st.sampled_from([0.1, 1.0, 100.0]),  # the last: an open trace is judged once, and then at its decision
    small=st.sampled_from([0, 20]),
    cap=CAPS,
    every_ms=st.sampled_from([0, 10_000]),
    kept_from=KEPT_FROM,
)
def test_any_schedule_of_crashes_ends_in_the_same_rows_and_outcomes(
    log: list[Record],
    actions: list[str],
    memory: int,
    growth: float,
    small: int,
    cap: int,
    every_ms: int,
    kept_from: int,
) -> None:
    policy = EnginePolicy(WINDOW, every_ms, cap, memory, provisional_growth=growth, provisional_small=small)
    with pytest.MonkeyPatch.context() as lowered:
        lowered.setattr(judging, "FOLD_KEPT_FROM", kept_from)
        world = run(log, actions, policy)
    expected = stored_once(log)
    assert {key: len(items) for key, items in expected.items()} == {
        key: row.n_items for key, row in world.store.rows.items()
    }
    for key, distinct in expected.items():
        row, items = world.store.rows[key], list(distinct.values())
        assert row.state == "decided"
        assert row.anchor_ms == min(s.received_ms for s in items)
        assert row.results == final_results(key, items, row, world.under(row.config_seq), cap)
        published: list[TraceOutcomes] = [outcomes for owner, outcomes in world.outcomes if owner == key]
        assert published, "a decided trace is published"
        assert {(o.n_items, o.close_reason) for o in published} == {prefix_outcome(key, items)}
        decisions = {o.config_seq for o in published}
        assert len(set(published)) == len(decisions), "what is published again is the same"
        # A zombie that has not heard of the newest config decides under its own: the alerter counts the first.
        assert len(decisions) == 1 or {"zombie_acts", "config"} <= set(actions)
        assert key in world.store.published


@settings(max_examples=300, deadline=None)
@given(
    log=logs(),
    cuts=st.lists(st.booleans(), max_size=12),
    growth=st.sampled_from([0.1, 100.0]),
    cap=CAPS,
    kept_from=KEPT_FROM,
)
def test_where_flushes_fall_changes_nothing(
    log: list[Record], cuts: list[bool], growth: float, cap: int, kept_from: int
) -> None:
    plain = run(log, [], EnginePolicy(WINDOW, trace_spans_max=cap))
    actions = [a for cut in cuts for a in (("consume", "flush") if cut else ("consume",))]
    with pytest.MonkeyPatch.context() as lowered:
        lowered.setattr(judging, "FOLD_KEPT_FROM", kept_from)
        policy = EnginePolicy(WINDOW, 0, cap, provisional_growth=growth, provisional_small=0)
        flushed = run(log, actions, policy)
    assert plain.store.rows.keys() == flushed.store.rows.keys()
    for key, row in plain.store.rows.items():
        again = flushed.store.rows[key]
        if row.flags & OVER_CAP:  # it counts the spans that are kept, which are the first ones of one reader's order
            assert [getattr(again, name) for name in SAID_ABOVE_CAP] == [getattr(row, name) for name in SAID_ABOVE_CAP]
        else:
            assert again == row._replace(last_log_ms=again.last_log_ms)


BETWEEN = {
    "nothing": (),
    "flush": ("flush",),
    "config": ("config", "flush"),
}  # that flush is the last under the old one


@settings(max_examples=300, deadline=None)
@given(
    log=logs(), between=st.lists(st.sampled_from([*BETWEEN]), min_size=8, max_size=12), cap=CAPS, kept_from=KEPT_FROM
)
def test_a_final_row_is_judged_under_the_one_config_it_names_whatever_was_in_force_before(
    log: list[Record], between: list[str], cap: int, kept_from: int
) -> None:
    actions = [a for what in between for a in ("consume", *BETWEEN[what])]
    with pytest.MonkeyPatch.context() as lowered:
        lowered.setattr(judging, "FOLD_KEPT_FROM", kept_from)
        world = run(log, actions, EnginePolicy(WINDOW, 0, cap, provisional_small=0))
    for key, distinct in stored_once(log).items():
        row = world.store.rows[key]
        assert row.results == final_results(key, list(distinct.values()), row, world.under(row.config_seq), cap)
        assert len({outcomes for owner, outcomes in world.outcomes if owner == key}) == 1


DIES = {"before": ("step", "crash"), "spans": ("step", "step", "crash"), "rows": ("step", "step", "step", "crash")}


@settings(max_examples=300, deadline=None)
@given(log=logs(), after=st.lists(st.sampled_from(["flush", *DIES]), min_size=12, max_size=12))
def test_a_flush_that_dies_leaves_rows_by_which_every_trace_is_found_in_time(
    log: list[Record], after: list[str]
) -> None:
    actions = [a for fate in after for a in ("consume", *DIES.get(fate, ("flush",)))]
    world = run(log, actions, EnginePolicy(WINDOW, provisional_growth=100.0, provisional_small=0))
    assert all(row.state == "decided" for row in world.store.rows.values())
