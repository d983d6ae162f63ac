"""`stepwatch rules ...`: what a person reads, and what a mistake costs."""

from pathlib import Path

import pytest
from rich.console import Console, RenderableType
from typer.testing import CliRunner

from schemas.rules import parse_rules
from streams.console import rules as commands
from streams.console import rules_shown as shown
from streams.console.errors import UserError
from streams.core.replay_rules import Stored, Volume, replay, side_by_side
from tests.builders import EPOCH_MS, TENANT
from tests.outcomes import RULES, outcome, trace

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "infra" / "examples" / "rules.yaml"
(RULE,) = parse_rules(RULES, "rules.yaml").rules
DAY_MS = 86_400_000


def read(renderable: RenderableType) -> str:
    console = Console(width=240)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def ran(*arguments: str) -> str:
    result = CliRunner().invoke(commands.rules, [*arguments], env={"COLUMNS": "240"})
    assert result.exit_code == 0, result.output
    return result.output


def test_check_and_explain_read_the_shipped_rules() -> None:
    assert "4 rules, ok" in ran("check", str(SHIPPED))
    said = ran("explain", str(SHIPPED), "--per-minute", "5")
    assert "The line is 5 %." in said
    assert "at most once in 30d on average (1 in 30 days), at any volume" in said
    assert "1.36h (407 runs)" in said


def test_check_tells_a_slip_in_a_name(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(RULES.replace("ToolCallSuccess", "ToolCalSuccess"))
    error = CliRunner().invoke(commands.rules, ["check", str(tmp_path / "rules.yaml")]).exception
    assert isinstance(error, UserError)
    assert "rules.yaml:4: rule 'tools': " in str(error)
    assert "'ToolCallSuccess'" in str(error)


@pytest.mark.parametrize(
    ("condition", "sentences"),
    [
        (
            "{fail_rate_above: {warning: 0.05, critical: 0.2}}",
            ["5 % (warning), 20 % (critical)", "it says critical in"],
        ),
        (
            "{method: window, fail_rate_above: 0.05, window: 1h, for: 5m}",
            ["the 1h window holds 20 runs", "and was for 5m", "promises nothing about false alarms"],
        ),
        (
            "{method: window, fail_rate_above: 0.05, min_events: 100}",
            ["never"],
        ),
        (
            "{method: baseline, ratio: 2, reference: 12h}",
            ["2 times an upper bound of what a series does in its first 12h", "until then nothing fires"],
        ),
    ],
)
def test_each_method_is_explained_in_words(condition: str, sentences: list[str]) -> None:
    (rule,) = parse_rules(f"rules: [{{uid: a, condition: {condition}}}]", "r").rules
    said = read(shown.explained(rule, "refund", (5.0, 50.0), 1))
    for sentence in sentences:
        assert sentence in said


def test_a_rule_is_explained_at_the_volumes_that_were_seen() -> None:
    seen = [Volume("tools", "refund", "s / E", 7_000, 5.0, 0.02), Volume("tools", "refund", "t / E", 700, 0.5, 0.0)]
    said = read(shown.explained_as_seen(RULE, seen, "1d"))
    assert "2 series of a workflow fire at most once in 30d" in said
    assert "refund / s / E" in said
    assert "No run of the last 1d" in read(shown.explained_as_seen(RULE, [], "1d"))


def test_simulate_prints_the_same_table_for_the_same_seed(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(RULES)
    few = ("simulate", str(tmp_path / "rules.yaml"), "--per-minute", "5", "--days", "1", "--runs", "2")
    assert ran(*few) == ran(*few)
    assert "false at 3 %" in ran(*few)
    assert ran(*few) != ran(*few, "--seed", "2")


def test_a_timeline_that_holds_is_ok_and_one_that_does_not_is_told_and_fails(tmp_path: Path) -> None:
    assert "ok   silence.yaml: the same silence" in ran("test", str(ROOT / "tests" / "rules" / "silence.yaml"))
    text = (ROOT / "tests" / "rules" / "window.yaml").read_text().replace("between: [24m, 30m]", "between: [1m, 2m]")
    (tmp_path / "window.yaml").write_text(text)
    result = CliRunner().invoke(commands.rules, ["test", str(tmp_path / "window.yaml")])
    assert isinstance(result.exception, UserError)
    assert "FAIL window.yaml: pending for three minutes" in result.output
    assert "not between 1m and 2m" in result.output
    assert str(result.exception) == "1 timelines do not hold"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["check", "none.yaml"], "none.yaml: cannot be read"),
        (["explain", str(SHIPPED), "--per-minute", "0"], "--per-minute 0: a volume is greater than 0"),
        (["explain", str(SHIPPED), "--since", "a week"], "--since 'a week' is not a duration"),
        (["simulate", str(SHIPPED), "--rule", "none"], "no rule has the uid 'none'"),
        (["test", str(SHIPPED)], "key 'tests' is missing"),
    ],
)
def test_a_mistake_is_a_sentence(arguments: list[str], sentence: str) -> None:
    error = CliRunner().invoke(commands.rules, arguments).exception
    assert isinstance(error, UserError)
    assert sentence in str(error)


def test_a_bad_rule_file_is_a_sentence_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(RULES.replace("condition", "conditon"))
    with pytest.raises(UserError, match=r"rules\.yaml:5: unknown key 'conditon'; did you mean 'condition'\?"):
        commands.read_rules(tmp_path / "rules.yaml")


def stored(*failed: int) -> list[Stored]:
    return [
        Stored(EPOCH_MS + i * 2_000, TENANT, "refund", trace(i + 1, outcome(f, event_ms=EPOCH_MS + i * 2_000)))
        for i, f in enumerate(failed)
    ]


def test_two_rule_sets_are_shown_side_by_side() -> None:
    log, until_ms = stored(*[0] * 100, *[1] * 30, *[0] * 300), EPOCH_MS + DAY_MS // 24
    today = replay(parse_rules(RULES, "r"), log, until_ms)
    changed = replay(parse_rules(RULES.replace("0.05", "0.9"), "r"), log, until_ms)
    said = read(shown.beside(side_by_side(today, changed), today, changed, "1h"))
    assert "430 runs of the last 1h. Today's rules: 1 alerts over 1 series. Changed: 0 over 1" in said
    assert "1 are gone" in said
    assert "warning for" in said
