"""Spans to ordered steps: one total order whatever the arrival, the tree's damage or the clocks."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.registry import EMPTY
from schemas.result import OTHER_STEP
from schemas.span import Span
from schemas.trajectory import CYCLE, LABELS_CAPPED, MANY_ROOTS, MISSING_PARENT, NO_ROOT, TraceKey, Trajectory
from streams.core.assemble import LABELS_MAX, assemble, order, winners
from streams.core.workflow_name import UNKNOWN_WORKFLOW
from tests.builders import TENANT, llm_span, root_span, span, tool_span, trace_id

KEY = TraceKey(TENANT, trace_id())


def assembled(*spans: Span) -> Trajectory:
    return assemble(KEY, spans, EMPTY, {}, "root_ended")


def names(*spans: Span) -> list[str]:
    return [s.name for s in order(winners(spans)).spans]


def test_steps_sort_by_start_then_depth_then_span_id() -> None:
    spans = [root_span(), span(2, at_ms=100), span(1, at_ms=100), span(3, at_ms=50), span(4, at_ms=100, parent=1)]
    assert names(*spans) == ["invoke_agent", "span 3", "span 1", "span 2", "span 4"]


def test_a_child_whose_clock_is_behind_sorts_after_its_parent() -> None:
    assert names(root_span(at_ms=1_000), span(1, at_ms=5), span(2, at_ms=3, parent=1))[0] == "invoke_agent"
    assert names(root_span(at_ms=1_000), span(1, at_ms=5), span(2, at_ms=3, parent=1)).index("span 1") == 1


@pytest.mark.parametrize(
    ("spans", "flags"),
    [
        pytest.param([root_span(), span(1)], 0, id="sound"),
        pytest.param([span(1)], NO_ROOT | MISSING_PARENT, id="no root, dangling parent"),
        pytest.param([root_span(), span(1, parent=9)], MISSING_PARENT, id="dangling parent beside a root"),
        pytest.param([root_span(0), root_span(5)], MANY_ROOTS, id="two roots"),
        pytest.param([root_span(), span(1, parent=1)], CYCLE, id="a span that is its own parent"),
        pytest.param([root_span(), span(1, parent=2), span(2, parent=1)], CYCLE, id="two spans in a ring"),
    ],
)
def test_damage_to_the_tree_is_flagged(spans: list[Span], flags: int) -> None:
    assert assembled(*spans).flags == flags


def test_a_cycle_is_cut_at_the_smallest_start() -> None:
    ring = [span(1, at_ms=30, parent=3), span(2, at_ms=10, parent=1), span(3, at_ms=20, parent=2)]
    tail = span(4, at_ms=0, parent=1)
    assert names(*ring, tail) == ["span 2", "span 3", "span 1", "span 4"]


@given(
    parents=st.lists(st.integers(0, 7), min_size=1, max_size=7),
    starts=st.lists(st.integers(0, 3), min_size=7, max_size=7),
    seed=st.integers(0, 2**16),
)
def test_the_order_does_not_depend_on_arrival(parents: list[int], starts: list[int], seed: int) -> None:
    spans = [span(n, at_ms=starts[n - 1], parent=parent) for n, parent in enumerate(parents, 1)]
    shuffled = random.Random(seed).sample(spans, len(spans))
    assert order(winners(spans)).spans == order(winners(shuffled)).spans
    assert order(winners(spans)).flags == order(winners(shuffled)).flags


def test_of_two_contents_of_a_span_id_the_greater_end_wins() -> None:
    short, long = span(1, took_ms=5), span(1, took_ms=9)
    assert winners([short, long]) == winners([long, short]) == {long.span_id: long}


def test_a_step_without_an_agent_takes_its_nearest_ancestors() -> None:
    run = assembled(
        root_span(agent="desk", kind="agent"),
        span(1, kind="internal", agent="", parent=0),
        tool_span(2, "pay", agent="", parent=1),
    )
    assert [(s.label, s.agent) for s in run.steps] == [("desk", "desk"), ("desk/pay", "desk")]
    assert run.steps[1].parent == 0, "structure between two steps is bridged"


def test_labels_beyond_the_cap_share_one() -> None:
    tools = [tool_span(n, f"tool-{n}", at_ms=n) for n in range(1, LABELS_MAX + 3)]
    run = assembled(root_span(), *tools)
    assert len({s.label for s in run.steps}) == LABELS_MAX + 1
    assert run.steps[-1].label == OTHER_STEP
    assert run.flags & LABELS_CAPPED


@pytest.mark.parametrize(
    ("spans", "name"),
    [
        pytest.param([root_span(workflow="refund")], "refund", id="the root says it"),
        pytest.param([root_span(), llm_span(1, workflow="refund")], "refund", id="any span says it"),
        pytest.param(
            [root_span(workflow="LangGraph"), llm_span(1, workflow="refund")], "refund", id="generic is nothing"
        ),
        pytest.param([root_span(agent="desk")], "desk", id="else the root's agent"),
        pytest.param([root_span(agent="", kind="workflow", name="night run")], "night run", id="else the frame's name"),
        pytest.param([root_span(agent="", service="shop")], "shop", id="else the service"),
        pytest.param([root_span(agent="", service="", name="GET /")], UNKNOWN_WORKFLOW, id="else unknown"),
    ],
)
def test_the_workflow_is_named_by_the_first_that_is_not_generic(spans: list[Span], name: str) -> None:
    assert assembled(*spans).workflow_name == name
