"""What the docs state as fact is true: settings and defaults, topics, example files in fences, links between pages."""

import json
import re
from pathlib import Path

import pytest

from schemas.expectation import parse_expectation
from schemas.registry import parse_registry
from schemas.rules import parse_rules
from schemas.targets import parse_targets
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


def test_task_truth_in_the_docs_is_accepted() -> None:
    examples = fences("json", '{"workflow"')
    assert examples
    for name, text in examples:
        parse_expectation(json.dumps(json.loads(text)), name, 1)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_that_are_there(page: Path) -> None:
    for target in LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), f"{page.name}: {target}"
