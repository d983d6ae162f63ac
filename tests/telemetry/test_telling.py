"""What the gateway, the scorer and delivery tell of themselves, as Prometheus reads it."""

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from schemas.ledger import LedgerRow
from streams.delivery import telling as delivery
from streams.gateway import telling as gateway
from streams.gateway.account import Account
from streams.gateway.counts import GatewayCounts
from streams.telemetry.metrics import Metrics
from streams.telemetry.names import NAME_CHARS_MAX, NAMES_MAX, OTHER, Names
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
        (("outcome", "in_log"), ("partition", "3"), ("signal", "traces"), ("tenant", "acme")): 5,
        (("outcome", "refused"), ("partition", ""), ("signal", "traces"), ("tenant", "acme")): 2,
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


def ledger_sums(rows: list[LedgerRow], *names: str) -> list[dict[tuple[str, ...], float]]:
    """What a scorer's metrics say of spans and of log records, by these attributes."""
    metrics = Metrics("scorer")
    flushed(metrics, [], [], rows, 0.0)
    said = samples(metrics)
    metrics.stop()
    sums: list[dict[tuple[str, ...], float]] = []
    for what in ("spans", "logs"):
        found: Counter[tuple[str, ...]] = Counter()
        for (name, labels), n in said.items():
            if name == f"stepwatch_{what}_total":
                found[tuple(dict(labels)[of] for of in names)] += n
        sums.append(dict(found))
    return sums


def test_what_became_of_spans_is_told_as_the_ledger_has_it():
    rows = [
        LedgerRow("otlp_spans", partition, 1, 0, 9, tenant, 10, 20, 12, 3, 4, 1, 7, 2, 1, 3, 1)
        for partition in (0, 1)
        for tenant in ("acme", "bolt")
    ]
    assert all(row.closes for row in rows)
    spans, logs = ledger_sums(rows, "outcome")
    assert spans == {("stored",): 48, ("duplicate",): 12, ("sampled_out",): 16, ("dead_lettered",): 4}
    assert logs == {("stored",): 8, ("duplicate",): 4, ("ignored",): 12, ("dead_lettered",): 4}
    spans, logs = ledger_sums(rows, "partition", "tenant")
    assert spans == {(p, t): 20 for p in "01" for t in ("acme", "bolt")}
    assert logs == {(p, t): 7 for p in "01" for t in ("acme", "bolt")}


@pytest.mark.parametrize(("stored", "missing"), [(7, 3), (12, 2)])
def test_a_sum_that_does_not_close_is_told_too(stored: int, missing: int):
    row = LedgerRow("otlp_spans", 4, 1, 0, 9, "acme", 10, 10, stored, 0, 0, 0)
    assert not row.closes
    spans, _ = ledger_sums([row], "outcome", "partition", "tenant")
    assert spans == {("stored", "4", "acme"): stored, ("missing", "4", "acme"): missing}


def test_tenants_without_end_are_series_with_an_end():
    rows = [LedgerRow("otlp_spans", 0, 1, n, n, f"t{n}", 1, 1, 1, 0, 0, 0) for n in range(5 * NAMES_MAX)]
    spans, _ = ledger_sums(rows, "tenant")
    assert spans == {**{(f"t{n}",): 1 for n in range(NAMES_MAX)}, (OTHER,): 4 * NAMES_MAX}
    account, counts = Account(), GatewayCounts()
    for n in range(5 * NAMES_MAX):
        account.in_log(f"t{n}", "traces", 0, n, 1)
        counts.throttled[f"t{n}"] += 1
    said = told("gateway", gateway.observe, counts, account)
    for name in ("stepwatch_gateway_sent_total", "stepwatch_gateway_throttled_total"):
        series = [n for (of, _), n in said.items() if of == name]
        assert (len(series), sum(series)) == (NAMES_MAX + 1, 5 * NAMES_MAX)


def test_a_name_is_cut():
    assert len(Names()("x" * 10_000)) == NAME_CHARS_MAX
