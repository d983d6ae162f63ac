"""One tenant does not shut the others out: of places and of held bytes it gets half, where there are others."""

import asyncio
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from aiohttp import StreamReader
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from schemas.api_key import KeyFile, KeyRecord, hashed, spell, write_keys
from streams.gateway.access import Access
from streams.gateway.answers import Refused
from streams.gateway.budget import Budget, OverBudget
from streams.gateway.http import Gateway
from streams.gateway.places import Places
from tests.gateway.fakes import ListLog, ready, request, span

KEYS = {tenant: spell(id_, "x") for tenant, id_ in (("acme", "0a1b2c3d"), ("shop", "ffffffff"))}


def gateway(folder: Path, *tenants: str, **options: Any) -> Gateway:
    records = [KeyRecord(KEYS[each].split("_")[1], hashed(KEYS[each]), each, "") for each in tenants]
    file = folder / "keys.json"
    file.write_bytes(write_keys(KeyFile(records)))
    return Gateway(ListLog(), linger_s=0, partitioner="sarama", access=Access(file), **options)


def begun(of: Gateway, tenant: str) -> tuple[StreamReader, asyncio.Task[Any]]:
    body = StreamReader(Mock(_reading_paused=False), 2**16, loop=asyncio.get_running_loop())
    headers = {"Content-Type": "application/x-protobuf", "Authorization": f"Bearer {KEYS[tenant]}"}
    asked: Any = make_mocked_request("POST", "/v1/traces", headers, payload=body)
    return body, asyncio.create_task(of.traces(asked))


async def posted(of: Gateway, tenant: str, body: bytes) -> tuple[int, bytes]:
    payload, answer = begun(of, tenant)
    payload.feed_data(body)
    payload.feed_eof()
    response = await answer
    return response.status, response.body


async def test_slow_bodies_of_one_tenant_leave_places_for_the_others(tmp_path: Path) -> None:
    door = gateway(tmp_path, "acme", "shop", requests_max=8)
    slow = [begun(door, "acme") for _ in range(20)]
    await asyncio.sleep(0)
    status, said = await posted(door, "acme", request(span(1)))
    assert status == 429 and b"4 requests of tenant acme are in progress" in said
    assert (await posted(door, "shop", request(span(1))))[0] == 200
    for body, _ in slow:
        body.feed_eof()
    answers = [(await answer).status for _, answer in slow]
    assert (answers.count(200), answers.count(429)) == (4, 16)
    assert (await posted(door, "acme", request(span(1))))[0] == 200


async def test_held_bytes_of_one_tenant_leave_room_for_the_others(tmp_path: Path) -> None:
    budget = Budget(ceiling=10_000)
    door = gateway(tmp_path, "acme", "shop", budget=budget)
    slow, answer = begun(door, "acme")
    slow.feed_data(bytes(4_000))
    await asyncio.sleep(0)
    status, said = await posted(door, "acme", request(span(1, name="x" * 2_000)))
    assert status == 503 and b"4000 bytes of tenant acme are held" in said
    with pytest.raises(Refused, match="bytes of tenant acme"):
        await door.export(ready(request(span(1, name="x" * 2_000))), f"Bearer {KEYS['acme']}")
    assert (await posted(door, "shop", request(span(1, name="x" * 2_000))))[0] == 200
    slow.feed_eof()
    await answer
    assert budget.held == 0


async def test_who_is_alone_has_all(tmp_path: Path) -> None:
    door = gateway(tmp_path, "acme", requests_max=2, budget=Budget(ceiling=10_000))
    slow, answer = begun(door, "acme")
    slow.feed_data(bytes(4_000))
    await asyncio.sleep(0)
    assert (await posted(door, "acme", request(span(1, name="x" * 2_000))))[0] == 200
    slow.feed_eof()
    await answer


def test_places_come_back_whatever_happens() -> None:
    places = Places(4)
    with ExitStack() as taken:
        for tenant in ("a", "a", "b"):
            taken.enter_context(places.one(tenant, several=True))
        with pytest.raises(Refused, match="2 requests of tenant a"), places.one("a", several=True):
            pass
        taken.enter_context(places.one("c", several=True))
        with pytest.raises(Refused, match="4 requests are in progress"), places.one("d", several=False):
            pass
    with pytest.raises(KeyError), places.one("a", several=True):
        raise KeyError
    assert places.taken == 0


@given(
    st.integers(0, 300), st.booleans(), st.lists(st.tuples(st.sampled_from("abc"), st.integers(-60, 60)), max_size=60)
)
def test_what_tenants_hold_is_what_is_held(ceiling: int, several: bool, asked: list[tuple[str, int]]) -> None:
    budget = Budget(ceiling)
    budget.several = several
    held = dict.fromkeys("abc", 0)
    for tenant, size in asked:
        share = budget.of(tenant)
        if size < 0:
            share.give_back(min(-size, held[tenant]))
            held[tenant] -= min(-size, held[tenant])
            continue
        fits = sum(held.values()) + size <= ceiling and (not several or held[tenant] + size <= ceiling // 2)
        try:
            share.take(size)
        except OverBudget:
            assert not fits
        else:
            assert fits
            held[tenant] += size
        assert budget.held == sum(held.values())
        assert share.held == held[tenant]
