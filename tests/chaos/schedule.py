"""What was done and when: told as it happens, printed where a run fails, and asked whether it explains that a scorer ended."""

import time
from collections import Counter
from collections.abc import Callable

# Last words of a scorer that ended by itself, the kind of fault that explains them, and for how long after it. Anything else
# that a scorer says before it ends is an error.
REASONS = (
    ("was made anew under this worker", "topic", 90.0, "its topic was made anew"),
    ("stopping, to be started anew", "outage", 240.0, "the watchdog, after the broker was away"),
    ("no ClickHouse answers at", "store", 45.0, "no store at its start"),
    ("ClickHouse at", "store", 45.0, "no store at its start"),
    ("no Kafka broker answers at", "broker", 90.0, "no broker at its start"),
    ("the Kafka broker at", "broker", 90.0, "no broker at its start"),
)


class Schedule:
    """The record of one run. `told` hears every sentence."""

    def __init__(self, told: Callable[[str], None]) -> None:
        self._told = told
        self._began_s = time.monotonic()
        self._faults_s: dict[str, float] = {}  # by kind: when the last one of it ended
        self.counts: Counter[str] = Counter()

    @property
    def kills(self) -> int:
        """Ends by SIGKILL so far, those at failpoints not among them."""
        return sum(n for name, n in self.counts.items() if name.startswith("kill"))

    def done(self, name: str, *kinds: str, detail: str = "") -> None:
        """A fault. `kinds`: what it may explain."""
        self.counts[name] += 1
        self.touch(*kinds)
        self.say(f"{self.kills} kills; {name}{detail and f' {detail}'}")

    def touch(self, *kinds: str) -> None:
        """Faults of these kinds go on, or end, now."""
        self._faults_s.update(dict.fromkeys(kinds, time.monotonic()))

    def say(self, what: str) -> None:
        """Any other news."""
        self._told(f"{time.monotonic() - self._began_s:6.1f} s  {what}")

    def explain(self, words: str) -> str | None:
        """Why a scorer with these last words ended, where something that was done explains it."""
        now_s = time.monotonic()
        for said, kind, within_s, reason in REASONS:
            if said in words:
                at_s = self._faults_s.get(kind)
                return reason if at_s is not None and now_s - at_s <= within_s else None
        return None
