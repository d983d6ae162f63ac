"""How far the scorers lag behind the spans topic, in seconds: an upper estimate from offsets alone.

The lag is the age of the newest moment whose end of the topic the scorers have committed by now. No record is read for it.
"""

import time
from collections import deque

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from streams.settings import Settings
from streams.topics import kafka_options

MOMENTS_MAX = 1_000
Offsets = dict[TopicPartition, int]


class Moments:
    """Ends of the topic as they were seen, oldest first."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, Offsets]] = deque(maxlen=MOMENTS_MAX)

    def lag_s(self, now_s: float, ends: Offsets, committed: Offsets) -> float:
        """Remember the ends of now; the age of the newest moment that is committed as a whole."""
        self._seen.append((now_s, ends))
        reached = [i for i, (_, then) in enumerate(self._seen) if _covers(committed, then)]
        for _ in range(reached[-1] if reached else 0):
            self._seen.popleft()
        return now_s - self._seen[0][0]


def _covers(committed: Offsets, ends: Offsets) -> bool:
    return all(committed.get(tp, 0) >= end for tp, end in ends.items())


class ScorerLag:
    """Asks the broker. Connects at the first measurement."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._moments = Moments()
        self._clients: tuple[AIOKafkaAdminClient, AIOKafkaConsumer] | None = None

    async def measure(self) -> float:
        """The lag now. Raises KafkaError."""
        admin, consumer = self._clients or await self._connect()
        partitions = [TopicPartition(self._settings.spans_topic, p) for p in range(self._settings.spans_partitions)]
        ends = await consumer.end_offsets(partitions)
        offsets = await admin.list_consumer_group_offsets(self._settings.scorer_group, partitions=partitions)
        committed = {tp: found.offset for tp, found in offsets.items()}
        return self._moments.lag_s(time.monotonic(), ends, committed)

    async def _connect(self) -> tuple[AIOKafkaAdminClient, AIOKafkaConsumer]:
        options = kafka_options(self._settings)
        admin, consumer = AIOKafkaAdminClient(**options), AIOKafkaConsumer(**options, group_id=None)
        await admin.start()
        await consumer.start()
        self._clients = admin, consumer
        return self._clients

    async def stop(self) -> None:
        """Disconnect."""
        if self._clients:
            admin, consumer = self._clients
            await admin.close()
            await consumer.stop()
