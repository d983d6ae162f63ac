"""Stock Faust on the same topic: an agent that decodes each record and groups its spans by trace. No rows, no verdicts.

Ends when it has seen as many spans as the first argument says, and prints the CPU seconds since the first record.
"""

import os
import sys
import time

import faust
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

wanted, bootstrap, topic_name, folder = int(sys.argv.pop(1)), sys.argv.pop(1), sys.argv.pop(1), sys.argv.pop(1)
app = faust.App(
    "stock-faust",
    broker=f"kafka://{bootstrap}",
    datadir=folder,
    web_enabled=False,
    consumer_auto_offset_reset="earliest",
    topic_disable_leader=True,
)
topic = app.topic(topic_name, value_serializer="raw", key_serializer="raw")
traces: dict[bytes, list[object]] = {}
seen = 0
began = 0.0


@app.agent(topic)
async def group(records: faust.StreamT[bytes]) -> None:
    global seen, began
    async for value in records:
        began = began or time.process_time()
        export = ExportTraceServiceRequest.FromString(value)
        for resource in export.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    traces.setdefault(span.trace_id, []).append(span)
                    seen += 1
        if seen >= wanted:
            said = f"SPENT {time.process_time() - began} {len(traces)}\n"
            os.write(1, said.encode())  # Faust takes standard output for itself
            os._exit(0)


if __name__ == "__main__":
    sys.argv = [sys.argv[0], "worker", "-l", "error", "--without-web"]
    app.main()
