"""One seed played and checked, with or without a planted bug."""

from collections import Counter

from tests.simulator.bugs import BUGS
from tests.simulator.check import violations
from tests.simulator.play import play
from tests.simulator.schedule import ACTIONS, schedule

__all__ = ["BUGS", "FAULTS", "problems", "story"]

# What must really happen in a run of some length; else the generator does not reach what it is meant to.
FAULTS = (
    *ACTIONS,
    *(f"crash after effect {n} of a flush" for n in range(1, 5)),
    "duplicate",
    "conflict",
    "small memory",
)


def problems(seed: int, bug: str | None = None) -> tuple[list[str], Counter[str]]:
    """What is wrong at the end of this schedule, and how often each kind of thing happened in it."""
    given = schedule(seed)
    try:
        with BUGS.planted(bug):
            played = play(given)
    except Exception as error:  # an assertion of the world or of the engine
        return [f"{type(error).__name__}: {error}"], Counter()
    return list(violations(given, played.world, played.happened["zombie acts"] > 0)), played.happened


def story(seed: int) -> str:
    """What was played of this schedule."""
    return " ".join(schedule(seed).actions)
