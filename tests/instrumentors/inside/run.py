"""Runs the refund desk in a pair's environment: `python run.py PAIR`. Exports where OTEL_EXPORTER_OTLP_ENDPOINT says."""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


def provider_of(service: str) -> TracerProvider:
    """The global tracer provider, exporting over OTLP/HTTP."""
    provider = TracerProvider(resource=Resource({"service.name": service}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(), schedule_delay_millis=50))
    trace.set_tracer_provider(provider)
    return provider


def connection_of(pair: str) -> ModuleType:
    """The pair's connect.py: the lines that a user would write."""
    path = Path(__file__).parents[1] / pair / "connect.py"
    spec = importlib.util.spec_from_file_location("connect", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    provider = provider_of("refund-desk")
    connection = connection_of(sys.argv[1])
    connection.connect(provider)
    importlib.import_module(connection.FLOW).run(connection.session)
    provider.force_flush()
    provider.shutdown()
