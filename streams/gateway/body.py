"""A request's body within its bounds: counted while it is read, unpacked as it comes, stopped at the first bound.

Nothing is buffered that was not counted: a bomb costs one step of the unpacker, not its own size.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import zstandard
from aiohttp import web

from streams.gateway.answers import JSON, PROTOBUF, Encoding, Refused
from streams.gateway.budget import Holder
from streams.gateway.limits import (
    BODY_BYTES_MAX,
    BODY_TIMEOUT_S,
    COMPRESSED_BYTES_MAX,
    MIB,
    RATIO_FREE_BYTES,
    RATIO_MAX,
)

GZIP_WBITS = 31
STEP_BYTES = 256 * 1024  # unpacked at a time
ZSTD_STEP_BYTES = 256  # packed; zstd packs at most some 33,000 to one, so a step puts out 8 MB at most
ZSTD_WINDOW_MAX = 8 * MIB  # what the format asks every reader to support

Read = Callable[[], Awaitable[bytes]]  # a body that something else collects, when it is there


def encoding_of(request: web.Request) -> Encoding:
    """The content type when it is one of OTLP's. Raises Refused (415)."""
    known: dict[str, Encoding] = {PROTOBUF: PROTOBUF, JSON: JSON}
    if request.content_type not in known:
        raise Refused(415, f"content type {request.content_type!r} is not taken: send {PROTOBUF} or {JSON}")
    return known[request.content_type]


class Received:
    """How much of a body came, to be charged when it is not taken."""

    __slots__ = ("packed", "unpacked")

    def __init__(self) -> None:
        self.packed = self.unpacked = 0

    @property
    def size(self) -> int:
        """Its bytes as they came, or what they unpacked to, if that is more."""
        return max(self.packed, self.unpacked)


async def read_body(request: web.Request, budget: Holder, received: Received) -> bytes:
    """The body, unpacked. Its bytes are taken from the budget: the caller gives `len(body)` back.

    Raises Refused (400, 408, 413, 415) or OverBudget, and then holds nothing; what came of it stands in `received`.
    """
    parts: list[bytes] = []
    held = 0
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for part in _parts(request, received):
                budget.take(len(part))
                held += len(part)
                received.unpacked = held
                parts.append(part)
                if held > BODY_BYTES_MAX:
                    raise Refused(413, f"body over {BODY_BYTES_MAX} bytes: send smaller batches")
        return b"".join(parts)
    except TimeoutError as error:
        budget.give_back(held)
        raise Refused(408, f"the body did not arrive within {BODY_TIMEOUT_S:.0f} s") from error
    except (OSError, web.RequestPayloadError) as error:  # its sender went, or broke the framing: nothing of ours
        budget.give_back(held)
        raise Refused(400, f"the body ends early: {error}") from error
    except BaseException:
        budget.give_back(held)
        raise


async def in_time(read: Read) -> bytes:
    """A body that something else collects. Raises Refused (408), and what `read` raises."""
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            return await read()
    except TimeoutError as error:
        raise Refused(408, f"the message did not arrive within {BODY_TIMEOUT_S:.0f} s") from error


def _parts(request: web.Request, received: Received) -> AsyncIterator[bytes]:
    match request.headers.get("Content-Encoding", "identity").strip().lower():
        case "identity" | "":
            return request.content.iter_any()
        case "gzip":
            return _unpacked(request, Gunzip(), received)
        case "zstd":
            return _unpacked(request, Unzstd(), received)
        case other:
            raise Refused(415, f"content encoding {other!r} is not taken: send gzip, zstd or none")


async def _unpacked(request: web.Request, packed: "Unpacker", received: Received) -> AsyncIterator[bytes]:
    async for chunk in request.content.iter_any():
        received.packed += len(chunk)
        for part in packed.feed(chunk):
            yield part
    packed.end()


class Unpacker:
    """Streaming decompression of one body that stops at the bounds. Raises Refused (400, 413)."""

    name: str

    def __init__(self) -> None:
        self._bytes_in = self._bytes_out = 0

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """What these bytes unpack to, in steps of bounded size."""
        self._bytes_in += len(chunk)
        if self._bytes_in > COMPRESSED_BYTES_MAX:
            raise Refused(413, f"{self.name} body over {COMPRESSED_BYTES_MAX} bytes: send smaller batches")
        for part in self._unpack(chunk):
            self._bytes_out += len(part)
            if self._bytes_out > max(RATIO_FREE_BYTES, RATIO_MAX * self._bytes_in):
                raise Refused(413, f"{self.name} body unpacks to more than {RATIO_MAX} times its size")
            if part:
                yield part

    def end(self) -> None:
        """Check that the body is whole."""
        if not self._is_whole():
            raise Refused(400, f"the {self.name} body ends early")

    def _unpack(self, chunk: bytes) -> Iterator[bytes]:
        raise NotImplementedError

    def _is_whole(self) -> bool:
        raise NotImplementedError

    def _trailing(self) -> Refused:
        return Refused(400, f"bytes follow the end of the {self.name} body")


class Gunzip(Unpacker):
    """One gzip member."""

    name = "gzip"

    def __init__(self) -> None:
        super().__init__()
        self._stream = zlib.decompressobj(GZIP_WBITS)

    def _unpack(self, chunk: bytes) -> Iterator[bytes]:
        while chunk:
            if self._stream.eof:
                raise self._trailing()
            try:
                part = self._stream.decompress(chunk, STEP_BYTES)
            except zlib.error as error:
                raise Refused(400, f"the body is not gzip: {error}") from error
            chunk = self._stream.unconsumed_tail or self._stream.unused_data
            yield part

    def _is_whole(self) -> bool:
        return self._stream.eof


class Unzstd(Unpacker):
    """One zstd frame. It cannot be told how much to put out, so it is fed so little that no step is a bomb."""

    name = "zstd"

    def __init__(self) -> None:
        super().__init__()
        self._stream = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_MAX).decompressobj()

    def _unpack(self, chunk: bytes) -> Iterator[bytes]:
        for at in range(0, len(chunk), ZSTD_STEP_BYTES):
            if self._stream.eof:
                raise self._trailing()
            try:
                yield self._stream.decompress(chunk[at : at + ZSTD_STEP_BYTES])
            except zstandard.ZstdError as error:
                raise Refused(400, f"the body is not zstd: {error}") from error
        if self._stream.unused_data:
            raise self._trailing()

    def _is_whole(self) -> bool:
        return bool(self._stream.eof)
