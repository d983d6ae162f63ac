"""A proxy before ClickHouse that fails as networks, proxies and full disks do: for the scorers; who checks asks the store itself.

It takes whole requests and answers, so that "the store has committed, and nobody was told" is exact and no matter of luck.
"""

import asyncio
import contextlib
from asyncio import IncompleteReadError, StreamReader, StreamWriter
from collections import Counter

REFUSES, HANGS, ANSWERS_500 = "refuses", "hangs", "answers 500"
IS_FULL, CUTS_AFTER_COMMIT, CUTS_AN_ANSWER = "has no space", "cuts after the commit", "cuts an answer"
OF_INSERTS = frozenset({IS_FULL, CUTS_AFTER_COMMIT})
FAULTS = (REFUSES, HANGS, ANSWERS_500, IS_FULL, CUTS_AFTER_COMMIT, CUTS_AN_ANSWER)

_HEAD_MAX = 1 << 20
_INTERNAL = b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/plain\r\n"
_SAID_500 = b"upstream is being restarted"
_SAID_FULL = (
    b"Code: 243. DB::Exception: Cannot reserve 1.00 MiB, not enough space. (NOT_ENOUGH_SPACE) (version 26.3.1.1)\n"
)
_GONE = (ConnectionError, IncompleteReadError, asyncio.LimitOverrunError)


class StoreProxy:
    """Listens on a loopback port. `trouble` is one fault for so long; `hurt` counts the requests that each has met."""

    def __init__(self, host: str, port: int) -> None:
        """Of the store."""
        self._store = host, port
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.Task[None], StreamWriter] = {}
        self._over = asyncio.Event()
        self.fault: str | None = None
        self.hurt: Counter[str] = Counter()
        self.port = 0

    @property
    def url(self) -> str:
        """What the scorers are told."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen; again, on the same port, after a refusal."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=_HEAD_MAX)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close everything."""
        self._over.set()
        self._listen_no_more()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def trouble(self, fault: str, seconds: float) -> None:
        """One fault, then all is well again. One at a time."""
        assert self.fault is None, f"{self.fault} goes on"
        assert fault in FAULTS
        self.fault = fault
        self._over.clear()
        if fault == REFUSES:
            self.hurt[fault] += 1
            self._listen_no_more()
        try:
            await asyncio.sleep(seconds)
        finally:
            self.fault = None
            self._over.set()
            if fault == REFUSES:
                await self.start()

    def _listen_no_more(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._open.values():
            writer.transport.abort()

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = writer
        upstream: tuple[StreamReader, StreamWriter] | None = None
        try:
            while request := await read_message(reader):
                if self._is_hurt(request) and (fault := self.fault):
                    self.hurt[fault] += 1
                    if await self._answer_at_once(fault, writer):
                        continue
                    if fault == HANGS:
                        await self._over.wait()
                        return
                else:
                    fault = None
                upstream = upstream or await asyncio.open_connection(*self._store, limit=_HEAD_MAX)
                upstream[1].write(request)
                answer = await read_message(upstream[0])
                if not answer or fault == CUTS_AFTER_COMMIT:
                    return
                writer.write(answer if fault != CUTS_AN_ANSWER else answer[: len(answer) // 2])
                await writer.drain()
                if fault == CUTS_AN_ANSWER:
                    return
        except (*_GONE, OSError):
            return
        finally:
            del self._open[task]
            for each in (writer, *(upstream[1:] if upstream else ())):
                with contextlib.suppress(Exception):
                    each.transport.abort() if self.fault else each.close()

    def _is_hurt(self, request: bytes) -> bool:
        return self.fault is not None and (self.fault not in OF_INSERTS or is_insert(request))

    async def _answer_at_once(self, fault: str, writer: StreamWriter) -> bool:
        """Whether the fault is an answer of its own."""
        if fault == ANSWERS_500:
            writer.write(_INTERNAL + b"Content-Length: %d\r\n\r\n" % len(_SAID_500) + _SAID_500)
        elif fault == IS_FULL:
            code = b"X-ClickHouse-Exception-Code: 243\r\n"
            writer.write(_INTERNAL + code + b"Content-Length: %d\r\n\r\n" % len(_SAID_FULL) + _SAID_FULL)
        else:
            return False
        await writer.drain()
        return True


def is_insert(request: bytes) -> bool:
    """Whether it writes: the statement is in the request's line or at the beginning of its body."""
    head, _, body = request.partition(b"\r\n\r\n")
    return b"INSERT" in head.partition(b"\r\n")[0] or b"INSERT INTO" in body[:512]


async def read_message(reader: StreamReader) -> bytes:
    """A whole HTTP message as it came, request or answer; empty at the end of the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except IncompleteReadError as error:
        if error.partial:
            raise
        return b""
    fields = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:])
    }
    if b"chunked" in fields.get(b"transfer-encoding", b"").lower():
        return head + await _chunks(reader)
    return head + await reader.readexactly(int(fields.get(b"content-length", b"0")))


async def _chunks(reader: StreamReader) -> bytes:
    """A chunked body, frames and all; the store sends no trailers."""
    pieces = []
    while True:
        line = await reader.readuntil(b"\r\n")
        size = int(line.split(b";")[0], 16)
        pieces += [line, await reader.readexactly(size + 2)]
        if not size:
            return b"".join(pieces)
