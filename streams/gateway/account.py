"""The gateway's side of the ledger: what became of what was sent, per tenant: in the log (where, too), refused, or ignored.

Counted where it happens and taken by whoever tells it; each thing is taken once. May be used from several threads.
"""

import threading
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

IN_LOG, REFUSED, IGNORED = "in_log", "refused", "ignored"


class Fate(NamedTuple):
    """One sum: whose, and what became of it."""

    tenant: str
    signal: str
    outcome: str
    reason: str = ""
    partition: int = 0


class Amount(NamedTuple):
    """How many, and of what is in the log the offsets of the first and the last record."""

    n: int
    first_offset: int = 0
    last_offset: int = 0


class Account:
    """The sums since they were last taken, and those since the start. Bounded by tenants, partitions and reasons."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._untold: dict[Fate, Amount] = {}
        self._totals: Counter[tuple[str, str, str, str]] = Counter()

    def in_log(self, tenant: str, signal: str, partition: int, offset: int, n: int) -> None:
        """Kafka has acknowledged a record of `n`, at this offset."""
        self._add(Fate(tenant, signal, IN_LOG, "", partition), Amount(n, offset, offset))

    def refused(self, tenant: str, signal: str, reasons: Sequence[str]) -> None:
        """Their sender was told that they are not taken, and why."""
        for reason, n in Counter(reasons).items() if reasons else ():
            self._add(Fate(tenant, signal, REFUSED, reason), Amount(n))

    def ignored(self, tenant: str, signal: str, n: int) -> None:
        """They hold nothing of a span."""
        if n:
            self._add(Fate(tenant, signal, IGNORED), Amount(n))

    def take(self) -> dict[Fate, Amount]:
        """What nobody has taken yet."""
        with self._lock:
            taken, self._untold = self._untold, {}
        return taken

    def totals(self) -> dict[tuple[str, str, str, str], int]:
        """Since the start, by tenant, signal, outcome and (of what is in the log) partition, else ''."""
        with self._lock:
            return dict(self._totals)

    def _add(self, fate: Fate, amount: Amount) -> None:
        with self._lock:
            before = self._untold.get(fate)
            self._untold[fate] = amount if before is None else _together(before, amount)
            partition = str(fate.partition) if fate.outcome == IN_LOG else ""
            self._totals[fate.tenant, fate.signal, fate.outcome, partition] += amount.n


def _together(one: Amount, other: Amount) -> Amount:
    return Amount(one.n + other.n, min(one.first_offset, other.first_offset), max(one.last_offset, other.last_offset))
