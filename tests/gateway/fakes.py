"""A spans topic in memory, which can be told to hold its answers or to fail, and spans to put on it."""

import asyncio
from collections.abc import Awaitable, Callable

from aiokafka.errors import KafkaError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from schemas.otlp import split
from schemas.signal import TRACES
from schemas.span import RawSpan


class ListLog:
    """Records by arrival: (partition, spans, tenant). `release` lets held answers go."""

    def __init__(self, partitions: int = 48) -> None:
        self.partitions = partitions
        self.records: list[tuple[int, list[RawSpan], str]] = []
        self.signals: list[str] = []  # of the records
        self.error: KafkaError | None = None
        self.release = asyncio.Event()
        self.release.set()
        self.asked = asyncio.Event()

    async def append(self, partition: int, record: bytes, tenant: str, signal: str = TRACES) -> int:
        self.asked.set()
        await self.release.wait()
        if self.error is not None:
            raise self.error
        self.records.append((partition, split(record), tenant))
        self.signals.append(signal)
        return len(self.records) - 1

    async def reachable(self) -> bool:
        return self.error is None

    @property
    def spans(self) -> list[bytes]:
        """All spans on the topic, in any order."""
        return sorted(raw.span for _, spans, _ in self.records for raw in spans)


def trace_id(n: int) -> bytes:
    return n.to_bytes(16, "big")


def span(n: int, *, trace: int = 1, **fields: object) -> Span:
    return Span(**{"trace_id": trace_id(trace), "span_id": n.to_bytes(8, "big"), "name": f"span {n}", **fields})  # type: ignore[arg-type]


def serialised(*spans: Span) -> list[bytes]:
    return sorted(each.SerializeToString() for each in spans)


def request(*spans: Span, service: str = "shop") -> bytes:
    """An export request as an SDK sends it."""
    message = ExportTraceServiceRequest()
    frame = message.resource_spans.add()
    frame.resource.attributes.add(key="service.name").value.string_value = service
    frame.scope_spans.add(spans=spans)
    return bytes(message.SerializeToString())


def ready(body: bytes) -> Callable[[], Awaitable[bytes]]:
    """A request over gRPC that is there already."""

    async def read() -> bytes:
        return body

    return read
