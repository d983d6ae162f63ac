"""One seed played and checked, with or without a planted bug."""

from collections import Counter

from tests.simulator.shells.bugs import BUGS
from tests.simulator.shells.check import violations
from tests.simulator.shells.world import ACTIONS, play

__all__ = ["BUGS", "FAULTS", "problems", "story"]

# What must really happen in a run of some length; else the generator does not reach what it is meant to.
FAULTS = (
    *ACTIONS,
    "an insert fails after it was stored",
    "a broker fails after it took a request",
    "a request of a dead worker takes effect",
    "a zombie's commit is refused",
    "a span that cannot be stored",
)


def problems(seed: int, bug: str | None = None) -> tuple[list[str], Counter[str]]:
    """What is wrong at the end of this schedule, and how often each kind of thing happened in it."""
    try:
        with BUGS.planted(bug):
            world = play(seed)
    except Exception as error:  # an assertion of the world
        return [f"{type(error).__name__}: {error}"], Counter()
    return list(violations(world)), world.happened


def story(seed: int) -> str:
    """What befell the workers in this schedule, and when."""
    return ", ".join(play(seed).story)
