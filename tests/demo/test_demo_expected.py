"""The demonstration's own check: which series must fire and resolve, and what it says when they do not."""

from pathlib import Path

import pytest
import yaml

from schemas.rules import parse_rules
from streams.demo.expected import AlertEvent, Series, compare, read_event, read_expected, sentence

EXAMPLES = Path(__file__).parents[2] / "infra" / "examples"
A = Series("wrong-parameters", "refund", "executor/update_crm", "ParameterValidation")
B = Series("failing-tools", "refund", "executor/update_crm", "ToolCallSuccess")
OTHER = Series("slow", "triage", "planner", "LatencyBudget")
EXPECTED = frozenset({A, B})


def events(*seen: tuple[Series, str]) -> list[AlertEvent]:
    return [AlertEvent(series, status, {}, {}) for series, status in seen]


FIRED = events((A, "firing"), (B, "firing"))
RESOLVED = events((A, "resolved"), (B, "resolved"))


@pytest.mark.parametrize(
    ("published", "good", "complete", "said"),
    [
        (FIRED + RESOLVED, True, True, "no other series fired"),
        (FIRED + FIRED + RESOLVED + RESOLVED, True, True, "fired and resolved"),
        (FIRED, False, False, "did not resolve"),
        ([], False, False, "never fired"),
        (FIRED + RESOLVED[:1], False, False, "did not resolve: failing-tools"),
        (FIRED + RESOLVED + events((OTHER, "firing"), (OTHER, "resolved")), False, True, "should not: slow"),
        (FIRED + RESOLVED + events((OTHER, "no_data")), True, True, "no other series fired"),
        (FIRED + RESOLVED + events((A, "firing")), False, False, "did not resolve: wrong-parameters"),
    ],
)
def test_exactly_the_expected_series_must_fire_and_resolve(
    published: list[AlertEvent], good: bool, complete: bool, said: str
) -> None:
    outcome = compare(EXPECTED, published)
    assert (outcome.good, outcome.complete) == (good, complete)
    assert said in sentence(outcome)


def test_the_shipped_expected_series_are_watched_by_the_shipped_rules() -> None:
    rules = parse_rules((EXAMPLES / "rules.yaml").read_text(), "rules.yaml").by_uid()
    expected = read_expected(yaml.safe_load((EXAMPLES / "demo-expected.yaml").read_text()))
    assert expected == EXPECTED
    for series in expected:
        rule = rules[series.rule]
        assert rule.match.fits("default", series.workflow, series.step, series.evaluator, "tool_call")
        assert rule.match.fits("default", "triage", "executor/get_ticket", series.evaluator, "tool_call")


def test_an_event_names_its_series_and_a_heartbeat_is_no_event() -> None:
    body = {
        "status": "firing",
        "rule": {"uid": A.rule},
        "labels": {"workflow": A.workflow, "step": A.step, "evaluator": A.evaluator},
    }
    event = read_event([("ce_id", b"k:1:0")], body)
    assert event is not None
    assert (event.series, event.status, event.headers) == (A, "firing", {"ce_id": "k:1:0"})
    assert read_event([], {"emitted_at": "2026-01-01T00:00:00Z"}) is None
