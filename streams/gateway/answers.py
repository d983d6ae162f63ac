"""OTLP/HTTP answers: the success message and the error `Status`, in the content type of the request.

Success with refused spans is 200 with `partial_success`, which a sender must not repeat. An error is a
`google.rpc.Status`; 429 and 503 say when to come back.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import orjson
from aiohttp import web
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from schemas.otlp_json import Refusal
from schemas.signal import TRACES
from streams.gateway.limits import RETRY_AFTER_S

Encoding = Literal["application/x-protobuf", "application/json"]
PROTOBUF: Encoding = "application/x-protobuf"
JSON: Encoding = "application/json"
INVALID_ARGUMENT, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNIMPLEMENTED, UNAVAILABLE, UNAUTHENTICATED = (
    3,
    4,
    8,
    12,
    14,
    16,
)
REASONS_SHOWN_MAX = 8


class Refused(Exception):
    """A request that is not taken as a whole: its HTTP status and a sentence for the sender."""

    def __init__(self, status: int, sentence: str, retry_after_s: int = RETRY_AFTER_S) -> None:
        """`retry_after_s` goes with 429 and 503."""
        super().__init__(sentence)
        self.status = status
        self.retry_after_s = retry_after_s


def success(encoding: Encoding, refusals: Sequence[Refusal], n_spans: int, signal: str = TRACES) -> web.Response:
    """200: every span (or log record) is in Kafka, but for the refused ones."""
    response = response_of(refusals, n_spans, signal)
    if encoding == PROTOBUF:
        return web.Response(body=response.SerializeToString(), content_type=PROTOBUF)
    partial = {
        "rejectedSpans" if signal == TRACES else "rejectedLogRecords": str(len(refusals)),
        "errorMessage": response.partial_success.error_message,
    }
    return web.Response(body=orjson.dumps({"partialSuccess": partial} if refusals else {}), content_type=JSON)


def response_of(
    refusals: Sequence[Refusal], n_spans: int, signal: str = TRACES
) -> ExportTraceServiceResponse | ExportLogsServiceResponse:
    """What became of the spans or log records of a request that was taken."""
    if signal == TRACES:
        of_traces = ExportTraceServiceResponse()
        if refusals:
            of_traces.partial_success.rejected_spans = len(refusals)
            of_traces.partial_success.error_message = refused_sentence(refusals, n_spans, "spans")
        return of_traces
    of_logs = ExportLogsServiceResponse()
    if refusals:
        of_logs.partial_success.rejected_log_records = len(refusals)
        of_logs.partial_success.error_message = refused_sentence(refusals, n_spans, "log records")
    return of_logs


def failure(encoding: Encoding, refused: Refused) -> web.Response:
    """The Status that OTLP wants with a 4xx or 5xx."""
    code = status_code(refused)
    headers = {"Retry-After": str(refused.retry_after_s)} if refused.status in (429, 503) else {}
    if refused.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if encoding == PROTOBUF:
        body = Status(code=code, message=str(refused)).SerializeToString()
    else:
        body = orjson.dumps({"code": code, "message": str(refused)})
    return web.Response(status=refused.status, body=body, content_type=encoding, headers=headers)


def status_code(refused: Refused) -> int:
    """The gRPC code that goes with an HTTP status."""
    codes = {
        401: UNAUTHENTICATED, 404: UNIMPLEMENTED, 408: DEADLINE_EXCEEDED, 429: RESOURCE_EXHAUSTED, 503: UNAVAILABLE,
    }  # fmt: skip
    return codes.get(refused.status, INVALID_ARGUMENT)


def refused_sentence(refusals: Sequence[Refusal], n_spans: int, what: str = "spans") -> str:
    """How many were refused, and per reason how many with one example; the most frequent reasons first."""
    counts = Counter(refusal.reason for refusal in refusals)
    examples = {refusal.reason: refusal.detail for refusal in reversed(refusals)}
    shown = [f"{reason} ({n}): {examples[reason]}" for reason, n in counts.most_common(REASONS_SHOWN_MAX)]
    return f"refused {len(refusals)} of {n_spans} {what}: " + "; ".join(shown)
