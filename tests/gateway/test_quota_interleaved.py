"""The law of the quota through the gateway: however requests overlap, a tenant sends no more than its rates, a burst and one
request; and what cannot be read counts as bytes."""

import asyncio
import gzip
from collections.abc import Sequence
from typing import Any, NamedTuple
from unittest.mock import Mock

import pytest
from aiohttp import StreamReader, web
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from schemas.api_key import Limit
from streams.gateway.answers import Refused
from streams.gateway.http import Gateway
from streams.gateway.quota import BURST_S, Quota
from tests.gateway.fakes import ListLog, request, span

PROTOBUF = {"Content-Type": "application/x-protobuf"}


class Sent(NamedTuple):
    """What one request brings, and by which way."""

    body: bytes
    spans: int
    over_grpc: bool = False


class Taken(NamedTuple):
    """What the gateway read of a request that it did not send away."""

    at_s: float
    spans: int
    size: int


def sent(spans: int, padding: int, over_grpc: bool = False) -> Sent:
    return Sent(request(*(span(n + 1, name="x" * padding) for n in range(spans))), spans, over_grpc)


def broken(size: int, over_grpc: bool = False) -> Sent:
    return Sent(b"\xff" * size, 0, over_grpc)


requests = st.builds(sent, st.integers(1, 30), st.integers(0, 300), st.booleans()) | st.builds(
    broken, st.integers(1, 5_000), st.booleans()
)


class Door:
    """A gateway whose clock is moved by hand, and requests whose bodies come when they are told to."""

    def __init__(self, limit: Limit) -> None:
        self.now_s = 1_000.0
        self.gateway = Gateway(
            ListLog(), linger_s=0, partitioner="sarama", quota=Quota(limit), clock=lambda: self.now_s
        )
        self.taken: list[Taken] = []

    def begin(self, headers: dict[str, str] = PROTOBUF) -> tuple[StreamReader, asyncio.Task[web.StreamResponse]]:
        body = StreamReader(Mock(_reading_paused=False), 2**16, loop=asyncio.get_running_loop())
        asked: Any = make_mocked_request("POST", "/v1/traces", headers, payload=body)
        return body, asyncio.create_task(self.gateway.traces(asked))

    async def end(self, told: Sent, begun: tuple[StreamReader, asyncio.Task[web.StreamResponse]] | None) -> int:
        """The body arrives; the answer's status."""
        if begun is None:
            status = await self._called(told.body)
        else:
            begun[0].feed_data(told.body)
            begun[0].feed_eof()
            status = (await begun[1]).status
        if status != 429:
            self.taken.append(Taken(self.now_s, told.spans, len(told.body)))
        return status

    async def _called(self, body: bytes) -> int:
        try:
            await self.gateway.export(body, None)
        except Refused as refused:
            return refused.status
        return 200


async def plays(limit: Limit, all_sent: Sequence[Sent], order: Sequence[int], pauses: Sequence[float]) -> list[Taken]:
    """Each request stands twice in the order: first it begins, then its body is there."""
    door, begun = Door(limit), {}
    for which, pause_s in zip(order, pauses, strict=True):
        door.now_s += pause_s
        told = all_sent[which]
        if which in begun:
            await door.end(told, begun[which])
        else:
            begun[which] = None if told.over_grpc else door.begin()
            await asyncio.sleep(0)
    return door.taken


@given(
    st.floats(0.5, 50),
    st.floats(50, 5_000),
    st.lists(requests, min_size=2, max_size=8).flatmap(
        lambda all_sent: st.tuples(
            st.just(all_sent),
            st.permutations([*range(len(all_sent))] * 2),
            st.lists(st.sampled_from([0.0, 0.0, 0.1, 5.0]), min_size=2 * len(all_sent), max_size=2 * len(all_sent)),
        )
    ),
)
def test_however_requests_overlap_a_tenant_sends_its_rates_a_burst_and_one_request(
    spans_per_s: float, bytes_per_s: float, played: tuple[list[Sent], list[int], list[float]]
) -> None:
    taken = asyncio.run(plays(Limit(spans_per_s, bytes_per_s), *played))
    for first, since in enumerate(taken):
        for last in range(first, len(taken)):
            window = taken[first : last + 1]
            granted_s = window[-1].at_s - since.at_s + BURST_S
            for rate, amounts in (
                (spans_per_s, [one.spans for one in window]),
                (bytes_per_s, [one.size for one in window]),
            ):
                assert sum(amounts) <= rate * granted_s + max(amounts) + 1e-6


async def test_slow_bodies_that_began_together_do_not_pass_together() -> None:
    door = Door(Limit(spans_per_s=1))
    begun = [door.begin() for _ in range(200)]
    await asyncio.sleep(0)
    statuses = [await door.end(sent(10, 0), each) for each in begun]
    assert (statuses.count(200), statuses.count(429)) == (2, 198), "ten saved up, and one request more"
    assert door.gateway.counts.throttled == {"default": 198}


GZIP = {**PROTOBUF, "Content-Encoding": "gzip"}
UNREADABLE = [
    (b"\xff" * 4_000, PROTOBUF, 400),
    (b"{" * 4_000, {"Content-Type": "application/json"}, 400),
    (b"no gzip, but bytes all the same " * 125, GZIP, 400),
    (gzip.compress(bytes(3_000_000)), GZIP, 413),
    (gzip.compress(bytes(4_000))[:-1], GZIP, 400),
    (request(*(span(n) for n in range(1, 10_002))), PROTOBUF, 413),
]


@pytest.mark.parametrize(("body", "headers", "status"), UNREADABLE)
async def test_a_body_that_cannot_be_read_is_charged_for_its_bytes(
    body: bytes, headers: dict[str, str], status: int
) -> None:
    door = Door(Limit(bytes_per_s=100))
    statuses = [await door.end(Sent(body, 0), door.begin(headers)) for _ in range(3)]
    assert statuses == [status, 429, 429]


async def test_a_body_that_never_ends_is_charged_for_what_came_of_it() -> None:
    door = Door(Limit(bytes_per_s=100))
    body, answer = door.begin()
    body.feed_data(bytes(4_000))
    await asyncio.sleep(0)
    body.set_exception(ConnectionResetError())
    with pytest.raises(ConnectionResetError):
        await answer
    assert await door.end(sent(1, 0), door.begin()) == 429
    assert (await door.gateway.stats(Mock())).status == 200


@pytest.mark.parametrize(
    ("body", "status"), [(body, status) for body, headers, status in UNREADABLE if headers == PROTOBUF]
)
async def test_nor_is_one_free_over_grpc(body: bytes, status: int) -> None:
    door = Door(Limit(bytes_per_s=100))
    assert [await door.end(Sent(body, 0), None) for _ in range(3)] == [status, 429, 429]
