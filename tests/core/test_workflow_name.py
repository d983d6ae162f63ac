"""What a run is called: the user's rules first, on the whole set of spans, and what gave the name is said."""

from itertools import permutations

import pytest

from schemas.registry import EMPTY, parse_registry
from schemas.span import Span
from schemas.trajectory import TraceKey
from streams.core.assemble import assemble, order, winners
from streams.core.workflow_name import WorkflowName, workflow_name
from tests.builders import TENANT, root_span, span, tool_span, trace_id

RULES = parse_registry(
    """
workflow_names:
  - {workflow: night desk, span: {desk: "night*"}}
  - {workflow: "desk {desk}", span: {desk: "*"}}
workflows:
  - {name: night desk, policy: {max_steps: 1}}
""",
    "workflows.yaml",
)


def named(*spans: Span) -> WorkflowName:
    ordered = order(winners(spans))
    return workflow_name(ordered.spans, ordered.roots, RULES.names)


def desk(value: str) -> tuple[tuple[str, str, str], ...]:
    return (("span", "desk", value),)


def test_a_rule_overrides_what_the_root_says() -> None:
    spans = [root_span(workflow="refund"), tool_span(1, "pay", marks=desk("night 7"))]
    assert named(*spans) == ("night desk", "workflow_names[0]: span desk=night 7")
    found = assemble(TraceKey(TENANT, trace_id()), spans, RULES, {}, "marker")
    assert (found.workflow_name, found.workflow.policy.max_steps) == ("night desk", 1)


def test_where_no_rule_holds_the_spans_name_it() -> None:
    assert named(root_span(workflow="refund"), span(1)) == ("refund", "the root says it")
    assert named(root_span(), span(1, workflow="refund")) == ("refund", "a span says it")
    assert named(root_span(agent="cashier")) == ("cashier", "the root's agent")


def test_of_several_spans_that_fit_a_rule_the_root_is_asked_first_then_the_earliest() -> None:
    early, late = span(1, at_ms=1, marks=desk("a")), span(2, at_ms=2, marks=desk("b"))
    assert {named(*spans) for spans in permutations([late, early, root_span()])} == {
        ("desk a", "workflow_names[1]: span desk=a")
    }
    root = root_span(at_ms=3, marks=desk("c"))
    assert {named(*spans).name for spans in permutations([late, early, root])} == {"desk c"}


@pytest.mark.parametrize("rules", [(), RULES.names])
def test_no_span_is_no_name(rules) -> None:
    assert workflow_name([], [], rules).name == "unknown"
    assert EMPTY.names == ()
