"""The law of the quota through the gateway: however requests overlap, a tenant sends no more than its rates, a burst and one
request; and what cannot be read counts as bytes."""

import asyncio
import gzip
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple
from unittest.mock import Mock, patch

import pytest
from aiohttp import StreamReader
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from schemas.api_key import Limit
from streams.gateway import decoding
from streams.gateway.answers import Refused
from streams.gateway.http import Gateway
from streams.gateway.quota import BURST_S, Quota
from tests.gateway.fakes import ListLog, ready, request, span

PROTOBUF = {"Content-Type": "application/x-protobuf"}


class Sent(NamedTuple):
    """What one request brings, and by which way."""

    body: bytes
    spans: int
    over_grpc: bool = False


class Owed(NamedTuple):
    """What was charged of a request, and when."""

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


Begun = tuple[StreamReader, asyncio.Task[int]]


class Door(Quota):
    """A gateway whose clock is moved by hand, and requests whose bodies come when they are told to; writes down what is owed."""

    def __init__(self, limit: Limit) -> None:
        super().__init__(limit)
        self.now_s = 1_000.0
        self.owed: list[Owed] = []
        self.gateway = Gateway(ListLog(), linger_s=0, partitioner="sarama", quota=self, clock=lambda: self.now_s)

    def owe(self, tenant: str, spans: int, size: int) -> None:
        self.owed.append(Owed(self.now_s, spans, size))
        super().owe(tenant, spans, size)

    def begin(self, headers: dict[str, str] = PROTOBUF) -> Begun:
        body = StreamReader(Mock(_reading_paused=False), 2**16, loop=asyncio.get_running_loop())
        asked: Any = make_mocked_request("POST", "/v1/traces", headers, payload=body)

        async def status() -> int:
            return (await self.gateway.traces(asked)).status

        return body, asyncio.create_task(status())

    def arrive(self, body: bytes, begun: Begun | None) -> asyncio.Task[int]:
        """The body is there, or over gRPC the whole request; its status is to come."""
        if begun is None:
            return asyncio.create_task(self._called(body))
        begun[0].feed_data(body)
        begun[0].feed_eof()
        return begun[1]

    async def _called(self, body: bytes) -> int:
        try:
            await self.gateway.export(ready(body), None)
        except Refused as refused:
            return refused.status
        return 200


async def plays(
    door: Door, all_sent: Sequence[Sent], order: Sequence[int], pauses: Sequence[float]
) -> list[tuple[Sent, int]]:
    """Each request stands twice in the order: first it begins, then its body is there. What became of each."""
    begun: dict[int, Begun | None] = {}
    answers: dict[int, asyncio.Task[int]] = {}
    for which, pause_s in zip(order, pauses, strict=True):
        door.now_s += pause_s
        if which in begun:
            answers[which] = door.arrive(all_sent[which].body, begun[which])
        else:
            begun[which] = None if all_sent[which].over_grpc else door.begin()
        await asyncio.sleep(0)
    return [(all_sent[which], await answer) for which, answer in answers.items()]


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
    st.sampled_from([0, 1_000, decoding.AT_ONCE_BYTES]),
)
def test_however_requests_overlap_a_tenant_sends_its_rates_a_burst_and_one_request(
    spans_per_s: float, bytes_per_s: float, played: tuple[list[Sent], list[int], list[float]], at_once: int
) -> None:
    door = Door(Limit(spans_per_s, bytes_per_s))
    with patch.object(decoding, "AT_ONCE_BYTES", at_once):
        answers = asyncio.run(plays(door, *played))
    taken = Counter((told.spans, len(told.body)) for told, status in answers if status != 429)
    assert taken == Counter((owed.spans, owed.size) for owed in door.owed), "what is taken is charged, and nothing else"
    for first, since in enumerate(door.owed):
        for last in range(first, len(door.owed)):
            window = door.owed[first : last + 1]
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
    statuses = [await door.arrive(sent(10, 0).body, each) for each in begun]
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
    statuses = [await door.arrive(body, door.begin(headers)) for _ in range(3)]
    assert statuses == [status, 429, 429]


async def test_a_body_that_never_ends_is_charged_for_what_came_of_it() -> None:
    door = Door(Limit(bytes_per_s=100))
    body, answer = door.begin()
    body.feed_data(bytes(4_000))
    await asyncio.sleep(0)
    body.set_exception(ConnectionResetError())
    assert await answer == 400
    assert await door.arrive(sent(1, 0).body, door.begin()) == 429
    assert door.gateway.counts.requests == {400: 1, 429: 1}


@pytest.mark.parametrize(
    ("body", "status"), [(body, status) for body, headers, status in UNREADABLE if headers == PROTOBUF]
)
async def test_nor_is_one_free_over_grpc(body: bytes, status: int) -> None:
    door = Door(Limit(bytes_per_s=100))
    assert [await door.arrive(body, None) for _ in range(3)] == [status, 429, 429]
