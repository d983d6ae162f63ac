"""What the scorer says of itself, read off its own state and its acknowledged flushes. Nothing here changes what flows."""

from collections import Counter
from collections.abc import Iterable

from streams.core.flush import Flush
from streams.settings import Settings
from streams.telemetry.health import Readiness, ScorerState, readiness_of_scorer
from streams.telemetry.metrics import Metrics
from streams.worker.ledger import Chunk, LedgerApp
from streams.worker.scorer import Scorer
from streams.worker.sink import Sink

FLAGS = ("late", "conflict", "over_cap")


def flushed(metrics: Metrics, flushes: Iterable[Flush], chunks: Iterable[Chunk], now_ms: float) -> None:
    """Sums of one acknowledged flush of all partitions."""
    spans: Counter[str] = Counter()
    closed: Counter[str] = Counter()
    verdicts: Counter[tuple[str, str]] = Counter()
    for flush in flushes:
        for name in ("stored", "duplicate", *FLAGS, "evicted"):
            spans[name] += getattr(flush.counts, name)
        for decided in flush.decided:
            closed[decided.outcomes.close_reason] += 1
            for outcome in decided.outcomes.outcomes:
                verdicts[outcome.evaluator, outcome.last] += 1
    for name, n in spans.items():
        if not n:
            continue
        if name in FLAGS:
            metrics.add("stepwatch.spans.flagged", n, flag=name)
        elif name == "evicted":
            metrics.add("stepwatch.windows.evicted", n)
        else:
            metrics.add("stepwatch.spans", n, outcome=name)
    for reason, n in closed.items():
        metrics.add("stepwatch.windows.closed", n, reason=reason)
    for (evaluator, verdict), n in verdicts.items():
        metrics.add("stepwatch.eval.results", n, evaluator=evaluator, verdict=verdict)
    for chunk in chunks:
        metrics.add("stepwatch.flush.latency", max(0.0, now_ms - chunk.appended_ms) / 1000.0)


def observe(metrics: Metrics, scorer: Scorer, app: LedgerApp, settings: Settings) -> None:
    """Gauges, read when somebody asks."""
    metrics.observe("stepwatch.windows.open", lambda: [(scorer.open_traces, {})])
    metrics.observe("stepwatch.windows.spans", lambda: [(scorer.spans_held, {})])
    metrics.observe("stepwatch.sink.buffer", lambda: [(scorer.waiting_rows / settings.flush_rows_max, {})])
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
