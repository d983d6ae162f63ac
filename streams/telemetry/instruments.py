"""Every metric that Stepwatch has, as data. docs/operations.md carries the same table, and a test holds the two together.

Names are lower-case and dotted, units UCUM, attributes from the closed lists below. None carries free text but `tenant`, and
that is bounded (`names`), so the number of series is bounded by what runs, not by what comes in. The Prometheus endpoint writes
dots as underscores and adds the unit and `_total`.
"""

from typing import Literal, NamedTuple

Kind = Literal["counter", "gauge", "histogram"]
# Seconds, from a fast insert to an outage.
SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)

OF_LEDGER = ("outcome", "partition", "tenant")


class Instrument(NamedTuple):
    """One metric."""

    name: str
    kind: Kind
    unit: str
    says: str
    attributes: tuple[str, ...] = ()


INSTRUMENTS = (
    # Gateway.
    Instrument("stepwatch.gateway.spans", "counter", "{span}", "Spans of readable requests", ("outcome", "reason")),
    Instrument(
        "stepwatch.gateway.logs", "counter", "{record}", "Log records of readable requests", ("outcome", "reason")
    ),
    Instrument("stepwatch.gateway.requests", "counter", "{request}", "Requests answered", ("status",)),
    Instrument(
        "stepwatch.gateway.throttled", "counter", "{request}", "Requests over their tenant's limit", ("tenant",)
    ),
    Instrument(
        "stepwatch.gateway.sent",
        "counter",
        "{item}",
        "Spans and log records sent: in the log, refused or ignored",
        ("tenant", "signal", "outcome", "partition"),
    ),
    Instrument("stepwatch.gateway.ledger.silence", "gauge", "s", "Since the store last heard a word for the ledger"),
    Instrument("stepwatch.gateway.records", "counter", "{record}", "Records for the spans topic", ("outcome",)),
    # Scorer, alerter: what they consume.
    Instrument("stepwatch.consumer.lag", "gauge", "{record}", "Records behind the end", ("topic", "partition")),
    Instrument(
        "stepwatch.consumer.lag_time",
        "gauge",
        "s",
        "Age of the oldest record that is not done, 0 when all are",
        ("topic", "partition"),
    ),
    Instrument("stepwatch.consumer.partitions", "gauge", "{partition}", "Partitions assigned", ("topic",)),
    Instrument("stepwatch.consumer.alarms", "counter", "{alarm}", "What the watchdog had to say", ("kind",)),
    Instrument("stepwatch.records.lost", "counter", "{record}", "Records that retention took before they were read"),
    Instrument("stepwatch.rebalances", "counter", "{rebalance}", "Assignments received"),
    Instrument("stepwatch.recovery.duration", "histogram", "s", "From an assignment until its state is read back"),
    # Scorer: spans and windows.
    Instrument(
        "stepwatch.spans",
        "counter",
        "{span}",
        "What became of the spans of acknowledged flushes; `missing` must not be there",
        OF_LEDGER,
    ),
    Instrument("stepwatch.logs", "counter", "{record}", "What became of their log records, likewise", OF_LEDGER),
    Instrument(
        "stepwatch.spans.flagged", "counter", "{span}", "Spans that came late, contradict or pass a bound", ("flag",)
    ),
    Instrument(
        "stepwatch.redaction.values", "counter", "{value}", "Values masked or taken away, before judging", ("kind",)
    ),
    Instrument("stepwatch.windows.open", "gauge", "{trace}", "Traces that are open, in memory or in the store"),
    Instrument("stepwatch.windows.spans", "gauge", "{span}", "Spans held in memory"),
    Instrument(
        "stepwatch.windows.bytes", "gauge", "By", "Memory that runs take, held or remembered, as the bound counts it"
    ),
    Instrument("stepwatch.windows.closed", "counter", "{trace}", "Traces decided", ("reason",)),
    Instrument("stepwatch.windows.evicted", "counter", "{trace}", "Open traces whose memory was given up"),
    Instrument(
        "stepwatch.windows.misplaced", "counter", "{trace}", "Traces that came to another partition than their id's"
    ),
    Instrument("stepwatch.windows.swept", "counter", "{trace}", "Decided traces that a sweep looked at again"),
    Instrument("stepwatch.eval.results", "counter", "{result}", "Outcomes of decided traces", ("evaluator", "verdict")),
    # Scorer: the sink.
    Instrument("stepwatch.sink.insert.duration", "histogram", "s", "One INSERT until it is acknowledged", ("table",)),
    Instrument("stepwatch.sink.rows", "counter", "{row}", "Rows acknowledged", ("table",)),
    Instrument("stepwatch.sink.retries", "counter", "{attempt}", "Writes and reads that failed and are tried again"),
    Instrument("stepwatch.sink.buffer", "gauge", "1", "Spans that wait for a flush, as a share of the bound"),
    Instrument(
        "stepwatch.flush.latency", "histogram", "s", "From the append of a chunk's last record until it is done"
    ),
    Instrument(
        "stepwatch.results_log", "counter", "{result}", "What became of results to be sent as log events", ("outcome",)
    ),
    Instrument("stepwatch.dlq.records", "counter", "{record}", "Dead letters written"),
    # Alerter.
    Instrument("stepwatch.alert.transitions", "counter", "{event}", "Alert events published", ("to",)),
    Instrument("stepwatch.alert.series", "gauge", "{series}", "Series that are followed"),
    Instrument("stepwatch.alert.firing", "gauge", "{series}", "Series that fire"),
    # Delivery.
    Instrument(
        "stepwatch.alert.attributions", "counter", "{event}", "Alert events whose cause was looked for", ("outcome",)
    ),
    Instrument("stepwatch.alert.attribution.duration", "histogram", "s", "Looking for one alert's cause"),
    Instrument("stepwatch.delivery", "counter", "{event}", "What became of alert events", ("target", "outcome")),
    Instrument("stepwatch.delivery.waiting", "gauge", "{event}", "Events that wait for a target", ("target",)),
    # Every part.
    Instrument(
        "stepwatch.config.seq", "gauge", "1", "The config record in force: differs between workers only briefly"
    ),
    Instrument("stepwatch.loop.delay", "histogram", "s", "How late the event loop is"),
    Instrument("stepwatch.process.cpu", "counter", "s", "CPU time of the process, user and system"),
    Instrument("stepwatch.process.memory", "gauge", "By", "Resident memory of the process"),
    Instrument("stepwatch.build", "gauge", "1", "Always 1", ("version", "part")),
)
BY_NAME = {instrument.name: instrument for instrument in INSTRUMENTS}
