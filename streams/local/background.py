"""Work beside the event loop, which a Ctrl-C need not wait for; and several pieces of work that fail as one.

The default executor's threads are joined when the loop ends, so a download in one of them would hold up the exit.
This thread is a daemon: it is told to give up at its next progress report, and the process may end before it does.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")
Tell = Callable[[int, int, str], None]
"""Progress of the work: (done, of all, what happens now)."""


class Abandoned(Exception):
    """Raised inside the work when nobody waits for it any more."""


async def run_in_background(work: Callable[[Tell], T], say: Callable[[str], None] = lambda _text: None) -> T:
    """Run `work(tell)` in a daemon thread; what it tells is said on the loop. Cancelling abandons the work."""
    loop = asyncio.get_running_loop()
    result: asyncio.Future[T] = loop.create_future()
    abandoned = threading.Event()

    def tell(done: int, total: int, text: str) -> None:
        if abandoned.is_set():
            raise Abandoned
        loop.call_soon_threadsafe(say, f"{done}/{total} {text}" if total else text)

    threading.Thread(target=_run, args=(loop, result, lambda: work(tell)), name="background", daemon=True).start()
    try:
        return await result
    finally:
        abandoned.set()


async def together(*work: Coroutine[Any, Any, object]) -> None:
    """Run all at once; when one fails the others are cancelled, and its error is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            for one in work:
                group.create_task(one)
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from errors


def _run(loop: asyncio.AbstractEventLoop, result: "asyncio.Future[T]", work: Callable[[], T]) -> None:
    try:
        value = work()
    except Abandoned:
        return
    except Exception as error:
        _deliver(loop, result, partial(result.set_exception, error))
    else:
        _deliver(loop, result, partial(result.set_result, value))


def _deliver(loop: asyncio.AbstractEventLoop, result: "asyncio.Future[T]", put: Callable[[], None]) -> None:
    try:
        loop.call_soon_threadsafe(lambda: None if result.done() else put())
    except RuntimeError:
        return  # the loop has ended: nobody waits
