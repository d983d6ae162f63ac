"""Who may send: keys per tenant, taken over while the gateway runs; the command that makes them."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from google.rpc.status_pb2 import Status
from typer.testing import CliRunner

from schemas.api_key import KEYS_MAX, KeyFile, KeyRecord, Limit, hashed, spell, write_keys
from streams.console.errors import UserError
from streams.console.main import build
from streams.gateway import access
from streams.gateway.access import Access
from streams.gateway.app import check_start
from streams.gateway.http import Gateway
from streams.settings import Settings
from tests.gateway.fakes import ListLog, request, span

PROTOBUF = {"Content-Type": "application/x-protobuf"}


def run(*words: str) -> str:
    """A command of `stepwatch keys`; what it printed."""
    done = CliRunner().invoke(build(), ["keys", *words])
    if isinstance(done.exception, UserError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def made(file: Path, tenant: str) -> str:
    return run("create", "--tenant", tenant, "--file", str(file)).strip()


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are looked at with every request."""
    monkeypatch.setattr(access, "LOOKED_S", 0.0)


@pytest.fixture
async def serve() -> Any:
    clients: list[TestClient[Any, Any]] = []

    async def start(file: Path | None) -> tuple[ListLog, Callable[..., Any]]:
        log = ListLog()
        gateway = Gateway(log, linger_s=0.001, partitioner="sarama", access=Access(file))
        server = TestServer(gateway.application())
        await server.start_server(auto_decompress=False)
        clients.append(TestClient(server))

        async def post(key: str | None, body: bytes = request(span(1))) -> tuple[int, str]:
            headers = {**PROTOBUF, **({"Authorization": f"Bearer {key}"} if key is not None else {})}
            async with clients[-1].post("/v1/traces", data=body, headers=headers) as response:
                answer = await response.read()
                return response.status, Status.FromString(answer).message if response.status >= 400 else ""

        return log, post

    yield start
    for client in clients:
        await client.close()


async def test_a_key_says_whose_spans_they_are(serve: Any, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    acme, shop = made(file, "acme"), made(file, "shop")
    log, post = await serve(file)
    assert await post(acme) == (200, "")
    assert await post(shop) == (200, "")
    assert [tenant for _, _, tenant in log.records] == ["acme", "shop"]


@pytest.mark.parametrize("shown", [None, "", "swk_00000000_x", "nonsense"])
async def test_without_a_live_key_nothing_is_read_and_nothing_is_told(
    serve: Any, tmp_path: Path, shown: str | None
) -> None:
    file = tmp_path / "keys.json"
    made(file, "acme")
    log, post = await serve(file)
    assert await post(shown, b"not even OTLP") == (401, "unauthorized")
    assert log.records == []


async def test_without_a_key_file_everybody_is_the_default_tenant(serve: Any) -> None:
    log, post = await serve(None)
    assert await post("whatever") == (200, "")
    assert [tenant for _, _, tenant in log.records] == ["default"]


async def test_rotation_needs_no_restart_and_no_gap(serve: Any, tmp_path: Path, at_once: None) -> None:
    file = tmp_path / "keys.json"
    first = made(file, "acme")
    log, post = await serve(file)
    second = run("rotate", first.split("_")[1], "--file", str(file)).strip()
    assert [(await post(key))[0] for key in (first, second)] == [200, 200], "both live"
    run("revoke", first.split("_")[1], "--file", str(file))
    assert [(await post(key))[0] for key in (first, second)] == [401, 200]
    assert {tenant for _, _, tenant in log.records} == {"acme"}


async def test_a_file_that_cannot_be_read_leaves_the_keys_as_they_were(
    serve: Any, tmp_path: Path, at_once: None, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "keys.json"
    key = made(file, "acme")
    _, post = await serve(file)
    file.write_text("{half")
    assert (await post(key))[0] == 200
    assert "the keys stay as they were" in caplog.text
    file.unlink()
    assert (await post(key))[0] == 200


def test_as_many_keys_as_there_may_be_are_read_again_in_a_tenth_of_a_second(
    tmp_path: Path, at_once: None, caplog: pytest.LogCaptureFixture
) -> None:
    file, key = tmp_path / "keys.json", spell("00000007", "x")
    records = [KeyRecord(f"{n:08x}", hashed(key), f"tenant {n}", "2026-01-01T00:00:00Z") for n in range(KEYS_MAX)]
    limits = {record.tenant: Limit(1, 1) for record in records}
    file.write_bytes(write_keys(KeyFile(records, limits)))
    door, took_s = Access(file), []
    for n in range(5):
        file.write_bytes(write_keys(KeyFile([*records[:-1], records[-1]._replace(note="x" * n)], limits)))
        before_s = time.thread_time()
        assert door.tenant_of(f"Bearer {key}") == "tenant 7"
        took_s.append(time.thread_time() - before_s)
    assert min(took_s) < 0.1, "the event loop stands still for so long"
    file.write_bytes(write_keys(KeyFile([*records, records[0]])))
    with pytest.raises(UserError, match="has 10001 keys, more than 10000"):
        Access(file)


def test_a_file_is_for_its_owner_and_a_secret_is_shown_once(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    key = made(file, "acme")
    assert file.stat().st_mode & 0o077 == 0
    assert key.split("_", 2)[2] not in file.read_text()
    listed = run("list", "--file", str(file))
    assert key.split("_")[1] in listed
    assert "acme" in listed
    assert key.split("_", 2)[2] not in listed


def test_what_a_person_does_wrong_is_said(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    made(file, "acme")
    with pytest.raises(UserError, match="there is no key 12345678"):
        run("revoke", "12345678", "--file", str(file))
    with pytest.raises(UserError, match="a tenant has"):
        run("create", "--tenant", " ", "--file", str(file))
    file.write_text("[]")
    with pytest.raises(UserError, match="is no key file"):
        run("list", "--file", str(file))
    with pytest.raises(UserError, match="the gateway's keys"):
        Access(file)


@pytest.mark.parametrize(
    ("given", "lacks"),
    [({}, "no TLS and keys"), ({"gateway_tls_certfile": "c.pem"}, "no keys"), ({"gateway_keys_file": "k"}, "no TLS")],
)
def test_an_address_that_others_reach_needs_both(given: dict[str, str], lacks: str) -> None:
    with pytest.raises(UserError, match=lacks):
        check_start(Settings(gateway_host="0.0.0.0", **given))  # type: ignore[arg-type]


def test_with_both_it_starts() -> None:
    check_start(Settings(gateway_host="0.0.0.0", gateway_tls_certfile="c", gateway_keys_file="k"))  # type: ignore[arg-type]


def test_a_record_of_another_tenant_cannot_pass_for_ours() -> None:
    key = spell("0a1b2c3d", "x")
    records = [KeyRecord("0a1b2c3d", hashed(key), "acme", "")]
    assert b'"tenant": "acme"' in write_keys(KeyFile(records))
