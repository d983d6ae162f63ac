"""Every framework gives the same canonical run, up to the table of what its instrumentor does not capture."""

import os
from pathlib import Path

import pytest

from tests.instrumentors import demo, environment
from tests.instrumentors.canonical import canonical, fields
from tests.instrumentors.environment import PAIRS
from tests.instrumentors.golden import FOLDER, golden, trajectories
from tests.instrumentors.not_captured import Entry, Pair, page, pairs, problems, table

PAGE = Path(__file__).parents[2] / "docs" / "instrumentation" / "not-captured.md"
GOLDEN_BYTES_MAX = 32_000


@pytest.mark.parametrize("pair", pairs(), ids=lambda pair: pair.name)
def test_the_recorded_run_is_the_canonical_one(pair: Pair) -> None:
    found = fields(trajectories(golden(pair.name)))
    assert list(problems(found, canonical(pair.shape), table().get(pair.name, []))) == []


def test_every_pair_has_its_place_and_its_golden() -> None:
    names = sorted(pair.name for pair in pairs())
    assert names == PAIRS == sorted(path.name.removesuffix(".otlp.gz") for path in FOLDER.iterdir())
    assert set(table()) <= set(names)
    assert {path.name: path.stat().st_size for path in FOLDER.iterdir() if path.stat().st_size > GOLDEN_BYTES_MAX} == {}


def test_the_page_is_made_from_the_table() -> None:
    if os.environ.get("STEPWATCH_BLESS"):
        PAGE.write_text(page(), encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page()


TRUTH = {"agents": ["a"], "tool.t 1.result": 1, "tool.t 2.result": 2}


def test_a_difference_that_nobody_wrote_down_is_told() -> None:
    assert list(problems({**TRUTH, "agents": []}, TRUTH, [])) == ["agents is [], not ['a']"]
    assert list(problems({**TRUTH, "other": 1}, TRUTH, [])) == ["other is 1, not '(nothing)'"]


def test_an_entry_that_is_not_needed_any_more_is_told() -> None:
    (said,) = problems({**TRUTH, "tool.t 1.result": None}, TRUTH, [Entry("tool.*.result", None, "")])
    assert said == "tool.t 2.result is 2: the entry tool.*.result is not needed for it any more"
    assert list(problems(TRUTH, TRUTH, [Entry("gone", None, "")])) == ["gone: the entry speaks of no field"]


def test_an_entry_says_what_stands_there_instead() -> None:
    (said,) = problems({**TRUTH, "agents": ["b"]}, TRUTH, [Entry("agents", ["c"], "")])
    assert said == "agents is ['b'], and the table says ['c']"


def test_the_demonstration_takes_a_page_or_a_pair_and_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "is_built", lambda pair: pair != "strands")
    assert demo.chosen("langgraph").name == "langgraph-openinference"
    assert demo.chosen("langgraph-traceai").name == "langgraph-traceai"
    with pytest.raises(SystemExit, match="make instrumentors PAIR=strands"):
        demo.chosen("strands")
    with pytest.raises(SystemExit, match="there are autogen, crewai"):
        demo.chosen("langraph")
