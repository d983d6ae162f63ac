"""`python -m tests.chaos [--kills N] [--seed N]`: kills at random moments, then everything must be right. `make chaos`.

Exit code 1, with the seed and all that was done, where it is not. Needs the recorded runs beside the checkout.
"""

import argparse
import asyncio
import random
import sys
import tempfile
from pathlib import Path

import pytest

from streams.local.ports import ANY, PortsAsked
from streams.local.stack import LocalStack
from tests.chaos.run import CHAOS, ENVIRONMENT, chaos
from tests.integration.pipeline import PARTS, record


async def play(kills: int, seed: int) -> int:
    """One run on a stack of its own."""
    done: list[str] = []

    def told(what: str) -> None:
        done.append(what)
        print(what, flush=True)

    with tempfile.TemporaryDirectory() as folder:
        recorded = record(Path(folder))
        parts = (PARTS | {"alerter"}) - {"scorer"}
        ports = PortsAsked(ANY, ANY, ANY)
        async with LocalStack(
            Path(folder) / "stack", parts=parts, ports=ports, environment=ENVIRONMENT, broker_options=CHAOS
        ) as stack:
            try:
                happened = await chaos(stack, recorded, Path(folder), kills, seed, told)
            except (AssertionError, pytest.fail.Exception) as error:
                print(f"seed {seed}: {error}\n{'; '.join(done)}", file=sys.stderr)
                return 1
    faults = ", ".join(f"{n} x {name}" for name, n in happened.faults.most_common())
    print(f"seed {seed}: {faults}; {happened.spans} spans in the log, {happened.seconds:.0f} s: all as it must be")
    return 0


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=100, help="how many ends by SIGKILL at least")
    parser.add_argument("--seed", type=int, default=None, help="which faults come when; random without it")
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(100_000) if given.seed is None else given.seed
    try:
        return asyncio.run(play(given.kills, seed))
    except pytest.skip.Exception as skipped:
        print(f"skipped: {skipped}")
        return 0


if __name__ == "__main__":
    sys.exit(main())
