"""A record of the spans topic as raw spans or log records, in either encoding: protobuf (the gateway's, the Collector's) or
OTLP JSON.
"""

import re
from typing import Final, NamedTuple

from google.protobuf.message import DecodeError

from schemas.otlp import InvalidOtlp, parse_head, split
from schemas.otlp_json import Refusal, exports_in, load, spans_of, spans_of_json
from schemas.otlp_json_logs import apart, is_logs, logs_of
from schemas.signal import LOGS, TRACES
from schemas.span import RawSpan

_TRACE_ID_BYTES: Final = 16
_HEAD: Final = 256  # longer than any frame whose length byte can pass for a brace
# How a log record begins: its time, severity or attributes; written from its end, as newer Collectors do, its event's name, the
# time it was observed, or its span id. A span's fields of these numbers have other wire types. Not so a log record's body and
# trace id: these may be a span's name and attributes.
_LOG_BEGINS: Final = frozenset({b"\x09", b"\x10", b"\x32", b"\x62", b"\x59", b"\x52"})
_EITHER_BEGINS: Final = frozenset({b"\x2a", b"\x4a"})
_NEVER_IN_JSON: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")


class Refused(NamedTuple):
    """A part of a record that is not a span (its own bytes, not its neighbours'), with the sentence that says why."""

    reason: str
    value: bytes
    signal: str = TRACES


class Parts(NamedTuple):
    """All that a record or a document holds, undecoded."""

    spans: list[RawSpan]
    logs: list[RawSpan]
    refused: list[Refused]


def split_parts(value: bytes, signal: str = TRACES) -> Parts:
    """Raw spans and log records of a record, and what in it was neither.

    A record that says nothing else may hold either: the Collector sets no header, and a recorded file has none. Raises
    InvalidOtlp when nothing of it can be read.
    """
    if signal not in (TRACES, LOGS):
        raise InvalidOtlp(f"unknown signal: the header stepwatch-signal says {signal[:40]!r}, not traces or logs")
    if not is_json(value):
        raws = split(value)
        is_log = signal == LOGS or (bool(raws) and _begins_as_log(raws[0].span))
        return Parts([], raws, []) if is_log else Parts(raws, [], [])
    exports = [part for export in exports_in(load(value)) for part in apart(export)]
    of_logs = [export for export in exports if signal == LOGS or is_logs(export)]
    logs, refused_logs = logs_of(of_logs)
    spans, refused = spans_of(export for export in exports if not (signal == LOGS or is_logs(export)))
    return Parts(spans, logs, _said(refused, TRACES) + _said(refused_logs, LOGS))


def _begins_as_log(raw: bytes) -> bool:
    if raw[:1] not in _EITHER_BEGINS:
        return raw[:1] in _LOG_BEGINS
    try:
        return len(parse_head(raw).trace_id) != _TRACE_ID_BYTES
    except DecodeError:
        return False


def _said(refusals: list[Refusal], signal: str) -> list[Refused]:
    return [Refused(f"{r.reason}: {r.detail}", r.value, signal) for r in refusals]


def split_record(value: bytes) -> tuple[list[RawSpan], list[Refused]]:
    """Raw spans of a record, and what in it was none. Raises InvalidOtlp when nothing of it can be read."""
    if is_json(value):
        spans, refusals = spans_of_json(value)
        return spans, _said(refusals, TRACES)
    return split(value), []


def is_json(value: bytes) -> bool:
    """Whether a document (or its first bytes) is JSON and not protobuf.

    The first byte that is no space does not tell: protobuf begins with 0x0A, a line feed, and a first frame of 123 bytes goes
    on with a brace. But protobuf has control characters near its beginning, and JSON has none.
    """
    if value[:1] in (b"{", b"["):
        return True
    head = value[:_HEAD]
    return head.lstrip()[:1] in (b"{", b"[") and not _NEVER_IN_JSON.search(head)
