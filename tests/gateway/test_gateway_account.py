"""The gateway's account of what it was sent, and how it is told: each thing once, whatever the store does."""

import threading
from collections import Counter
from collections.abc import Sequence

import orjson
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import given
from hypothesis import strategies as st

from schemas.ledger import GatewayRow
from schemas.signal import LOGS, TRACES
from streams.gateway.account import Account, Amount, Fate
from streams.gateway.http import Gateway
from streams.gateway.teller import Teller
from streams.store.errors import StoreUnavailable
from streams.store.gateway_ledger import Told, lost
from streams.store.ledger import Sum
from tests.gateway.fakes import ListLog, request, span

PROTOBUF = {"Content-Type": "application/x-protobuf"}


async def test_each_span_of_a_request_is_in_the_log_or_refused() -> None:
    gateway = Gateway(ListLog(1), linger_s=0.001, partitioner="sarama")
    async with TestClient(TestServer(gateway.application())) as client:
        body = request(span(1), span(2), span(3, trace_id=b"bad"))
        for _ in range(2):
            assert (await client.post("/v1/traces", data=body, headers=PROTOBUF)).status == 200
        logs = {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": "hello"}}]}]}]}
        assert (await client.post("/v1/logs", data=orjson.dumps(logs), headers={"Content-Type": "application/json"})).ok
        assert (await client.post("/v1/traces", data=b"\xff", headers=PROTOBUF)).status == 400
    assert gateway.account.take() == {
        Fate("default", TRACES, "in_log", "", 0): Amount(4, 0, 1),
        Fate("default", TRACES, "refused", "bad_trace_id"): Amount(2),
        Fate("default", LOGS, "ignored"): Amount(1),
    }
    assert gateway.account.take() == {}, "taken once"


class Store:
    """Takes words or not, as it is told; a word that it took it may deny."""

    def __init__(self, answers: Sequence[str]) -> None:
        self.rows: set[GatewayRow] = set()
        self._answers = list(answers)

    def write(self, rows: Sequence[GatewayRow]) -> None:
        answer = self._answers.pop(0) if self._answers else "taken"
        if answer != "away":
            self.rows |= set(rows)  # the same row again changes nothing
        if answer != "taken":
            raise StoreUnavailable("no answer")


@given(
    st.lists(st.sampled_from(["taken", "away", "denied"])),
    st.lists(st.lists(st.integers(1, 9), max_size=3), max_size=8),
)
def test_whatever_the_store_answers_each_span_is_told_once(answers: list[str], came: list[list[int]]) -> None:
    account, store = Account(), Store(answers)
    teller = Teller(account, "spans", store.write)
    for offset, amounts in enumerate(came):
        for n in amounts:
            account.in_log("acme", TRACES, n % 3, offset, n)
            account.refused("acme", TRACES, ["bad_trace_id"] * n)
        teller.tell()
    while not teller.tell(is_last=True):
        pass
    told: Counter[str] = Counter()
    for row in store.rows:
        told[row.outcome] += row.n
    total = sum(map(sum, came))
    assert (told["in_log"], told["refused"]) == (total, total)
    assert {row.is_last for row in store.rows if row.seq == max(row.seq for row in store.rows)} == {1}


def test_a_stop_says_what_is_left_and_one_whose_store_is_away_says_so() -> None:
    account, store = Account(), Store([])
    account.in_log("acme", TRACES, 0, 7, 3)
    teller = Teller(account, "spans", store.write, word_s=60)
    teller.start()
    assert teller.stop(10)
    assert sum(row.n for row in store.rows) == 3
    away = Teller(account, "spans", Store(["away"] * 10).write, word_s=60)
    away.start()
    assert not away.stop(10)


def test_a_store_that_hangs_does_not_hold_a_stop() -> None:
    let_go = threading.Event()
    teller = Teller(Account(), "spans", lambda _: let_go.wait() and None, word_s=60)
    teller.start()
    assert not teller.stop(0.01)
    let_go.set()
    assert teller.stop(10)


SUMS = [Sum(0, "acme", 10, 19, 50, 50, 0, 0, 0, 0), Sum(0, "shop", 12, 12, 2, 2, 0, 0, 0, 0, 4, 4, 0, 0, 0, 0)]


def test_what_a_gateway_saw_acknowledged_and_nobody_counted_is_lost() -> None:
    words = [Told(0, "acme", TRACES, 10, 14, 30), Told(0, "acme", TRACES, 11, 19, 25), Told(0, "shop", LOGS, 12, 12, 4)]
    assert lost(words, SUMS) == {(0, "acme", TRACES): 5}
    assert lost([Told(0, "new", TRACES, 13, 13, 1)], SUMS) == {(0, "new", TRACES): 1}


def test_more_in_the_log_than_gateways_told_is_somebody_elses() -> None:
    assert lost([Told(0, "acme", TRACES, 10, 14, 49)], SUMS) == {}


def test_what_the_ledger_does_not_reach_is_not_judged() -> None:
    words = [Told(0, "acme", TRACES, 9, 19, 99), Told(0, "acme", TRACES, 15, 20, 99), Told(1, "acme", TRACES, 0, 0, 99)]
    assert lost(words, SUMS) == {}
