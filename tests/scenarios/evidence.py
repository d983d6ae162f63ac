"""The evidence of an event counted again, from the outcome log alone.

An event tells n outcomes and their fails since its onset. They must be those of whole ten-second buckets that ended before
the record it follows from: of some number of the last ones when the alert opens, and from the same bucket on ever after.
"""

from collections.abc import Iterable
from itertools import accumulate

from schemas.alert import AlertEvent
from schemas.outcome import OutcomeRecord
from streams.core.series import BUCKET_MS
from tests.scenarios.heard import Logged

Name = tuple[str, str, str, str]  # tenant, workflow, step, evaluator


class Counts:
    """The outcomes of every series, each run once, in log order."""

    def __init__(self, log: Iterable[Logged]) -> None:
        self._found: dict[Name, list[tuple[int, int, bool]]] = {}  # offset, bucket, failed
        self._began: dict[tuple[str, int], int] = {}  # by alert and episode: its first bucket
        seen: set[tuple[str, str]] = set()
        clock: dict[int, int] = {}
        for partition, offset, append_ms, record in log:
            clock[partition] = max(clock.get(partition, 0), append_ms)
            for trace in record.traces if isinstance(record, OutcomeRecord) else ():
                if (record.tenant, trace.trace_id) in seen:
                    continue
                seen.add((record.tenant, trace.trace_id))
                for o in trace.outcomes:
                    entry = offset, clock[partition] // BUCKET_MS, o.last == "fail"
                    self._found.setdefault((record.tenant, record.workflow, o.step, o.evaluator), []).append(entry)

    def problems(self, event: AlertEvent) -> list[str]:
        """What the evidence of an event tells otherwise. Events of an alert must come in their order."""
        labels = dict(event.labels)
        outcomes = self._found.get((event.tenant, labels["workflow"], labels["step"], labels["evaluator"]), [])
        told = event.evidence.n, round(event.evidence.fails)
        ended = event.time_ms // BUCKET_MS
        buckets: dict[int, tuple[int, int]] = {}
        for offset, bucket, failed in outcomes:
            if offset < event.offset and bucket < ended:
                n, fails = buckets.get(bucket, (0, 0))
                buckets[bucket] = n + 1, fails + failed
        newest_first = sorted(buckets, reverse=True)
        sums = accumulate((buckets[b] for b in newest_first), lambda a, b: (a[0] + b[0], a[1] + b[1]))
        fits = [bucket for bucket, summed in zip(newest_first, sums, strict=True) if summed == told]
        alert = event.alert_key, event.episode
        if not fits:
            return [f"{told[1]} of {told[0]} failed, says {event.type}; no such buckets are on the outcome log"]
        if self._began.setdefault(alert, fits[0]) not in fits:
            return [f"{event.type} counts from another bucket than the event that opened the alert"]
        return []
