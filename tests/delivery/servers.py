"""Servers on the loopback that behave as badly as people's endpoints do. Raw sockets: no server library is so rude."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

OK = b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"
DRIBBLE = 1 << 16
Behaviour = Callable[["Server", asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Server:
    """One server, what it was asked, and how it answers from now on."""

    behaviour: Behaviour
    port: int = 0
    asked: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)  # path, headers, body
    sent_bytes: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def ids(self) -> list[str]:
        """The events it was asked to take, repetitions included."""
        return [headers["webhook-id"] for _, headers, _ in self.asked]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): text.strip() for name, _, text in (line.partition(":") for line in head[1:])}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            self.asked.append((head[0].split(" ")[1], headers, json.loads(body) if body else None))
            await self.behaviour(self, writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


def answers(raw: bytes) -> Behaviour:
    async def answer(_server: Server, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)

    return answer


def status(code: int, headers: str = "", body: str = "") -> Behaviour:
    text = f"HTTP/1.1 {code} X\r\n{headers}Content-Length: {len(body)}\r\n\r\n{body}"
    return answers(text.encode())


def redirects(location: str) -> Behaviour:
    return status(302, f"Location: {location}\r\n")


async def hangs(_server: Server, _writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


def streams(code: int, total: int = 1 << 30) -> Behaviour:
    """A body of a gigabyte, as fast as it is taken."""

    async def stream(server: Server, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {code} X\r\nContent-Length: {total}\r\n\r\n".encode())
        while server.sent_bytes < total:
            writer.write(b"x" * DRIBBLE)
            await writer.drain()
            server.sent_bytes += DRIBBLE

    return stream


def first(n: int, bad: Behaviour, then: Behaviour) -> Behaviour:
    """Bad to the first n requests."""

    async def answer(server: Server, writer: asyncio.StreamWriter) -> None:
        await (bad if len(server.asked) <= n else then)(server, writer)

    return answer


@asynccontextmanager
async def serving(behaviour: Behaviour, port: int = 0) -> AsyncIterator[Server]:
    """A server on the loopback."""
    server = Server(behaviour)
    open_: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        open_.add(task)
        await server.serve(reader, writer)
        open_.discard(task)

    listening = await asyncio.start_server(serve, "127.0.0.1", port)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for task in list(open_):
            task.cancel()
        await asyncio.gather(*open_, return_exceptions=True)
