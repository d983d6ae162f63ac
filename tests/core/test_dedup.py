"""Nested instrumentation: one thing that happened is one step (span-conventions 6.7)."""

from typing import Any

from schemas.registry import EMPTY
from schemas.span import ERROR, Span
from schemas.trajectory import Step, TraceKey, Trajectory
from streams.core.assemble import assemble
from tests.builders import root_span, span, trace_id


def trajectory(*spans: Span) -> Trajectory:
    return assemble(TraceKey("default", trace_id()), spans, EMPTY, {}, "marker")


def steps(*spans: Span) -> tuple[Step, ...]:
    return trajectory(*spans).steps


def llm(n: int, parent: int, **fields: Any) -> Span:
    return span(n, parent=parent, at_ms=n, **{"kind": "llm", "operation": "llm", "agent": "", **fields})


def tool(n: int, parent: int, name: str = "pay", **fields: Any) -> Span:
    return span(
        n,
        parent=parent,
        at_ms=n,
        **{"kind": "tool_call", "operation": "tool_call", "tool": name, "agent": "", **fields},
    )


def agent(n: int, parent: int | None, name: str, **fields: Any) -> Span:
    return span(n, parent=parent, at_ms=n, **{"kind": "agent", "operation": "agent", "agent": name, **fields})


def frame(**fields: Any) -> Span:
    return root_span(kind="workflow", operation="workflow", agent="", **fields)


def test_of_nested_model_calls_the_inner_one_stays_and_takes_over_what_only_the_outer_knew() -> None:
    (kept,) = steps(
        frame(),
        llm(1, 0, agent="planner", input_messages="[]", input_tokens=40),
        llm(2, 1, model="m", input_tokens=40),
    )
    assert (kept.span.span_id, kept.agent, kept.span.model, kept.span.input_messages, kept.span.input_tokens) == (
        span(2).span_id, "planner", "m", "[]", 40,
    )  # fmt: skip


def test_three_nested_model_calls_are_one() -> None:
    (kept,) = steps(frame(), llm(1, 0, output_messages="[1]"), llm(2, 1), llm(3, 2, model="m"))
    assert (kept.span.model, kept.span.output_messages) == ("m", "[1]")


def test_structure_between_nested_model_calls_changes_nothing() -> None:
    assert len(steps(frame(), llm(1, 0), span(2, kind="internal", parent=1, at_ms=2), llm(3, 2))) == 1


def test_two_model_calls_inside_one_share_none_of_its_content() -> None:
    kept = steps(frame(), llm(1, 0, input_messages="[]"), llm(2, 1), llm(3, 1))
    assert [s.span.input_messages for s in kept] == [None, None]


def test_a_model_call_inside_a_tool_of_a_model_call_is_its_own() -> None:
    assert [s.kind for s in steps(frame(), llm(1, 0), tool(2, 1), llm(3, 2))] == ["llm", "tool_call", "llm"]


def test_client_and_server_of_one_call_are_one_step_and_either_may_know_of_the_failure() -> None:
    (call,) = steps(
        frame(),
        tool(1, 0, arguments="{}", call_id="c1"),
        tool(2, 1, dialect="mcp"),
        tool(3, 2, dialect="mcp", status=ERROR, error_type="tool_error"),
    )
    assert (call.span.span_id, call.span.arguments, call.span.status, call.span.error_type) == (
        span(1).span_id, "{}", ERROR, "tool_error",
    )  # fmt: skip
    assert call.call.failed


def test_a_clients_prefix_does_not_make_another_tool() -> None:
    assert len(steps(frame(), tool(1, 0, "mcp__bank__pay"), tool(2, 1, "pay"))) == 1


def test_another_tool_inside_a_tool_is_its_own() -> None:
    assert len(steps(frame(), tool(1, 0, "pay"), tool(2, 1, "log_payment"))) == 2


def test_calls_with_different_ids_are_two_however_they_nest() -> None:
    assert len(steps(frame(), tool(1, 0, call_id="c1"), tool(2, 1, call_id="c2"))) == 2


def test_two_instrumentors_beside_each_other_tell_one_call() -> None:
    kept = steps(frame(), tool(1, 0, call_id="c1", took_ms=50), tool(2, 0, call_id="c1", dialect="mcp", took_ms=10))
    assert len(kept) == 1


def test_a_call_id_that_comes_again_later_is_a_call_again() -> None:
    first = tool(1, 0, call_id="c1", took_ms=1)
    assert len(steps(frame(), first, span(60, parent=0, at_ms=60, kind="tool_call", tool="pay", call_id="c1"))) == 2


def test_an_agent_wrapped_twice_is_one() -> None:
    assert [s.agent for s in steps(frame(), agent(1, 0, "a"), agent(2, 1, "a"), llm(3, 2))] == ["a", "a"]


def test_a_frame_that_also_calls_itself_an_agent_is_no_agent() -> None:
    kept = steps(frame(workflow="refund"), agent(1, 0, "refund"), agent(2, 1, "planner"), agent(3, 1, "executor"))
    assert [s.agent for s in kept] == ["planner", "executor"]


def test_an_agent_that_works_itself_is_one_even_under_its_workflows_name() -> None:
    kept = steps(frame(workflow="refund"), agent(1, 0, "refund"), llm(2, 1), agent(3, 1, "helper"))
    assert [s.agent for s in kept] == ["refund", "refund", "helper"]


def test_tokens_of_an_agent_are_not_counted_beside_those_of_its_calls() -> None:
    kept = steps(agent(0, None, "a", input_tokens=80), llm(1, 0, input_tokens=40), llm(2, 0, input_tokens=40))
    assert sum(s.span.input_tokens for s in kept) == 80


def test_tokens_of_an_agent_count_where_nothing_below_says_any() -> None:
    kept = steps(agent(0, None, "a", input_tokens=80), agent(1, 0, "b", input_tokens=30), llm(2, 1))
    assert [s.span.input_tokens for s in kept] == [0, 30, 0], "a's are b's and its own, and b's are told"


def test_a_model_call_below_a_planner_is_the_planners() -> None:
    kept = steps(frame(), agent(1, 0, "planner"), llm(2, 1))
    assert [(s.kind, s.label) for s in kept] == [("agent", "planner"), ("planner", "planner")]


def test_what_runs_below_a_delegation_the_other_agent_does() -> None:
    handoff = span(
        1, parent=0, at_ms=1, kind="handoff", tool="Delegate work to coworker", arguments='{"coworker": "executor"}'
    )
    kept = steps(frame(), handoff._replace(agent="planner"), tool(2, 1))
    assert [s.label for s in kept] == ["planner/handoff", "executor/pay"]


def test_the_only_agent_below_a_nameless_frame_names_the_workflow() -> None:
    assert trajectory(frame(name="invocation"), agent(1, 0, "refund")).workflow_name == "refund"


def test_a_frame_below_a_servers_span_names_the_workflow() -> None:
    server = root_span(kind="internal", operation="internal", agent="", name="POST /run", service="web")
    crew = span(1, parent=0, at_ms=1, kind="workflow", operation="workflow", agent="", name="refund.kickoff")
    assert trajectory(server, crew, agent(2, 1, "planner")).workflow_name == "refund"


def test_work_that_is_delegated_further_with_the_same_tool_is_no_twin() -> None:
    first, further = ('{"coworker": "executor"}', '{"coworker": "verifier"}')
    delegate = {"name": "Delegate work to coworker", "kind": "handoff", "operation": "handoff"}
    outer = tool(1, 0, agent="planner", arguments=first, **delegate)
    kept = steps(frame(), outer, tool(2, 1, arguments=further, **delegate))
    assert [step.label for step in kept] == ["planner/handoff", "executor/handoff"]
