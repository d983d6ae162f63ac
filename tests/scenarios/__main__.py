"""`make scenarios`: all scenarios on a stack of their own, at once; a table; exit code 1 when one of them was told wrongly.

python -m tests.scenarios [NAME ...] [--short] [--kills N] [--fences N] [--seed N]
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from streams.local.ports import ANY, PortsAsked
from streams.local.stack import LocalStack
from tests.scenarios import chaos, heard, report, stage
from tests.scenarios.scenario import Scenario, read_all


async def perform(
    scenarios: dict[str, Scenario], console: Console, kills: int, fences: int, seed: int, pace: float
) -> bool:
    """Start a stack, play, judge. Whether all is well."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="scenarios ") as folder:
        stack = LocalStack(
            Path(folder),
            ports=PortsAsked(ANY, ANY, ANY),
            environment=chaos.ALERTER,
            broker_options=chaos.BROKER,
            policy=chaos.UNDYING,
        )
        days = {name: scenario for name, scenario in scenarios.items() if scenario.day}
        plays = {name: scenario for name, scenario in scenarios.items() if not scenario.day}
        async with stack:
            seconds = pace * max((scenario.seconds for scenario in plays.values()), default=0.0)
            console.print(f"{len(plays)} scenarios, {seconds:.0f} s of play; then {len(days)} days in fast replay")
            trouble = chaos.Chaos(stack, seed, kills=kills, fences=fences) if kills or fences else None
            evening = await stage.play(plays, stack.settings, trouble, pace)
            older = await chaos.older_checkpoints(stack.settings)
            more = {name: await stage.play_day(name, days[name], stack.settings, chaos.ALERTER) for name in days}
    verdicts = stage.verdicts(plays, evening)
    verdicts += [v for name, of_day in more.items() for v in stage.verdicts({name: days[name]}, of_day)]
    good = report.show(verdicts, console)
    wrong = [line for each in (evening, *more.values()) for line in stage.difference(each)]
    for sentence in wrong:
        console.print(sentence, style="red", markup=False, highlight=False)
    if trouble:
        console.print(
            f"chaos seed {seed}: {trouble.kills} kills, {trouble.fences} fenced alerters, {older} old checkpoints behind "
            f"newer ones; {len(evening.published)} events published, {len(heard.once(evening.published))} of them new"
        )
    runs, good = sum(len(e.played) for e in (evening, *more.values())), good and not wrong
    console.print(f"{runs} runs, took {time.monotonic() - begun:.0f} s: {'good' if good else 'WRONG'}")
    return good


def main() -> int:
    """Read the arguments, perform."""
    parser = argparse.ArgumentParser(prog="python -m tests.scenarios")
    parser.add_argument("names", nargs="*", help="which; all of them where none is named")
    parser.add_argument("--short", action="store_true", help="only those that every test run plays")
    parser.add_argument("--kills", type=int, default=0, help="how often the alerter is killed meanwhile")
    parser.add_argument("--fences", type=int, default=0, help="how often it stands still while a second one takes over")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="of the chaos")
    parser.add_argument("--pace", type=float, default=1.0, help="2 plays twice as slowly")
    given = parser.parse_args()
    scenarios = read_all(given.names, short=given.short)
    work = perform(scenarios, Console(width=160), given.kills, given.fences, given.seed, given.pace)
    return 0 if asyncio.run(work) else 1


if __name__ == "__main__":
    sys.exit(main())
