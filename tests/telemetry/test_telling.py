"""What the gateway, the scorer and delivery tell of themselves, as Prometheus reads it."""

from collections import Counter
from types import SimpleNamespace
from typing import Any

from schemas.ledger import LedgerRow
from streams.delivery import telling as delivery
from streams.gateway import telling as gateway
from streams.gateway.account import Account
from streams.gateway.counts import GatewayCounts
from streams.telemetry.metrics import Metrics
from streams.worker.telling import flushed
from tests.telemetry.test_metrics import samples


def told(part: str, observe: Any, *of: Any) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    metrics = Metrics(part)
    observe(metrics, *of)
    try:
        return samples(metrics)
    finally:
        metrics.stop()


def test_every_span_of_a_readable_request_is_told_of_by_what_became_of_it():
    counts = GatewayCounts(accepted_spans=5, refused_spans=Counter(trace_id=2), retried_spans=3, failed_records=1)
    counts.requests[200] = 4
    account = Account()
    account.in_log("acme", "traces", 3, 70, 5)
    account.refused("acme", "traces", ["trace_id", "trace_id"])
    said = told("gateway", gateway.observe, counts, account)
    sent = {labels: n for (name, labels), n in said.items() if name == "stepwatch_gateway_sent_total"}
    assert sent == {
        (("outcome", "in_log"), ("signal", "traces"), ("tenant", "acme")): 5,
        (("outcome", "refused"), ("signal", "traces"), ("tenant", "acme")): 2,
    }
    spans = {labels: n for (name, labels), n in said.items() if name == "stepwatch_gateway_spans_total"}
    assert spans == {
        (("outcome", "accepted"), ("reason", "")): 5,
        (("outcome", "try_again"), ("reason", "")): 3,
        (("outcome", "refused"), ("reason", "trace_id")): 2,
    }
    assert said["stepwatch_gateway_records_total", (("outcome", "failed"),)] == 1
    assert said["stepwatch_gateway_requests_total", (("status", "200"),)] == 4


def test_each_target_has_its_counts():
    attempts = SimpleNamespace(counts=Counter({"delivered": 7, "tried again": 1}), waiting=2)
    courier = SimpleNamespace(target=SimpleNamespace(name="on-call"), attempts=attempts)
    said = told("deliver", delivery.observe, [courier])
    assert said["stepwatch_delivery_total", (("outcome", "tried_again"), ("target", "on-call"))] == 1
    assert said["stepwatch_delivery_total", (("outcome", "delivered"), ("target", "on-call"))] == 7
    assert said["stepwatch_delivery_waiting", (("target", "on-call"),)] == 2


def test_what_became_of_spans_is_told_as_the_ledger_has_it():
    rows = [
        LedgerRow("otlp_spans", partition, 1, 0, 9, "default", 10, 20, 12, 3, 4, 1, 7, 2, 1, 3, 1)
        for partition in (0, 1)
    ]
    assert all(row.closes for row in rows)
    metrics = Metrics("scorer")
    flushed(metrics, [], [], rows, 0.0)
    said = samples(metrics)
    metrics.stop()
    spans, logs = (
        {dict(labels)["outcome"]: n for (name, labels), n in said.items() if name == f"stepwatch_{what}_total"}
        for what in ("spans", "logs")
    )
    assert spans == {"stored": 24, "duplicate": 6, "sampled_out": 8, "dead_lettered": 2}
    assert logs == {"stored": 4, "duplicate": 2, "ignored": 6, "dead_lettered": 2}
    assert (sum(spans.values()), sum(logs.values())) == (40, 14), "the sum closes in metrics too"
