"""Which OpenTelemetry signal a record of the spans topic holds: the Kafka header `stepwatch-signal` says it.

The gateway sets it on records of logs. A record without it holds traces, as every exporter's does that knows nothing of us.
"""

from collections.abc import Iterable

SIGNAL_HEADER = "stepwatch-signal"
TRACES, LOGS = "traces", "logs"


def signal_of(headers: Iterable[tuple[str, bytes]] | None) -> str:
    """`traces` or `logs`; another word as it stands, for the sentence that refuses it. Pure."""
    for name, value in headers or ():
        if name == SIGNAL_HEADER:
            return value.decode("utf-8", "replace")
    return TRACES
