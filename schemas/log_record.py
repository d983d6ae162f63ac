"""A log record that holds content of a span: messages of a model call, arguments and result of a tool, an exception.

Instrumentors told to capture content as events (`EVENT_ONLY`) put it into log records, which name their span by trace id and
span id and come by another exporter, mostly before it. `LogRecord` is what is read of one; `streams.core.told_by_logs` joins
them. A pure function of the record, its resource, the tenant and the append time. None is "not captured", "" is empty.
"""

from typing import NamedTuple


class LogRecord(NamedTuple):
    """One log record with content. The fields up to `result` are columns of the `log_records` table, in this order."""

    tenant: str
    received_ms: int  # append time of its Kafka record, ms since the epoch
    trace_id: bytes  # 16 bytes
    span_id: bytes  # 8 bytes
    content_hash: int  # XXH3-64 of the raw record as it came in: before redaction and truncation
    name: str  # of the event
    service: str
    time_ns: int
    flags: int  # as those of a span
    arguments: str | None  # of a tool call
    result: str | None
    place: int  # among the events of its span, where the producer numbers them
    input_messages: str | None  # a JSON array, to be joined with those of other records
    output_messages: str | None
    tool_definitions: str | None
    exception: str  # "type: message"; "" without one
    resource_id: int  # never that of a span: logs have an exporter of their own

    @property
    def is_end(self) -> bool:
        """Whether this ends its trace: no log record does."""
        return False


LOG_COLUMNS: tuple[str, ...] = LogRecord._fields[: LogRecord._fields.index("result") + 1]
