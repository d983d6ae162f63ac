"""An event loop in virtual time, and lives: what belongs to a process that was killed never goes on.

Nothing here waits: when nobody is ready, the clock jumps to the next timer. What is ready runs in the order in which it became
so, as asyncio promises; which schedule comes about is decided by when servers answer, and that is drawn (`servers.py`).
"""

import asyncio
import contextlib
import warnings
from collections.abc import Callable
from contextvars import Context, ContextVar
from typing import Any


class Life:
    """Of one process. A death is that of `kill -9`: no `finally` runs, no task is told."""

    def __init__(self) -> None:
        self.alive = True
        self.fuse = 0  # it dies after so many more steps between two awaits; 0: it does not
        self.error: BaseException | None = None  # why it ended itself

    def burn(self) -> None:
        """One step goes by."""
        if self.fuse:
            self.fuse -= 1
            if not self.fuse:
                self.alive = False

    def end(self, error: BaseException) -> None:
        """It ends itself: exit code 1."""
        self.alive, self.error = False, self.error or error


LIFE: ContextVar[Life | None] = ContextVar("LIFE", default=None)  # None: a server or the outside world
OUTSIDE = Context()


class Stuck(Exception):
    """Everybody waits for somebody, and no timer runs."""


class _Selector:
    def __init__(self, loop: "VirtualLoop") -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise Stuck
        self._loop.now += max(0.0, timeout)
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """asyncio's own loop without a machine below it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.tasks: list[asyncio.Task[Any]] = []
        self.run_elsewhere: Callable[..., asyncio.Future[Any]] | None = None  # stands in for threads
        self._selector = _Selector(self)
        self.set_task_factory(self._task)
        self.set_exception_handler(lambda loop, context: None)  # `failures` tells of them

    def _task(self, loop: Any, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **options)
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        self.tasks.append(task)
        return task

    def time(self) -> float:
        """Virtual seconds since the beginning."""
        return self.now

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> asyncio.Handle:
        """As asyncio has it, for the living."""
        life = LIFE.get() if context is None else context.get(LIFE)
        if life is not None:
            return super().call_soon(_for_the_living, life, callback, args, context=context)
        return super().call_soon(callback, *args, context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: Context | None = None) -> asyncio.TimerHandle:
        """As asyncio has it, for the living."""
        life = LIFE.get() if context is None else context.get(LIFE)
        if life is not None:
            return super().call_at(when, _for_the_living, life, callback, args, context=context)
        return super().call_at(when, callback, *args, context=context)

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        """What a thread would do is asked of the servers."""
        assert self.run_elsewhere is not None
        return self.run_elsewhere(executor, func, *args)

    def failures(self) -> list[str]:
        """What ended tasks of the living and of the dead that nobody awaited."""
        ended = [task for task in self.tasks if task.done() and not task.cancelled()]
        return [f"a task failed: {error!r}" for task in ended if (error := task.exception()) is not None]

    def end(self) -> None:
        """The world stops: what waits is given up without a word."""
        with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # coroutines that never began
            for task in self.tasks:
                if not task.done():
                    coroutine: Any = task.get_coro()
                    with contextlib.suppress(RuntimeError):  # it awaits on its way out
                        coroutine.close()
        self.close()

    def _process_events(self, event_list: Any) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody sleeps."""


def _for_the_living(life: Life, callback: Any, args: tuple[Any, ...]) -> None:
    if life.alive:
        life.burn()
        if life.alive:
            callback(*args)
