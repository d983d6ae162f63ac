"""What the docs state as fact is true: settings and defaults, topics, example files in fences, links between pages."""

import json
import re
from pathlib import Path
from typing import get_args

import pytest

from schemas.alert import Reason
from schemas.expectation import parse_expectation
from schemas.registry import parse_registry
from schemas.rule_tests import parse_rule_tests
from schemas.rules import _Condition, _NoData, _Resolve, _Rule, parse_rules
from schemas.targets import parse_targets
from streams.core.rehearsal import differences, rehearse
from streams.settings import Settings
from streams.topics import specs

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
ROW = re.compile(r"^\| `STEPWATCH_(\w+)` \| (?:`(.*?)`)? +\|", re.MULTILINE)
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


def fences(kind: str, start: str) -> list[tuple[str, str]]:
    found = [(page.name, text) for page in PAGES for k, text in FENCE.findall(page.read_text()) if k == kind]
    return [(name, text) for name, text in found if text.startswith(start)]


def spelled(value: object) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def test_every_setting_is_documented_with_its_default() -> None:
    documented = dict(ROW.findall((ROOT / "docs" / "operations.md").read_text()))
    assert documented == {name.upper(): spelled(f.default) for name, f in Settings.model_fields.items()}


def test_every_topic_is_documented_with_its_partitions() -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    for spec in specs(Settings.model_construct()):
        assert f"| `{spec.name}` | {spec.partitions} |" in text


def test_rules_and_registries_in_the_docs_are_accepted() -> None:
    rules = [*fences("yaml", "rules:"), *fences("yaml", "defaults:")]
    registries = fences("yaml", "workflows:")
    ((_, tools),) = fences("json", '[{"type": "function"')
    assert rules
    assert registries
    for name, text in rules:
        assert parse_rules(text, name).rules
    for name, text in registries:
        parse_registry(text, name, {"tools.json": tools})


def test_targets_in_the_docs_are_accepted() -> None:
    examples = fences("yaml", "targets:")
    assert examples
    for name, text in examples:
        assert parse_targets(text, name).targets


def test_timelines_in_the_docs_hold() -> None:
    timelines = fences("yaml", "# a file of timelines")
    assert timelines
    for name, text in timelines:
        file = parse_rule_tests(text, name)
        rules = parse_rules((ROOT / "tests" / "rules" / file.rules).read_text(), file.rules)
        for test in file.tests:
            assert differences(test, rehearse(rules, test)) == [], name


def test_every_word_of_a_rule_is_documented() -> None:
    text = (ROOT / "docs" / "rules.md").read_text()
    for model, blocks in (
        (_Rule, ("condition", "resolve", "no_data")),
        (_Condition, ()),
        (_Resolve, ()),
        (_NoData, ()),
    ):
        for name, field in model.model_fields.items():
            word = field.alias or name
            assert word in blocks or f"`{word}`" in text or f".{word}`" in text, word


def test_every_reason_of_an_alert_is_documented() -> None:
    text = (ROOT / "docs" / "rules.md").read_text()
    assert all(f"`{reason}`" in text for reason in get_args(Reason))


def test_task_truth_in_the_docs_is_accepted() -> None:
    examples = fences("json", '{"workflow"')
    assert examples
    for name, text in examples:
        parse_expectation(json.dumps(json.loads(text)), name, 1)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_that_are_there(page: Path) -> None:
    for target in LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), f"{page.name}: {target}"
