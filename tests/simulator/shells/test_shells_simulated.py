"""The simulator finds nothing in the shells as they are, everything that is planted, and reaches what it is meant to reach."""

from collections import Counter

import pytest

from tests.pure import needs_sources
from tests.simulator.planting import first_caught
from tests.simulator.shells.check import violations
from tests.simulator.shells.run import BUGS, FAULTS, problems
from tests.simulator.shells.world import play

SEEDS = 250  # about ten seconds
SEEDS_A_BUG = 150


def test_nothing_is_found_and_every_kind_of_fault_happened() -> None:
    happened: Counter[str] = Counter()
    for seed in range(SEEDS):
        found, of_this = problems(seed)
        assert found == [], f"python -m tests.simulator --shells --seeds 1 --from {seed}"
        happened.update(of_this)
    assert [name for name in FAULTS if not happened[name]] == []


@needs_sources
@pytest.mark.parametrize("bug", sorted(BUGS))
def test_a_planted_bug_is_caught_by_a_schedule_that_the_code_passes(bug: str) -> None:
    caught = first_caught(problems, bug, 0, SEEDS_A_BUG)
    assert caught is not None, f"python -m tests.simulator --shells --bug '{bug}' --seeds 1000"
    assert problems(caught.seed)[0] == []


def test_a_schedule_is_a_function_of_its_seed() -> None:
    first, again = play(7), play(7)
    assert (first.loop.time(), first.broker.sent, first.story) == (again.loop.time(), again.broker.sent, again.story)


def test_the_ledger_outlives_a_wall_clock_that_is_set_back() -> None:
    """Not in every schedule: what a dead worker had sent may land after its successor looked (seed 16)."""
    assert [list(violations(play(seed, set_back_at_s=10.0))) for seed in range(15)] == [[]] * 15


def test_there_are_enough_of_them() -> None:
    assert len(BUGS) >= 20
