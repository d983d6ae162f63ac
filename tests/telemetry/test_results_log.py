"""Results as log events: what a real OTLP receiver gets, and that nobody ever waits for it."""

import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult

from schemas.item import items_of
from schemas.result import Result
from schemas.signal import LOGS
from schemas.span import RawSpan
from streams.console.errors import UserError
from streams.core.engine import EnginePolicy, TrajectoryEngine
from streams.core.flush import Flush
from streams.telemetry import results_log
from streams.telemetry.results_log import ResultsLog, attributes_of
from tests.builders import EPOCH_MS, root_span, span_id, tool_span, trace_id

RAW = RawSpan(b"", b"", b"")


class Receiver:
    """An OTLP/HTTP receiver that keeps what it gets; it refuses the first `refusals` requests."""

    def __init__(self, refusals: int = 0) -> None:
        self.bodies: list[bytes] = []
        self.refusals = refusals
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.path == "/v1/logs"
                outer.refusals -= 1
                if outer.refusals < 0:
                    outer.bodies.append(body)
                self.send_response(200 if outer.refusals < 0 else 400)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Nothing on standard error."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def records(self) -> list[Any]:
        requests = [ExportLogsServiceRequest.FromString(body) for body in self.bodies]
        return [r for q in requests for of in q.resource_logs for scope in of.scope_logs for r in scope.log_records]


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    made = Receiver()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", made.endpoint)
    yield made
    made.stop()


class Counts(Counter[str]):
    """What was told to the metrics, by outcome."""

    some = threading.Event()

    def told(self, name: str, amount: float = 1, **attributes: str) -> None:
        assert name == "stepwatch.results_log"
        self[attributes["outcome"]] += int(amount)
        self.some.set()


def flushed(*, ended: bool = True) -> Flush:
    engine = TrajectoryEngine(0, EnginePolicy())
    engine.fold(tool_span(2, "pay", {"id": 7}, status=2, received_ms=EPOCH_MS), RAW)
    engine.fold(root_span(1, workflow="refund", session_id="chat 1", received_ms=EPOCH_MS), RAW)
    if ended:
        engine.tick(EPOCH_MS + 60_000)
    return engine.take({})


def said(record: Any) -> dict[str, Any]:
    return {kv.key: getattr(kv.value, kv.value.WhichOneof("value")) for kv in record.attributes}


def test_a_receiver_gets_every_result_of_a_final_row_under_the_span_that_was_judged(receiver: Receiver) -> None:
    counts, flush = Counts(), flushed()
    events = results_log.results_log(counts.told)
    events.offer([flush])
    events.stop()
    (row,) = flush.trajectories
    assert counts == {"sent": len(row.results)}
    by_name = {said(r)["gen_ai.evaluation.name"]: r for r in receiver.records}
    assert set(by_name) == {r.evaluator for r in row.results}
    assert {r.event_name for r in receiver.records} == {"gen_ai.evaluation.result"}
    assert {r.trace_id for r in receiver.records} == {trace_id()}
    call, whole = by_name["ToolCallSuccess"], by_name["TaskCompletion"]
    assert (call.span_id, whole.span_id) == (span_id(2), span_id(1)), "the run's own results are the root's"
    told = said(call)
    assert (told["gen_ai.evaluation.score.label"], told["gen_ai.evaluation.score.value"]) == ("fail", 0.0)
    assert (told["gen_ai.workflow.name"], told["gen_ai.conversation.id"]) == ("refund", "chat 1")
    assert told["gen_ai.evaluation.explanation"]


def test_what_was_sent_is_never_judged(receiver: Receiver) -> None:
    events = results_log.results_log(Counts().told)
    events.offer([flushed()])
    events.stop()
    taken = [items_of(body, "default", 0, LOGS) for body in receiver.bodies]
    assert [(t.items, t.refused) for t in taken] == [([], [])] * len(taken)
    assert sum(t.ignored for t in taken) == len(receiver.records) > 0


def test_provisional_rows_are_not_told(receiver: Receiver) -> None:
    events = results_log.results_log(Counts().told)
    events.offer([flushed(ended=False)])
    events.stop()
    assert receiver.records == []


class Standing(LogRecordExporter):
    """A receiver that does not answer until it is let go, and then takes nothing."""

    def __init__(self) -> None:
        self.go = threading.Event()

    def export(self, batch: Any) -> LogRecordExportResult:
        assert all(isinstance(record, ReadableLogRecord) for record in batch)
        self.go.wait()
        raise OSError("gone")

    def shutdown(self) -> None:
        """Nothing to do."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True


def test_a_receiver_that_stands_still_holds_nobody_up_and_every_result_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(results_log, "QUEUE_RESULTS_MAX", 30)
    monkeypatch.setattr(results_log, "STOP_WAIT_S", 60.0)
    counts, standing, flush = Counts(), Standing(), flushed()
    events = ResultsLog(standing, counts.told, pause_s=0.0)
    for _ in range(40):
        events.offer([flush])  # comes back though nobody takes anything
    assert counts["dropped"] > 0
    standing.go.set()
    events.stop()
    assert counts["dropped"] + counts["failed"] == 40 * len(flush.trajectories[0].results)
    assert counts["failed"] <= 30 + results_log.BATCH_RESULTS_MAX


def test_a_batch_that_is_refused_is_sent_again(receiver: Receiver) -> None:
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter

    receiver.refusals = 2
    counts, flush = Counts(), flushed()
    events = ResultsLog(OTLPLogExporter(), counts.told, pause_s=0.0)
    counts.some.clear()
    events.offer([flush])
    assert counts.some.wait(30)
    events.stop()
    assert counts == {"sent": len(flush.trajectories[0].results)} and len(receiver.records) == counts["sent"]


def test_without_an_endpoint_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in results_log.ENDPOINTS:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match="OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"):
        results_log.results_log(Counts().told)


@pytest.mark.parametrize(
    ("verdict", "score", "value", "label", "error"),
    [
        ("pass", None, 1.0, "pass", None),
        ("fail", None, 0.0, "fail", None),
        ("fail", 0.25, 0.25, "fail", None),
        ("unscored", None, None, "unscored", None),
        ("error", None, None, None, "exception"),
    ],
)
def test_verdicts_as_the_conventions_spell_them(
    verdict: Any, score: float | None, value: float | None, label: str | None, error: str | None
) -> None:
    result = Result(b"", "s", "", "Own", "1", verdict, score, "trace", "exception" if error else "", "why", "", 0)
    told = attributes_of(flushed().trajectories[0], result)
    keys = ("gen_ai.evaluation.score.value", "gen_ai.evaluation.score.label", "error.type")
    assert tuple(told.get(key) for key in keys) == (value, label, error)
