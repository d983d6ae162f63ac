"""What the scorer says of itself, read off its own state and its acknowledged flushes. Nothing here changes what flows."""

from collections import Counter
from collections.abc import Iterable

from schemas.ledger import LedgerRow
from streams.core.flush import Flush
from streams.settings import Settings
from streams.telemetry.health import Readiness, ScorerState, readiness_of_scorer
from streams.telemetry.metrics import Metrics
from streams.worker.ledger import Chunk, LedgerApp
from streams.worker.scorer import Scorer
from streams.worker.sink import Sink

FATES = ("stored", "duplicate", "sampled_out", "dead_lettered")  # of spans: the ledger's terms
LOG_FATES = ("stored", "duplicate", "ignored", "dead_lettered")
FLAGS = ("late", "conflict", "over_cap", "over_bytes")


def flushed(
    metrics: Metrics, flushes: Iterable[Flush], chunks: Iterable[Chunk], ledger: Iterable[LedgerRow], now_ms: float
) -> None:
    """Sums of one acknowledged flush of all partitions. What became of spans is told as the ledger has it."""
    _accounted(metrics, ledger)
    spans: Counter[str] = Counter()
    closed: Counter[str] = Counter()
    verdicts: Counter[tuple[str, str]] = Counter()
    for flush in flushes:
        for name in (*FLAGS, "evicted"):
            spans[name] += getattr(flush.counts, name)
        for decided in flush.decided:
            closed[decided.outcomes.close_reason] += 1
            for outcome in decided.outcomes.outcomes:
                verdicts[outcome.evaluator, outcome.last] += 1
    for name, n in spans.items():
        if n and name == "evicted":
            metrics.add("stepwatch.windows.evicted", n)
        elif n:
            metrics.add("stepwatch.spans.flagged", n, flag=name)
    for reason, n in closed.items():
        metrics.add("stepwatch.windows.closed", n, reason=reason)
    for (evaluator, verdict), n in verdicts.items():
        metrics.add("stepwatch.eval.results", n, evaluator=evaluator, verdict=verdict)
    for chunk in chunks:
        metrics.add("stepwatch.flush.latency", max(0.0, now_ms - chunk.appended_ms) / 1000.0)


def _accounted(metrics: Metrics, ledger: Iterable[LedgerRow]) -> None:
    for row in ledger:
        spans = {name: getattr(row, name) for name in FATES}
        logs = {name: getattr(row, f"logs_{name}") for name in LOG_FATES}
        for metric, seen, fates in (("stepwatch.spans", row.spans, spans), ("stepwatch.logs", row.log_records, logs)):
            fates["missing"] = abs(seen - sum(fates.values()))  # counted too often is as wrong as not counted
            for name, n in fates.items():
                if n:
                    whose = metrics.tenant(row.tenant)
                    metrics.add(metric, n, outcome=name, partition=str(row.partition), tenant=whose)


def observe(metrics: Metrics, scorer: Scorer, app: LedgerApp, settings: Settings) -> None:
    """Gauges, read when somebody asks."""
    metrics.observe("stepwatch.windows.open", lambda: [(scorer.open_traces, {})])
    metrics.observe("stepwatch.windows.spans", lambda: [(scorer.spans_held, {})])
    metrics.observe("stepwatch.windows.bytes", lambda: [(scorer.bytes_held, {})])
    metrics.observe("stepwatch.sink.buffer", lambda: [(scorer.waiting_rows / settings.flush_rows_max, {})])
    metrics.observe("stepwatch.windows.misplaced", lambda: [(scorer.placement.misplaced, {})])
    metrics.observe("stepwatch.config.seq", lambda: [(scorer.config_seq, {})])
    observe_consumer(metrics, app)


def observe_consumer(metrics: Metrics, app: LedgerApp) -> None:
    """Lag and assignment of a ledger consumer."""

    def labels(topic: str, partition: int) -> dict[str, str]:
        return {"topic": topic, "partition": str(partition)}

    metrics.observe("stepwatch.consumer.lag", lambda: [(lag, labels(*tp)) for tp, lag, _ in app.consumer.lags()])
    metrics.observe("stepwatch.consumer.lag_time", lambda: [(age, labels(*tp)) for tp, _, age in app.consumer.lags()])
    metrics.observe(
        "stepwatch.consumer.partitions",
        lambda: [(n, {"topic": topic}) for topic, n in Counter(tp.topic for tp in app.consumer.assignment()).items()],
    )


def readiness(scorer: Scorer, sink: Sink, settings: Settings) -> Readiness:
    """Whether this scorer does its job now."""
    return readiness_of_scorer(
        ScorerState(
            scorer.assigned,
            scorer.recovered,
            scorer.waiting_rows / settings.flush_rows_max,
            sink.retrying,
            scorer.config_seq > 0 or scorer.recovered > 0,
        )
    )
