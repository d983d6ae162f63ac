"""The simulator: what it hands to OpenTelemetry's SDK comes out of the exporter, whole, in time and counted."""

import threading
from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from streams.demo.script import RELEASES, Schedule, runs
from streams.demo.simulator import SERVICE, Emitter, Performance, keep_time

NOW_NS = 1_800_000_000 * 10**9
SCRIPT = list(runs(7, 300, Schedule(2, 4, 6)))


class Shelf(SpanExporter):
    """Keeps what it is given, or refuses it."""

    def __init__(self, kept: list[ReadableSpan], answer: SpanExportResult = SpanExportResult.SUCCESS) -> None:
        self._kept, self._answer = kept, answer

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self._kept.extend(spans)
        return self._answer


def emitted(answer: SpanExportResult = SpanExportResult.SUCCESS) -> tuple[list[ReadableSpan], Emitter]:
    kept: list[ReadableSpan] = []
    emitter = Emitter(lambda: Shelf(kept, answer))
    for run in SCRIPT:
        emitter.emit(run, NOW_NS)
    emitter.close()
    return kept, emitter


def test_every_span_of_the_script_is_exported_once_with_its_ids() -> None:
    kept, emitter = emitted()
    exported = sorted((s.context.trace_id, s.context.span_id) for s in kept if s.context)
    assert exported == sorted((run.trace_id, span_id) for run in SCRIPT for span_id in run.span_ids)
    assert (emitter.tally.emitted, emitter.lost) == (len(kept), 0)


def test_spans_end_in_the_past_and_their_root_ends_last() -> None:
    kept, _ = emitted()
    ends: dict[int, int] = {}
    for span in kept:
        assert span.context is not None and span.start_time is not None and span.end_time is not None
        assert span.start_time < span.end_time <= NOW_NS
        ends[span.context.trace_id] = max(span.end_time, ends.get(span.context.trace_id, 0))
    for span in (s for s in kept if s.parent is None):
        assert span.context is not None
        assert span.end_time == ends[span.context.trace_id]


def test_every_trace_has_one_resource_which_names_the_release_of_its_phase() -> None:
    kept, _ = emitted()
    release = {run.trace_id: RELEASES[run.phase] for run in SCRIPT}
    for span in kept:
        assert span.context is not None
        assert span.resource.attributes["service.name"] == SERVICE
        assert span.resource.attributes["service.version"] == release[span.context.trace_id]


def test_spans_that_the_gateway_did_not_take_are_counted_as_lost() -> None:
    _, emitter = emitted(SpanExportResult.FAILURE)
    assert emitter.lost == emitter.tally.emitted == emitter.tally.failed > 0


def test_a_play_that_fell_behind_is_made_up_for_and_one_that_is_told_to_stop_stops() -> None:
    played: list[int] = []
    keep_time([run._replace(at_s=0.0) for run in SCRIPT], lambda run: played.append(run.number), threading.Event())
    assert played == [run.number for run in SCRIPT]
    over = threading.Event()
    over.set()
    keep_time(SCRIPT, lambda run: played.append(-1), over)
    assert -1 not in played


def test_a_performance_emits_its_script_and_knows_its_phase() -> None:
    kept: list[ReadableSpan] = []
    performance = Performance([run._replace(at_s=0.0) for run in SCRIPT], Emitter(lambda: Shelf(kept)))
    performance.start()
    performance.join()
    performance.stop()
    assert performance.phase == "repaired"
    assert performance.failure is None
    assert len(kept) == sum(len(run.spans) for run in SCRIPT)
