"""Raw log record -> `LogRecord`: the one door through which content in log records enters, streaming, offline and read back.

Pure, and within the same bounds as a span (`schemas.decode`). A record that holds no content of a span, somebody's log line,
is None: it is counted, not stored. One that holds content and names no span raises `InvalidOtlp` with a sentence.
"""

from typing import Any

from google.protobuf.message import DecodeError
from xxhash import xxh3_64_intdigest

from schemas.cut import VALUE_BYTES_MAX, cut_count, cut_text, cut_values
from schemas.decode import SPAN_BYTES_MAX, resource_of
from schemas.dialects.logged import fields_of, is_content, name_of, read
from schemas.log_record import LogRecord
from schemas.otlp import InvalidOtlp, parse_log
from schemas.redaction.redactor import Redactor
from schemas.span import DROPPED_ATTRIBUTES, TRUNCATED, RawSpan

_ZERO_TRACE, _ZERO_SPAN = bytes(16), bytes(8)
_LOGS = 0x6C6F6773  # tells the exporter of a resource's logs from that of its spans


def decode_log(
    raw: RawSpan,
    tenant: str,
    received_ms: int,
    content_hash: int | None = None,
    flags: int = 0,
    redactor: Redactor | None = None,
) -> tuple[LogRecord, RawSpan] | None:
    """The record and its bytes as they are to be stored; None for one without content.

    `content_hash` and `flags` are given when a stored record is read back: it was cut and redacted already, and it stays what
    it was. Without a redactor all content is kept.
    """
    try:
        return _decode(raw, tenant, received_ms, content_hash, flags, redactor)
    except UnicodeDecodeError as error:  # the map of attributes decodes its keys only when it is walked
        raise InvalidOtlp(f"an attribute key is not UTF-8: {error}") from error


def _decode(
    raw: RawSpan,
    tenant: str,
    received_ms: int,
    content_hash: int | None,
    flags: int,
    redactor: Redactor | None,
) -> tuple[LogRecord, RawSpan] | None:
    message = parse(raw.span)
    name = name_of(message.event_name, message.attributes)
    if content_hash is None and not is_content(name, message.attributes):
        return None
    digest = xxh3_64_intdigest(raw.span) if content_hash is None else content_hash
    if len(raw.span) > VALUE_BYTES_MAX:
        raw, cut = _bound(raw, message)
        flags |= cut
    if redactor is not None:
        raw, taken = redactor.log(raw, tenant)
        flags |= taken
        message = parse(raw.span)
    trace_id, span_id = message.trace_id, message.span_id
    if len(trace_id) != 16 or trace_id == _ZERO_TRACE:
        raise InvalidOtlp(f"{name} without a trace: trace id must be 16 bytes, not all zero: {_shown(trace_id)}")
    if len(span_id) != 8 or span_id == _ZERO_SPAN:
        raise InvalidOtlp(f"{name} without a span: span id must be 8 bytes, not all zero: {_shown(span_id)}")
    resource = resource_of(raw.resource)
    logged, unread = read(name, fields_of(message.body, message.attributes))
    flags |= unread | (DROPPED_ATTRIBUTES if message.dropped_attributes_count else 0)
    record = LogRecord(
        tenant,
        received_ms,
        trace_id,
        span_id,
        digest,
        name,
        resource.service,
        message.time or message.observed,
        flags,
        logged.arguments,
        logged.result,
        logged.place,
        logged.input_messages,
        logged.output_messages,
        logged.tool_definitions,
        logged.exception,
        resource.id ^ _LOGS,
    )
    return record, raw


def trace_id_of_log(log: bytes) -> bytes:
    """Trace id of a raw log record; b"" when there is none. Raises InvalidOtlp."""
    return bytes(parse(log).trace_id)


def parse(log: bytes) -> Any:
    """The record's fields. Raises InvalidOtlp."""
    try:
        return parse_log(log)
    except DecodeError as error:
        raise InvalidOtlp(f"not an OTLP log record: {error}") from error


def _bound(raw: RawSpan, message: Any) -> tuple[RawSpan, int]:
    """The record within the bounds; `message` is cut with it."""
    cut = cut_values(message.attributes) + cut_count(message.attributes)
    body = message.body
    if body.HasField("kvlist"):
        cut += cut_values(body.kvlist.values) + cut_count(body.kvlist.values)
    elif len(body.text) > VALUE_BYTES_MAX:
        body.text = cut_text(body.text.decode("utf-8", "replace")).encode()
        cut += 1
    log = bytes(message.SerializeToString(deterministic=True)) if cut else raw.span
    if len(log) > SPAN_BYTES_MAX:
        raise InvalidOtlp(f"log record of {len(raw.span)} bytes stays over {SPAN_BYTES_MAX} after cutting its values")
    return raw._replace(span=log), TRUNCATED if cut else 0


def _shown(value: bytes) -> str:
    return value.hex() or "empty"
