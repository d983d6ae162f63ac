"""rules.yaml: what is inherited, and the sentence for everything that is wrong."""

import pytest

from schemas.config import ConfigError
from schemas.duration import budget_ms, duration_ms, spell_duration
from schemas.rule import NO_RULES, BaselineMethod, EvidenceMethod, Match, Method, NoData, Rung, WindowMethod
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
    assert (rule.ladder, rule.budget_ms, rule.hold_ms) == ((Rung("warning", 0.05),), 15 * DAY_MS, 300_000)
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
        (("0.05", "often"), 9, "a share such as 0.05 or a ladder such as {warning: 0.05, critical: 0.2}, not 'often'"),
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
        (("condition: {fail", "unit: spans\n    condition: {fail"), 9, "'trace' or 'span', not 'spans'"),
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


RULE = "rules:\n  - uid: a\n    "
LADDER = "condition: {fail_rate_above: {warning: 0.05, critical: 0.2}}\n    "


@pytest.mark.parametrize(
    ("workflow", "ladder"),
    [
        ("refund", (Rung("warning", 0.05), Rung("critical", 0.2))),
        ("vip", (Rung("warning", 0.01), Rung("critical", 0.2))),
        ("test_1", (Rung("info", 0.01), Rung("warning", 0.05), Rung("critical", 0.5))),
    ],
)
def test_a_workflow_inherits_what_its_own_ladder_leaves_out(workflow: str, ladder: tuple[Rung, ...]) -> None:
    own = 'thresholds: {"test*": {critical: 0.5, info: 0.01}, vip: {warning: 0.01}}\n'
    (rule,) = parse_rules(RULE + LADDER + own, "rules.yaml").rules
    assert rule.ladder_of(workflow) == ladder
    assert rule.threshold(workflow) == ladder[0].rate


@pytest.mark.parametrize(
    ("text", "method"),
    [
        ("{fail_rate_above: 0.1}", EvidenceMethod()),
        ("{method: window, fail_rate_above: 0.1}", WindowMethod(300_000, 0, 20, 0.999, None)),
        (
            "{method: window, fail_rate_above: 0.1, window: 1h, for: 5m, min_events: 3, confidence: 0.95}",
            WindowMethod(3_600_000, 300_000, 3, 0.95, None),
        ),
        ("{method: baseline}", BaselineMethod(1.5, 0.01, 7 * DAY_MS, 500)),
        (
            "{method: baseline, ratio: 3, floor: 0.05, reference: 12h, min_events: 50}",
            BaselineMethod(3, 0.05, DAY_MS // 2, 50),
        ),
    ],
)
def test_a_condition_names_its_method(text: str, method: Method) -> None:
    (rule,) = parse_rules(f"{RULE}condition: {text}\n", "rules.yaml").rules
    assert rule.method == method


def test_a_method_of_the_defaults_is_inherited_with_its_words() -> None:
    text = (
        "defaults: {condition: {method: window, window: 1h, fail_rate_above: 0.2}}\n" + RULE + "condition: {for: 2m}\n"
    )
    (rule,) = parse_rules(text, "rules.yaml").rules
    assert rule.method == WindowMethod(3_600_000, 120_000, 20, 0.999, None)


def test_silence_renotify_and_unit_are_read() -> None:
    text = "no_data: {after: 5m, do: alert}\n    renotify: 1h\n    unit: span\n    design_effect: 1.8\n    "
    (rule,) = parse_rules(RULE + text + "condition: {fail_rate_above: 0.1}\n", "rules.yaml").rules
    assert (rule.no_data, rule.renotify_ms) == (NoData(300_000, "alert"), 3_600_000)
    assert (rule.unit, rule.design_effect) == ("span", 1.8)


def test_a_silence_has_an_end_and_may_name_whom_it_covers() -> None:
    moments = "from: 2030-01-01T00:00:00+02:00, until: 2031-01-01T00:00:00Z"
    text = f'silences:\n  - {{rule: "tool*", match: {{workflow: refund}}, {moments}}}'
    (silence,) = parse_rules(GOOD + text, "rules.yaml").silences
    assert (silence.from_ms, silence.until_ms) == (1_893_448_800_000, 1_924_992_000_000)
    labels = {"workflow": "refund", "step": "s"}
    assert silence.holds("tools", "t", labels, silence.from_ms)
    assert not silence.holds("tools", "t", labels, silence.until_ms)
    assert not silence.holds("other", "t", labels, silence.from_ms)


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        (
            "condition: {fail_rate_above: {warning: 0.2, critical: 0.2}}",
            3,
            "critical begins at 0.2, which is not above",
        ),
        (
            "condition: {fail_rate_above: {urgent: 0.2}}",
            3,
            "unknown severity 'urgent'; write info, warning, error, critical",
        ),
        ("condition: {fail_rate_above: {warning: true}}", 3, "warning: a share such as 0.05 is needed, not True"),
        ("condition: {fail_rate_above: {}}", 3, "a share such as 0.05 or a ladder"),
        (LADDER + "thresholds: {vip: 0.1}", 4, "the rule has a ladder: write a mapping too, such as {warning: 0.1}"),
        (LADDER + "thresholds: {vip: {warning: 0.3}}", 4, "critical begins at 0.2, which is not above warning's 0.3"),
        ("condition: {fail_rate_above: 0.1, for: 5m}", 3, "'for' means nothing to method evidence; remove it or write"),
        ("condition: {fail_rate_above: 0.1, ratio: 2}", 3, "'ratio' means nothing to method evidence"),
        ("condition: {method: window, fail_rate_above: 0.1, window: 30s}", 3, "30s is not within 1m to 24h"),
        ("condition: {method: window, fail_rate_above: 0.1, confidence: 0.4}", 3, "0.4 is no confidence"),
        ("condition: {method: window}", 2, "rule 'a' has no line"),
        (
            "condition: {method: window, fail_rate_above: 0.1, false_alarm_budget: 1 per 1d}",
            3,
            "'false_alarm_budget' means nothing to method window",
        ),
        (
            "condition: {method: window, fail_rate_above: 0.1}\n    resolve: {evidence_below: 0.1}",
            4,
            "means nothing to",
        ),
        (
            "condition: {method: window, fail_rate_above: 0.1}\n    resolve: {fail_rate_below: 0.2}",
            4,
            "while in breach",
        ),
        ("condition: {method: baseline, fail_rate_above: {warning: 0.1}}", 3, "a baseline is one line"),
        ("condition: {method: baseline, ratio: 1}", 3, "greater than 1"),
        ("condition: {fail_rate_above: 0.1}\n    unit: span", 4, "write design_effect: 1 + (attempts a run - 1)"),
        ("condition: {fail_rate_above: 0.1}\n    when: step_scored", 4, "step_scored needs one evaluator by name"),
        (
            (
                "match: {evaluator: TaskCompletion}\n    outcome: first\n    when: step_scored\n"
                "    condition: {fail_rate_above: 0.1}"
            ),
            5,
            "TaskCompletion judges a step in its run",
        ),
        (
            "condition: {fail_rate_above: 0.1}\n    match: {evaluator: ToolCallSuccess}\n    when: step_scored",
            5,
            "write outcome: first and unit: trace",
        ),
        ("condition: {fail_rate_above: 0.1}\n    design_effect: 2", 4, "is of unit: span; remove it"),
        (
            "condition: {fail_rate_above: 0.1}\n    unit: span\n    design_effect: 2\n    outcome: any",
            6,
            "unit: span counts attempts; remove one of the two",
        ),
        ("condition: {fail_rate_above: 0.1}\n    no_data: {after: 10s}", 4, "10s is not within 1m to 23h"),
        ("condition: {fail_rate_above: 0.1}\n    no_data: {do: page}", 4, "'keep', 'resolve' or 'alert', not 'page'"),
        ("condition: {fail_rate_above: 0.1}\nsilences: [{rule: a}]", 4, "key 'until' is missing in silences[0]"),
        (
            "condition: {fail_rate_above: 0.1}\nsilences: [{until: tomorrow}]",
            4,
            "is no moment with a zone; write such as",
        ),
        ("condition: {fail_rate_above: 0.1}\nsilences: [{until: 1969-01-01T00:00:00Z}]", 4, "ends before it begins"),
    ],
)
def test_words_that_do_not_go_together_are_told_with_line_and_cure(text: str, line: int, sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_rules(f"{RULE}{text}\n", "rules.yaml")
    assert f"rules.yaml:{line}: " in str(error.value)
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        ("defaults: {condition: {window: 5m}}\n" + RULE + "condition: {fail_rate_above: 0.1}", 1, "method of any rule"),
        (
            RULE + 'condition: {fail_rate_above: 0.1}\nsilences: [{rule: b, until: "2031-01-01T00:00:00Z"}]',
            4,
            "unknown rule 'b'; known: a",
        ),
    ],
)
def test_a_word_that_can_never_matter_is_a_mistake(text: str, line: int, sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_rules(f"{text}\n", "rules.yaml")
    assert f"rules.yaml:{line}: " in str(error.value)
    assert sentence in str(error.value)


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
