"""The corpus packed anew holds the same spans, in the partitions they were in."""

from collections import Counter

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.bench.matrix.corpus import packed, parts


def export(trace: int, spans: range) -> bytes:
    message = ExportTraceServiceRequest()
    resource = message.resource_spans.add()
    resource.resource.attributes.add(key="service.name").value.string_value = f"of {trace}"
    sent = resource.scope_spans.add().spans
    for n in spans:
        sent.add(trace_id=trace.to_bytes(16, "big"), span_id=n.to_bytes(8, "big"))
    return bytes(message.SerializeToString())


def seen(records: list[tuple[int, bytes]]) -> Counter[tuple[int, str, bytes]]:
    return Counter(
        (partition, resource.resource.attributes[0].value.string_value, span.span_id)
        for partition, value in records
        for resource in ExportTraceServiceRequest.FromString(value).resource_spans
        for span in resource.scope_spans[0].spans
    )


@pytest.mark.parametrize("size", [1, 6, 10, 100])
def test_every_span_once_in_records_of_that_size(size):
    framed = [(t.to_bytes(16, "big").hex().encode(), export(t, range(1 + 6 * t, 7 + 6 * t))) for t in range(1, 200)]
    of = parts(iter(framed))
    records, mean = packed(of, size)
    assert seen(records) == seen([(partition, value) for partition, value, _ in of])
    assert sum(seen(records).values()) == 199 * 6
    assert mean == 199 * 6 / len(records)
    assert size <= mean < size + 6 or size == 100
