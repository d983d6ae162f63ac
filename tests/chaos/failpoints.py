"""Every named failpoint of every part is reached, twice: while runs flow, on what the one killed before has left.

Scorers: some at once, each with a point of its own. Gateway and alerter are parts of the stack: armed one point after the
other, started again by its supervisor until the point was reached often enough.
"""

import asyncio
from collections import Counter
from pathlib import Path
from random import Random
from typing import cast

from streams.failpoint import POINTS, REACHED
from streams.local.parts import ConsolePart
from streams.local.stack import LocalStack
from tests.chaos.fleet import SCORERS_MAX, Fleet
from tests.chaos.schedule import Schedule

TIMES = 2
LOOK_S = 0.25
REACHED_WITHIN_S = 420.0
# At a later pass of it some state is there already. These come rarely; the first will do.
PASSES_MAX = 2
RARE = frozenset({"verdict_changes", "dead_letters", "dlq_index", "logs", "alerts", "alert_events"})


class NeverReached(AssertionError):
    """A failpoint that is passed by nobody protects nothing: an error, not a skip."""


def passes(name: str, draw: Random) -> int:
    """At which pass the process is to end."""
    return 1 if name.partition("_")[2] in RARE else draw.randint(1, PASSES_MAX)


async def reach_all(stack: LocalStack, fleet: Fleet, seed: int, schedule: Schedule, times: int = TIMES) -> None:
    """All of them. Raises NeverReached."""
    draw = Random(f"failpoints {seed}")
    async with asyncio.TaskGroup() as trials:
        trials.create_task(reach_by_scorers(fleet, draw, schedule, times))
        for part in ("gateway", "alerter"):
            trials.create_task(reach_by_part(stack, part, Random(f"{part} {seed}"), schedule, times))


async def reach_by_scorers(
    fleet: Fleet, draw: Random, schedule: Schedule, times: int, points: tuple[str, ...] = POINTS["scorer"]
) -> None:
    """The scorers' points. Those that came first in a round come last in the next."""
    before, end_s = Counter(fleet.reached), asyncio.get_running_loop().time() + REACHED_WITHIN_S
    order = list(points)
    draw.shuffle(order)
    while left := {p: n for p in order if (n := times - (fleet.reached[p] - before[p])) > 0}:
        seen = fleet.reached.total()
        fleet.mourn()
        if fleet.reached.total() > seen:
            schedule.say(
                f"{sum(left.values())} failpoints of scorers are left; armed: {', '.join(sorted(fleet.armed))}"
            )
        waiting = [p for p in order if left.get(p, 0) > fleet.armed[p]]
        if waiting and len(fleet) < SCORERS_MAX:
            name = min(waiting, key=lambda p: (fleet.armed[p], -left[p]))
            await fleet.join(f"{name}:{passes(name, draw)}")
            schedule.done("arm a scorer", detail=name)
            continue
        if asyncio.get_running_loop().time() > end_s:
            raise NeverReached(f"scorers did not reach {left} within {REACHED_WITHIN_S:.0f} s")
        await asyncio.sleep(LOOK_S)


async def reach_by_part(
    stack: LocalStack,
    part: str,
    draw: Random,
    schedule: Schedule,
    times: int,
    points: tuple[str, ...] | None = None,
) -> None:
    """A part's points, one after the other; it is left unarmed."""
    log, environment = stack.data_dir / "logs" / f"{part}.log", environment_of(stack, part)
    order = list(points if points is not None else POINTS[part])
    draw.shuffle(order)
    loop = asyncio.get_running_loop()
    for name in order:
        before, end_s = count(log, name), loop.time() + REACHED_WITHIN_S / 2
        environment["STEPWATCH_FAILPOINT"] = f"{name}:{passes(name, draw)}"
        stack.kill(part)
        schedule.done(f"arm the {part}", detail=name)
        while (n := count(log, name) - before) < times:
            if loop.time() > end_s:
                raise NeverReached(f"the {part} reached {name} {n} times within {REACHED_WITHIN_S / 2:.0f} s")
            await asyncio.sleep(LOOK_S)
    del environment["STEPWATCH_FAILPOINT"]
    stack.kill(part)


def environment_of(stack: LocalStack, part: str) -> dict[str, str]:
    """What the part is told at its next start."""
    runner = stack.parts[part]._runner
    assert isinstance(runner, ConsolePart)
    return cast("dict[str, str]", runner.environment)


def count(log: Path, name: str) -> int:
    """How often a process that writes this log has reached the point."""
    return log.read_text(errors="replace").count(f"{REACHED}{name}\n")


def reached_in(stack: LocalStack, part: str) -> Counter[str]:
    """Of a part: how often which point."""
    log = stack.data_dir / "logs" / f"{part}.log"
    return Counter({name: count(log, name) for name in POINTS[part]})


def check_all_reached(stack: LocalStack, fleet: Fleet, times: int = TIMES) -> int:
    """How often one was reached, in all. Raises NeverReached naming those that were not reached often enough."""
    found = {("scorer", name): fleet.reached[name] for name in POINTS["scorer"]}
    for part in ("gateway", "alerter"):
        found |= {(part, name): n for name, n in reached_in(stack, part).items()}
    if lacking := {f"{part} {name}": n for (part, name), n in found.items() if n < times}:
        raise NeverReached(f"reached less than {times} times: {lacking}")
    return sum(found.values())
