"""`python -m tests.chaos [--kills N] [--seed N]`: faults at random moments, then everything must be right. `make chaos`.

Exit code 1, with the seed and all that was done, where it is not. Needs the recorded runs beside the checkout.
"""

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from pathlib import Path

import pytest

from streams.local.ports import ANY, PortsAsked
from streams.local.stack import LocalStack
from tests.chaos.run import STACK, Asked, chaos
from tests.integration.pipeline import traces_of

COPIES = 12  # of the recorded runs: some two minutes of traffic each, sent as long as there are faults


async def play(asked: Asked, keep: Path | None) -> int:
    """One run on a stack of its own."""
    done: list[str] = []

    def told(what: str) -> None:
        done.append(what)
        print(what, flush=True)

    with tempfile.TemporaryDirectory() as folder:
        recorded = traces_of(Path(folder), COPIES)
        async with LocalStack(Path(folder) / "stack", ports=PortsAsked(ANY, ANY, ANY), **STACK) as stack:
            try:
                happened = await chaos(stack, recorded, Path(folder), asked, told)
            except (AssertionError, TimeoutError, pytest.fail.Exception) as error:
                traceback.print_exc()
                print(f"seed {asked.seed}: {error or type(error).__name__}\n" + "\n".join(done), file=sys.stderr)
                if keep is not None:
                    for logs in ("scorers", "stack/logs"):
                        shutil.copytree(Path(folder) / logs, keep / logs, dirs_exist_ok=True)
                return 1
    print(
        f"seed {asked.seed}: {_told(happened.faults)}; failpoints reached {happened.failpoints} times; "
        f"requests to the store that were hurt: {_told(happened.hurt)}; scorers that ended by themselves: "
        f"{_told(happened.ended)}; {happened.spans} spans in the log, {happened.seconds:.0f} s: all as it must be"
    )
    return 0


def _told(counts: Counter[str]) -> str:
    return ", ".join(f"{n} x {name}" for name, n in counts.most_common()) or "none"


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument(
        "--kills", type=int, default=100, help="how many ends by SIGKILL at least, beside the failpoints"
    )
    parser.add_argument("--seed", type=int, default=None, help="which faults come when; random without it")
    parser.add_argument("--outage", type=float, default=60.0, help="seconds without a broker, once; 0: none")
    parser.add_argument("--no-failpoints", action="store_true", help="only faults at random moments")
    parser.add_argument("--no-topic", action="store_true", help="the spans topic is not made anew at the end")
    parser.add_argument("--keep", type=Path, default=None, help="where the logs go when it fails")
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(100_000) if given.seed is None else given.seed
    asked = Asked(given.kills, seed, not given.no_failpoints, given.outage, topic_anew=not given.no_topic)
    try:
        return asyncio.run(play(asked, given.keep))
    except pytest.skip.Exception as skipped:
        print(f"skipped: {skipped}")
        return 0


if __name__ == "__main__":
    sys.exit(main())
