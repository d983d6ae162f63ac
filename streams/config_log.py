"""The config log `eval.config`: registry and rules as every worker sees them.

One record holds both texts, so a worker never judges under a registry of one moment and rules of another. The offset of the
newest record is `config_seq`; it is part of a row's revision. A worker reads the log to its end at start and at every
assignment, before it judges, so its config is never older than a predecessor's.
"""

from typing import Any, NamedTuple

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from streams.console.errors import UserError
from streams.settings import Settings
from streams.topics import kafka_options, start_client

KEY = b"config"


class ConfigRecord(NamedTuple):
    """The config in force from `seq` on. Empty texts: nothing was ever applied."""

    seq: int
    registry_text: str
    rules_text: str


NOTHING_APPLIED = ConfigRecord(0, "", "")


class ConfigReader:
    """A group-less reader of the config log; `latest` is cheap when nothing is new."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._partition = settings, TopicPartition(settings.config_topic, 0)
        options: dict[str, Any] = {**kafka_options(settings), "max_partition_fetch_bytes": 8 << 20}
        self._consumer = AIOKafkaConsumer(**options, group_id=None, enable_auto_commit=False)
        self._newest = NOTHING_APPLIED
        self.started = False

    async def start(self) -> None:
        """Connect. Raises UserError when the broker or the topic is not there."""
        await start_client(self._consumer, self._settings)
        if not self._consumer.partitions_for_topic(self._partition.topic):
            await self._consumer._client.force_metadata_update()
        if not self._consumer.partitions_for_topic(self._partition.topic):
            raise UserError(f"topic {self._partition.topic} does not exist: run `stepwatch topics apply`")
        self._consumer.assign([self._partition])
        await self._consumer.seek_to_beginning(self._partition)
        self.started = True

    async def latest(self) -> ConfigRecord:
        """The newest record, having read the log to its end as it was when this was called."""
        await self.read_new()
        return self._newest

    async def read_new(self) -> list[ConfigRecord]:
        """The records that came since the last call, oldest first."""
        found: list[ConfigRecord] = []
        end = (await self._consumer.end_offsets([self._partition]))[self._partition]
        while await self._consumer.position(self._partition) < end:
            records = (await self._consumer.getmany(timeout_ms=500)).get(self._partition, [])
            found.extend(_decode(record.offset + 1, record.value) for record in records)
        self._newest = found[-1] if found else self._newest
        return found

    async def stop(self) -> None:
        """Disconnect."""
        await self._consumer.stop()


async def read_config(settings: Settings) -> ConfigRecord:
    """The newest config, once."""
    reader = ConfigReader(settings)
    try:
        await reader.start()
        return await reader.latest()
    finally:
        await reader.stop()


async def publish_config(settings: Settings, registry_text: str | None, rules_text: str | None) -> int:
    """Append a config record; return its seq. A text that is None is taken over from the newest record.

    The caller has checked the texts: what is on this log is taken by every worker.
    """
    newest = await read_config(settings)
    value = orjson.dumps(
        {
            "v": 1,
            "registry": newest.registry_text if registry_text is None else registry_text,
            "rules": newest.rules_text if rules_text is None else rules_text,
        }
    )
    producer = AIOKafkaProducer(
        **kafka_options(settings), acks="all", enable_idempotence=True, max_request_size=8 << 20
    )
    await producer.start()
    try:
        metadata = await producer.send_and_wait(settings.config_topic, value, key=KEY, partition=0)
    finally:
        await producer.stop()
    return int(metadata.offset) + 1


def _decode(seq: int, value: bytes | None) -> ConfigRecord:
    if not value:
        return NOTHING_APPLIED
    fields = orjson.loads(value)
    return ConfigRecord(seq, fields["registry"], fields["rules"])
