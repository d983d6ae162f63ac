"""Clumsy and hostile senders: nobody else notices them, and nothing of them is left."""

import asyncio
import gzip
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import zstandard
from aiohttp import web

from schemas.otlp_frames import has_more_fields
from streams.gateway.admission import admit
from streams.gateway.answers import PROTOBUF, Refused
from streams.gateway.decoding import AT_ONCE_BYTES, Decoding
from streams.gateway.http import Gateway
from streams.gateway.limits import MIB
from streams.gateway.served import runner_of
from tests.gateway.fakes import ListLog, ready, request, serialised, span

Send = Callable[..., Awaitable[bytes]]
HEAD = b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/x-protobuf\r\n"
JSON_HEAD = HEAD.replace(b"x-protobuf", b"json")
GZIP, ZSTD, CHUNKED = (
    b"Content-Encoding: gzip\r\n",
    b"Content-Encoding: zstd\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n",
)


def whole(body: bytes, head: bytes = HEAD) -> bytes:
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def in_chunks(body: bytes) -> bytes:
    return CHUNKED + b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"


def field(tag: int, value: bytes) -> bytes:
    size, varint = len(value), b""
    while size >= 0x80:
        varint, size = varint + bytes([size & 0x7F | 0x80]), size >> 7
    return bytes([tag]) + varint + bytes([size]) + value


@pytest.fixture
async def door() -> AsyncIterator[tuple[Gateway, ListLog, Send]]:
    """A gateway on a port, and a way to send it bytes, given in pieces; answers with what it said."""
    log = ListLog()
    gateway = Gateway(log, linger_s=0.001, partitioner="sarama")
    runner = runner_of(gateway)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]

    async def send(*pieces: bytes, stays: bool = True) -> bytes:
        reader, writer = await asyncio.open_connection(host, port)
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            return await asyncio.wait_for(reader.read(), 20) if stays else b""
        except ConnectionError:
            return b""
        finally:
            if not stays:
                writer.transport.abort()
            writer.close()

    yield gateway, log, send
    await runner.cleanup()


EMPTY_FRAMES = b"\x0a\x00" * (8 * MIB)
HOSTILE = {
    "a body that is not OTLP": whole(b"\xff" * 10_000),
    "varints without an end": whole(b"\xff" * MIB),
    "a length beyond the body": whole(b"\x0a\xff\xff\xff\xff\x0f" + bytes(100)),
    "millions of empty resources": whole(EMPTY_FRAMES),
    "millions of empty scopes": whole(field(0x0A, b"\x12\x00" * (8 * MIB))),
    "millions of empty spans": whole(field(0x0A, field(0x12, b"\x12\x00" * (8 * MIB)))),
    "millions of unknown fields": whole(b"\x78\x01" * (8 * MIB)),
    "a bomb of gzip": whole(gzip.compress(EMPTY_FRAMES), HEAD + GZIP),
    "a bomb of zstd": whole(zstandard.compress(EMPTY_FRAMES), HEAD + ZSTD),
    "a bomb in chunks": HEAD + GZIP + in_chunks(gzip.compress(bytes(4 * MIB))),
    "brackets in brackets": whole(b"[" * (2 * MIB), JSON_HEAD),
    "a number of a million digits": whole(b'{"resourceSpans":' + b"9" * MIB + b"}", JSON_HEAD),
    "frames of lies": HEAD + CHUNKED + b"zz\r\nabc\r\n",
    "two lengths": HEAD + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "a flood of headers": HEAD + b"".join(b"X-%d: y\r\n" % n for n in range(10_000)) + b"\r\n",
    "a header of a megabyte": HEAD + b"X: " + b"y" * MIB + b"\r\n\r\n",
    "no HTTP at all": b"\x16\x03\x01\x02\x00" + bytes(500) + b"\r\n\r\n",
}  # fmt: skip


@pytest.mark.parametrize("sent", HOSTILE.values(), ids=HOSTILE)
async def test_what_is_hostile_is_refused_counted_and_leaves_nothing(
    door: Any, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    gateway, log, send = door
    answer = await send(sent)
    assert answer == b"" or answer.split()[1] in (b"400", b"413"), answer[:100]
    assert sum(gateway.counts.requests.values()) == gateway.counts.requests[400] + gateway.counts.requests[413] == 1
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    await send(whole(request(span(1))))
    assert log.spans == serialised(span(1)), "whoever comes next is served"
    stats = await gateway.stats(None)
    assert b'"held_bytes":0,"requests_now":0' in stats.body


async def test_a_hundred_thousand_chunks_are_one_body(door: Any) -> None:
    _, log, send = door
    assert (await send(HEAD + in_chunks(request(span(1, name="x" * 100_000))))).split()[1] == b"200"
    assert len(log.spans) == 1


async def test_whoever_leaves_in_the_middle_of_a_body_is_counted_and_makes_no_noise(
    door: Any, caplog: pytest.LogCaptureFixture
) -> None:
    gateway, log, send = door
    for _ in range(20):
        await send(HEAD + b"Content-Length: 100000\r\n\r\n", b"x" * 1_000, stays=False)
    async with asyncio.timeout(5):
        while gateway.counts.requests[400] < 20:
            await asyncio.sleep(0.01)
    assert gateway.counts.requests == {400: 20}
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
    assert log.records == []


async def test_a_large_body_holds_up_nobody(door: Any) -> None:
    """Half a million values in one span take a second or more; others are answered before."""
    gateway, log, send = door
    values = b",".join([b'{"intValue":1}'] * 400_000)
    large = (
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"%032x","spanId":"%016x","attributes":[{"key":"a","value":'
        b'{"arrayValue":{"values":[%b]}}}]}]}]}]}' % (1, 9, values)
    )
    first = asyncio.create_task(send(whole(large, JSON_HEAD)))
    async with asyncio.timeout(20):
        while gateway._budget.held < len(large) and not first.done():  # until it was read
            await asyncio.sleep(0.001)
        assert (await send(whole(request(span(1))))).split()[1] == b"200"
    assert not first.done()
    assert (await first).split()[1] == b"200"
    assert len(log.spans) == 2


async def test_a_body_that_nobody_waits_for_any_more_is_held_until_it_is_decoded() -> None:
    decoding, given_back, loop = Decoding(), asyncio.Event(), asyncio.get_running_loop()
    begun, may_end = asyncio.Event(), asyncio.Event()

    def slow(body: bytes) -> int:
        loop.call_soon_threadsafe(begun.set)
        asyncio.run_coroutine_threadsafe(may_end.wait(), loop).result(10)
        return len(body)

    waiting = asyncio.create_task(decoding.of(bytes(AT_ONCE_BYTES + 1), slow, given_back.set))
    await begun.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not given_back.is_set()
    may_end.set()
    await asyncio.wait_for(given_back.wait(), 5)


async def test_a_call_that_is_cancelled_gives_back_all_it_held_and_its_spans_are_accounted_for() -> None:
    log = ListLog()
    gateway = Gateway(log, linger_s=0, partitioner="sarama")
    log.release.clear()
    call = asyncio.create_task(gateway.export(ready(request(span(1), span(2))), None))
    await log.asked.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    log.release.set()
    assert await gateway.packer.close(5) == 0
    assert b'"held_bytes":0,"requests_now":0' in (await gateway.stats(None)).body  # type: ignore[arg-type, operator]
    assert gateway.account.totals() == {("default", "traces", "in_log", str(log.records[0][0])): 2}


@pytest.mark.parametrize("n", [1, 10_000])
def test_a_request_with_a_frame_for_each_span_is_taken(n: int) -> None:
    body = b"".join(request(span(at + 1, name="x" * 9)) for at in range(n))
    assert admit(body, PROTOBUF, 48, "sarama").n_good == n


def test_frames_are_counted_without_being_read() -> None:
    few, many = field(0x0A, field(0x0A, b"") + field(0x12, b"")) * 10, field(0x0A, b"\x12\x00" * 30)
    assert [has_more_fields(few, at_most) for at_most in (29, 30)] == [True, False]
    assert [has_more_fields(many, at_most) for at_most in (30, 31)] == [True, False]
    for broken in (b"\x0a", b"\x0a\xff", b"\xff" * 20, b"\x0b", b"\x09\x00", b"\x0d", b"\x08"):
        assert not has_more_fields(broken, 20)
    before_s = time.thread_time()
    with pytest.raises(Refused, match="send smaller batches"):
        admit(EMPTY_FRAMES, PROTOBUF, 48, "sarama")
    assert time.thread_time() - before_s < 1
