"""The page of evaluators names each of them, and every reason that it can fail with."""

import re
from pathlib import Path

import pytest

from evaluators.catalogue import EVALUATORS

PAGE = (Path(__file__).parents[2] / "docs" / "evaluators.md").read_text()
ROWS = {row.split("|")[1].strip(): row for row in PAGE.splitlines() if row.startswith("| ") and "---" not in row}


def codes_of(name):
    return {code for evaluator in EVALUATORS if evaluator.name == name for code in evaluator.reason_codes}


@pytest.mark.parametrize("name", sorted({evaluator.name for evaluator in EVALUATORS}))
def test_every_evaluator_has_a_row_and_its_codes_are_real(name):
    said = set(re.findall(r"`(\w+)`", ROWS[name].rsplit("|", 2)[1]))
    assert said
    assert said <= codes_of(name)


def test_nothing_is_listed_that_is_not_there():
    assert set(ROWS) - {"evaluator"} == {evaluator.name for evaluator in EVALUATORS}
