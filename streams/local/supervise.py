"""Keeps one part of the laptop stack alive: starts it, waits until it serves, starts it again when it dies.

The law: a part that dies is restarted after a growing pause and that is said; one that dies more than five times
within a minute will not be cured by another start, so the whole stack is told to end.
"""

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from streams.console.errors import UserError
from streams.local.process import Child, last_words

State = Literal["fetching", "starting", "ready", "external", "restarting", "stopping", "stopped", "failed"]
Report = Callable[[str, State, str], None]
"""Called with (part, state, detail) at every change. Must not block."""


class Runner(Protocol):
    """How a kind of part is started, and when it serves."""

    async def start(self) -> Child:
        """Start the process; return at once."""
        ...

    async def wait_ready(self, child: Child) -> None:
        """Return when it serves; raise `UserError` when it ends or takes too long."""
        ...


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """When to start a dead part again. Seconds."""

    deaths_max: int = 5
    within_s: float = 60.0
    pause_first_s: float = 0.5
    pause_max_s: float = 8.0

    def pause(self, deaths: Sequence[float], now: float) -> float | None:
        """The pause before the next start, given when it died so far; None: give up."""
        recent = sum(1 for at in deaths if now - at <= self.within_s)
        if recent > self.deaths_max:
            return None
        return float(min(self.pause_max_s, self.pause_first_s * 2 ** max(0, recent - 1)))


class Part:
    """One supervised part. All methods run on the loop of the stack that owns it."""

    def __init__(
        self,
        name: str,
        runner: Runner,
        address: str,
        report: Report,
        *,
        policy: RestartPolicy,
        grace_s: float,
        on_stopped: Callable[[int], None] = lambda exit_code: None,
    ) -> None:
        self.name, self.address, self.restarts = name, address, True
        self.child: Child | None = None
        self.state: State = "stopped"
        self.since = time.time()
        self._runner, self._report, self._policy, self._grace_s = runner, report, policy, grace_s
        self._on_stopped = on_stopped
        self._deaths: list[float] = []
        self._watcher: asyncio.Task[None] | None = None

    async def start(self, on_failure: Callable[[BaseException], None]) -> None:
        """Start and wait until it serves; from then on it is kept alive. `on_failure` is told when that is given up."""
        self._say("starting")
        await self._launch()
        self._watcher = asyncio.create_task(self._keep_alive(), name=f"keep {self.name} alive")
        self._watcher.add_done_callback(lambda task: pass_on(task, on_failure))

    async def stop(self) -> None:
        """Stop supervising, then SIGTERM, a bounded wait, SIGKILL."""
        await self._end_watch()
        if self.child is not None:
            if self.child.running:
                self._say("stopping")
            self._on_stopped(await self.child.stop(self._grace_s))
            self._say("stopped")
            self.child = None

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal to the process, as a fault would. Supervision goes on."""
        if self.child is not None:
            self.child.signal(number)

    def kill_now(self) -> None:
        """SIGKILL without waiting: the last resort of an interrupted stop."""
        if self.child is not None:
            self.child.kill_group()

    async def _launch(self) -> None:
        self.child = await self._runner.start()
        try:
            await self._runner.wait_ready(self.child)
        except BaseException:
            self.child.kill_group()
            await self.child.process.wait()
            raise
        self._say("ready", self.address)

    async def _keep_alive(self) -> None:
        while self.child is not None:
            code = await self.child.process.wait()
            if not self.restarts:
                self._say("stopped", _obituary(code, self.child))
                return
            await asyncio.sleep(self._pause(code, self.child))
            with contextlib.suppress(UserError):  # it died while starting: its end is found by the next turn
                await self._launch()

    def _pause(self, code: int, child: Child) -> float:
        now = time.monotonic()
        self._deaths = [*self._deaths[-self._policy.deaths_max :], now]
        pause = self._policy.pause(self._deaths, now)
        if pause is None:
            self._say("failed", _obituary(code, child))
            raise UserError(
                f"{self.name} ended {len(self._deaths)} times within {self._policy.within_s:.0f} s, so the stack was "
                f"stopped: {_obituary(code, child)} ({child.log})"
            )
        self._say("restarting", f"{_obituary(code, child)}; starts again in {pause:g} s")
        return pause

    async def _end_watch(self) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.wait([self._watcher])
            self._watcher = None

    def _say(self, state: State, detail: str = "") -> None:
        self.state, self.since = state, time.time()
        self._report(self.name, state, detail)


def pass_on(watcher: "asyncio.Task[None]", on_failure: Callable[[BaseException], None]) -> None:
    """A done callback: tell of the error that a watching task ended with, if it did."""
    if not watcher.cancelled() and (error := watcher.exception()) is not None:
        on_failure(error)


def _obituary(code: int, child: Child) -> str:
    how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    words = last_words(child.log, child.log_from) if code > 0 else ""
    return f"{how}: {words}" if words else how
