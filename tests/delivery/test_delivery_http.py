"""One request to an endpoint that hangs, lies, redirects or never stops: bounded, and told as it was."""

import asyncio
from ipaddress import ip_network
from typing import Any

import pytest

from schemas.target import Allow
from streams.delivery.http import CheckedResolver, HttpClient
from streams.delivery.message import Request
from streams.delivery.verdict import Answer
from tests.delivery import servers
from tests.delivery.servers import Behaviour, serving

LOOPBACK = ip_network("127.0.0.1/32")


def allowing(port: int, *networks: Any) -> Allow:
    return Allow(http=True, ports=(port,), networks=networks)


async def post(port: int, url: str, *networks: Any, timeout_s: float = 5.0, secrets: tuple[str, ...] = ()) -> Answer:
    client = HttpClient(allowing(port, *networks), timeout_s, secrets)
    try:
        return await client.post(Request(url, {"content-type": "application/json"}, b"{}"))
    finally:
        await client.close()


@pytest.mark.parametrize(
    ("behaviour", "answer"),
    [
        (servers.answers(servers.OK), Answer(status=204)),
        (servers.status(400, body="invalid\n\x1b[31m blocks"), Answer(status=400, detail="invalid [31m blocks")),
        (servers.status(429, "Retry-After: 7\r\n"), Answer(status=429, retry_after_s=7.0)),
        (servers.status(500, body="a token of yours: hunter2"), Answer(status=500, detail="a token of yours: ***")),
        (servers.status(404, body="POST /path/s3cret: not found"), Answer(status=404, detail="POST ***: not found")),
        (servers.answers(b"not http at all\r\n\r\n"), Answer(failure="connection", detail="ClientResponseError")),
        (servers.answers(b""), Answer(failure="connection", detail="ServerDisconnectedError")),
    ],
)
async def test_an_answer_is_told_as_it_was(behaviour: Behaviour, answer: Answer) -> None:
    async with serving(behaviour) as server:
        told = await post(server.port, server.url, LOOPBACK, secrets=("hunter2", "http://h/path/s3cret"))
    assert told == answer


async def test_who_speaks_no_tls_is_not_trusted() -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 welcome\r\n")
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        told = await post(port, f"https://127.0.0.1:{port}/", LOOPBACK)
    assert told == Answer(failure="tls", detail="no trusted TLS connection")


async def test_nobody_waits_for_one_that_hangs() -> None:
    async with serving(servers.hangs) as server:
        told = await post(server.port, server.url, LOOPBACK, timeout_s=0.2)
    assert told.failure == "timeout"


@pytest.mark.parametrize("code", [200, 500])
async def test_a_gigabyte_is_not_read(code: int) -> None:
    async with serving(servers.streams(code)) as server:
        told = await post(server.port, server.url, LOOPBACK)
        assert told.status == code
        assert server.sent_bytes < 32 << 20  # what the buffers of two sockets hold, and some


@pytest.mark.parametrize("location", ["http://169.254.169.254/latest/meta-data", "/elsewhere", "file:///etc/passwd"])
async def test_no_redirect_is_followed(location: str) -> None:
    async with serving(servers.redirects(location)) as server:
        told = await post(server.port, server.url, LOOPBACK)
        assert told == Answer(status=302, detail="it redirects, which is not followed")
        assert len(server.asked) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"])
async def test_the_loopback_is_refused_by_name_and_by_number(host: str) -> None:
    async with serving(servers.answers(servers.OK)) as server:
        told = await post(server.port, f"http://{host}:{server.port}/")
        assert told.failure == "address_refused"
        assert not server.asked


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "127.1"])
async def test_old_spellings_of_an_address_lead_nowhere(host: str) -> None:
    async with serving(servers.answers(servers.OK)) as server:
        told = await post(server.port, f"http://{host}:{server.port}/")
        assert told.failure in ("address_refused", "connection", "url_refused")
        assert not server.asked


@pytest.mark.parametrize(
    ("url", "allow", "said"),
    [
        ("http://h/", Allow(), "http is read by everybody"),
        ("https://h:22/", Allow(), "port 22"),
        ("https://user:hunter2@h/", Allow(), "name or password"),
        ("gopher://h/", Allow(), "is not an URL"),
    ],
)
async def test_what_the_target_does_not_allow_is_not_asked(url: str, allow: Allow, said: str) -> None:
    told = await HttpClient(allow, 1.0).post(Request(url, {}, b""))
    assert told.failure == "url_refused"
    assert said in told.detail
    assert "hunter2" not in str(told)


async def test_an_exception_for_one_address_is_none_for_the_rest_of_a_name() -> None:
    """A name that leads to a refused address is refused as a whole: here the loopback's IPv6 half, where there is one."""
    resolver = CheckedResolver((LOOPBACK,))
    found = await asyncio.get_running_loop().getaddrinfo("localhost", 80)
    addresses = {each[4][0] for each in found}
    if addresses == {"127.0.0.1"}:
        assert {each["host"] for each in await resolver.resolve("localhost", 80)} == addresses
    else:
        with pytest.raises(OSError, match="not public"):
            await resolver.resolve("localhost", 80)


async def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(servers.answers(servers.OK)) as proxy, serving(servers.answers(servers.OK)) as server:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert (await post(server.port, server.url, LOOPBACK)).status == 204
        assert not proxy.asked
