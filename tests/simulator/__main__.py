"""`python -m tests.simulator [--shells] [--seeds N] [--from SEED] [--bug NAME | --bugs]`: schedules played and checked.

Exit code 0: nothing was found (with --bug: it was caught; with --bugs: all were). A violation is printed with its seed and what
was played; `--from SEED --seeds 1` plays it again.
"""

import argparse
import sys
import time
from collections import Counter
from types import ModuleType

from tests.simulator import run as of_engine
from tests.simulator.planting import first_caught
from tests.simulator.shells import run as of_shells


def clean(played: ModuleType, first: int, n: int) -> int:
    """Play so many seeds on the code as it is."""
    again = f"python -m tests.simulator {'--shells ' * (played is of_shells)}--seeds 1 --from"
    happened: Counter[str] = Counter()
    started, told = time.monotonic(), 0.0
    for seed in range(first, first + n):
        found, of_this = played.problems(seed)
        happened.update(of_this)
        if found:
            print(f"seed {seed}: {'; '.join(found)}")
            print(f"  played: {played.story(seed)}")
            print(f"  again: {again} {seed}")
            return 1
        if time.monotonic() - told > 10 and sys.stderr.isatty():
            told = time.monotonic()
            print(f"{seed - first + 1} of {n}", file=sys.stderr)
    took = time.monotonic() - started
    print(f"{n} schedules, {n / took * 60:,.0f} a minute, nothing found")
    print(", ".join(f"{happened[name]:,} x {name}" for name in sorted(happened)))
    absent = [name for name in played.FAULTS if not happened[name]]
    if absent and n >= 200:
        print(f"never happened: {', '.join(absent)}")
        return 1
    return 0


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description=(__doc__ or "").split("\n\n")[1])
    parser.add_argument("--seeds", type=int, default=2_000, help="how many schedules")
    parser.add_argument("--from", dest="first", type=int, default=0, help="the first seed")
    parser.add_argument("--shells", action="store_true", help="the real shells in virtual time, not the bare engine")
    parser.add_argument("--bug", help="plant this bug, and say which seed catches it")
    parser.add_argument("--bugs", action="store_true", help="plant each bug in turn")
    given = parser.parse_args()
    played = of_shells if given.shells else of_engine
    if given.bug is not None and given.bug not in played.BUGS:
        parser.error(f"there are: {', '.join(sorted(played.BUGS))}")
    names = sorted(played.BUGS) if given.bugs else [given.bug] if given.bug else []
    if not names:
        return clean(played, given.first, given.seeds)
    missed = 0
    for name in names:
        caught = first_caught(played.problems, name, given.first, given.seeds)
        missed += caught is None
        print(f"{name}: " + (f"seed {caught.seed}: {caught.said}" if caught else f"NOT caught in {given.seeds} seeds"))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
