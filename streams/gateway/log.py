"""The spans topic as the gateway writes it: explicit partition, acknowledged by all in-sync replicas, each record once.

An idempotent producer never gives a record up while the broker is away; who waits for the answer decides how long.
After a record that the broker refused for good the producer's sequence numbers have a gap, so it is replaced by a
fresh one.
"""

import asyncio
import contextlib
import logging

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError

from schemas.signal import SIGNAL_HEADER, TRACES
from streams.console.errors import UserError
from streams.failpoint import Failpoint
from streams.gateway.limits import MIB, RECORD_BYTES_MAX
from streams.settings import Settings
from streams.topics import kafka_options, start_client

TENANT_HEADER, DEFAULT_TENANT = "stepwatch-tenant", "default"
CONNECT_TIMEOUT_S = 10.0
PROBE_TIMEOUT_S = 2.0

logger = logging.getLogger(__name__)


class SpanLog:
    """The producer of the spans topic. `start` first, `stop` last."""

    def __init__(self, settings: Settings, failpoint: Failpoint | None = None) -> None:
        self._settings = settings
        self._failpoint = failpoint or Failpoint(None)
        self._producer: AIOKafkaProducer | None = None
        self._connecting = asyncio.Lock()
        self._retiring: set[asyncio.Task[None]] = set()
        self.partitions = 0  # of the topic, as the broker says at `start`: fixed for life

    async def start(self) -> None:
        """Connect and count the partitions. Raises UserError when the broker or the topic is not there."""
        self.partitions = await partition_count(self._settings)
        try:
            await self._connected()
        except KafkaError as error:
            raise UserError(f"the gateway cannot write to Kafka: {error}") from error

    async def append(self, partition: int, record: bytes, tenant: str, signal: str = TRACES) -> int:
        """The record's offset, when Kafka has it. Raises KafkaError; MessageSizeTooLargeError when it never will take it."""
        producer = await self._connected()
        headers = [] if tenant == DEFAULT_TENANT else [(TENANT_HEADER, tenant.encode())]
        headers += [] if signal == TRACES else [(SIGNAL_HEADER, signal.encode())]
        try:
            topic = self._settings.spans_topic
            with self._failpoint.around("record"):
                kept = await producer.send_and_wait(topic, record, partition=partition, headers=headers)
        except KafkaTimeoutError:  # it waited for its turn in vain; nothing was sent
            raise
        except KafkaError as error:
            logger.warning("a record was not taken, the producer is replaced: %s", error)
            self._retire(producer)
            raise
        return int(kept.offset)

    async def reachable(self) -> bool:
        """Whether the broker answers now."""
        producer = self._producer
        if producer is None:
            return False
        asked = asyncio.ensure_future(producer.client.force_metadata_update())
        done, _ = await asyncio.wait({asked}, timeout=PROBE_TIMEOUT_S)
        return bool(done) and bool(asked.result())

    async def stop(self, timeout_s: float) -> None:
        """Disconnect; records that are not acknowledged within the time are given up (their senders were told so)."""
        if self._producer is not None:
            self._retire(self._producer)
        if self._retiring:
            _, pending = await asyncio.wait(self._retiring, timeout=timeout_s)
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)

    async def _connected(self) -> AIOKafkaProducer:
        async with self._connecting:
            if self._producer is None:
                self._producer = await self._connect()
            return self._producer

    async def _connect(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            **kafka_options(self._settings),
            acks="all",
            enable_idempotence=True,
            compression_type="lz4",
            max_request_size=RECORD_BYTES_MAX + MIB,  # our own bound is the one that is named
            max_batch_size=MIB,
        )
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await producer.start()
        except BaseException as error:
            await producer.stop()
            if isinstance(error, TimeoutError | OSError):
                raise KafkaConnectionError(f"no answer from {self._settings.bootstrap_servers}") from error
            raise
        return producer

    def _retire(self, producer: AIOKafkaProducer) -> None:
        if self._producer is producer:
            self._producer = None
            task = asyncio.create_task(_stopped(producer))
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)


async def _stopped(producer: AIOKafkaProducer) -> None:
    with contextlib.suppress(KafkaError):
        await producer.stop()


async def partition_count(settings: Settings) -> int:
    """How many partitions the spans topic has. Raises UserError when the broker or the topic is not there."""
    admin = AIOKafkaAdminClient(**kafka_options(settings), request_timeout_ms=15_000)
    try:
        await start_client(admin, settings)
        (topic,) = await admin.describe_topics([settings.spans_topic])
    except (KafkaError, OSError) as error:
        raise UserError(
            f"the Kafka broker at {settings.bootstrap_servers} does not describe topic {settings.spans_topic}: {error}"
        ) from error
    finally:
        await admin.close()
    if topic["error_code"] or not topic["partitions"]:
        raise UserError(f"topic {settings.spans_topic} does not exist: run `stepwatch topics apply`")
    return len(topic["partitions"])
