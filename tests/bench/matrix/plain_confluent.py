"""confluent-kafka and a dict on the same topic: consume, decode, group. What Python cannot do with less.

Arguments: spans to see, bootstrap servers, topic. Prints the CPU seconds since the first record.
"""

import sys
import time

from confluent_kafka import Consumer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


def main() -> None:
    wanted, bootstrap, topic = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "plain", "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    traces: dict[bytes, list[object]] = {}
    seen, began = 0, 0.0
    while seen < wanted:
        for message in consumer.consume(500, 1.0):
            began = began or time.process_time()
            export = ExportTraceServiceRequest.FromString(message.value())
            for resource in export.resource_spans:
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        traces.setdefault(span.trace_id, []).append(span)
                        seen += 1
    print("SPENT", time.process_time() - began, len(traces), flush=True)


if __name__ == "__main__":
    main()
