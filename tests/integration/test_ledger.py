"""`stepwatch ledger`: a sum that closes, and each way in which it does not, on a real ClickHouse."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from clickhouse_connect.driver.client import Client

from schemas.ledger import LedgerRow
from streams.local.stack import LocalStack
from streams.store.client import connect
from streams.store.ledger import Sum, gaps, sums, unaccounted
from streams.store.migrate import migrate
from streams.store.writer import Writer

TOPIC = "otlp_spans"


@pytest.fixture
def client(stack: LocalStack) -> Iterator[Client]:
    settings = stack.settings.model_copy(update={"clickhouse_database": f"ledger_{uuid4().hex}"})
    migrate(settings)
    made = connect(settings)
    yield made
    made.command(f"DROP DATABASE `{settings.clickhouse_database}`")
    made.close()


def row(first: int, last: int, epoch: int = 1, tenant: str = "a", partition: int = 0, **counts: int) -> LedgerRow:
    spans = 10 * (last - first + 1)
    told = {"spans": spans, "stored": spans, "duplicate": 0, "sampled_out": 0, "dead_lettered": 0, **counts}
    return LedgerRow(TOPIC, partition, epoch, first, last, tenant, last - first + 1, **told)


def test_what_a_new_owner_reads_again_counts_once_and_leaves_no_gap(client: Client) -> None:
    Writer(client).write_ledger(
        [row(0, 4), row(5, 9), row(10, 14), row(5, 12, epoch=2), row(13, 20, epoch=2), row(0, 3, partition=1)]
    )
    found = sums(client, TOPIC)
    assert found[0] == Sum(0, "a", 0, 20, 210, 210, 0, 0, 0, 0)
    assert gaps(client, TOPIC) == {}
    assert unaccounted(found, {0: 21, 1: 4, 2: 99}) == {}


def test_records_that_nobody_accounted_for_are_a_gap(client: Client) -> None:
    Writer(client).write_ledger(
        [row(0, 4), row(0, 4, tenant="b", spans=0, stored=0), row(8, 9), row(20, 29, partition=1)]
    )
    assert gaps(client, TOPIC) == {0: 3}, "a ledger may begin anywhere: older rows go by TTL"


def test_what_was_committed_and_not_accounted_for_is_told(client: Client) -> None:
    Writer(client).write_ledger([row(0, 4)])
    assert unaccounted(sums(client, TOPIC), {0: 7}) == {0: 2}


def test_spans_that_are_missing_are_told(client: Client) -> None:
    Writer(client).write_ledger([row(0, 4, stored=40, duplicate=3, dead_lettered=2)])
    assert sums(client, TOPIC)[0].missing == 5
