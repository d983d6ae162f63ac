"""What a person reads of alerts and rules on a terminal."""

import pytest
from rich.console import Console

from schemas.rules import parse_rules
from streams.console import alerts as commands
from streams.core.explain import delay
from tests.outcomes import RULES, alerts, new_fold, run, timeline

FIRING, RESOLVED = alerts(run(new_fold(), timeline((100, 0), (30, 1), (300, 0))))
(RULE,) = parse_rules(RULES, "rules.yaml").rules


def test_a_firing_event_says_what_how_sure_since_when_and_where_to_look() -> None:
    head, evidence, since, traces = commands.told(FIRING).plain.splitlines()
    assert "FIRING    warning  refund / executor/update_crm ToolCallSuccess" in head
    assert "90 % of runs failed (9 of 10;" in evidence
    assert "line 5 %" in evidence
    assert "since 2025-10-09T" in since
    assert "rule tools" in since
    assert FIRING.exemplars[0].trace_id in traces


def test_a_resolved_event_says_why_and_after_how_long() -> None:
    said = commands.told(RESOLVED).plain
    assert "RESOLVED" in said
    assert "rule tools, recovered after" in said
    assert "traces" not in said


def test_names_of_others_are_never_markup() -> None:
    labels = tuple({**dict(FIRING.labels), "step": "[red]x[/]"}.items())
    assert "[red]x[/]" in commands.told(FIRING._replace(labels=labels)).plain


@pytest.mark.parametrize(("now_ms", "status"), [(FIRING.time_ms, "firing"), (FIRING.expires_ms + 1, "expired")])
def test_an_alert_that_was_not_heard_of_for_too_long_is_listed_as_expired(now_ms: int, status: str) -> None:
    console = Console(width=200, record=True, quiet=True)
    with console.capture() as capture:
        console.quiet = False
        console.print(commands.table((FIRING,), now_ms))
    assert capture.get().splitlines()[1].split()[:2] == [FIRING.alert_key[:8], status]


@pytest.mark.parametrize(("per_minute", "minutes"), [(5, 81), (50, 10.4), (500, 1.26)])
def test_the_rule_of_thumb_gives_the_predictions_of_the_specification(per_minute: float, minutes: float) -> None:
    rule = parse_rules(RULES + '    name: "30 days are the default budget"\n', "rules.yaml").rules[0]
    found = delay(rule, 0.05, 0.10, per_minute)
    assert found is not None
    assert found.minutes == pytest.approx(minutes, rel=0.02)


def test_a_budget_shared_by_more_series_costs_time() -> None:
    alone, shared = delay(RULE, 0.05, 0.10, 5), delay(RULE, 0.05, 0.10, 5, series=100)
    assert alone is not None
    assert shared is not None
    assert shared.minutes > 1.3 * alone.minutes
