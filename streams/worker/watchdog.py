"""Liveness is ours: Faust lives on after a fatal group error and consumes nothing, and an empty assignment looks caught up.

Pure: what was seen of the partitions goes in, alarms come out. The shell (`streams.worker.guard`) asks the broker, through a
client of its own, and ends the process where an alarm is fatal, so that a supervisor starts it anew.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from faust.types import TP

LOOKS_MIN = 3  # without progress: one look after a long pause of the whole process proves nothing


class Seen(NamedTuple):
    """Offsets of one assigned partition."""

    done: int  # all before it is durable
    first: int  # of the first record that the broker still has
    end: int  # of the next record to come


class Alarm(NamedTuple):
    """What is wrong. Records that are lost are counted; only a worker that does not work must end."""

    kind: Literal["stalled", "overtaken", "recreated", "unowned"]
    sentence: str
    is_fatal: bool
    records: int = 0  # lost


def made_anew(topic: str) -> Alarm:
    """The topic is another one than that which this worker reads: its place means nothing in it."""
    said = f"topic {topic} was made anew under this worker. What it held and was not read is lost; the new one is read whole"
    return Alarm("recreated", said, is_fatal=True)


def distrusted(tp: TP, offset: int) -> Alarm:
    """A committed offset was of a topic that is gone."""
    said = f"{tp.topic}-{tp.partition}: offset {offset} is of a topic of this name that is gone; reading begins at its beginning"
    return Alarm("recreated", said, is_fatal=False)


class Watchdog:
    """What it saw before. `stall_s` without progress on a partition that has records, or without a partition, is too long."""

    def __init__(self, stall_s: float, every_s: float) -> None:
        self._stall_s, self._every_s = stall_s, every_s
        self._done: dict[TP, int] = {}
        self._idle: dict[TP, tuple[float, int]] = {}  # seconds and looks without progress
        self._unowned: tuple[float, int] = (0.0, 0)
        self._shorter: set[TP] = set()  # partitions that end before what was done, and of which it was told
        self._taken: dict[TP, int] = {}  # by retention: what lies before it was told
        self._looked_s: float | None = None

    def look(self, now_s: float, partitions: Mapping[TP, Seen], *, waiting: bool, unowned: int = 0) -> list[Alarm]:
        """Alarms of this look. `waiting`: the store or Kafka is away, or state is being read back: nobody is to blame.

        `unowned` partitions belong to no member of the group though this worker has none.
        """
        passed_s = 0.0 if self._looked_s is None else min(now_s - self._looked_s, 2 * self._every_s)
        self._looked_s = now_s
        alarms = [alarm for tp, seen in partitions.items() for alarm in self._lost(tp, seen)]
        self._forget(partitions)
        if waiting:
            self._idle.clear()
            self._done.clear()
            self._unowned = (0.0, 0)
            return alarms
        for tp, seen in partitions.items():
            if self._stalls(tp, seen, passed_s):
                idle_s, _ = self._idle[tp]
                said = (
                    f"{tp.topic}-{tp.partition}: nothing done for {idle_s:.0f} s, {seen.end - seen.done} records wait"
                )
                alarms.append(Alarm("stalled", said, is_fatal=True))
        alarms += self._without(len(partitions), unowned, passed_s)
        return alarms

    def _forget(self, partitions: Mapping[TP, Seen]) -> None:
        for tp in self._done.keys() - partitions.keys():
            del self._done[tp]
            self._idle.pop(tp, None)

    def _stalls(self, tp: TP, seen: Seen, passed_s: float) -> bool:
        before, self._done[tp] = self._done.get(tp), seen.done
        if before != seen.done or seen.done >= seen.end:
            self._idle.pop(tp, None)
            return False
        idle_s, looks = self._idle.get(tp, (0.0, 0))
        self._idle[tp] = idle_s + passed_s, looks + 1
        return idle_s + passed_s >= self._stall_s and looks + 1 >= LOOKS_MIN

    def _lost(self, tp: TP, seen: Seen) -> list[Alarm]:
        """Records that this worker should have read and that are gone; each told once."""
        place = f"{tp.topic}-{tp.partition}"
        if seen.done <= seen.end:
            self._shorter.discard(tp)
        elif tp not in self._shorter:
            self._shorter.add(tp)
            said = (
                f"{place} ends at {seen.end}, before what was committed ({seen.done}): the topic was made anew. What it held "
                "and was not read is lost; reading goes on from its beginning"
            )
            return [Alarm("recreated", said, is_fatal=False)]
        if seen.first < self._taken.get(tp, 0):
            del self._taken[tp]  # another topic
        n = seen.first - max(seen.done, self._taken.get(tp, 0))
        if n <= 0:
            return []
        self._taken[tp] = seen.first
        said = (
            f"{place}: retention overtook this worker, {n} records are lost: keep the topic for longer, or add workers"
        )
        return [Alarm("overtaken", said, is_fatal=False, records=n)]

    def _without(self, assigned: int, unowned: int, passed_s: float) -> list[Alarm]:
        if assigned or not unowned:
            self._unowned = (0.0, 0)
            return []
        idle_s, looks = self._unowned
        self._unowned = idle_s + passed_s, looks + 1
        if idle_s + passed_s < self._stall_s or looks + 1 < LOOKS_MIN:
            return []
        said = f"{unowned} partitions belong to nobody for {idle_s + passed_s:.0f} s, and this worker has none"
        return [Alarm("unowned", said, is_fatal=True)]
