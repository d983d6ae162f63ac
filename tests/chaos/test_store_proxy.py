"""The proxy fails exactly as it says: what reached the store and what the client was told, fault by fault; then all is well."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from tests.chaos.store_proxy import (
    ANSWERS_500,
    CUTS_AFTER_COMMIT,
    CUTS_AN_ANSWER,
    HANGS,
    IS_FULL,
    REFUSES,
    StoreProxy,
    read_message,
)

SELECT = b"POST /?database=d HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\nSELECT 1"
INSERT = (
    b"POST /?query=INSERT+INTO+t HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n6\r\n\r\n\r\n\r\n\r\r\n0\r\n\r\n"
)
ANSWER = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nrow\n\r\n0\r\n\r\n"


class Store:
    """Answers every request, and remembers it."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await read_message(reader):
            self.heard.append(request)
            writer.write(ANSWER)
        writer.close()


@contextlib.asynccontextmanager
async def between() -> AsyncIterator[tuple[Store, StoreProxy]]:
    store = Store()
    server = await asyncio.start_server(store.serve, "127.0.0.1", 0)
    proxy = StoreProxy("127.0.0.1", server.sockets[0].getsockname()[1])
    await proxy.start()
    try:
        yield store, proxy
    finally:
        await proxy.stop()
        server.close()


async def ask(proxy: StoreProxy, *requests: bytes) -> list[bytes]:
    """The answers over one connection; b"" where it was cut, at once or within the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    answers = []
    try:
        for request in requests:
            writer.write(request)
            try:
                answers.append(await read_message(reader))
            except (ConnectionError, asyncio.IncompleteReadError):
                answers.append(b"")
    finally:
        writer.close()
    return answers


@contextlib.asynccontextmanager
async def suffering(proxy: StoreProxy, fault: str) -> AsyncIterator[None]:
    trouble = asyncio.create_task(proxy.trouble(fault, 0.3))
    await asyncio.sleep(0)
    yield
    await trouble


async def test_without_a_fault_nothing_is_changed() -> None:
    async with between() as (store, proxy):
        assert await ask(proxy, SELECT, INSERT, SELECT) == [ANSWER] * 3
        assert store.heard == [SELECT, INSERT, SELECT]
        assert not proxy.hurt


@pytest.mark.parametrize(
    ("fault", "told", "heard"),
    [
        (IS_FULL, [b"HTTP/1.1 500", ANSWER], [SELECT]),
        (ANSWERS_500, [b"HTTP/1.1 500", b"HTTP/1.1 500"], []),
        (CUTS_AFTER_COMMIT, [b""], [INSERT]),
        (CUTS_AN_ANSWER, [b""], [INSERT]),
        (HANGS, [b""], []),
    ],
)
async def test_each_fault_is_what_it_says(fault: str, told: list[bytes], heard: list[bytes]) -> None:
    async with between() as (store, proxy):
        async with suffering(proxy, fault):
            answers = await ask(proxy, *(INSERT, SELECT)[: len(told)])
        assert [answer[: len(begin)] if begin else answer for answer, begin in zip(answers, told, strict=True)] == told
        assert store.heard == heard
        assert proxy.hurt[fault] == sum(begin != ANSWER for begin in told)
        assert await ask(proxy, INSERT) == [ANSWER], "afterwards"


async def test_a_full_disk_says_so_in_the_words_of_the_server() -> None:
    async with between() as (_, proxy), suffering(proxy, IS_FULL):
        (answer,) = await ask(proxy, INSERT)
        assert b"X-ClickHouse-Exception-Code: 243\r\n" in answer
        assert b"(NOT_ENOUGH_SPACE)" in answer


async def test_reads_go_on_while_writes_are_cut() -> None:
    async with between() as (_, proxy), suffering(proxy, CUTS_AFTER_COMMIT):
        assert await ask(proxy, SELECT) == [ANSWER]


async def test_a_store_that_refuses_has_cut_who_was_there_and_is_back_at_the_same_port() -> None:
    async with between() as (_, proxy):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(SELECT)
        assert await read_message(reader) == ANSWER
        async with suffering(proxy, REFUSES):
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
            with pytest.raises(ConnectionRefusedError):
                await ask(proxy, SELECT)
        writer.close()
        assert await ask(proxy, SELECT) == [ANSWER]
