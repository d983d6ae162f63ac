"""Which topic a name means now: the id that the broker gives a topic when it is made, and no other topic ever has.

aiokafka asks for metadata in a version that does not carry it, so the request of version 12 is written out here, in the
terms of its protocol module. tests/contract holds the two together.
"""

import base64
from collections.abc import Iterable
from io import BytesIO
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import IncompatibleBrokerVersion
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Boolean, CompactArray, CompactString, Int16, Int32, Schema, TaggedFields

NO_ID = bytes(16)  # what a broker says that knows no ids


class Uuid:
    """16 bytes as they stand."""

    @classmethod
    def encode(cls, value: bytes) -> bytes:
        """Themselves."""
        return value

    @classmethod
    def decode(cls, data: BytesIO) -> bytes:
        """The next 16."""
        return data.read(16)


class _Response(Response):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 12
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString()),
                ("port", Int32),
                ("rack", CompactString()),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString()),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", CompactString()),
                ("topic_id", Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _Struct(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 12
    RESPONSE_TYPE = _Response
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", Uuid), ("name", CompactString()), ("tags", TaggedFields))),
        ("allow_auto_topic_creation", Boolean),
        ("include_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _Request(Request[_Struct]):  # type: ignore[misc]
    API_KEY = 3

    def __init__(self, topics: Iterable[str]) -> None:
        self._topics: list[tuple[bytes, str, dict[int, bytes]]] = [(NO_ID, topic, {}) for topic in topics]

    def build(self, request_struct_class: type[_Struct]) -> _Struct:
        return request_struct_class(self._topics, False, False, {})


async def topic_ids(client: AIOKafkaClient, topics: Iterable[str]) -> dict[str, str]:
    """The ids of those topics that are there, as Kafka's own tools print them; of none where the broker tells none (before
    Kafka 3.1). Raises KafkaError."""
    try:
        answer: Any = await client.send(client.get_random_node(), _Request(topics))
    except (IncompatibleBrokerVersion, NotImplementedError):
        return {}
    found = {name: topic_id for error, name, topic_id, *_ in answer.topics if not error and topic_id != NO_ID}
    return {name: base64.urlsafe_b64encode(topic_id).decode().rstrip("=") for name, topic_id in found.items()}
