"""The lines of the Kafka client and its kin, sparingly: a broker that is away for a minute makes thousands of them."""

import logging
import time
from collections.abc import Callable

CHATTY = ("aiokafka", "faust", "mode", "kafka", "urllib3", "clickhouse_connect")
LINES_MAX = 10  # of one library
WINDOW_S = 60.0


class Sparingly(logging.Filter):
    """Lets a library say so many lines a minute; the next line after that tells how many were left out."""

    def __init__(
        self, lines_max: int = LINES_MAX, window_s: float = WINDOW_S, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._lines_max, self._window_s, self._now_s = lines_max, window_s, now_s
        self._windows: dict[str, tuple[float, int]] = {}  # by library: when its minute began, lines since then

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is said. Ours always are."""
        library = record.name.partition(".")[0]
        if library not in CHATTY:
            return True
        now_s = self._now_s()
        began_s, lines = self._windows.get(library, (now_s, 0))
        if now_s - began_s >= self._window_s:
            left_out = max(0, lines - self._lines_max)
            began_s, lines = now_s, 0
            if left_out:
                record.msg, record.args = f"{record.getMessage()} ({left_out} lines of {library} were left out)", None
        self._windows[library] = began_s, lines + 1
        return lines < self._lines_max
