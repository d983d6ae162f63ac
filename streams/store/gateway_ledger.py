"""The sender's side of the ledger, read: what gateways were sent, and whether what they saw acknowledged is accounted for.

A gateway never counts what Kafka has not acknowledged, and the scorer counts all that is in the log: so of each stretch of a
partition the log must hold at least what gateways told of it. What it holds beyond that came by another way (a Collector that
writes to Kafka itself), or from a gateway that was killed before its next word.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from clickhouse_connect.driver.client import Client

from schemas.signal import LOGS, TRACES
from streams.store.ledger import Sum, select

SILENT_S = 60  # a gateway speaks every few seconds; after so long one that did not end well is taken for dead

SENT = """
SELECT tenant, sumIf(n, outcome = 'in_log') AS in_log, sumIf(n, outcome = 'refused') AS refused,
    sumIf(n, outcome = 'ignored') AS ignored
FROM gateway_ledger FINAL WHERE topic = {topic:String} AND outcome != 'alive' AND signal = {signal:String}
GROUP BY tenant ORDER BY tenant
"""
REFUSED = """
SELECT reason, sum(n) FROM gateway_ledger FINAL WHERE topic = {topic:String} AND outcome = 'refused'
GROUP BY reason ORDER BY sum(n) DESC, reason
"""
TOLD = """
SELECT partition, tenant, signal, first_offset, last_offset, n
FROM gateway_ledger FINAL WHERE topic = {topic:String} AND outcome = 'in_log'
"""
# `written_at` is the server's clock, as now() is.
SILENT = """
SELECT gateway, toString(toDateTime(intDiv(max(told_ms), 1000), 'UTC')) AS last_word
FROM gateway_ledger FINAL WHERE topic = {topic:String} AND outcome = 'alive'
GROUP BY gateway HAVING max(is_last) = 0 AND max(written_at) < now() - {silent_s:UInt32} ORDER BY last_word
"""


class Sent(NamedTuple):
    """What gateways were sent for one tenant, and what became of it."""

    tenant: str
    in_log: int
    refused: int
    ignored: int

    @property
    def sent(self) -> int:
        """All of it: each is in the log, refused with a reason, or ignored."""
        return self.in_log + self.refused + self.ignored


class Told(NamedTuple):
    """What a gateway's word says of a stretch of a partition."""

    partition: int
    tenant: str
    signal: str
    first_offset: int
    last_offset: int
    n: int


class Silent(NamedTuple):
    """A gateway that ended without a last word, and when it spoke last."""

    gateway: str
    last_word: str


class SendersSide(NamedTuple):
    """All that gateways told of a topic."""

    words: list[Told]  # of what is in the log
    sent: dict[str, list[Sent]]  # by signal: a sum a tenant
    refused: dict[str, int]  # by reason
    silent: list[Silent]


def read(client: Client, topic: str, silent_s: int = SILENT_S) -> SendersSide:
    """Read it before the scorers' side: what is counted after it was told can only be more. Raises StoreUnavailable."""
    return SendersSide(
        [Told(*row) for row in select(client, TOLD, topic)],
        {signal: [Sent(*row) for row in select(client, SENT, topic, signal=signal)] for signal in (TRACES, LOGS)},
        {str(reason): int(n) for reason, n in select(client, REFUSED, topic)},
        [Silent(*row) for row in select(client, SILENT, topic, silent_s=silent_s)],
    )


def lost(words: Iterable[Told], found: Sequence[Sum]) -> dict[tuple[int, str, str], int]:
    """What gateways saw acknowledged and the scorer never counted, by partition, tenant and signal; empty where both sides agree.

    Words of stretches that the ledger does not reach, because they are read later or were forgotten, are left out.
    """
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    counted: dict[tuple[int, str, str], int] = {}
    for each in found:
        first[each.partition] = min(first.get(each.partition, each.first_offset), each.first_offset)
        last[each.partition] = max(last.get(each.partition, 0), each.last_offset)
        counted[each.partition, each.tenant, TRACES] = each.spans
        counted[each.partition, each.tenant, LOGS] = each.log_records
    seen: dict[tuple[int, str, str], int] = {}
    for word in words:
        place = word.partition, word.tenant, word.signal
        if (
            word.partition in first
            and first[word.partition] <= word.first_offset
            and word.last_offset <= last[word.partition]
        ):
            seen[place] = seen.get(place, 0) + word.n
    missing = {place: n - counted.get(place, 0) for place, n in sorted(seen.items())}
    return {place: n for place, n in missing.items() if n > 0}
