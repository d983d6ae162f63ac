"""The example file `infra/examples/demo-traces.jsonl`: some runs of the script as OTLP/JSON, an export request a line.

For `stepwatch score` and `stepwatch send` without any agent at hand. Written anew by `python -m streams.demo.example`.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from streams.demo.scribe import SpanPlan, Value
from streams.demo.script import RELEASES, Run, Schedule, runs
from streams.demo.simulator import SERVICE

PATH = Path(__file__).parents[2] / "infra" / "examples" / "demo-traces.jsonl"
SEED = 5
SCHEDULE = Schedule(broken_at_s=0.3, repaired_at_s=0.6, length_s=0.6)
SPANS_PER_S = 320.0
START_NS = 1_780_000_000 * 10**9  # a fixed moment: the file never changes by itself


def lines() -> Iterator[str]:
    """The lines of the file."""
    for run in runs(SEED, SPANS_PER_S, SCHEDULE):
        yield json.dumps(request(run), separators=(",", ":"))


def request(run: Run) -> dict[str, Any]:
    """One run as an ExportTraceServiceRequest in OTLP/JSON; spans in the order in which they end."""
    resource = {"service.name": SERVICE, "service.version": RELEASES[run.phase]}
    spans = sorted(range(len(run.spans)), key=lambda i: run.spans[i].end_ms)
    scope = {"scope": {"name": "stepwatch.demo", "version": "1"}, "spans": [_span(run, i) for i in spans]}
    return {"resourceSpans": [{"resource": {"attributes": _attributes(resource)}, "scopeSpans": [scope]}]}


def _span(run: Run, index: int) -> dict[str, Any]:
    plan = run.spans[index]
    start_ns = START_NS + int(run.at_s * 1e9)
    span = {
        "traceId": f"{run.trace_id:032x}",
        "spanId": f"{run.span_ids[index]:016x}",
        "name": plan.name,
        "kind": 1,
        "startTimeUnixNano": str(start_ns + int(plan.start_ms * 1e6)),
        "endTimeUnixNano": str(start_ns + int(plan.end_ms * 1e6)),
        "attributes": _attributes(plan.attributes),
        "status": _status(plan),
    }
    if plan.parent is not None:
        span["parentSpanId"] = f"{run.span_ids[plan.parent]:016x}"
    return span


def _status(plan: SpanPlan) -> dict[str, Any]:
    return {"code": 2, "message": plan.error} if plan.error else {}


def _attributes(attributes: Mapping[str, Value]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in attributes.items()]


def _value(value: Value) -> dict[str, Any]:
    if isinstance(value, tuple):
        return {"arrayValue": {"values": [_value(item) for item in value]}}
    return {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}


if __name__ == "__main__":
    PATH.write_text("".join(f"{line}\n" for line in lines()), encoding="utf-8")
