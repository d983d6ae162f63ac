"""The work of every evaluator grows with the steps of a run, and not with their square."""

import pytest

from evaluators.catalogue import EVALUATORS
from evaluators.protocols import Evaluator
from tests.contract.work import SHAPES, is_linear
from tests.pure import needs_sources


@needs_sources
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("evaluator", EVALUATORS, ids=lambda e: type(e).__name__)
def test_four_times_the_steps_are_four_times_the_work(evaluator: Evaluator, shape: str) -> None:
    assert is_linear(evaluator, EVALUATORS, shape)
