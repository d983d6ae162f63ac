"""Which failing traces an alert shows: a sample by least hash of the trace id, and the latest.

Bounded, unbiased, and a function of the log alone: replay shows the same ones.
"""

from bisect import insort
from typing import Any, NamedTuple

from xxhash import xxh3_64_intdigest

from schemas.alert import Exemplar

SAMPLED_MAX = 7
LATEST_MAX = 3


class _Seen(NamedTuple):
    rank: int
    log_ms: int
    exemplar: Exemplar


class Exemplars:
    """At most ten failing traces of a change: a sample by hash, and the latest."""

    def __init__(self) -> None:
        self._sample: list[_Seen] = []
        self._latest: list[_Seen] = []

    def add(self, exemplar: Exemplar, log_ms: int) -> None:
        """Offer one."""
        seen = _Seen(xxh3_64_intdigest(exemplar.trace_id.encode()), log_ms, exemplar)
        insort(self._sample, seen)
        del self._sample[SAMPLED_MAX:]
        self._latest = [*self._latest, seen][-LATEST_MAX:]

    def since(self, log_ms: int) -> tuple[Exemplar, ...]:
        """The latest first, then the sample; only those seen at or after a log time."""
        chosen = dict.fromkeys(s for s in [*reversed(self._latest), *self._sample] if s.log_ms >= log_ms)
        return tuple(s.exemplar for s in chosen)

    def state(self) -> list[Any]:
        """All that `load` needs."""
        return [self._sample, self._latest]

    def load(self, state: list[Any]) -> None:
        """The inverse of `state`."""
        self._sample, self._latest = ([_Seen(r, ms, Exemplar(*e)) for r, ms, e in seen] for seen in state)
