"""The simulator finds nothing in the code as it is, everything that is planted, and reaches what it is meant to reach."""

from collections import Counter

import pytest

from tests.pure import needs_sources
from tests.simulator.bugs import BUGS
from tests.simulator.planting import first_caught
from tests.simulator.run import FAULTS, problems

SEEDS = 1_000  # about ten seconds
SEEDS_A_BUG = 400


def test_nothing_is_found_and_every_kind_of_fault_happened() -> None:
    happened: Counter[str] = Counter()
    for seed in range(SEEDS):
        found, of_this = problems(seed)
        assert found == [], f"python -m tests.simulator --from {seed} --seeds 1"
        happened.update(of_this)
    assert [name for name in FAULTS if not happened[name]] == []


@needs_sources
@pytest.mark.parametrize("bug", sorted(BUGS))
def test_a_planted_bug_is_caught_by_a_schedule_that_the_code_passes(bug: str) -> None:
    caught = first_caught(problems, bug, 0, SEEDS_A_BUG)
    assert caught is not None, f"python -m tests.simulator --bug '{bug}' --seeds 10000"
    assert problems(caught.seed)[0] == []


def test_there_are_enough_of_them() -> None:
    assert len(BUGS) >= 20
