"""`stepwatch send`: every span that is read is accepted or refused in the end, and its exit code says which."""

import asyncio
import gzip
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
import typer
from aiohttp import web
from aiohttp.test_utils import TestServer
from aiokafka.errors import KafkaConnectionError
from click.testing import Result
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from typer.testing import CliRunner

from schemas.otlp import pack, split
from schemas.span import RawSpan
from streams.console import send
from streams.console.errors import UserError
from streams.gateway.http import Gateway
from streams.local.state import DataDirLock, StackState, write_state
from tests.gateway.fakes import ListLog, request, serialised, span, trace_id
from tests.otlp_logs import log

Run = Callable[..., Awaitable[Result]]


@pytest.fixture
async def door() -> AsyncIterator[tuple[ListLog, Run]]:
    """A gateway in front of a topic in memory, and the command that sends to it."""
    log = ListLog()
    gateway = Gateway(log, linger_s=0.001, partitioner="sarama")
    server = TestServer(gateway.application())
    await server.start_server(auto_decompress=False)

    async def run(*arguments: object) -> Result:
        return await asyncio.to_thread(command, *arguments, "--endpoint", str(server.make_url("/")))

    yield log, run
    await server.close()


def command(*arguments: object) -> Result:
    app = typer.Typer()
    send.register(app)
    app.callback()(lambda: None)
    return CliRunner().invoke(app, ["send", *map(str, arguments)])


def line(*numbers: int, **fields: Any) -> bytes:
    """One export, as a line of a JSON file."""
    spans = [{"traceId": trace_id(1).hex(), "spanId": f"{n:016x}", "name": f"span {n}", **fields} for n in numbers]
    return orjson.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}) + b"\n"


def json_spans(*numbers: int) -> list[bytes]:
    return serialised(*(span(n, status={}) for n in numbers))


def delimited(*exports: bytes) -> bytes:
    return b"".join(struct.pack(">I", len(export)) + export for export in exports)


PROTOBUF_SPANS = [span(n) for n in range(1, 6)]
SHAPES = [
    ("lines.jsonl", line(1, 2) + b"\n" + line(3), json_spans(1, 2, 3)),
    ("lines.jsonl.gz", gzip.compress(line(1, 2) + line(3)), json_spans(1, 2, 3)),
    ("one.pb", request(*PROTOBUF_SPANS), serialised(*PROTOBUF_SPANS)),
    ("one.pb.gz", gzip.compress(request(*PROTOBUF_SPANS)), serialised(*PROTOBUF_SPANS)),
    ("many.pb", delimited(request(*PROTOBUF_SPANS[:2]), request(*PROTOBUF_SPANS[2:])), serialised(*PROTOBUF_SPANS)),
    ("empty.jsonl", b"", []),
]


@pytest.mark.parametrize(("name", "content", "spans"), SHAPES)
async def test_every_shape_of_file_is_sent(
    door: tuple[ListLog, Run], tmp_path: Path, name: str, content: bytes, spans: list[bytes]
) -> None:
    log, run = door
    (tmp_path / name).write_bytes(content)
    done = await run(tmp_path / name)
    assert done.exit_code == 0, done.output
    assert log.spans == spans
    assert f"sent {len(spans)} spans, accepted {len(spans)}, refused 0" in done.stdout


async def test_one_huge_export_is_cut_into_requests_that_the_gateway_takes(
    door: tuple[ListLog, Run], tmp_path: Path
) -> None:
    log, run = door
    spans = [span(n, trace=n % 50 + 1, name="x" * 500) for n in range(1, 12_001)]
    (tmp_path / "huge.pb").write_bytes(request(*spans))
    done = await run(tmp_path / "huge.pb")
    assert "sent 12000 spans, accepted 12000, refused 0" in done.stdout
    assert len(log.spans) == 12_000


async def test_refused_spans_are_counted_by_reason_with_an_example_and_the_exit_code_is_1(
    door: tuple[ListLog, Run], tmp_path: Path
) -> None:
    log, run = door
    raws = [span(1).SerializeToString(), b"\xff", b"\xff", span(2, span_id=b"x").SerializeToString()]
    (tmp_path / "a.jsonl").write_bytes(line(3) + line(4, traceId="ab"))
    (tmp_path / "b.pb").write_bytes(pack([RawSpan(b"", b"", raw) for raw in raws]))
    done = await run(tmp_path / "a.jsonl", tmp_path / "b.pb")
    assert done.exit_code == 1
    assert "sent 6 spans, accepted 2, refused 4" in done.stdout
    assert "2 x broken_span, for example: refused 3 of " in done.stderr
    assert "1 x bad_span_id" in done.stderr
    assert (
        f"1 x bad_trace_id, for example: {tmp_path}/a.jsonl:2: bad_trace_id: trace id must be 16 bytes" in done.stderr
    )
    assert len(log.spans) == 2


UNREADABLE = [
    ("a.jsonl", line(1) + b"{oops\n" + line(2), "a.jsonl:2: not JSON", 2),
    ("a.jsonl", line(1) + b'{"resourceMetrics": []}\n' + line(2), "a.jsonl:2: not an OTLP trace export", 2),
    ("a.pb", delimited(request(span(1)), request(span(2)))[:-3], "a.pb: record 2 of ", 1),
    ("a.jsonl.gz", gzip.compress(line(1) * 9)[:-9], "a.jsonl.gz: cannot be read", 0),
    ("a.jsonl.gz", b"not gzip", "a.jsonl.gz: cannot be read", 0),
    ("a.txt", b"hello", "a.txt:1: not an OTLP trace export", 0),
]


@pytest.mark.parametrize(("name", "content", "sentence", "least"), UNREADABLE)
async def test_what_cannot_be_read_is_named_by_file_and_line_the_rest_is_sent_and_the_exit_code_is_2(
    door: tuple[ListLog, Run], tmp_path: Path, name: str, content: bytes, sentence: str, least: int
) -> None:
    log, run = door
    (tmp_path / name).write_bytes(content)
    (tmp_path / "good.jsonl").write_bytes(line(100))
    done = await run(tmp_path / name, tmp_path / "good.jsonl")
    assert done.exit_code == 2
    assert sentence in done.stderr
    assert set(json_spans(100)) <= set(log.spans)
    assert len(log.spans) >= least + 1


async def test_a_missing_file_stops_before_anything_is_sent(door: tuple[ListLog, Run], tmp_path: Path) -> None:
    log, run = door
    (tmp_path / "good.jsonl").write_bytes(line(1))
    done = await run(tmp_path / "good.jsonl", tmp_path / "typo.jsonl")
    assert isinstance(done.exception, UserError)
    assert (done.exception.exit_code, log.records) == (2, [])
    assert "typo.jsonl: no such file; nothing was sent" in str(done.exception)


async def test_the_rate_is_kept(door: tuple[ListLog, Run], tmp_path: Path) -> None:
    log, run = door
    (tmp_path / "a.pb").write_bytes(request(*(span(n) for n in range(1, 201))))
    started = time.monotonic()
    done = await run(tmp_path / "a.pb", "--rate", 400)
    assert time.monotonic() - started >= 0.45  # 200 spans, the first batch of 20 without waiting
    assert (done.exit_code, len(log.spans)) == (0, 200)


async def test_what_the_gateway_cannot_take_now_is_sent_again_until_it_can(
    door: tuple[ListLog, Run], tmp_path: Path
) -> None:
    log, run = door
    log.error = KafkaConnectionError("gone")
    (tmp_path / "a.pb").write_bytes(request(span(1), span(2)))
    sending = asyncio.create_task(run(tmp_path / "a.pb"))
    await asyncio.wait_for(log.asked.wait(), 10)
    log.error = None
    done = await asyncio.wait_for(sending, 20)
    assert "sent 2 spans, accepted 2, refused 0" in done.stdout
    assert log.spans == serialised(span(1), span(2))


@pytest.mark.parametrize("name", ["a.jsonl", "a.pb"])
async def test_log_records_go_to_their_own_door_in_batches_of_their_own(tmp_path: Path, name: str) -> None:
    got: dict[str, list[bytes]] = {}

    async def take(request: web.Request) -> web.Response:
        got.setdefault(request.path, []).extend(raw.span for raw in split(await request.read()))
        rejected = {"rejected_log_records": 1, "error_message": "refused 1 of 3: bad_trace_id (1): no"}
        answer = ExportLogsServiceResponse(partial_success=rejected if request.path == "/v1/logs" else None)
        return web.Response(body=answer.SerializeToString())

    app = web.Application()
    app.router.add_post("/v1/{signal}", take)
    server = TestServer(app)
    await server.start_server()
    logs = [log("gen_ai.choice", n=n) for n in (1, 2, 3)]
    record = b'{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"timeUnixNano": "7"}, {"timeUnixNano": "x"}]}]}]}\n'
    content = line(1) + record + line(2) if name == "a.jsonl" else delimited(request(span(1)), pack(logs))
    (tmp_path / name).write_bytes(content)
    done = await asyncio.to_thread(command, tmp_path / name, "--endpoint", str(server.make_url("/")))
    await server.close()
    if name == "a.jsonl":
        assert [len(raws) for raws in got.values()] == [2, 1] and [*got] == ["/v1/traces", "/v1/logs"]
        assert "sent 2 spans, accepted 2, refused 0" in done.stdout
        assert "sent 2 log records, accepted 0, refused 2" in done.stdout
        assert "1 x bad_time, for example:" in done.stderr
    else:
        assert got["/v1/logs"] == [raw.span for raw in logs]
        assert "sent 3 log records, accepted 2, refused 1" in done.stdout
    assert "1 x bad_trace_id, for example: refused 1 of 3" in done.stderr
    assert done.exit_code == 1


async def test_an_error_for_good_is_not_repeated(tmp_path: Path) -> None:
    asked = []

    async def refuse(request: web.Request) -> web.Response:
        asked.append(await request.read())
        return web.Response(status=401, text="who are you?")

    app = web.Application()
    app.router.add_post("/v1/traces", refuse)
    server = TestServer(app)
    await server.start_server()
    (tmp_path / "a.pb").write_bytes(request(span(1), span(2)))
    done = await asyncio.to_thread(command, tmp_path / "a.pb", "--endpoint", str(server.make_url("/")))
    await server.close()
    assert (done.exit_code, len(asked)) == (1, 1)
    assert "2 x http_401, for example: who are you?" in done.stderr


def test_without_a_gateway_there_is_one_sentence_with_the_cure(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(line(1))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        done = command(tmp_path / "a.jsonl", "--endpoint", f"http://127.0.0.1:{probe.getsockname()[1]}")
    assert isinstance(done.exception, UserError)
    assert "does not take spans" in str(done.exception)
    assert "`stepwatch status` tells; 0 spans were accepted before" in str(done.exception)


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("http://127.0.0.1:7", "http://127.0.0.1:7/v1/traces"),
        ("https://gate.example/otlp/", "https://gate.example/otlp/v1/traces"),
        ("http://127.0.0.1:7/v1/traces", "http://127.0.0.1:7/v1/traces"),
    ],
)
def test_an_endpoint_is_taken_with_and_without_its_path(endpoint: str, url: str) -> None:
    assert send._url(endpoint) == url


def test_an_endpoint_that_is_none_is_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "one.jsonl").write_bytes(line(1))
    done = command(tmp_path / "one.jsonl", "--endpoint", "localhost:4318")
    assert isinstance(done.exception, UserError)
    assert "must be of the form http://host:port" in str(done.exception)


def test_a_file_without_spans_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    done = command(tmp_path / "empty.jsonl", "--endpoint", "http://127.0.0.1:1")
    assert done.exit_code == 0
    assert "no spans in" in done.stderr


def test_without_an_endpoint_the_gateway_of_the_running_stack_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEPWATCH_DATA_DIR", str(tmp_path))
    lock = DataDirLock(tmp_path)
    lock.acquire()
    write_state(tmp_path, StackState(settings={"STEPWATCH_GATEWAY_PORT": "20002"}))
    assert send._url(None) == "http://127.0.0.1:20002/v1/traces"
    lock.release()
    assert send._url(None) == "http://127.0.0.1:4318/v1/traces"
