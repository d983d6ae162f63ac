"""rules.yaml: what is inherited, and the sentence for everything that is wrong."""

import pytest

from schemas.config import ConfigError
from schemas.duration import budget_ms, duration_ms, spell_duration
from schemas.rule import NO_RULES, Match
from schemas.rules import parse_rules

GOOD = """
defaults:
  condition: {false_alarm_budget: "2 per 30d"}
  resolve: {hold: 5m}
  labels: {team: ops}
rules:
  - uid: tools
    match: {workflow: "refund*", evaluator: ToolCallSuccess}
    condition: {fail_rate_above: 0.05}
    thresholds: {"refund_*": 0.1, refund_vip: 0.02}
    labels: {page: "yes"}
"""
DAY_MS = 86_400_000


def test_a_rule_inherits_the_defaults_key_by_key() -> None:
    (rule,) = parse_rules(GOOD, "rules.yaml").rules
    assert (rule.fail_rate_above, rule.budget_ms, rule.hold_ms) == (0.05, 15 * DAY_MS, 300_000)
    assert dict(rule.labels) == {"team": "ops", "page": "yes"}
    assert (rule.name, rule.version, rule.severity, rule.outcome) == ("tools", 1, "warning", "last_attempt")
    assert (rule.evidence_below, rule.max_series) == (0.001, 500)
    assert rule.group_by == ("workflow", "step", "evaluator")


@pytest.mark.parametrize(("workflow", "line"), [("refund", 0.05), ("refund_new", 0.1), ("refund_vip", 0.02)])
def test_a_workflow_has_the_line_of_its_exact_name_then_of_its_first_glob_then_of_the_rule(
    workflow: str, line: float
) -> None:
    (rule,) = parse_rules(GOOD, "rules.yaml").rules
    assert rule.threshold(workflow) == line


@pytest.mark.parametrize("text", ["", "# nothing yet\n"])
def test_an_empty_text_has_no_rules(text: str) -> None:
    assert parse_rules(text, "rules.yaml") == NO_RULES


@pytest.mark.parametrize(
    ("change", "line", "sentence"),
    [
        (("fail_rate_above", "fail_rate_abov"), 9, "unknown key 'fail_rate_abov'; did you mean 'fail_rate_above'?"),
        (("workflow:", "workfow:"), 8, "unknown key 'workfow'; did you mean 'workflow'?"),
        (("0.05", "5"), 9, "5 is no fail rate; write a share between 0 and 1, such as 0.05 for 5 %"),
        (("0.1,", "1.5,"), 10, "1.5 is no fail rate"),
        (("0.05", "often"), 9, "should be a valid number, not 'often'"),
        (("2 per 30d", "2 a month"), 3, 'write a count and a time, such as "1 per 30d"'),
        (("2 per 30d", "0 per 30d"), 3, "allows no false alarm at all"),
        (("hold: 5m", "hold: 5"), 4, "should be a valid string, not 5"),
        (("hold: 5m", "hold: 5 minutes"), 4, "'5 minutes' is not a duration; write a whole number and a unit"),
        (("hold: 5m", "evidence_below: 2"), 4, "2 must lie between 0 and 1"),
        (("uid: tools", "uid: my tools"), 7, "may hold letters, digits"),
        (("uid: tools", "name: tools"), 7, "key 'uid' is missing in rules[0]"),
        (("condition: {fail_rate_above: 0.05}", "severity: warning"), 7, "rule 'tools' has no line"),
        (
            ("condition: {fail_rate_above: 0.05}", "severity: high"),
            9,
            "'info', 'warning', 'error' or 'critical', not 'high'",
        ),
        (("condition: {fail", "group_by: [step]\n    condition: {fail"), 9, "must contain workflow"),
        (("condition: {fail", "group_by: [workflow, stp]\n    condition: {fail"), 9, "not 'stp'"),
        (("condition: {fail", "unit: span\n    condition: {fail"), 9, "'trace', not 'span'"),
        (("condition: {fail", "max_series: 0\n    condition: {fail"), 9, "greater than or equal to 1"),
    ],
)
def test_a_mistake_is_told_with_file_line_and_cure(change: tuple[str, str], line: int, sentence: str) -> None:
    text = GOOD.replace(*change)
    assert text != GOOD
    with pytest.raises(ConfigError) as error:
        parse_rules(text, "rules.yaml")
    said = str(error.value)
    assert f"rules.yaml:{line}: " in said
    assert sentence in said


def test_a_uid_is_never_used_twice() -> None:
    with pytest.raises(ConfigError, match=r"rules\.yaml:12: uid 'tools' is taken by the rule in line 7"):
        parse_rules(GOOD + "  - {uid: tools, condition: {fail_rate_above: 0.1}}\n", "rules.yaml")


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as error:
        parse_rules(GOOD.replace("0.05", "7").replace("5m", "never"), "rules.yaml")
    assert len(error.value.problems) == 2


def test_a_match_wants_every_glob_and_minds_case() -> None:
    match = Match(workflow="re*", step_kind="tool_call")
    assert match.fits("t", "refund", "s", "E", "tool_call")
    assert not match.fits("t", "Refund", "s", "E", "tool_call")
    assert not match.fits("t", "refund", "s", "E", "llm")


@pytest.mark.parametrize(
    ("text", "ms"), [("10s", 10_000), ("250ms", 250), ("15m", 900_000), ("12h", 43_200_000), ("2w", 14 * DAY_MS)]
)
def test_durations_have_a_unit(text: str, ms: int) -> None:
    assert duration_ms(text) == ms


@pytest.mark.parametrize("text", ["", "10", "m", "-1s", "1.5h", "10 sec", "99999999d"])
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|longer"):
        duration_ms(text)


def test_a_budget_is_a_mean_time_between_false_alarms() -> None:
    assert budget_ms("3 per 30d") == 10 * DAY_MS


@pytest.mark.parametrize(("ms", "text"), [(500, "500ms"), (90_000, "1.5m"), (5_400_000, "1.5h"), (30 * DAY_MS, "30d")])
def test_durations_are_spelt_in_their_largest_unit(ms: int, text: str) -> None:
    assert spell_duration(ms) == text
