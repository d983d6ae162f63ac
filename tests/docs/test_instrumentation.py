"""The pages about frameworks: a trace on a page is what `stepwatch dialects` prints of the recorded run, and no page is orphaned.

The run is a golden of `tests/instrumentors` where there is one, and lies beside the project where there is none.

`STEPWATCH_BLESS=1` writes the traces anew.
"""

import os
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streams.console.main import build
from tests.instrumentors.golden import golden
from tests.shared import shared

FOLDER = Path(__file__).parents[2] / "docs" / "instrumentation"
PAGES = sorted(page for page in FOLDER.glob("*.md") if page.name != "README.md")
TRACE = re.compile(r"<!-- ([\w-]+) -->\n```text\n(.*?)```", re.DOTALL)
LINE_CHARS_MAX = 150


def first_trace(name: str) -> str:
    """The first trace of a file as the command prints it, lines cut for the page."""
    file = golden(name) if golden(name).exists() else shared(f"data/spans/{name}.jsonl")
    said = CliRunner().invoke(build(), ["dialects", str(file)]).output
    lines = said.partition("\n\n")[0].splitlines()
    return "".join(
        (line if len(line) <= LINE_CHARS_MAX else line[: LINE_CHARS_MAX - 3] + "...") + "\n" for line in lines
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_trace_on_the_page_is_what_the_command_prints(page: Path) -> None:
    text = page.read_text()
    for name, shown in TRACE.findall(text):
        printed = first_trace(name)
        if os.environ.get("STEPWATCH_BLESS"):
            page.write_text(
                text.replace(f"<!-- {name} -->\n```text\n{shown}```", f"<!-- {name} -->\n```text\n{printed}```")
            )
        else:
            assert shown == printed


def test_every_page_is_in_the_index() -> None:
    index = (FOLDER / "README.md").read_text()
    assert [page.name for page in PAGES if f"({page.name})" not in index] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_page_says_what_is_captured_and_shows_a_trace_where_one_was_recorded(page: Path) -> None:
    text = page.read_text()
    assert "| captured |" in text or "|---|---|" in text
    assert TRACE.search(text) or page.stem in ("others", "not-captured")
