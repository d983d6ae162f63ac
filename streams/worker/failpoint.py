"""Failpoints: named places where a test ends the process as `kill -9` would. Off unless `STEPWATCH_FAILPOINT=name:n` is set."""

import os
import signal

NAMES = (
    "chunk_folded",  # spans are in memory, nothing is written
    "before_spans",
    "after_spans",  # INSERT of spans acknowledged
    "before_trajectories",
    "after_trajectories",  # INSERT of trajectories acknowledged
    "before_outcomes",
    "after_outcomes",  # outcomes of decided traces acknowledged by Kafka; a flush that has none does not pass it
    "root_undecided",  # a trace with its root seen is stored, its decision is still to come
)


class Failpoint:
    """Kills the process at the n-th pass of one named point."""

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
                os.kill(os.getpid(), signal.SIGKILL)
