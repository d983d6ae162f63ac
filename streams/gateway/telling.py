"""What the gateway says of itself in metrics, read off its counts."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from streams.gateway.account import Account
from streams.gateway.counts import GatewayCounts
from streams.telemetry.metrics import Metrics


def observe(metrics: Metrics, counts: GatewayCounts, account: Account) -> None:
    """Counters, read when somebody asks."""

    def spans() -> Iterator[tuple[float, Mapping[str, str]]]:
        yield counts.accepted_spans, {"outcome": "accepted", "reason": ""}
        yield counts.retried_spans, {"outcome": "try_again", "reason": ""}
        for reason, n in counts.refused_spans.items():
            yield n, {"outcome": "refused", "reason": reason}

    def logs() -> Iterator[tuple[float, Mapping[str, str]]]:
        yield counts.accepted_logs, {"outcome": "accepted", "reason": ""}
        yield counts.ignored_logs, {"outcome": "ignored", "reason": ""}
        yield counts.retried_logs, {"outcome": "try_again", "reason": ""}
        for reason, n in counts.refused_logs.items():
            yield n, {"outcome": "refused", "reason": reason}

    def throttled() -> Iterator[tuple[float, Mapping[str, str]]]:
        for (tenant,), n in by_tenant({(t,): n for t, n in counts.throttled.items()}).items():
            yield n, {"tenant": tenant}

    def sent() -> Iterator[tuple[float, Mapping[str, str]]]:
        for of, n in by_tenant(account.totals()).items():
            yield n, dict(zip(("tenant", "signal", "outcome", "partition"), of, strict=True))

    def by_tenant(sums: Mapping[Any, int]) -> Counter[tuple[str, ...]]:
        bounded: Counter[tuple[str, ...]] = Counter()
        for (tenant, *rest), n in sums.items():
            bounded[metrics.tenant(tenant), *rest] += n
        return bounded

    metrics.observe("stepwatch.gateway.spans", spans)
    metrics.observe("stepwatch.gateway.throttled", throttled)
    metrics.observe("stepwatch.gateway.logs", logs)
    metrics.observe(
        "stepwatch.gateway.records",
        lambda: [(counts.records, {"outcome": "acknowledged"}), (counts.failed_records, {"outcome": "failed"})],
    )
    metrics.observe(
        "stepwatch.gateway.requests", lambda: [(n, {"status": str(status)}) for status, n in counts.requests.items()]
    )
    metrics.observe(
        "stepwatch.gateway.sent",
        sent,
    )
