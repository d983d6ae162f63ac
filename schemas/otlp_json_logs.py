"""OTLP/JSON to raw log records: as `otlp_json` reads spans, as strict where an error would join the wrong things.

A record may lack its ids: most log lines belong to no span. Equal documents give equal bytes.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from schemas.otlp import InvalidOtlp, TooManySpans
from schemas.otlp_json import FRAMES, Refusal, exports_in, load, resource_bytes, scope_bytes, serialised
from schemas.otlp_values import (
    Json,
    Message,
    Unreadable,
    count,
    elements,
    enum,
    fill_attributes,
    fill_value,
    get,
    identifier,
    json_text,
    nanos,
    text,
)
from schemas.span import RawSpan

LOG_FRAMES = ("resourceLogs", "resource_logs")
_LEVELS = {"TRACE": 1, "DEBUG": 5, "INFO": 9, "WARN": 13, "ERROR": 17, "FATAL": 21}
SEVERITIES = {f"{name}{n + 1 if n else ''}": first + n for name, first in _LEVELS.items() for n in range(4)}


class _Found(NamedTuple):
    resource: bytes
    scope: bytes
    log: Json


def is_logs(export: Json) -> bool:
    """Whether an export holds log records, and not spans."""
    return isinstance(export, Mapping) and any(f in export for f in LOG_FRAMES) and not any(f in export for f in FRAMES)


def apart(export: Json) -> Iterator[Json]:
    """An export that holds spans and log records as one of each, any other as it is."""
    if isinstance(export, Mapping) and any(f in export for f in FRAMES) and any(f in export for f in LOG_FRAMES):
        yield {name: value for name, value in export.items() if name not in LOG_FRAMES}
        yield {name: value for name, value in export.items() if name not in FRAMES}
    else:
        yield export


def logs_of_json(document: bytes, logs_max: int | None = None) -> tuple[list[RawSpan], list[Refusal]]:
    """The log records of one OTLP/JSON document, and those that were refused; together they are all that it holds.

    Raises InvalidOtlp when it is not JSON or holds something else.
    """
    return logs_of(exports_in(load(document)), logs_max)


def logs_of(exports: Iterable[Json], logs_max: int | None = None) -> tuple[list[RawSpan], list[Refusal]]:
    """The same of exports that were read. Raises TooManySpans before it makes more than there may be."""
    logs: list[RawSpan] = []
    refusals: list[Refusal] = []
    for found in (found for export in exports for found in _of_export(export)):
        if logs_max is not None and len(logs) + len(refusals) >= logs_max:
            raise TooManySpans(f"more than {logs_max} in one request: send smaller batches")
        try:
            logs.append(RawSpan(found.resource, found.scope, _log(found.log)))
        except Unreadable as error:
            refusals.append(Refusal(error.reason, str(error), json_text(found.log).encode("utf-8", "replace")))
    return logs, refusals


def _of_export(export: Json) -> Iterator[_Found]:
    if not is_logs(export):
        if export == {}:
            return
        raise InvalidOtlp("not an OTLP logs export: there is no resourceLogs")
    for frame in elements(get(export, *LOG_FRAMES)):
        if not isinstance(frame, Mapping):
            yield _Found(b"", b"", frame)
            continue
        resource = resource_bytes(frame.get("resource"))
        for scope_frame in elements(get(frame, "scopeLogs", "instrumentationLibraryLogs")):
            if not isinstance(scope_frame, Mapping):
                yield _Found(resource, b"", scope_frame)
                continue
            scope = scope_bytes(get(scope_frame, "scope", "instrumentationLibrary"))
            for log in elements(get(scope_frame, "logRecords", "logs")):
                yield _Found(resource, scope, log)


def _log(given: Json) -> bytes:
    if not isinstance(given, Mapping):
        raise Unreadable("not_an_object", f"a log record must be a JSON object, not {type(given).__name__}")
    log: Message = LogRecord(
        time_unix_nano=nanos(get(given, "timeUnixNano"), "timeUnixNano"),
        observed_time_unix_nano=nanos(get(given, "observedTimeUnixNano"), "observedTimeUnixNano"),
        severity_text=text(get(given, "severityText")),
        dropped_attributes_count=count(get(given, "droppedAttributesCount")),
        flags=count(given.get("flags")),
        trace_id=identifier(get(given, "traceId"), 16, "trace id"),
        span_id=identifier(get(given, "spanId"), 8, "span id"),
        event_name=text(get(given, "eventName")),
    )
    log.severity_number = enum(get(given, "severityNumber"), SEVERITIES, "SEVERITY_NUMBER_")
    if given.get("body") is not None:
        fill_value(log.body, given["body"])
    fill_attributes(log.attributes, given.get("attributes"))
    return serialised(log)
