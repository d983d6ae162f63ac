"""One to three scorers that are killed, stopped, frozen, joined by others and left alone."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, Process

SCORERS_MAX = 3
FROZEN_S = 4.5  # longer than the session timeout of the tests: the group has gone on without it


class Fleet:
    """The scorers of a run."""

    def __init__(self, env: dict[str, str]) -> None:
        self._env = {**os.environ, **env}
        self._scorers: list[Process] = []
        self._leaving: list[Process] = []
        self._frozen: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._scorers)

    async def join(self) -> None:
        """One more."""
        command = [sys.executable, "-m", "streams.console", "scorer"]
        self._scorers.append(
            await asyncio.create_subprocess_exec(*command, env=self._env, stdout=DEVNULL, stderr=DEVNULL)
        )

    async def end(self, number: int, how: signal.Signals, *, again: bool) -> None:
        """End one of them; `again`: another one takes its place."""
        scorer = self._scorers.pop(number % len(self._scorers))
        _send(scorer, how)
        if how == signal.SIGKILL:
            await scorer.wait()
        else:
            self._leaving.append(scorer)  # it hands its partitions back in its own time
        if again:
            await self.join()

    async def freeze(self, number: int) -> None:
        """Stop one as it stands, until the group has given its partitions away; then it goes on, a zombie."""
        scorer = self._scorers[number % len(self._scorers)]
        _send(scorer, signal.SIGSTOP)

        async def thaw() -> None:
            await asyncio.sleep(FROZEN_S)
            _send(scorer, signal.SIGCONT)

        task = asyncio.create_task(thaw())
        self._frozen.add(task)
        task.add_done_callback(self._frozen.discard)

    async def keep_up(self) -> None:
        """Whoever ended by itself is replaced, as a supervisor would."""
        alive = [scorer for scorer in self._scorers if scorer.returncode is None]
        gone, self._scorers = len(self._scorers) - len(alive), alive
        for _ in range(max(gone, 1 - len(alive))):
            await self.join()

    async def stop(self) -> None:
        """End them all."""
        await asyncio.gather(*self._frozen, return_exceptions=True)
        all_of_them = [*self._scorers, *self._leaving]
        for scorer in all_of_them:
            _send(scorer, signal.SIGKILL)
        await asyncio.gather(*(scorer.wait() for scorer in all_of_them))
        self._scorers, self._leaving = [], []


def _send(scorer: Process, how: signal.Signals) -> None:
    if scorer.returncode is None:
        try:
            scorer.send_signal(how)
        except ProcessLookupError:
            return
