"""What lies on the other side of a wire: a request leaves, takes effect at the server, and the answer comes back, each after a
time that is drawn. Between any two of these the caller may die, and a request that has left takes effect all the same.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

from tests.simulator.shells.loop import LIFE, OUTSIDE, Life, VirtualLoop

DELAYS_S = (0.0, 0.001, 0.004, 0.02, 0.1, 0.4, 6.0)
OFTEN = (4, 4, 4, 4, 3, 2, 0.3)


class Weather:
    """What befalls the servers."""

    def __init__(self) -> None:
        self.store_up = self.kafka_up = True
        self.trouble = 0.0  # share of the requests that fail, before or after they took effect
        self.slow = True  # some answers take seconds
        self.mad = False  # the store takes no span, and says that it is the span's fault

    def clear_up(self) -> None:
        """All is well."""
        self.store_up = self.kafka_up = True
        self.trouble, self.slow, self.mad = 0.0, False, False


class Servers:
    """The wire to Kafka and to the store."""

    def __init__(self, loop: VirtualLoop, draw: Random, happened: Counter[str]) -> None:
        self.loop, self.draw, self.happened = loop, draw, happened
        self.weather = Weather()
        self._lanes: dict[Any, deque[Callable[[], None]]] = {}
        loop.run_elsewhere = self._run_in_thread

    def delay(self) -> float:
        """How long something takes."""
        often = OFTEN if self.weather.slow else OFTEN[:-1]
        return self.draw.choices(DELAYS_S[: len(often)], often)[0] * self.draw.uniform(0.5, 1.5)

    def ask(self, effect: Callable[[], Any], after: Callable[[], None] | None = None) -> asyncio.Future[Any]:
        """Have `effect` take place at the server. `after`: what happens when the answer is there, or the caller is dead."""
        future: asyncio.Future[Any] = self.loop.create_future()
        life = LIFE.get()
        self.loop.call_later(self.delay(), self._arrive, life, effect, future, after, context=OUTSIDE)
        return future

    def _arrive(
        self,
        life: Life | None,
        effect: Callable[[], Any],
        future: asyncio.Future[Any],
        after: Callable[[], None] | None,
    ) -> None:
        dead = life is not None and not life.alive
        if dead and self.draw.random() < 0.5:
            return  # it had not left yet
        self.happened["a request of a dead worker takes effect"] += dead
        error, answer = None, None
        try:
            answer = effect()
        except Exception as raised:
            error = raised
        self.loop.call_later(self.delay(), self._answer, life, answer, error, future, after, context=OUTSIDE)

    def _answer(
        self,
        life: Life | None,
        answer: Any,
        error: Exception | None,
        future: asyncio.Future[Any],
        after: Callable[[], None] | None,
    ) -> None:
        if life is not None and not life.alive:
            return
        if not future.done():
            if error is None:
                future.set_result(answer)
            else:
                future.set_exception(error)
        if after is not None:
            after()

    def _run_in_thread(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        """One thread an executor: a request at a time, in their order."""
        future: asyncio.Future[Any] = self.loop.create_future()
        queue = self._lanes.get(executor)
        start = partial(self._start, executor, LIFE.get(), partial(func, *args), future)
        if queue is None:
            self._lanes[executor] = deque()
            start()
        else:
            queue.append(start)
        return future

    def _start(self, executor: Any, life: Life | None, effect: Callable[[], Any], future: asyncio.Future[Any]) -> None:
        self.loop.call_later(
            self.delay(), self._arrive, life, effect, future, partial(self._next, executor), context=OUTSIDE
        )

    def _next(self, executor: Any) -> None:
        queue = self._lanes[executor]
        if queue:
            queue.popleft()()
        else:
            del self._lanes[executor]
