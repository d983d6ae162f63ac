"""The timelines of tests/rules hold, and a timeline that does not hold is told why."""

from pathlib import Path

import pytest

from schemas.config import ConfigError
from schemas.rule import RuleSet
from schemas.rule_tests import Phase, RuleTest, parse_rule_tests, phases
from schemas.rules import parse_rules
from streams.core.rehearsal import differences, rehearse

FOLDER = Path(__file__).parents[1] / "rules"
FILES = sorted(FOLDER.glob("*.yaml"))


def read(path: Path) -> list[tuple[RuleSet, RuleTest]]:
    file = parse_rule_tests(path.read_text(), path.name)
    text = file.rules if "\n" in file.rules else (path.parent / file.rules).read_text()
    return [(parse_rules(text, path.name), test) for test in file.tests]


CASES = [pytest.param(*case, id=f"{path.stem}: {case[1].name}") for path in FILES for case in read(path)]


@pytest.mark.parametrize(("rules", "test"), CASES)
def test_a_timeline_has_the_events_that_it_says(rules: RuleSet, test: RuleTest) -> None:
    assert differences(test, rehearse(rules, test)) == []


BROKEN = """
rules: |
  rules: [{uid: a, condition: {fail_rate_above: 0.05}}]
tests:
  - name: t
    every: 10s
    outcomes: [{workflow: w, step: s, evaluator: E, runs: 0x60 1x30}]
    events:
"""


@pytest.mark.parametrize(
    ("events", "sentences"),
    [
        ("[{type: firing, between: [10m, 13m]}]", []),
        ("[]", ["event 1 was not expected: firing (rate_above_line) warning by a of w / s / E at 11.3m"]),
        ("[{type: firing, between: [1m, 2m]}]", ["event 1: not between 1m and 2m; it was firing"]),
        ("[{type: firing, severity: critical, between: [10m, 13m]}]", ["event 1: severity is not critical; it was"]),
        (
            "[{type: firing, between: [10m, 13m]}, {type: resolved, between: [14m, 15m]}]",
            ["event 2 never came: type resolved between 14m and 15m"],
        ),
    ],
)
def test_a_timeline_that_does_not_hold_is_told_why(events: str, sentences: list[str]) -> None:
    file = parse_rule_tests(BROKEN.rstrip() + f" {events}\n", "t.yaml")
    (test,) = file.tests
    found = differences(test, rehearse(parse_rules(file.rules, "r"), test))
    assert len(found) == len(sentences)
    for said, sentence in zip(found, sentences, strict=True):
        assert said.startswith(sentence)


def test_phases_are_shares_and_counts() -> None:
    assert phases("0x100 0.05x20 _x3 1x1") == (Phase(0.0, 100), Phase(0.05, 20), Phase(None, 3), Phase(1.0, 1))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("0x60 1x30", "0x60 1.5x30"), "t.yaml:7: tests[0].outcomes[0].runs: '1.5x30' is no phase; write a share"),
        (("0x60 1x30", "0x60 fail"), "'fail' is no phase"),
        (("0x60 1x30", '"0x9999999"'), "t.yaml:5: more than 1000000 runs; take a longer `every`"),
        (("0x60 1x30", "0x60"), 'runs: put it in quotes, such as "0x100"'),
        (("every: 10s", "every: 0s"), "t.yaml:6: tests[0].every: must be longer than nothing"),
        (("events:", "evnts:"), "unknown key 'evnts'; did you mean 'events'?"),
        (("[5m, 6m]", "[6m, 5m]"), "t.yaml:8: between ends before it begins"),
    ],
)
def test_a_mistake_in_a_test_is_told_with_line_and_cure(change: tuple[str, str], sentence: str) -> None:
    text = (BROKEN.rstrip() + " [{type: firing, between: [5m, 6m]}]\n").replace(*change)
    with pytest.raises(ConfigError) as error:
        parse_rule_tests(text, "t.yaml")
    assert sentence in str(error.value)
