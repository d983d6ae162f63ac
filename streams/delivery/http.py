"""POSTs to places that we do not control (reliability S13). The only room of delivery that opens a socket.

The laws: the address that was checked is the address that is connected to; no redirect is followed, no proxy of the
environment used, no cookie kept; an answer costs at most `ANSWER_BYTES_MAX` and the target's timeout. What goes wrong
comes back as an `Answer`, never as an exception, and never with a secret in it.
"""

import asyncio
import socket
import time
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from schemas.target import Allow, Network
from schemas.target_url import reach_problem, url_problem
from streams.delivery.address import refusal
from streams.delivery.message import Request
from streams.delivery.verdict import Answer, read_retry_after

ANSWER_BYTES_MAX = 64 * 1024
EXCERPT_CHARS = 200


class AddressRefused(OSError):
    """Nothing may be sent to this address."""


class CheckedResolver(AbstractResolver):
    """The system's resolver; a name that leads to one refused address is refused as a whole."""

    def __init__(self, allowed: tuple[Network, ...]) -> None:
        self._allowed = allowed
        self._inner = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a name. Raises AddressRefused."""
        found = await self._inner.resolve(host, port, family)
        for each in found:
            check(each["host"], self._allowed)
        return found

    async def close(self) -> None:
        """Nothing is held."""
        await self._inner.close()


def check(address: str, allowed: tuple[Network, ...]) -> None:
    """Raise AddressRefused unless the address may be connected to."""
    if (why := refusal(address, allowed)) is not None:
        raise AddressRefused(why)


class HttpClient:
    """The connections to one target, so that no target waits for another's."""

    def __init__(self, allow: Allow, timeout_s: float, secrets: Sequence[str] = ()) -> None:
        self._allow, self._timeout_s = allow, timeout_s
        # Of an URL that is a secret a server knows the path, and may repeat it.
        paths = (urlsplit(text).path for text in secrets if text.startswith("http"))
        self._secrets = (*secrets, *(path for path in paths if len(path) > 1))
        self._session: aiohttp.ClientSession | None = None

    async def post(self, request: Request) -> Answer:
        """Ask once."""
        if why := url_problem(request.url) or reach_problem(request.url, self._allow):
            return Answer(failure="url_refused", detail=why)
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._post(request)
        except TimeoutError:
            return Answer(failure="timeout", detail=f"no answer within {self._timeout_s:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return _failed(error)

    async def _post(self, request: Request) -> Answer:
        session = self._connected()
        async with session.post(
            request.url, data=request.body, headers=request.headers, allow_redirects=False
        ) as response:
            try:
                status, pause = response.status, read_retry_after(response.headers.get("Retry-After"), time.time())
                # A success is one by its status: nobody waits for a body that says the same, or never ends.
                detail = "" if 200 <= status < 300 else await self._excerpt(response)
                return Answer(status=status, detail=detail, retry_after_s=pause)
            finally:
                response.close()

    async def _excerpt(self, response: aiohttp.ClientResponse) -> str:
        """The beginning of the answer, for a person. Our own secrets are masked, should a server repeat them."""
        if 300 <= response.status < 400:
            return "it redirects, which is not followed"
        start = b""
        try:
            while len(start) < ANSWER_BYTES_MAX and (chunk := await response.content.read(ANSWER_BYTES_MAX)):
                start += chunk
        except (aiohttp.ClientError, OSError):
            return ""
        text = start[:ANSWER_BYTES_MAX].decode("utf-8", "replace")
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * EXCERPT_CHARS]).split())[
            :EXCERPT_CHARS
        ]

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                resolver=CheckedResolver(self._allow.networks),
                socket_factory=self._socket,
                use_dns_cache=False,
                force_close=True,  # each request is checked anew
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                trust_env=False,
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
                headers={"user-agent": f"stepwatch/{version('stepwatch')}", "accept-encoding": "identity"},
            )
        return self._session

    def _socket(self, address: Any) -> socket.socket:
        """The last door: whatever is about to be connected to, by name or by number, passes here."""
        family, kind, protocol, _, where = address
        check(str(where[0]), self._allow.networks)
        return socket.socket(family=family, type=kind, proto=protocol)

    async def close(self) -> None:
        """Disconnect."""
        if self._session is not None:
            await self._session.close()


def _failed(error: Exception) -> Answer:
    """The reason in words that hold neither URL nor headers."""
    cause = getattr(error, "os_error", error)
    if isinstance(cause, AddressRefused):
        return Answer(failure="address_refused", detail=str(cause))
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Answer(failure="connection", detail="its name cannot be resolved")
    if isinstance(error, aiohttp.ClientSSLError):
        return Answer(failure="tls", detail="no trusted TLS connection")
    if isinstance(error, aiohttp.InvalidURL):
        return Answer(failure="url_refused", detail="is not an URL")
    return Answer(failure="connection", detail=getattr(cause, "strerror", None) or type(error).__name__)
