"""The corpus of the shared generator, packed anew: the same spans in records of another size."""

from collections.abc import Iterator

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from schemas.partition import sarama
from tests.bench.__main__ import PARTITIONS

Part = tuple[int, bytes, int]  # partition, an export of spans of one trace, how many spans


def parts(framed: Iterator[tuple[bytes, bytes]]) -> list[Part]:
    """The parts of traces as they were generated, in their order; about six spans each."""
    return [(sarama(key, PARTITIONS), value, _count(value)) for key, value in framed]


def packed(of: list[Part], spans: int) -> tuple[list[tuple[int, bytes]], float]:
    """(partition, record) with about so many spans a record, and how many there are on average.

    Parts are never mixed across partitions; smaller records than a part are made by taking it apart.
    """
    pieces = [piece for part in of for piece in (_apart(part) if spans < part[2] else (part,))]
    held: dict[int, list[Part]] = {}
    records: list[tuple[int, bytes]] = []
    for piece in pieces:
        waiting = held.setdefault(piece[0], [])
        waiting.append(piece)
        if sum(count for _, _, count in waiting) >= spans:
            records.append(_one(held.pop(piece[0])))
    records += [_one(waiting) for waiting in held.values()]
    return records, sum(count for _, _, count in pieces) / len(records)


def _one(waiting: list[Part]) -> tuple[int, bytes]:
    return waiting[0][0], b"".join(value for _, value, _ in waiting)  # concatenated exports are one export


def _count(value: bytes) -> int:
    export = ExportTraceServiceRequest.FromString(value)
    return sum(len(scope.spans) for resource in export.resource_spans for scope in resource.scope_spans)


def _apart(part: Part) -> Iterator[Part]:
    export = ExportTraceServiceRequest.FromString(part[1])
    for resource in export.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                alone = ExportTraceServiceRequest()
                sent = alone.resource_spans.add(resource=resource.resource, schema_url=resource.schema_url)
                sent.scope_spans.add(scope=scope.scope, schema_url=scope.schema_url).spans.append(span)
                yield part[0], bytes(alone.SerializeToString()), 1
