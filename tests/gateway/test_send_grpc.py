"""`stepwatch send --grpc`: the same words about the same spans as over HTTP."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from click.testing import Result

from schemas.api_key import KeyFile, KeyRecord, Limit, hashed, spell, write_keys
from streams.console.errors import UserError
from streams.gateway import access
from streams.gateway.access import Access
from streams.gateway.http import Gateway
from streams.gateway.otlp_grpc import GrpcServer
from tests.gateway.fakes import ListLog
from tests.gateway.test_send import command, line
from tests.ports import free_port

Run = Callable[..., Awaitable[Result]]
KEY = spell("0a1b2c3d", "x")
RECORD = KeyRecord("0a1b2c3d", hashed(KEY), "acme", "")


@pytest.fixture
async def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[ListLog, Path, Run]]:
    """A gateway that wants keys, in front of a topic in memory; its key file; the command."""
    monkeypatch.setattr(access, "LOOKED_S", 0.0)
    keys, log, port = tmp_path / "keys.json", ListLog(), free_port()
    keys.write_bytes(write_keys(KeyFile([RECORD])))
    gateway = Gateway(log, linger_s=0.001, partitioner="sarama", access=Access(keys))
    server = GrpcServer(gateway.export, "127.0.0.1", port, None)
    await server.start()

    async def run(*arguments: object) -> Result:
        return await asyncio.to_thread(command, *arguments, "--grpc", "--endpoint", f"http://127.0.0.1:{port}")

    yield log, keys, run
    await server.stop()


async def test_all_spans_are_on_the_topic_and_the_bad_one_is_named(
    door: tuple[ListLog, Path, Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, _, run = door
    monkeypatch.setenv("STEPWATCH_GATEWAY_KEY", KEY)
    file = tmp_path / "traces.jsonl"
    file.write_bytes(line(1, 2) + line(3))
    done = await run(file)
    assert (done.exit_code, len(log.spans)) == (0, 3), done.output
    assert {tenant for _, _, tenant in log.records} == {"acme"}
    file.write_bytes(line(4, 0))
    done = await run(file)
    assert (done.exit_code, len(log.spans)) == (1, 4), done.output


async def test_without_a_key_it_is_told_so(door: tuple[ListLog, Path, Run], tmp_path: Path) -> None:
    _, _, run = door
    file = tmp_path / "traces.jsonl"
    file.write_bytes(line(1))
    done = await run(file)
    assert done.exit_code == 1
    assert "grpc_unauthenticated" in done.output


async def test_a_sender_over_its_limit_comes_back(
    door: tuple[ListLog, Path, Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, keys, run = door
    keys.write_bytes(write_keys(KeyFile([RECORD], {"acme": Limit(1.0, 0.0)})))
    monkeypatch.setenv("STEPWATCH_GATEWAY_KEY", KEY)
    file = tmp_path / "traces.jsonl"
    file.write_bytes(b"".join(line(n) for n in range(1, 12)))
    done = await run(file, "--rate", "20", "--concurrency", "1")  # a span a request: the bucket holds ten
    assert (done.exit_code, len(log.spans)) == (0, 11), done.output


async def test_nobody_there_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "traces.jsonl"
    file.write_bytes(line(1))
    done = await asyncio.to_thread(command, file, "--grpc", "--endpoint", f"http://127.0.0.1:{free_port()}")
    assert isinstance(done.exception, UserError)
    assert "does not take spans" in str(done.exception)
