"""Failpoints: named places where a test ends the process as `kill -9` would. Off unless `STEPWATCH_FAILPOINT=name:n` is set.

The law: every effect that a part has on Kafka or the store lies between two of them. An effect that has nothing to do in a
flush (no rows, no records) passes neither.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

EFFECTS = {
    "scorer": (
        *("spans", "logs", "trajectories", "published", "verdict_changes", "ledger"),  # INSERTs
        *("outcomes", "dead_letters"),  # onto Kafka, acknowledged
        *("dlq_index", "commit"),
    ),
    "gateway": ("record", "gateway_ledger"),
    "alerter": ("alerts", "alert_events", "checkpoint", "commit"),
}
MOMENTS = {
    "scorer": (
        "chunk_folded",  # spans are in memory, nothing is written
        "root_undecided",  # a trace with its root seen is stored, its decision is still to come
    ),
}
POINTS = {
    part: (*MOMENTS.get(part, ()), *(f"{when}_{effect}" for effect in effects for when in ("before", "after")))
    for part, effects in EFFECTS.items()
}
NAMES = tuple(dict.fromkeys(name for names in POINTS.values() for name in names))
REACHED = "failpoint reached: "


class Failpoint:
    """Kills the process at the n-th pass of one named point, and says so on stderr."""

    def __init__(self, spec: str | None) -> None:
        self._name, _, passes = (spec or "").partition(":")
        self._left = int(passes or 1)
        if self._name and self._name not in NAMES:
            raise ValueError(f"unknown failpoint {self._name!r}; there are {', '.join(NAMES)}")

    def hit(self, name: str) -> None:
        """Pass the point `name`."""
        if name == self._name:
            self._left -= 1
            if self._left == 0:
                os.write(2, f"{REACHED}{name}\n".encode())  # unbuffered: nothing is flushed after it
                os.kill(os.getpid(), signal.SIGKILL)

    @contextmanager
    def around(self, effect: str) -> Iterator[None]:
        """Pass the point before the effect, and the one after it when it was had: not where it raises."""
        self.hit(f"before_{effect}")
        yield
        self.hit(f"after_{effect}")
