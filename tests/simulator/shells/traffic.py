"""What agents send, as bytes, and when: a function of the seed alone.

Traces out of order, with duplicates, contents that contradict each other, missing roots, spans that come long after the decision,
log records, telemetry of our own, parts of records that are no spans, and records that are nothing.
"""

from functools import cache
from random import Random
from typing import Any, NamedTuple

from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span as OtlpSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from schemas.otlp import pack
from schemas.signal import LOGS, SIGNAL_HEADER
from schemas.span import RawSpan
from streams.worker.scorer import TENANT_HEADER
from tests.builders import EPOCH_MS, EPOCH_NS, span_id, trace_id
from tests.otlp_logs import SCOPE, key_values, log

TRAFFIC_S = 25.0
LATE_S = 40.0
ARGUMENTS = ('{"id": "7"}', '{"id": 7}', "{}")
OLD_NS = 2 * 3_600 * 1_000_000_000  # a clock that is so much behind makes the scorer ask whether it knows the trace


class Arrival(NamedTuple):
    """A record on its way to the log."""

    at_s: float
    partition: int
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


class _Piece(NamedTuple):
    at_s: float
    raw: RawSpan
    is_log: bool = False


def traffic(draw: Random, partitions: int) -> list[Arrival]:
    """All that comes, in the order of time."""
    found: list[Arrival] = []
    for number in range(1, draw.randint(2, 6) + 1):
        tenant = (TENANT_HEADER, (b"acme", b"default")[number % 2])
        pieces = sorted(_trace(draw, number), key=lambda piece: piece.at_s)
        while pieces:
            size = draw.randint(1, 3)
            packed, pieces = pieces[:size], pieces[size:]
            for is_log in {piece.is_log for piece in packed}:
                raws = [piece.raw for piece in packed if piece.is_log == is_log]
                headers = (tenant, (SIGNAL_HEADER, LOGS.encode())) if is_log else (tenant,)
                found.append(Arrival(packed[-1].at_s, number % partitions, pack(raws), headers))
    for _ in range(draw.randint(0, 2)):
        value = draw.choice((b"\xff\xff garbage", b'{"resourceSpans": 3}', b""))
        found.append(Arrival(draw.uniform(0, TRAFFIC_S), draw.randrange(partitions), value, ()))
    return sorted(found, key=lambda arrival: arrival.at_s)


def _trace(draw: Random, number: int) -> list[_Piece]:
    begins = draw.uniform(0, TRAFFIC_S)
    skew_ns = OLD_NS if draw.random() < 0.2 else 0
    desk = draw.choice((None, None, "till 1", "back"))
    pieces: list[_Piece] = []
    for n in range(1, draw.randint(1, 6) + 1):
        at = begins + draw.uniform(0, 4)
        attributes: dict[str, Any] = {"gen_ai.operation.name": "chat", "gen_ai.workflow.name": "shop"}
        if draw.random() < 0.6:
            attributes |= {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "pay"}
            attributes["gen_ai.tool.call.arguments"] = draw.choice(ARGUMENTS)
        if desk is not None:
            attributes["desk"] = desk
        raw = _span(number, n, draw.choice("ab"), at, skew_ns, attributes)
        pieces.append(_Piece(at, raw))
        if draw.random() < 0.15:
            pieces.append(_Piece(at + draw.uniform(0, LATE_S), raw))  # sent twice
        if draw.random() < 0.1:
            twin = _span(number, n, "a", at, skew_ns, attributes, failed=True)
            pieces.append(_Piece(at + draw.uniform(0, LATE_S), twin))
        if draw.random() < 0.15:
            told = log("gen_ai.tool.message", {"gen_ai.system": "x"}, {"id": "7"}, n=n, trace_id=trace_id(number))
            pieces.append(_Piece(at + draw.uniform(0, 3), told, True))
        if draw.random() < 0.1:
            pieces.append(_Piece(at, _span(number, n, "stepwatch-scorer", at, 0, attributes)))
        if draw.random() < 0.08:
            pieces.append(_Piece(at, RawSpan(raw.resource, raw.scope, b"\x0a\x03abc")))  # of a trace id of three bytes
    if draw.random() < 0.8:
        at = begins + draw.uniform(2, 6)
        frame = {"gen_ai.operation.name": "invoke_agent", "gen_ai.workflow.name": "shop"}
        pieces.append(_Piece(at, _span(number, 0, "a", at, skew_ns, frame)))
    late = [draw.random() < 0.1 for _ in pieces]
    return [
        p._replace(at_s=p.at_s + draw.uniform(0, LATE_S)) if is_late else p
        for p, is_late in zip(pieces, late, strict=True)
    ]


@cache
def _resource(place: str) -> bytes:
    service = place if place.startswith("stepwatch") else "shop"
    found: bytes = Resource(attributes=key_values({"service.name": service, "place": place})).SerializeToString()
    return found


def _span(
    number: int, n: int, place: str, at_s: float, skew_ns: int, attributes: dict[str, Any], failed: bool = False
) -> RawSpan:
    end = EPOCH_NS + int(at_s * 1_000_000_000) - skew_ns
    span = OtlpSpan(
        trace_id=trace_id(number),
        span_id=span_id(n + 1),
        parent_span_id=span_id(1) if n else b"",
        name=str(attributes["gen_ai.operation.name"]),
        start_time_unix_nano=end - 100_000_000,
        end_time_unix_nano=end,
        attributes=key_values(attributes),
        status=Status(code=2 if failed else 0),
    )
    return RawSpan(_resource(place), SCOPE, span.SerializeToString())


def now_ms(at_s: float) -> int:
    """The wall clock of the broker, and of everybody."""
    return EPOCH_MS + int(at_s * 1_000)
