"""What delivery says of itself, read off its couriers."""

from collections.abc import Iterator, Mapping, Sequence

from streams.delivery.courier import Courier
from streams.telemetry.metrics import Metrics


def observe(metrics: Metrics, couriers: Sequence[Courier]) -> None:
    """Counters and gauges by target, read when somebody asks. An outcome is one of `Attempts.counts`, as a code."""

    def outcomes() -> Iterator[tuple[float, Mapping[str, str]]]:
        for courier in couriers:
            for name, n in courier.attempts.counts.items():
                yield n, {"target": courier.target.name, "outcome": name.replace(" ", "_")}

    metrics.observe("stepwatch.delivery", outcomes)
    metrics.observe(
        "stepwatch.delivery.waiting", lambda: [(c.attempts.waiting, {"target": c.target.name}) for c in couriers]
    )
