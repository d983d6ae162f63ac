"""Emits the script's runs as real OTLP: OpenTelemetry's SDK, its batch processor and its HTTP exporter.

A run is emitted at once, when it would have ended, with its own past times; so spans never lie in the future. One
TracerProvider per release, none of them global. The law: a span that the SDK dropped or the gateway did not take is
counted and named, never overlooked.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from streams.demo.scribe import SpanPlan
from streams.demo.script import RELEASES, Phase, Run

SERVICE = "support-agents"
EXPORT_EVERY_MS = 200
QUEUE_SPANS = 65_536  # minutes of the play: nothing is dropped while the gateway is slow
BATCH_SPANS = 512
EXPORT_TIMEOUT_S = 20


@dataclass(slots=True)
class Tally:
    """Spans handed to the SDK, and what became of them."""

    emitted: int = 0
    delivered: int = 0
    failed: int = 0


class CountingExporter(SpanExporter):
    """Passes spans on and counts what became of them."""

    def __init__(self, exporter: SpanExporter, tally: Tally) -> None:
        self._exporter = exporter
        self._tally = tally

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export through the real exporter, which retries by itself."""
        result = self._exporter.export(spans)
        if result is SpanExportResult.SUCCESS:
            self._tally.delivered += len(spans)
        else:
            self._tally.failed += len(spans)
        return result

    def shutdown(self) -> None:
        """Close the real exporter."""
        self._exporter.shutdown()


class ScriptedIds(IdGenerator):
    """Hands out the ids of the run that is being emitted, in the order of its spans."""

    def __init__(self) -> None:
        self._trace_id = 0
        self._span_ids: Iterator[int] = iter(())

    def begin(self, run: Run) -> None:
        """From now on give this run's ids."""
        self._trace_id, self._span_ids = run.trace_id, iter(run.span_ids)

    def generate_trace_id(self) -> int:
        """The run's trace id."""
        return self._trace_id

    def generate_span_id(self) -> int:
        """The next span's id."""
        return next(self._span_ids)


class Emitter:
    """One service that emits runs, a provider and an exporter per release. Not thread-safe: one thread emits."""

    def __init__(self, exporter: Callable[[], SpanExporter]) -> None:
        self.tally = Tally()
        self._exporter = exporter
        self._ids = ScriptedIds()
        self._release: Phase | None = None
        self._provider: TracerProvider | None = None

    def emit(self, run: Run, end_ns: int) -> None:
        """Hand all spans of the run to the SDK; its root ends at `end_ns`."""
        tracer = self._provider_of(run.phase).get_tracer("stepwatch.demo", "1")
        self._ids.begin(run)
        record(tracer, run.spans, end_ns)
        self.tally.emitted += len(run.spans)

    def close(self) -> None:
        """Flush and close the provider; after it the tally is complete. Blocking, bounded by the exporter."""
        if self._provider is not None:
            self._provider.force_flush()
            self._provider.shutdown()
        self._provider = None

    @property
    def lost(self) -> int:
        """Spans that did not arrive. Exact after `close`."""
        return self.tally.emitted - self.tally.delivered

    def _provider_of(self, release: Phase) -> TracerProvider:
        """The provider of this release; a new release is a new process, so the old one's is closed first."""
        if self._provider is None or release != self._release:
            self.close()
            resource = Resource({"service.name": SERVICE, "service.version": RELEASES[release]})
            self._provider = TracerProvider(ALWAYS_ON, resource, shutdown_on_exit=False, id_generator=self._ids)
            counting = CountingExporter(self._exporter(), self.tally)
            self._provider.add_span_processor(
                BatchSpanProcessor(counting, QUEUE_SPANS, EXPORT_EVERY_MS, BATCH_SPANS, EXPORT_TIMEOUT_S * 1000)
            )
            self._release = release
        return self._provider


def record(tracer: trace.Tracer, plans: Sequence[SpanPlan], end_ns: int) -> None:
    """Start and end every span of one run as planned, its root at `end_ns`; the first plan is the root."""
    start_ns = end_ns - int(plans[0].end_ms * 1e6)
    spans: list[trace.Span] = []
    for plan in plans:
        context = Context() if plan.parent is None else trace.set_span_in_context(spans[plan.parent], Context())
        start = start_ns + int(plan.start_ms * 1e6)
        spans.append(tracer.start_span(plan.name, context, attributes=dict(plan.attributes), start_time=start))
        if plan.error:
            spans[-1].set_status(trace.Status(trace.StatusCode.ERROR, plan.error))
    for plan, span in sorted(zip(plans, spans, strict=True), key=lambda pair: pair[0].end_ms):
        span.end(start_ns + int(plan.end_ms * 1e6))


def otlp_exporter(endpoint: str) -> OTLPSpanExporter:
    """The exporter that any Python service would use, pointed at a gateway (`http://host:port`)."""
    return OTLPSpanExporter(f"{endpoint}/v1/traces", timeout=EXPORT_TIMEOUT_S, compression=Compression.Gzip)


class Performance:
    """The play on its own thread, in step with the clock, until it is over or told to stop."""

    def __init__(self, script: Iterable[Run], emitter: Emitter) -> None:
        self._script = script
        self.emitter = emitter
        self.at_s = 0.0
        self.phase: Phase = "healthy"
        self.failure: BaseException | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._play, name="simulator", daemon=True)

    def start(self) -> None:
        """Begin now."""
        self._thread.start()

    def join(self) -> None:
        """Wait until the script is at its end."""
        self._thread.join()

    def stop(self) -> None:
        """End the play, flush what was emitted. Blocking, bounded by the exporter's own timeouts."""
        self._over.set()
        self._thread.join()
        self.emitter.close()

    def abandon(self) -> None:
        """End the play without waiting: what was not exported yet is given up. Harmless after `stop`."""
        self._over.set()

    @property
    def running(self) -> bool:
        """Whether there is more to come."""
        return self._thread.is_alive()

    def _play(self) -> None:
        try:
            keep_time(self._script, self._emit, self._over)
        except Exception as error:
            self.failure = error

    def _emit(self, run: Run) -> None:
        self.emitter.emit(run, time.time_ns())
        self.at_s, self.phase = run.at_s, run.phase


def keep_time(script: Iterable[Run], emit: Callable[[Run], None], over: threading.Event) -> None:
    """Emit each run when its moment has come; what fell behind is made up for at once."""
    start = time.monotonic()
    for run in script:
        if over.wait(max(0.0, start + run.at_s - time.monotonic())):
            return
        emit(run)
