"""Results as OpenTelemetry events: each result of each final row a log record `gen_ai.evaluation.result`, sent by OTLP.

Off unless `STEPWATCH_RESULTS_LOG` is set. The law: the pipeline never waits for it and never fails by it. Rows
that are stored are put into a bounded queue, a thread of its own sends them; what finds no room, or is not taken in `ATTEMPTS`
attempts, is counted. What a killed process had in its queue is gone: the rows themselves are not.
Nothing of it is ever judged: decode leaves records of this name out (`schemas.dialects.logged`).
"""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from typing import Any, NamedTuple

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from schemas.dialects.logged import EVALUATION
from schemas.result import Result
from schemas.rows import TrajectoryRow
from schemas.trajectory import TraceKey
from streams.console.errors import UserError
from streams.core.flush import Flush

ENDPOINTS = ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
QUEUE_RESULTS_MAX = 50_000  # about 50 MB; a second of a busy worker
BATCH_RESULTS_MAX = 512
ATTEMPTS = 5  # of a batch; the exporter tries each for 10 s by itself where the receiver asks for it
PAUSE_S = 1.0
STOP_WAIT_S = 5.0

log = logging.getLogger(__name__)


class Told(NamedTuple):
    """One result, and the span that it belongs to."""

    row: TrajectoryRow
    result: Result
    span_id: bytes  # the judged span; of the trajectory its root; b"" where there is none


class ResultsLog:
    """The queue and its thread. `offer` is called from one thread, and never blocks."""

    def __init__(self, exporter: LogRecordExporter, told: Callable[..., None], *, pause_s: float = PAUSE_S) -> None:
        """`told(name, amount, **attributes)` adds to a metric."""
        self._exporter, self._told, self._pause_s = exporter, told, pause_s
        self._waiting: deque[Told] = deque()
        self._some, self._stopping = threading.Event(), threading.Event()
        attributes = {"service.name": "stepwatch-scorer", "service.version": version("stepwatch")}
        self._of = Resource.create(attributes), InstrumentationScope("stepwatch", version("stepwatch"))
        self._thread = threading.Thread(target=self._send_all, name="results log", daemon=True)
        self._thread.start()

    def offer(self, flushes: Iterable[Flush]) -> None:
        """Take over the results of the final rows of these flushes, as far as there is room."""
        dropped = 0
        for told in results_in(flushes):
            if len(self._waiting) < QUEUE_RESULTS_MAX:
                self._waiting.append(told)
            else:
                dropped += 1
        if dropped:
            self._told("stepwatch.results_log", dropped, outcome="dropped")
        self._some.set()

    def stop(self) -> None:
        """Send what is left, within a bound; what is left then is counted as dropped."""
        self._stopping.set()
        self._some.set()
        self._thread.join(STOP_WAIT_S)
        if self._waiting:
            self._told("stepwatch.results_log", len(self._waiting), outcome="dropped")
        self._exporter.shutdown()  # type: ignore[no-untyped-call]

    def _send_all(self) -> None:
        while True:
            self._some.wait()
            self._some.clear()
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), BATCH_RESULTS_MAX))]
                outcome = "sent" if self._is_sent(batch) else "failed"
                self._told("stepwatch.results_log", len(batch), outcome=outcome)
            if self._stopping.is_set():
                return

    def _is_sent(self, batch: list[Told]) -> bool:
        now_ns = time.time_ns()
        resource, scope = self._of
        records = [ReadableLogRecord(record_of(told, now_ns), resource, scope) for told in batch]
        for _ in range(ATTEMPTS):
            try:
                if self._exporter.export(records) is LogRecordExportResult.SUCCESS:
                    return True
            except Exception:  # whatever an exporter throws, the pipeline goes on
                log.warning("results cannot be sent", exc_info=True)
            if self._stopping.wait(self._pause_s):
                return False
        return False


def results_in(flushes: Iterable[Flush]) -> Iterable[Told]:
    """The results of the final rows, each with its span."""
    for flush in flushes:
        roots = {trace.key: trace.root_span_id for trace in flush.touched if not trace.is_open}
        for row in flush.trajectories:
            if row.state == "decided":
                root = roots.get(TraceKey(row.tenant, row.trace_id), b"")
                yield from (Told(row, result, result.span_id or root) for result in row.results)


def record_of(told: Told, now_ns: int) -> LogRecord:
    """A result as the conventions spell it (span-conventions 1.5), under the trace and span that it is about."""
    row, result, span_id = told
    about = SpanContext(
        int.from_bytes(row.trace_id, "big"), int.from_bytes(span_id, "big"), True, TraceFlags(TraceFlags.SAMPLED)
    )
    return LogRecord(
        timestamp=result.event_ns,
        observed_timestamp=now_ns,
        context=set_span_in_context(NonRecordingSpan(about)),
        severity_number=SeverityNumber.WARN if result.verdict == "error" else SeverityNumber.INFO,
        event_name=EVALUATION,
        body=f"evaluation: {result.evaluator}={result.verdict}",
        attributes=attributes_of(row, result),
    )


def attributes_of(row: TrajectoryRow, result: Result) -> Mapping[str, Any]:
    """What is not known is left out. A verdict without a score of its own counts 1 or 0; the evaluator's own fault has none."""
    score = result.score
    if score is None and result.verdict in ("pass", "fail"):
        score = float(result.verdict == "pass")
    said = {
        "event.name": EVALUATION,  # for receivers that do not know the field yet
        "gen_ai.evaluation.name": result.evaluator,
        "gen_ai.evaluation.score.value": score,
        "gen_ai.evaluation.score.label": None if result.verdict == "error" else result.verdict,
        "gen_ai.evaluation.explanation": result.reason or result.reason_code,
        "error.type": (result.reason_code or "evaluator_error") if result.verdict == "error" else None,
        "gen_ai.evaluation.target": result.step,
        "gen_ai.evaluation.evaluator.version": result.evaluator_version,
        "gen_ai.workflow.name": row.workflow,
        "gen_ai.agent.name": result.agent,
        "gen_ai.conversation.id": row.session_id,
        "stepwatch.tenant": row.tenant,
        "stepwatch.reason_code": result.reason_code,
    }
    return {key: value for key, value in said.items() if value not in (None, "")}


def results_log(told: Callable[..., None]) -> ResultsLog:
    """One that sends to the endpoint of the OTEL_* variables. Raises UserError without one: the exporter's own default is the
    gateway's port."""
    if not any(os.environ.get(name) for name in ENDPOINTS):
        raise UserError(f"STEPWATCH_RESULTS_LOG needs an endpoint: set {ENDPOINTS[0]}")
    if os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf").startswith("grpc"):
        from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    else:
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter  # type: ignore[assignment]
    return ResultsLog(OTLPLogExporter(), told)
