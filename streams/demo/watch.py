"""Looks at the stack while the play runs: ClickHouse through the views anybody may use, Kafka as any consumer would.

Only reads. The law: a question that fails (a part is just being restarted) leaves the last answer standing; the play
goes on.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Mapping
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from streams.demo.expected import AlertEvent, read_event
from streams.demo.view import EVALUATORS, Rate
from streams.settings import Settings
from streams.store.client import connect
from streams.topics import kafka_options

COUNTS_SQL = """
SELECT
    (SELECT uniqExact(trace_id, span_id) FROM v1_spans),
    countIf(state = 'decided'),
    countIf(state = 'open')
FROM v1_trajectories
"""
RATES_SQL = """
SELECT workflow, step, evaluator, count(), countIf(verdict = 'fail')
FROM v1_results
WHERE evaluator IN {evaluators:Array(String)} AND verdict IN ('pass', 'fail') AND position(step, '/') > 0
  AND final AND anchor > now() - INTERVAL 30 SECOND
GROUP BY workflow, step, evaluator
"""
Rates = dict[tuple[str, str], dict[str, Rate]]


class StoreWatch:
    """What ClickHouse says."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: Client | None = None
        self.stored = self.decided = self.open_windows = 0
        self.rates: Mapping[tuple[str, str], Mapping[str, Rate]] = {}
        self.spans_per_s = 0.0
        self._counted_at = time.monotonic()

    def look(self) -> None:
        """Ask once. Blocking, some tens of milliseconds."""
        client = self._client = self._client or connect(self._settings)
        with contextlib.suppress(ClickHouseError, OSError):
            self._count(client)
            self.rates = _rates(client)

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Column names and rows of a query. Blocking; raises what the client raises."""
        client = self._client or connect(self._settings)
        answer = client.query(sql, parameters=dict(parameters or {}))
        return list(answer.column_names), [tuple(row) for row in answer.result_rows]

    def close(self) -> None:
        """Disconnect."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _count(self, client: Client) -> None:
        (stored, self.decided, self.open_windows), *_ = client.query(COUNTS_SQL).result_rows
        now = time.monotonic()
        passed_s = now - self._counted_at
        current = (stored - self.stored) / passed_s if passed_s > 0 else 0.0
        self.spans_per_s += (current - self.spans_per_s) * 0.3  # smoothed: batches come in bursts
        self.stored, self._counted_at = stored, now


def _rates(client: Client) -> Rates:
    found: Rates = {}
    answer = client.query(RATES_SQL, parameters={"evaluators": list(EVALUATORS)})
    for workflow, step, evaluator, judged, failed in answer.result_rows:
        found.setdefault((workflow, step), {})[evaluator] = Rate(judged, failed)
    return found


class KafkaWatch:
    """What the alerts topic says, and how far the scorer lags. Used with `async with`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        options = kafka_options(settings)
        self._alerts = AIOKafkaConsumer(**options, group_id=None, enable_auto_commit=False)
        self._admin = AIOKafkaAdminClient(**options, request_timeout_ms=5_000)
        self.events: list[AlertEvent] = []
        self.lag: int | None = None

    async def __aenter__(self) -> Self:
        """Connect, and read the alerts topic from its beginning."""
        await self._alerts.start()
        await self._admin.start()
        topic = self._settings.alerts_topic
        self._alerts.assign([TopicPartition(topic, p) for p in range(self._settings.outcomes_partitions)])
        await self._alerts.seek_to_beginning()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect."""
        await self._alerts.stop()
        await self._admin.close()

    async def look(self) -> list[AlertEvent]:
        """Ask once; the alert events that are new."""
        new: list[AlertEvent] = []
        with contextlib.suppress(KafkaError, OSError, asyncio.TimeoutError):
            for records in (await self._alerts.getmany(timeout_ms=200)).values():
                new += [event for record in records if (event := _event(record)) is not None]
            self.lag = await self._lag()
        self.events += new
        return new

    async def _lag(self) -> int:
        spans = [TopicPartition(self._settings.spans_topic, p) for p in range(self._settings.spans_partitions)]
        ends = await self._alerts.end_offsets(spans)
        done = await self._admin.list_consumer_group_offsets(self._settings.scorer_group, partitions=spans)
        return sum(end - max(0, done[partition].offset) for partition, end in ends.items() if end)


def _event(record: Any) -> AlertEvent | None:
    if not record.value:
        return None
    return read_event(record.headers, json.loads(record.value))
