"""The events of one partition that are on their way to one target. Pure: no I/O, and time is handed in.

The laws: events of one alert go one after the other, in their order; one that is tried again holds up its own alert
only; a repetition is never handed out; `committable` is never beyond an event that is not settled.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from streams.delivery.message import Message, Place


@dataclass(slots=True)
class Waiting:
    """An event, and what was tried so far."""

    message: Message
    due_s: float
    since_s: float  # when it first could have been delivered: the time to give up counts from here
    attempts: int = 0
    alone: bool = False  # was refused together with others: one of them may be at fault
    busy: bool = False  # handed out
    on_log: bool = False  # the delivery log knows since when it waits


class Backlog:
    """Lanes, one an alert, and the offsets behind them."""

    def __init__(self, start: int, settled: Mapping[str, Place]) -> None:
        self._admitted = dict(settled)
        self._lanes: dict[str, deque[Waiting]] = {}
        self._taken: deque[int] = deque()  # offsets from the least that is not done
        self._done: set[int] = set()
        self._end = start
        self.waiting = 0

    @property
    def committable(self) -> int:
        """Everything before this offset is settled."""
        return self._taken[0] if self._taken else self._end

    @property
    def ahead(self) -> int:
        """How many records were taken at and after `committable`."""
        return len(self._taken)

    def pass_over(self, offset: int) -> None:
        """A record with nothing to deliver."""
        self._take(offset)
        self._finish(offset)

    def admit(self, message: Message, now_s: float, since_s: float | None = None) -> bool:
        """Take an event in; False for a repetition of one that is settled or waits already."""
        key = message.alert_key
        if message.place <= self._admitted.get(key, (0, 0)):
            self.pass_over(message.offset)
            return False
        self._admitted[key] = message.place
        self._take(message.offset)
        self._lanes.setdefault(key, deque()).append(
            Waiting(message, now_s, now_s if since_s is None else since_s, on_log=since_s is not None)
        )
        self.waiting += 1
        return True

    def ready(self, now_s: float) -> list[Waiting]:
        """The events that may be tried now, at most one an alert, oldest first."""
        return sorted((w for w in self.next_up() if w.due_s <= now_s), key=lambda w: w.message.offset)

    def next_up(self) -> Iterator[Waiting]:
        """The first event of each alert, but for those that are handed out."""
        return (lane[0] for lane in self._lanes.values() if not lane[0].busy)

    def hand_out(self, waiting: Waiting) -> None:
        """It is being tried: nobody else may have it."""
        assert not waiting.busy, "an event is tried once at a time"
        waiting.busy = True

    def try_again(self, waiting: Waiting, due_s: float) -> None:
        """It failed."""
        waiting.busy, waiting.due_s = False, due_s

    def hurry(self, now_s: float) -> None:
        """The target is back: nobody waits for the end of a pause that was meant for its absence."""
        for waiting in self.next_up():
            waiting.due_s = min(waiting.due_s, now_s)

    def settle(self, waiting: Waiting) -> None:
        """It is delivered or a dead letter, and that is on the log."""
        lane = self._lanes[waiting.message.alert_key]
        assert lane[0] is waiting, "an alert's events are settled in their order"
        lane.popleft()
        if not lane:
            del self._lanes[waiting.message.alert_key]
        self.waiting -= 1
        self._finish(waiting.message.offset)

    def _take(self, offset: int) -> None:
        assert offset >= self._end, "records come in the order of their offsets"
        self._taken.append(offset)
        self._end = offset + 1

    def _finish(self, offset: int) -> None:
        self._done.add(offset)
        while self._taken and self._taken[0] in self._done:
            self._done.remove(self._taken.popleft())
