"""Every transition into ClickHouse `alert_events`, behind Kafka: a store that is away delays the history, never an alert.

One writer, one INSERT at a time, tried for ever. The law: after `drained` returns, all rows added before are queryable.
"""

import asyncio
import logging
from collections.abc import Sequence

import orjson

from schemas.alert import AlertEvent, Pipeline
from schemas.cloud_event import body
from streams.alerter.patience import patiently
from streams.failpoint import Failpoint
from streams.settings import Settings
from streams.store.alert_events import AlertEventRow
from streams.store.client import connect
from streams.store.errors import DataError
from streams.store.writer import Writer

ROWS_WAITING_MAX = 100_000  # then folding waits too
ROWS_PER_INSERT_MAX = 1_000

log = logging.getLogger(__name__)


class History:
    """The rows on their way to the store. `run` writes them; somebody must keep it running."""

    def __init__(self, settings: Settings, failpoint: Failpoint | None = None) -> None:
        self._settings = settings
        self._failpoint = failpoint or Failpoint(None)
        self._writer: Writer | None = None
        self._waiting: asyncio.Queue[AlertEventRow] = asyncio.Queue(ROWS_WAITING_MAX)

    async def add(self, events: Sequence[AlertEvent]) -> None:
        """Hand events in."""
        for event in events:
            await self._waiting.put(row_of(event))

    async def drained(self) -> None:
        """Wait until all that was handed in is stored."""
        await self._waiting.join()

    async def run(self) -> None:
        """Write for ever."""
        while True:
            rows = [await self._waiting.get()]
            while len(rows) < ROWS_PER_INSERT_MAX and not self._waiting.empty():
                rows.append(self._waiting.get_nowait())
            await self._write(rows)
            for _ in rows:
                self._waiting.task_done()

    async def _write(self, rows: list[AlertEventRow]) -> None:
        """Store rows; those that the store calls wrong are logged, and their good neighbours stored."""
        try:
            with self._failpoint.around("alert_events"):
                await patiently("storing alert events", lambda: asyncio.to_thread(self._insert, rows))
        except DataError as error:
            if len(rows) == 1:
                log.error("alert event %s cannot be stored: %s", rows[0].id, error)
                return
            for row in rows:
                await self._write([row])

    def _insert(self, rows: list[AlertEventRow]) -> None:
        if self._writer is None:
            self._writer = Writer(connect(self._settings))
        self._writer.write_alert_events(rows)


def row_of(event: AlertEvent) -> AlertEventRow:
    """The event as a row. Its payload has the time of the transition for `emitted_at`, so that equal events are equal rows."""
    labels, evidence = dict(event.labels), event.evidence
    return AlertEventRow(
        alert_key=event.alert_key,
        episode=event.episode,
        seq=event.seq,
        id=event.id,
        type=event.type,
        status=event.status,
        reason=event.reason,
        tenant=event.tenant,
        workflow=labels.get("workflow", ""),
        step=labels.get("step", ""),
        evaluator=labels.get("evaluator", ""),
        rule_uid=event.rule.uid,
        rule_version=str(event.rule.version),
        severity=event.rule.severity,
        starts_ms=event.starts_ms,
        fired_ms=event.fired_ms,
        resolved_ms=event.resolved_ms,
        event_ms=event.time_ms,
        labels=labels,
        n=evidence.n,
        fails=round(evidence.fails),
        rate=evidence.rate,
        lo=evidence.lo,
        hi=evidence.hi,
        payload=orjson.dumps(body(event, Pipeline(event.time_ms, ""))).decode(),
    )
