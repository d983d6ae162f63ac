"""One run: traffic, faults by a seed, quiet, and the check of everything that must hold."""

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import NamedTuple

from streams.local.stack import LocalStack
from tests.chaos.fleet import SCORERS_MAX, Fleet
from tests.integration.pipeline import (
    DONE,
    FAST,
    LEDGER,
    PUBLISHED,
    Recorded,
    difference,
    environment,
    prepare,
    query,
    rows_of,
    run,
    spans_in_log,
    until,
)
from tests.integration.test_kills import (
    ALERTER,
    COUNTS_RUNS,
    SETTLE,
    become,
    counted,
    folds_of,
    has_folded_all,
    has_rules,
    hostile,
    outcomes_of,
)

CHAOS = {"group.min.session.timeout.ms": "1000"}
ENVIRONMENT = {**FAST, **ALERTER}
WEIGHTS = {
    "kill a scorer": 10, "stop a scorer": 3, "freeze a scorer": 2, "a scorer joins": 2, "a scorer leaves": 2,
    "kill the gateway": 2, "kill the store": 1, "kill the broker": 1, "kill the alerter": 1,
}  # fmt: skip
KILLS = frozenset(name for name in WEIGHTS if name.startswith("kill"))
PART_PAUSE_S = 14.0  # between two deaths of one part: its supervisor gives up after five within a minute
PAUSE_S = (0.3, 2.2)
QUIET_S_MAX = 240.0


class Happened(NamedTuple):
    """What was done, and how long it took."""

    faults: Counter[str]
    spans: int
    seconds: float


class Faults:
    """Which fault comes next."""

    def __init__(self, stack: LocalStack, fleet: Fleet, seed: int, told: Callable[[str], None]) -> None:
        self._stack, self._fleet, self._told = stack, fleet, told
        self._draw = Random(seed)
        self._hit_s: dict[str, float] = {}
        self.counts: Counter[str] = Counter()

    @property
    def kills(self) -> int:
        """Ends by SIGKILL so far."""
        return sum(self.counts[name] for name in KILLS)

    async def next(self) -> None:
        """Wait a little, then do something."""
        await asyncio.sleep(self._draw.uniform(*PAUSE_S))
        await self._fleet.keep_up()
        (name,) = self._draw.choices(list(WEIGHTS), list(WEIGHTS.values()))
        if await self._done(name, self._draw.randrange(SCORERS_MAX)):
            self.counts[name] += 1
            self._told(f"{self.kills} kills; {name}")

    async def _done(self, name: str, number: int) -> bool:
        match name:
            case "kill a scorer":
                await self._fleet.end(number, signal.SIGKILL, again=True)
            case "stop a scorer":
                await self._fleet.end(number, signal.SIGTERM, again=True)
            case "freeze a scorer":
                await self._fleet.freeze(number)
            case "a scorer joins" if len(self._fleet) < SCORERS_MAX:
                await self._fleet.join()
            case "a scorer leaves" if len(self._fleet) > 1:
                await self._fleet.end(number, signal.SIGTERM, again=False)
            case _ if name in KILLS:
                return self._kill_part({"the store": "clickhouse"}.get(name[5:], name.rsplit(" ", 1)[1]))
            case _:
                return False
        return True

    def _kill_part(self, part: str) -> bool:
        now = time.monotonic()
        if now - self._hit_s.get(part, 0.0) < PART_PAUSE_S or self._stack.parts[part].state != "ready":
            return False
        self._hit_s[part] = now
        self._stack.kill(part)
        return True


async def chaos(
    stack: LocalStack, recorded: Recorded, folder: Path, kills: int, seed: int, told: Callable[[str], None]
) -> Happened:
    """Play it. Raises AssertionError (or pytest's Failed) where something is not as it must be."""
    started = time.monotonic()
    rules = folder / "rules.yaml"
    rules.write_text(COUNTS_RUNS)
    await prepare(stack, recorded, rules)
    await become("rules in force", lambda: has_rules(stack.settings))
    traces = hostile(recorded, folder / "hostile.jsonl")
    n_spans = 6_700
    rate = max(40.0, n_spans / (kills * 1.1 + 10))
    fleet = Fleet({**environment(stack), **SETTLE, "STEPWATCH_FLUSH_ROWS_MAX": "300"})
    faults = Faults(stack, fleet, seed, told)
    try:
        await fleet.join()
        sending = asyncio.create_task(_send(stack, traces, rate))
        await become("spans flow", lambda: _has_spans(stack))  # who finds nobody at the very first gives up soon
        while faults.kills < kills or not sending.done():
            await faults.next()
        await sending
        told("quiet: no more faults")
        await fleet.stop()
        for _ in range(2):
            await fleet.join()
        await _check(stack, recorded, folder)
    finally:
        await fleet.stop()
    return Happened(faults.counts, await spans_in_log(stack.settings), time.monotonic() - started)


async def _has_spans(stack: LocalStack) -> bool:
    return await spans_in_log(stack.settings) > 0


async def _send(stack: LocalStack, traces: Path, rate: float) -> None:
    """`stepwatch send`, which repeats what a sender must repeat until every span is acknowledged."""
    command = [sys.executable, "-m", "streams.console", "send", traces, "--rate", str(rate)]
    env = {**os.environ, **environment(stack)}
    sender = await asyncio.create_subprocess_exec(*command, env=env, stdout=DEVNULL, stderr=PIPE)
    _, said = await sender.communicate()
    assert sender.returncode == 0, said.decode()


async def _check(stack: LocalStack, recorded: Recorded, folder: Path) -> None:
    """Nothing missing, rows equal to those of `stepwatch score`, the ledger closed, every run counted once."""
    in_log = await spans_in_log(stack.settings)
    await until(stack, DONE, [200, 200, 3818], QUIET_S_MAX)
    await until(stack, PUBLISHED, [200], QUIET_S_MAX)
    await until(stack, LEDGER, [in_log, in_log, 0, 0], QUIET_S_MAX)
    assert query(stack, "SELECT count(), uniqExact(trace_id, span_id) FROM v1_spans") == [(3818, 3818)]
    assert difference(rows_of(stack), recorded.results) == []
    copies = await outcomes_of(stack.settings)
    assert len(copies) == 200
    assert {len(set(of_run)) for of_run in copies.values()} == {1}, "published again, it is the same"
    await become("all outcomes folded", lambda: has_folded_all(stack.settings))
    folds = await folds_of(stack.settings)
    assert sum(counted(fold) for fold in folds.values()) == 200, "the alerter counts each run once"
    await run(stack, "ledger")
