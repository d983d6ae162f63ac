"""How the spans of a scenario get out: OpenTelemetry's SDK and OTLP exporter, and what happens to exports on their way.

One batch processor serves all scenarios; its exporter, `Ways`, sends the spans of each service on its own way. A way is an
exporter again, so that faults of transport wrap the real one: `Twice`, `Shuffled`, `Delayed`. The law: no span is lost.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from random import Random
from typing import Any, Protocol

from aiokafka import AIOKafkaProducer
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import StatusCode

from schemas.partition import partition_of_trace
from streams.settings import Settings

SHUFFLED_S = 1.0
Spans = Sequence[ReadableSpan]


class Way(Protocol):
    """Where spans go. Blocking."""

    def send(self, spans: Spans) -> None:
        """Take spans; raise when they could not be delivered."""

    def pass_time(self, *, to_the_end: bool = False) -> None:
        """Send what is due by now, or wait for all that is held back."""


class Gateway:
    """The real exporter, to the real gateway."""

    def __init__(self, exporter: OTLPSpanExporter) -> None:
        self._exporter = exporter

    def send(self, spans: Spans) -> None:
        """Raises RuntimeError when the gateway did not take them."""
        if self._exporter.export(spans) is not SpanExportResult.SUCCESS:
            raise RuntimeError(f"{len(spans)} spans were not taken by the gateway")

    def pass_time(self, *, to_the_end: bool = False) -> None:
        """Nothing is held back."""


class Tenant:
    """Straight onto the topic under a tenant's name, as a Collector of that tenant would send: the gateway knows one tenant."""

    def __init__(self, tenant: str, settings: Settings, producer: AIOKafkaProducer, run: Callable[..., Any]) -> None:
        self._headers = [("stepwatch-tenant", tenant.encode())]
        self._settings, self._producer, self._run = settings, producer, run

    def send(self, spans: Spans) -> None:
        """One record a trace."""
        by_trace: dict[int, list[ReadableSpan]] = {}
        for span in spans:
            by_trace.setdefault(span.context.trace_id, []).append(span)
        self._run(self._append(by_trace))

    async def _append(self, by_trace: dict[int, list[ReadableSpan]]) -> None:
        settings, sent = self._settings, []
        for trace_id, spans in by_trace.items():
            partition = partition_of_trace(
                trace_id.to_bytes(16), settings.spans_partitions, settings.record_partitioner
            )
            record = encode_spans(spans).SerializeToString()
            sent.append(
                await self._producer.send(settings.spans_topic, record, partition=partition, headers=self._headers)
            )
        for acknowledged in sent:
            await acknowledged

    def pass_time(self, *, to_the_end: bool = False) -> None:
        """Nothing is held back."""


class Twice:
    """Every export is sent again, as after an answer that got lost."""

    def __init__(self, way: Way) -> None:
        self._way = way

    def send(self, spans: Spans) -> None:
        """And once more."""
        self._way.send(spans)
        self._way.send(spans)

    def pass_time(self, *, to_the_end: bool = False) -> None:
        """As it is."""
        self._way.pass_time(to_the_end=to_the_end)


class Delayed:
    """Spans leave when their time has come: `after_s` says how long each is held back."""

    def __init__(self, way: Way, after_s: Callable[[ReadableSpan], float]) -> None:
        self._way, self._after_s = way, after_s
        self._held: list[tuple[float, ReadableSpan]] = []

    def send(self, spans: Spans) -> None:
        """Take spans in."""
        now_s = time.monotonic()
        self._held += [(now_s + self._after_s(span), span) for span in spans]

    def pass_time(self, *, to_the_end: bool = False) -> None:
        """Send what is due, in the order in which it is due."""
        while self._held:
            now_s = time.monotonic()
            due = [entry for entry in self._held if entry[0] <= now_s]
            self._held = [entry for entry in self._held if entry[0] > now_s]
            if due:
                self._way.send([span for _, span in sorted(due, key=lambda entry: entry[0])])
            if not to_the_end:
                break
            time.sleep(0.1)
        self._way.pass_time(to_the_end=to_the_end)


def shuffled(way: Way, seed: int) -> Delayed:
    """Spans leave in any order."""
    rng = Random(seed)
    return Delayed(way, lambda _: rng.uniform(0, SHUFFLED_S))


def late(way: Way, tool: str, seconds: float, *, only_retries: bool) -> Delayed:
    """The calls of a tool leave long after their run; or only those that come after one that failed."""
    name, failed = f"execute_tool {tool}", set[int]()

    def after_s(span: ReadableSpan) -> float:
        if span.name != name:
            return 0.0
        if only_retries and span.status.status_code is StatusCode.ERROR:
            failed.add(span.context.trace_id)
            return 0.0
        return 0.0 if only_retries and span.context.trace_id not in failed else seconds

    return Delayed(way, after_s)


class Ways(SpanExporter):
    """Sorts spans by their service."""

    def __init__(self, ways: dict[str, Way]) -> None:
        self._ways = ways
        self.failure: BaseException | None = None
        self.sent = 0

    def export(self, spans: Spans) -> SpanExportResult:
        """Send; the first failure is kept for whoever waits for the end."""
        by_way: dict[int, tuple[Way, list[ReadableSpan]]] = {}
        for span in spans:
            way = self._ways[str(span.resource.attributes["service.name"])]
            by_way.setdefault(id(way), (way, []))[1].append(span)
        try:
            for way, of_way in by_way.values():
                way.send(of_way)
                self.sent += len(of_way)
            self.pass_time()
        except Exception as error:
            self.failure = self.failure or error
            return SpanExportResult.FAILURE
        return SpanExportResult.SUCCESS

    def pass_time(self, *, to_the_end: bool = False) -> None:
        """Let what was held back go."""
        for way in {id(way): way for way in self._ways.values()}.values():
            way.pass_time(to_the_end=to_the_end)

    def shutdown(self) -> None:
        """Whatever is held back, goes."""
        self.pass_time(to_the_end=True)


def run_on(loop: asyncio.AbstractEventLoop) -> Callable[[Coroutine[Any, Any, None]], None]:
    """Runs a coroutine on a loop from another thread, to its end."""
    return lambda work: asyncio.run_coroutine_threadsafe(work, loop).result(60)
