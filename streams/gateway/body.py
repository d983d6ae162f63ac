"""A request's body within its bounds: counted while it is read, unpacked as it comes, stopped at the first bound.

Nothing is buffered that was not counted: a gzip bomb costs one step of the unpacker, not its own size.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator

from aiohttp import web

from streams.gateway.answers import JSON, PROTOBUF, Encoding, Refused
from streams.gateway.budget import Budget
from streams.gateway.limits import BODY_BYTES_MAX, BODY_TIMEOUT_S, COMPRESSED_BYTES_MAX, RATIO_FREE_BYTES, RATIO_MAX

GZIP_WBITS = 31
STEP_BYTES = 256 * 1024  # unpacked at a time


def encoding_of(request: web.Request) -> Encoding:
    """The content type when it is one of OTLP's. Raises Refused (415)."""
    known: dict[str, Encoding] = {PROTOBUF: PROTOBUF, JSON: JSON}
    if request.content_type not in known:
        raise Refused(415, f"content type {request.content_type!r} is not taken: send {PROTOBUF} or {JSON}")
    return known[request.content_type]


async def read_body(request: web.Request, budget: Budget) -> bytes:
    """The body, unpacked. Its bytes are taken from the budget: the caller gives `len(body)` back.

    Raises Refused (400, 408, 413, 415) or OverBudget, and then holds nothing.
    """
    parts: list[bytes] = []
    held = 0
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for part in _parts(request):
                budget.take(len(part))
                held += len(part)
                parts.append(part)
                if held > BODY_BYTES_MAX:
                    raise Refused(413, f"body over {BODY_BYTES_MAX} bytes: send smaller batches")
        return b"".join(parts)
    except TimeoutError as error:
        budget.give_back(held)
        raise Refused(408, f"the body did not arrive within {BODY_TIMEOUT_S:.0f} s") from error
    except BaseException:
        budget.give_back(held)
        raise


def _parts(request: web.Request) -> AsyncIterator[bytes]:
    match request.headers.get("Content-Encoding", "identity").strip().lower():
        case "identity" | "":
            return request.content.iter_any()
        case "gzip":
            return _unpacked(request)
        case other:
            raise Refused(415, f"content encoding {other!r} is not taken: send gzip or none")


async def _unpacked(request: web.Request) -> AsyncIterator[bytes]:
    gzip = Gunzip()
    async for chunk in request.content.iter_any():
        for part in gzip.feed(chunk):
            yield part
    gzip.end()


class Gunzip:
    """Streaming gunzip of one member that stops at the bounds. Raises Refused (400, 413)."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(GZIP_WBITS)
        self._bytes_in = self._bytes_out = 0

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """What these bytes unpack to, in steps of bounded size."""
        self._bytes_in += len(chunk)
        if self._bytes_in > COMPRESSED_BYTES_MAX:
            raise Refused(413, f"gzip body over {COMPRESSED_BYTES_MAX} bytes: send smaller batches")
        while chunk:
            if self._stream.eof:
                raise Refused(400, "bytes follow the end of the gzip body")
            part = self._step(chunk)
            self._check_ratio(len(part))
            if part:
                yield part
            chunk = self._stream.unconsumed_tail or self._stream.unused_data

    def end(self) -> None:
        """Check that the body is whole."""
        if not self._stream.eof:
            raise Refused(400, "the gzip body ends early")

    def _step(self, chunk: bytes) -> bytes:
        try:
            return self._stream.decompress(chunk, STEP_BYTES)
        except zlib.error as error:
            raise Refused(400, f"the body is not gzip: {error}") from error

    def _check_ratio(self, size: int) -> None:
        self._bytes_out += size
        if self._bytes_out > max(RATIO_FREE_BYTES, RATIO_MAX * self._bytes_in):
            raise Refused(413, f"gzip body unpacks to more than {RATIO_MAX} times its size")
