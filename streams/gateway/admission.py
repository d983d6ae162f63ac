"""Which spans of a request are taken, and where each belongs. Pure: bytes in, values out.

A span is looked at just enough to know that it can be read and to which trace it belongs; what is inside is the
scorer's.
"""

from collections.abc import Callable
from typing import NamedTuple

from google.protobuf.message import DecodeError

from schemas.dialects.logged import is_content, name_of
from schemas.dropping import OWN_SERVICES
from schemas.otlp import InvalidOtlp, TooManySpans, parse_log, parse_resource, parse_span, split, text_of
from schemas.otlp_json import Refusal, spans_of_json
from schemas.otlp_json_logs import logs_of_json
from schemas.partition import Partitioner, partition_of_trace
from schemas.span import RawSpan
from streams.gateway.answers import JSON, Encoding, Refused
from streams.gateway.limits import FRAME_BYTES_MAX, RECORD_BYTES_MAX, SPANS_MAX

OfJson = Callable[[bytes, int], tuple[list[RawSpan], list[Refusal]]]

_ZERO_TRACE, _ZERO_SPAN = bytes(16), bytes(8)


class Admitted(NamedTuple):
    """One request, sorted: the good spans by partition, the refused ones with their reasons."""

    by_partition: dict[int, list[RawSpan]]
    refusals: list[Refusal]
    n_good: int
    n_ignored: int = 0  # log records that tell nothing of a span: an application's own

    @property
    def n_spans(self) -> int:
        """Spans (or log records) of the request, good and refused."""
        return self.n_good + len(self.refusals)


def admit(body: bytes, encoding: Encoding, partitions: int, partitioner: Partitioner) -> Admitted:
    """Sort a request's spans. Raises Refused (400, 413) when the request as a whole cannot be taken."""
    spans, refusals = _read(body, encoding, spans_of_json)
    places, check = _Places(partitions, partitioner), _Check(_span_verdict)
    for raw in spans:
        verdict = check(raw)
        assert verdict is not None, "no span is left out"
        if isinstance(verdict, Refusal):
            refusals.append(verdict)
        else:
            places.add(verdict, raw)
    return Admitted(places.by_partition, refusals, places.n)


def admit_logs(body: bytes, encoding: Encoding, partitions: int, partitioner: Partitioner) -> Admitted:
    """Sort a request's log records: those that hold content of a span are taken, what an application logs otherwise is left
    out. Raises Refused (400, 413) when the request as a whole cannot be taken."""
    logs, refusals = _read(body, encoding, logs_of_json)
    ignored, places, check = 0, _Places(partitions, partitioner), _Check(_log_verdict)
    for raw in logs:
        verdict = check(raw)
        if verdict is None:
            ignored += 1
        elif isinstance(verdict, Refusal):
            refusals.append(verdict)
        else:
            places.add(verdict, raw)
    return Admitted(places.by_partition, refusals, places.n, ignored)


def _read(body: bytes, encoding: Encoding, of_json: OfJson) -> tuple[list[RawSpan], list[Refusal]]:
    if not body:
        return [], []
    try:
        return of_json(body, SPANS_MAX) if encoding == JSON else (split(body, SPANS_MAX), [])
    except TooManySpans as error:
        raise Refused(413, str(error)) from error
    except InvalidOtlp as error:
        raise Refused(400, str(error)) from error


class _Places:
    """Spans by the partition of their trace, in the order of the request: neighbours keep sharing their frame in a record."""

    def __init__(self, partitions: int, partitioner: Partitioner) -> None:
        self._partitions, self._partitioner = partitions, partitioner
        self._of_trace: dict[bytes, list[RawSpan]] = {}
        self.by_partition: dict[int, list[RawSpan]] = {}
        self.n = 0

    def add(self, trace_id: bytes, raw: RawSpan) -> None:
        """Put a span of this trace in its place."""
        place = self._of_trace.get(trace_id)
        if place is None:
            partition = partition_of_trace(trace_id, self._partitions, self._partitioner)
            place = self._of_trace[trace_id] = self.by_partition.setdefault(partition, [])
        place.append(raw)
        self.n += 1


class _Check:
    """Looks at one span after the other; remembers the resource it saw last, which the next span mostly shares."""

    def __init__(self, verdict: Callable[[bytes], bytes | Refusal | None]) -> None:
        self._verdict = verdict
        self._resource: bytes | None = None
        self._refusal: Refusal | None = None

    def __call__(self, raw: RawSpan) -> bytes | Refusal | None:
        """The trace id of a good span, or why it is refused; None for what is to be left out."""
        too_large = _too_large(raw)
        if too_large:
            return too_large
        if raw.resource is not self._resource:
            self._resource, self._refusal = raw.resource, _resource_verdict(raw.resource)
        if self._refusal is not None:
            return self._refusal
        return self._verdict(raw.span)


def _resource_verdict(resource: bytes) -> Refusal | None:
    try:
        service = text_of(parse_resource(resource).attributes.get("service.name")) or ""
    except (DecodeError, InvalidOtlp) as error:
        return Refusal("broken_resource", f"a resource is not OTLP: {error}")
    if service in OWN_SERVICES:
        return Refusal("own_telemetry", f"service.name {service} is a part of Stepwatch: what judges is not judged")
    return None


def _span_verdict(raw: bytes) -> bytes | Refusal:
    try:
        span = parse_span(raw)
    except DecodeError as error:
        return Refusal("broken_span", f"a span is not OTLP: {error}")
    trace_id = bytes(span.trace_id)
    return _bad_id(trace_id, span.span_id) or trace_id


def _log_verdict(raw: bytes) -> bytes | Refusal | None:
    try:
        log = parse_log(raw)
        if not (log.trace_id or log.span_id) or not is_content(name_of(log.event_name, log.attributes), log.attributes):
            return None
    except (DecodeError, UnicodeDecodeError) as error:
        return Refusal("broken_log_record", f"a log record is not OTLP: {error}")
    trace_id = bytes(log.trace_id)
    return _bad_id(trace_id, log.span_id) or trace_id


def _bad_id(trace_id: bytes, span_id: bytes) -> Refusal | None:
    if not trace_id and not span_id:
        return Refusal("no_ids", "no trace id and no span id: is this an export of logs or metrics?")
    if len(trace_id) != 16 or trace_id == _ZERO_TRACE:
        return Refusal("bad_trace_id", f"trace id must be 16 bytes, not all zero: {_hex(trace_id)}")
    if len(span_id) != 8 or span_id == _ZERO_SPAN:
        return Refusal("bad_span_id", f"span id must be 8 bytes, not all zero: {_hex(span_id)}")
    return None


def _too_large(raw: RawSpan) -> Refusal | None:
    frame = len(raw.resource) + len(raw.scope)
    if frame > FRAME_BYTES_MAX:
        return Refusal("resource_too_large", f"resource and scope take {frame} bytes, {FRAME_BYTES_MAX} at most")
    if frame + len(raw.span) > RECORD_BYTES_MAX:
        return Refusal("span_too_large", f"a span of {frame + len(raw.span)} bytes, {RECORD_BYTES_MAX} at most")
    return None


def _hex(value: bytes) -> str:
    return f"{value[:32].hex()} ({len(value)} bytes)" if value else "empty"
