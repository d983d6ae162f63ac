import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from streams.telemetry.instruments import INSTRUMENTS
from streams.telemetry.metrics import Metrics, resident_bytes, table

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"


@pytest.fixture
def metrics():
    made = Metrics("scorer")
    yield made
    made.stop()


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(metrics.page().decode())
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def test_counters_add_up_by_attribute(metrics: Metrics):
    metrics.add("stepwatch.spans", 3, outcome="stored", partition="0", tenant="a")
    metrics.add("stepwatch.spans", 4, outcome="stored", partition="0", tenant="a")
    metrics.add("stepwatch.spans", 5, outcome="duplicate", partition="0", tenant="a")
    told, whose = samples(metrics), (("partition", "0"), ("tenant", "a"))
    assert told["stepwatch_spans_total", (("outcome", "stored"), *whose)] == 7
    assert told["stepwatch_spans_total", (("outcome", "duplicate"), *whose)] == 5


def test_histograms_have_the_bounds_of_seconds(metrics: Metrics):
    metrics.add("stepwatch.flush.latency", 0.3)
    told = samples(metrics)
    assert told["stepwatch_flush_latency_seconds_bucket", (("le", "0.25"),)] == 0
    assert told["stepwatch_flush_latency_seconds_bucket", (("le", "0.5"),)] == 1


def test_gauges_are_read_when_somebody_asks(metrics: Metrics):
    held = [1.0]
    metrics.observe("stepwatch.windows.open", lambda: [(held[0], {})])
    assert samples(metrics)["stepwatch_windows_open", ()] == 1
    held[0] = 9
    assert samples(metrics)["stepwatch_windows_open", ()] == 9


def test_two_processes_worth_of_metrics_do_not_meet(metrics: Metrics):
    other = Metrics("alerter")
    other.add("stepwatch.rebalances")
    assert ("stepwatch_rebalances_total", ()) not in samples(metrics)
    other.stop()


@pytest.mark.parametrize("attributes", [{}, {"outcome": "stored", "text": "x"}, {"reason": "x"}])
def test_an_attribute_outside_the_list_is_a_bug(metrics: Metrics, attributes: dict[str, str]):
    with pytest.raises(KeyError, match=r"stepwatch\.spans has the attributes"):
        metrics.add("stepwatch.spans", 1, **attributes)


def test_names_are_dotted_lower_case_and_unique():
    names = [instrument.name for instrument in INSTRUMENTS]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"stepwatch(\.[a-z_]+)+", name) for name in names)


def test_memory_is_that_of_this_process():
    assert 10_000_000 < resident_bytes() < 100_000_000_000


def test_the_documented_table_is_this_one():
    assert table() in OPERATIONS.read_text(encoding="utf-8"), (
        "paste streams.telemetry.metrics.table() into operations.md"
    )
