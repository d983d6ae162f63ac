"""What a trace is made of: spans, and log records that hold content of a span. Each is one item, by span id and content."""

from schemas.decode import decode
from schemas.decode_log import decode_log
from schemas.log_record import LogRecord
from schemas.signal import LOGS
from schemas.span import RawSpan, Span

Item = Span | LogRecord


def decode_stored(signal: str, raw: RawSpan, tenant: str, received_ms: int, content_hash: int, flags: int) -> Item:
    """An item as the store has it. Raises InvalidOtlp where the store holds what never was one."""
    if signal != LOGS:
        return decode(raw, tenant, received_ms, content_hash, flags)[0]
    decoded = decode_log(raw, tenant, received_ms, content_hash, flags)
    assert decoded is not None, "a stored log record stays one"
    return decoded[0]
