"""Metrics through OpenTelemetry: one meter a process, read by Prometheus and, where an endpoint is set, sent by OTLP.

Off the hot path: parts add sums once a flush, a request or an event, never once a span. An exporter that fails costs nothing
but its own log line. The process's own telemetry is metrics alone and goes to the endpoint of the OTEL_* variables; nothing
of it can reach the spans topic.
"""

import os
import resource
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from prometheus_client import CollectorRegistry, generate_latest

from streams.telemetry.instruments import BY_NAME, INSTRUMENTS, SECONDS
from streams.telemetry.names import Names

Read = Callable[[], Iterable[tuple[float, Mapping[str, str]]]]
ENDPOINTS = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
SHUTDOWN_MS = 5_000
PAGE = os.sysconf("SC_PAGE_SIZE")


class Metrics:
    """The metrics of one process. Names and attributes are those of `INSTRUMENTS`; another one is a bug and raises KeyError."""

    def __init__(self, part: str) -> None:
        """Read by `page()`, and sent by OTLP where OTEL_EXPORTER_OTLP_ENDPOINT or its sibling for metrics is set."""
        attributes = {"service.name": f"stepwatch-{part}", "service.version": version("stepwatch")}
        self._registry = CollectorRegistry()
        readers = [PrometheusMetricReader(registry=self._registry, scope_info_enabled=False), *_otlp()]
        self._provider = MeterProvider(readers, Resource.create(attributes), shutdown_on_exit=False)
        self._meter = self._provider.get_meter("stepwatch", version("stepwatch"))
        self._written: dict[str, Any] = {}
        self.tenant = Names()  # of a tenant: what its attribute says
        self.observe("stepwatch.build", lambda: [(1, {"version": version("stepwatch"), "part": part})])
        self.observe("stepwatch.process.cpu", lambda: [(time.process_time(), {})])
        self.observe("stepwatch.process.memory", lambda: [(resident_bytes(), {})])

    def add(self, name: str, amount: float = 1, **attributes: str) -> None:
        """Add to a counter; record a value of a histogram."""
        instrument = self._written.get(name) or self._make(name)
        _check(name, attributes)
        (instrument.record if BY_NAME[name].kind == "histogram" else instrument.add)(amount, attributes)

    def observe(self, name: str, read: Read) -> None:
        """Have a gauge, or a counter that somebody keeps anyhow, read whenever the metrics are asked for."""
        found = BY_NAME[name]
        make = {
            "gauge": self._meter.create_observable_gauge,
            "counter": self._meter.create_observable_counter,
        }[found.kind]

        def observed(_: CallbackOptions) -> Iterable[Observation]:
            return [Observation(value, dict(attributes)) for value, attributes in read()]

        make(name, [observed], found.unit, found.says)

    def page(self) -> bytes:
        """All metrics in the Prometheus text format."""
        return generate_latest(self._registry)

    def stop(self) -> None:
        """Send what is left, within a bound, and stop."""
        self._provider.shutdown(SHUTDOWN_MS)

    def _make(self, name: str) -> Any:
        found = BY_NAME[name]
        if found.kind == "histogram":
            made: Any = self._meter.create_histogram(
                name, found.unit, found.says, explicit_bucket_boundaries_advisory=SECONDS
            )
        else:
            made = self._meter.create_counter(name, found.unit, found.says)
        self._written[name] = made
        return made


def resident_bytes() -> int:
    """Resident memory of this process; where the system does not tell, the most it ever was."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024


def _otlp() -> list[MetricReader]:
    """A reader that sends, where the usual variables name an endpoint. They are read by the exporter itself."""
    if not any(os.environ.get(name) for name in ENDPOINTS):
        return []
    if os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf").startswith("grpc"):
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    else:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import (  # type: ignore[assignment]
            OTLPMetricExporter,
        )
    return [PeriodicExportingMetricReader(OTLPMetricExporter())]


def _check(name: str, attributes: Mapping[str, str]) -> None:
    if tuple(attributes) != BY_NAME[name].attributes:
        raise KeyError(f"{name} has the attributes {BY_NAME[name].attributes}, not {tuple(attributes)}")


def table() -> str:
    """The metrics as a table of Markdown, for docs/operations.md."""
    rows = [
        f"| `{i.name}` | {i.kind} | {i.unit.strip('{}')} | {i.says} | {', '.join(f'`{a}`' for a in i.attributes)} |"
        for i in INSTRUMENTS
    ]
    return "\n".join(["| metric | kind | unit | what it says | attributes |", "|---|---|---|---|---|", *rows])
