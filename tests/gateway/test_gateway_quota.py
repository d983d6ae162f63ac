"""How much a tenant may send: the law of the bucket, and what a sender over its limit is told."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from google.rpc.status_pb2 import Status
from hypothesis import given
from hypothesis import strategies as st

from schemas.api_key import BadKeyFile, KeyFile, Limit, read_keys, write_keys
from streams.gateway import access
from streams.gateway.access import Access, names_of
from streams.gateway.answers import Refused
from streams.gateway.http import Gateway
from streams.gateway.quota import BURST_S, Bucket, Quota
from tests.gateway.fakes import ListLog, ready, request, span
from tests.gateway.test_gateway_access import PROTOBUF, made, run

rates = st.floats(0.5, 5_000)
asks = st.lists(st.tuples(st.floats(0, 30), st.integers(1, 2_000), st.integers(1, 100_000)), max_size=40)


@given(rates, rates, asks)
def test_over_any_time_a_tenant_sends_at_most_its_rates_a_burst_and_one_request(
    spans_per_s: float, bytes_per_s: float, asked: list[tuple[float, int, int]]
) -> None:
    bucket, now_s, sent = Bucket(Limit(spans_per_s, bytes_per_s), 0.0), 0.0, []
    for passed_s, spans, size in asked:
        now_s += passed_s
        if not bucket.wait_s(now_s):
            bucket.owe(spans, size)
            sent.append((now_s, spans, size))
    for first, (since_s, _, _) in enumerate(sent):
        for place, rate in ((1, spans_per_s), (2, bytes_per_s)):
            taken = [one[place] for one in sent[first:]]
            until_s = sent[-1][0]
            assert sum(taken) <= rate * (until_s - since_s + BURST_S) + max(taken) + 1e-6 * (1 + sum(taken))


@given(rates, asks)
def test_whoever_waits_as_long_as_it_is_told_may_send(rate: float, asked: list[tuple[float, int, int]]) -> None:
    bucket, now_s = Bucket(Limit(rate, 0), 0.0), 0.0
    for _, spans, size in asked:
        now_s += bucket.wait_s(now_s) + 1e-6
        assert bucket.wait_s(now_s) == 0, "a byte that nobody limits is never owed"
        bucket.owe(spans, size)


def test_a_clock_that_goes_back_grants_nothing() -> None:
    bucket = Bucket(Limit(1, 0), 100.0)
    bucket.owe(20, 0)
    assert bucket.wait_s(50.0) == bucket.wait_s(100.0) == 10.0


def test_a_new_limit_begins_with_a_full_bucket_and_none_forgets_it() -> None:
    quota = Quota()
    limits = {"a": Limit(1, 0)}
    assert quota.wait_s("a", limits, 0.0) == 0
    quota.owe("a", 1_000, 1)
    assert quota.wait_s("a", limits, 0.0) == 60, "never told to wait longer"
    assert quota.wait_s("a", {"a": Limit(2, 0)}, 0.0) == 0
    assert quota.wait_s("a", {}, 0.0) == 0
    assert Quota(Limit(1, 1)).wait_s("b", {}, 0.0) == 0


@pytest.fixture
async def serve(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(access, "LOOKED_S", 0.0)
    clients: list[TestClient[Any, Any]] = []

    async def start(file: Path) -> tuple[Gateway, Callable[..., Any]]:
        gateway = Gateway(ListLog(), linger_s=0.001, partitioner="sarama", access=Access(file))
        server = TestServer(gateway.application())
        await server.start_server(auto_decompress=False)
        clients.append(TestClient(server))

        async def post(key: str, body: bytes) -> tuple[int, str, str]:
            headers = {**PROTOBUF, "Authorization": f"Bearer {key}"}
            async with clients[-1].post("/v1/traces", data=body, headers=headers) as response:
                answer = await response.read()
                said = Status.FromString(answer).message if response.status >= 400 else ""
                return response.status, said, response.headers.get("Retry-After", "")

        return gateway, post

    yield start
    for client in clients:
        await client.close()


async def test_a_tenant_over_its_limit_is_told_when_to_come_back_and_others_do_not_notice(
    serve: Any, tmp_path: Path
) -> None:
    file = tmp_path / "keys.json"
    acme, shop = made(file, "acme"), made(file, "shop")
    gateway, post = await serve(file)
    assert run("limit", "acme", "--spans-per-s", "0.1", "--file", str(file)).strip() == "acme: 0.1 spans a second"
    many = request(*(span(n) for n in range(1, 6)))
    assert (await post(acme, many))[0] == 200, "a request is taken whole while anything is left"
    status, said, after = await post(acme, b"not even OTLP")
    assert (status, after) == (429, "40") and "tenant acme is over its limit" in said
    assert (await post(shop, many))[0] == 200
    assert gateway.counts.throttled == {"acme": 1}
    with pytest.raises(Refused, match="over its limit") as refused:
        await gateway.export(ready(many), f"Bearer {acme}")
    assert refused.value.retry_after_s == 40
    assert run("limit", "acme", "--file", str(file)).strip() == "acme: no limit"
    assert (await post(acme, many))[0] == 200


async def test_a_certificate_stands_for_a_tenant_where_no_key_is_shown(serve: Any, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    made(file, "acme")
    run("certificate", "URI:spiffe://example.org/shop", "--tenant", "shop", "--file", str(file))
    door = Access(file)
    names = names_of({"subjectAltName": (("DNS", "x.example.org"), ("URI", "spiffe://example.org/shop"))})
    assert door.tenant_of(None, names) == "shop"
    assert door.tenant_of("Bearer nonsense", names) is None, "a key that is shown must be one"
    assert door.tenant_of(None, ["DNS:x.example.org"]) is None
    assert names_of(None) == []
    run("certificate", "URI:spiffe://example.org/shop", "--file", str(file))
    assert Access(file).tenant_of(None, names) is None


@pytest.mark.parametrize(
    "part", ['"limits": {"a": {"spans_per_s": -1}}', '"limits": 3', '"certificates": {"URI:x": ""}']
)
def test_a_file_with_a_limit_or_a_certificate_that_is_none_is_refused(part: str) -> None:
    with pytest.raises(BadKeyFile):
        read_keys(b'{"keys": [], ' + part.encode() + b"}", "keys.json")


def test_limits_and_certificates_survive_the_writing_of_keys(tmp_path: Path) -> None:
    said = KeyFile([], {"a": Limit(1.0, 2.0)}, {"DNS:x": "a"})
    assert read_keys(write_keys(said), "keys.json") == said
    file = tmp_path / "keys.json"
    file.write_bytes(write_keys(said))
    made(file, "b")
    assert read_keys(file.read_bytes(), "keys.json").limits == said.limits
