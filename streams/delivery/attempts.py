"""One target's attempts: takes ready events from the backlogs, asks the target, and settles what came of it.

The laws: an event leaves its backlog only when the delivery log has it as delivered or dead; nothing here waits for
another target; at most `IN_FLIGHT_MAX` requests are open, and the gate says when the next may start.
"""

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Coroutine
from typing import Any, Protocol

from schemas.target import Target
from streams.delivery.backlog import Backlog, Waiting
from streams.delivery.entry import Word
from streams.delivery.gate import Gate, answered, opens_s, started
from streams.delivery.message import Message
from streams.delivery.senders import Sender
from streams.delivery.verdict import Answer, Outcome, outcome_of, pause_s
from streams.worker.fatal import or_die

IN_FLIGHT_MAX = 4

log = logging.getLogger(__name__)
Ready = tuple[Backlog, Waiting]
GONE_BEFORE = Answer(status=410, detail="it said so to an earlier event; it gets nothing until a restart")
NEVER_ASKED = Answer(failure="connection", detail="nothing was sent yet")
NOT_RENDERED = Answer(status=400, detail="it cannot be rendered: a bug of ours, see the log")


class Written(Protocol):
    """What the attempts need of the delivery log. Both return when it is there."""

    async def write(self, word: Word, target: str, message: Message, attempts: int, at_s: float | None = None) -> None:
        """A word on an event."""

    async def bury(self, record: Any, target: str, reason: str) -> None:
        """A dead letter."""


class Attempts:
    """The sending half of a courier. `wake` tells it that something is there to be sent."""

    def __init__(self, target: Target, sender: Sender, written: Written) -> None:
        self._target, self._sender, self._log = target, sender, written
        self._backlogs: dict[int, Backlog] = {}
        self._gate = Gate()
        self._gone = False  # it said 410: nothing is sent there any more
        self._last = NEVER_ASKED
        self._open: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()
        self.counts: Counter[str] = Counter()

    @property
    def waiting(self) -> int:
        """Events that are not settled."""
        return sum(backlog.waiting for backlog in self._backlogs.values())

    def wake(self) -> None:
        """Look again."""
        self._woken.set()

    def begin(self, partition: int, backlog: Backlog) -> None:
        """Events of this backlog are sent from now on."""
        self._backlogs[partition] = backlog
        self.wake()

    def end(self, partition: int) -> Backlog | None:
        """No more of it is sent; what is open goes on until it is answered."""
        return self._backlogs.pop(partition, None)

    async def answered(self, timeout_s: float) -> None:
        """Return when nothing is open any more, or after so long."""
        if self._open:
            await asyncio.wait(set(self._open), timeout=timeout_s)

    async def run(self) -> None:
        """Send for ever."""
        while True:
            self._woken.clear()
            until_next_s = self._step(time.time())
            try:
                await asyncio.wait_for(self._woken.wait(), until_next_s)
            except TimeoutError:
                continue

    def _step(self, now_s: float) -> float | None:
        """Start all attempts that may start; the time until the next may, None when that depends on an event."""
        while len(self._open) < IN_FLIGHT_MAX:
            ready = self._ready(now_s)
            if hopeless := next((each for each in ready if self._is_hopeless(each[1], now_s)), None):
                self._launch([hopeless], self._settle_unasked(hopeless, now_s))
                continue
            opens = opens_s(self._gate, self._target.rate_per_s, now_s, len(self._open))
            if opens is None:
                return None
            if opens > now_s or not ready:
                return self._until_next_s(opens, now_s)
            chosen = self._choose(ready)
            self._gate = started(self._gate, self._target.rate_per_s, now_s)
            self._launch(chosen, self._attempt(chosen))
        return None

    def _until_next_s(self, opens_at_s: float, now_s: float) -> float | None:
        """How long until an event may be tried, or is given up without."""
        up = [waiting for backlog in self._backlogs.values() for waiting in backlog.next_up()]
        patience_s = self._target.retry.give_up_after_s if self._gate.broken else float("inf")
        next_s = (max(w.due_s, min(opens_at_s, w.since_s + patience_s)) for w in up)
        return max(0.0, min(next_s) - now_s) if up else None

    def _ready(self, now_s: float) -> list[Ready]:
        return [(backlog, waiting) for backlog in self._backlogs.values() for waiting in backlog.ready(now_s)]

    def _is_hopeless(self, waiting: Waiting, now_s: float) -> bool:
        """Whether it is settled without asking: else the dead letters of a long outage would go at the pace of its probes."""
        overdue = now_s - waiting.since_s >= self._target.retry.give_up_after_s
        return self._gone or (overdue and self._gate.broken)

    def _choose(self, ready: list[Ready]) -> list[Ready]:
        """The oldest; or several together, where the target is better served by that."""
        ready = sorted(ready, key=lambda each: each[1].message.event.time_ms)
        together = [each for each in ready if not each[1].alone][: self._sender.together_max]
        return together if len(ready) > self._sender.together_from and len(together) > 1 else ready[:1]

    def _launch(self, chosen: list[Ready], work: Coroutine[Any, Any, None]) -> None:
        for backlog, waiting in chosen:
            backlog.hand_out(waiting)
        task = asyncio.create_task(or_die(work))
        self._open.add(task)
        task.add_done_callback(self._closed)

    def _closed(self, task: "asyncio.Task[None]") -> None:
        self._open.discard(task)
        self.wake()

    async def _settle_unasked(self, hopeless: Ready, now_s: float) -> None:
        answer = GONE_BEFORE if self._gone else self._last
        await self._conclude(*hopeless, "gone" if self._gone else "again", answer, now_s, 0.0, 1)

    async def _attempt(self, chosen: list[Ready]) -> None:
        for _, each in chosen:
            each.attempts += 1
        answer = self._last = await self._ask(chosen)
        now_s, outcome = time.time(), outcome_of(self._target.kind, answer)
        waiting = chosen[0][1]
        pause = pause_s(self._target.retry, waiting.attempts, answer.retry_after_s, random.random())  # noqa: S311
        self.feed(outcome, answer, now_s)
        if outcome != "delivered":
            told = self._target.name, waiting.message.event.id, answer, waiting.attempts
            log.warning("%s: event %s: %s (attempt %d)", *told)
        if outcome == "gone":
            self._gone = True
            log.error(
                "%s is gone (410): it gets nothing until a restart, all events are dead letters", self._target.name
            )
        for backlog, each in chosen:
            await self._conclude(backlog, each, outcome, answer, now_s, pause, len(chosen))

    async def _ask(self, chosen: list[Ready]) -> Answer:
        try:
            return await self._sender.send([waiting.message for _, waiting in chosen])
        except Exception:  # a bug of ours in rendering one event must not end the delivery of all others
            log.exception("%s: event %s cannot be rendered", self._target.name, chosen[0][1].message.event.id)
            return NOT_RENDERED

    def feed(self, outcome: Outcome, answer: Answer, now_s: float) -> None:
        """Let the gate know of an answer; says so when its breaker opens or closes."""
        pause = pause_s(self._target.retry, 1, answer.retry_after_s, luck := random.random())  # noqa: S311
        was, self._gate = self._gate, answered(self._gate, outcome, now_s, pause, luck)
        if self._gate.broken and not was.broken:
            log.warning("%s does not answer: its events wait", self._target.name)
        if was.broken and not self._gate.broken:
            log.warning("%s answers again", self._target.name)
            for backlog in self._backlogs.values():
                backlog.hurry(now_s)

    def may_ask(self, now_s: float) -> bool:
        """Whether something that is no event may be sent now: it never goes before events, nor knocks at a broken target."""
        opens = opens_s(self._gate, self._target.rate_per_s, now_s, len(self._open))
        return opens == now_s and not self._gone and not self._gate.broken

    async def _conclude(
        self, backlog: Backlog, waiting: Waiting, outcome: Outcome, answer: Answer, now_s: float, pause: float, n: int
    ) -> None:
        """Settle one of the n events of an attempt, or have it tried again."""
        message, attempts, name = waiting.message, waiting.attempts, self._target.name
        if outcome == "delivered":
            await self._log.write("delivered", name, message, attempts)
            return self._settled(backlog, waiting, "delivered")
        if outcome == "refused" and n > 1:
            waiting.alone = True
            return backlog.try_again(waiting, now_s)
        passing = outcome in ("again", "busy")
        if passing and now_s - waiting.since_s < self._target.retry.give_up_after_s:
            if not waiting.on_log:  # a restart must not begin its time anew
                await self._log.write("trying", name, message, attempts, waiting.since_s)
                waiting.on_log = True
            self.counts["tried again"] += 1
            return backlog.try_again(waiting, now_s + pause)
        reason = f"given up after {attempts} attempts: {answer}" if passing else f"{outcome}: {answer}"
        await self._log.bury(message, name, reason)
        await self._log.write("dead", name, message, attempts)
        return self._settled(backlog, waiting, "dead letters")

    def _settled(self, backlog: Backlog, waiting: Waiting, count: str) -> None:
        backlog.settle(waiting)
        self.counts[count] += 1
