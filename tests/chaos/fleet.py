"""One to three scorers that are killed, stopped, frozen, joined by others and left alone; some kill themselves at a failpoint.

The law: whoever ends by itself has a reason that the schedule knows, or is named at the end as an error.
"""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from streams.failpoint import REACHED
from streams.local.process import spawn

SCORERS_MAX = 3
FROZEN_S = 4.5  # longer than the session timeout of the tests: the group has gone on without it
LAST_WORDS = 12  # lines

Explain = Callable[[str], str | None]  # the last words of one that ended by itself; why it did, if that is known


@dataclass(eq=False)
class Scorer:
    """A process, what it says, and where it is to kill itself."""

    process: Process
    log: Path
    failpoint: str = ""  # name:n

    @property
    def point(self) -> str:
        """Its failpoint's name."""
        return self.failpoint.partition(":")[0]

    @property
    def reached(self) -> bool:
        """Whether it killed itself there."""
        return bool(self.failpoint) and f"{REACHED}{self.point}\n" in self.log.read_text(errors="replace")

    def signal(self, how: signal.Signals) -> None:
        """Send it, if there is still anybody."""
        if self.process.returncode is None:
            try:
                self.process.send_signal(how)
            except ProcessLookupError:
                return


class Fleet:
    """The scorers of a run."""

    def __init__(self, env: dict[str, str], logs: Path, explain: Explain) -> None:
        self._env, self._logs, self._explain = {**os.environ, **env}, logs, explain
        self._scorers: list[Scorer] = []
        self._leaving: list[Scorer] = []
        self._frozen: set[asyncio.Task[None]] = set()
        self._started = 0
        self.reached: Counter[str] = Counter()  # failpoints
        self.ended: Counter[str] = Counter()  # by themselves, by reason
        self.unexplained: list[str] = []
        logs.mkdir(exist_ok=True)

    def __len__(self) -> int:
        return len(self._scorers)

    @property
    def armed(self) -> Counter[str]:
        """Failpoints that some scorer is to reach."""
        return Counter(scorer.point for scorer in self._scorers if scorer.failpoint)

    async def join(self, failpoint: str = "") -> None:
        """One more."""
        self._started += 1
        log = self._logs / f"scorer-{self._started}.log"
        env = {**self._env, **({"STEPWATCH_FAILPOINT": failpoint} if failpoint else {})}
        command = [sys.executable, "-m", "streams.console", "scorer"]
        child = await spawn(command, log, environment=env)
        self._scorers.append(Scorer(child.process, log, failpoint))

    async def end(self, number: int, how: signal.Signals, *, again: bool) -> None:
        """End one of them; `again`: another one takes its place."""
        scorer = self._scorers.pop(number % len(self._scorers))
        scorer.signal(how)
        if how == signal.SIGKILL:
            await scorer.process.wait()
        else:
            self._leaving.append(scorer)  # it hands its partitions back in its own time
        if again:
            await self.join()

    async def freeze(self, number: int, seconds: float = FROZEN_S) -> None:
        """Stop one as it stands. After `FROZEN_S` the group has given its partitions away: then it goes on, a zombie."""
        scorer = self._scorers[number % len(self._scorers)]
        scorer.signal(signal.SIGSTOP)

        async def thaw() -> None:
            await asyncio.sleep(seconds)
            scorer.signal(signal.SIGCONT)

        task = asyncio.create_task(thaw())
        self._frozen.add(task)
        task.add_done_callback(self._frozen.discard)

    def mourn(self) -> int:
        """Take note of those who ended by themselves; how many of them are missing now."""
        gone = [scorer for scorer in self._scorers if scorer.process.returncode is not None]
        self._scorers = [scorer for scorer in self._scorers if scorer.process.returncode is None]
        for scorer in gone:
            if scorer.reached:
                self.reached[scorer.point] += 1
                continue
            words = "\n".join(scorer.log.read_text(errors="replace").splitlines()[-LAST_WORDS:])
            if reason := self._explain(words):
                self.ended[reason] += 1
            else:
                self.unexplained.append(f"{scorer.log.name} ended with {scorer.process.returncode}:\n{words}")
        return len(gone)

    async def keep_up(self) -> None:
        """Whoever ended by itself is replaced, as a supervisor would."""
        gone = self.mourn()
        for _ in range(max(gone, 1 - len(self._scorers))):
            await self.join()

    async def stop(self) -> None:
        """End them all."""
        self.mourn()
        await asyncio.gather(*self._frozen, return_exceptions=True)
        all_of_them = [*self._scorers, *self._leaving]
        for scorer in all_of_them:
            scorer.signal(signal.SIGKILL)
        await asyncio.gather(*(scorer.process.wait() for scorer in all_of_them))
        self._scorers, self._leaving = [], []
