"""OTLP/gRPC as a sender sees it: the same answers as over HTTP, as codes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from aiokafka.errors import KafkaConnectionError
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from schemas.api_key import KeyFile, KeyRecord, hashed, spell, write_keys
from streams.console.errors import UserError
from streams.gateway import body
from streams.gateway.access import Access
from streams.gateway.http import Gateway
from streams.gateway.limits import BODY_BYTES_MAX, GRPC_CALLS_MAX
from streams.gateway.otlp_grpc import GrpcServer
from tests.gateway.fakes import ListLog, request, serialised, span
from tests.ports import free_port

Serve = Callable[..., Awaitable[tuple[ListLog, Any]]]
KEY = spell("0a1b2c3d", "x")
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts a gateway in front of a topic in memory: `log, export = await serve(...)`."""
    running: list[Any] = []
    addresses: list[str] = []

    async def start(**options: Any) -> tuple[ListLog, Any]:
        log, port = ListLog(), free_port()
        gateway = Gateway(log, linger_s=0.001, partitioner="sarama", **options)
        server = GrpcServer(gateway.export, "127.0.0.1", port, None)
        await server.start()
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        running.extend([channel.close, server.stop])
        addresses.append(f"127.0.0.1:{port}")

        async def export(body: bytes, **metadata: str) -> ExportTraceServiceResponse:
            call = TraceServiceStub(channel).Export  # type: ignore[no-untyped-call]
            message = ExportTraceServiceRequest.FromString(body)
            return await call(message, metadata=tuple(metadata.items()), compression=grpc.Compression.Gzip)

        return log, export

    start.addresses = addresses  # type: ignore[attr-defined] - of those who do not speak like an SDK
    yield start
    for end in running:
        await end()


async def refusal(export: Any, body: bytes, **metadata: str) -> tuple[grpc.StatusCode, str, Status]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await export(body, **metadata)
    details = dict(caught.value.trailing_metadata() or ())["grpc-status-details-bin"]
    return caught.value.code(), caught.value.details() or "", Status.FromString(details)


async def test_success_means_that_kafka_has_every_span(serve: Serve) -> None:
    log, export = await serve()
    spans = [span(n, trace=n) for n in range(1, 30)]
    log.release.clear()
    answer = asyncio.create_task(export(request(*spans)))
    await log.asked.wait()
    await asyncio.sleep(0.05)
    assert not answer.done()
    log.release.set()
    assert not (await answer).HasField("partial_success")
    assert log.spans == serialised(*spans)


async def test_a_bad_span_costs_no_other(serve: Serve) -> None:
    log, export = await serve()
    answer = await export(request(span(1), span(2, trace_id=b"short"), span(3)))
    assert answer.partial_success.rejected_spans == 1
    assert "bad_trace_id (1)" in answer.partial_success.error_message
    assert log.spans == serialised(span(1), span(3))


async def test_what_is_to_be_repeated_says_when(serve: Serve) -> None:
    log, export = await serve()
    log.error = KafkaConnectionError()
    code, sentence, status = await refusal(export, request(span(1)))
    assert code is grpc.StatusCode.UNAVAILABLE
    assert "try again" in sentence
    retry = RetryInfo()
    assert status.details[0].Unpack(retry)
    assert retry.retry_delay.seconds == 2


async def test_what_is_too_much_is_refused_for_good(serve: Serve) -> None:
    _, export = await serve()
    code, sentence, status = await refusal(export, request(*(span(n) for n in range(1, 10_002))))
    assert (code, len(status.details)) == (grpc.StatusCode.INVALID_ARGUMENT, 0)
    assert "send smaller batches" in sentence


async def test_a_message_that_unpacks_to_more_than_the_bound_is_refused_before_it_is_read(serve: Serve) -> None:
    log, export = await serve()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await export(request(span(1, name="x" * (BODY_BYTES_MAX + 1))))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert log.records == []


async def test_keys_hold_here_too(serve: Serve, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_bytes(write_keys(KeyFile([KeyRecord("0a1b2c3d", hashed(KEY), "acme", "")])))
    log, export = await serve(access=Access(file))
    code, sentence, _ = await refusal(export, request(span(1)))
    assert (code, sentence) == (grpc.StatusCode.UNAUTHENTICATED, "unauthorized")
    await export(request(span(1)), authorization=f"Bearer {KEY}")
    assert [tenant for _, _, tenant in log.records] == ["acme"]


async def slow_calls(address: str, n: int, **metadata: str) -> tuple[Any, list[Any]]:
    """Calls whose messages never come, and the channel that they are on."""

    async def never() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    channel = grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])
    calls = [channel.stream_unary(EXPORT)(never(), metadata=tuple(metadata.items())) for _ in range(n)]
    await asyncio.gather(*(call.wait_for_connection() for call in calls))
    return channel, calls


async def test_nobody_without_a_key_holds_a_place_by_a_message_that_never_comes(serve: Serve, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_bytes(write_keys(KeyFile([KeyRecord("0a1b2c3d", hashed(KEY), "acme", "")])))
    log, export = await serve(access=Access(file))
    channel, calls = await slow_calls(serve.addresses[0], 2 * GRPC_CALLS_MAX)  # type: ignore[attr-defined]
    codes = await asyncio.wait_for(asyncio.gather(*(call.code() for call in calls)), 5)
    assert set(codes) <= {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.RESOURCE_EXHAUSTED}
    await export(request(span(1)), authorization=f"Bearer {KEY}")
    assert log.spans == serialised(span(1))
    await channel.close()


async def test_a_message_that_does_not_come_in_time_costs_its_place(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "BODY_TIMEOUT_S", 0.1)
    log, export = await serve()
    channel, calls = await slow_calls(serve.addresses[0], GRPC_CALLS_MAX)  # type: ignore[attr-defined]
    codes = await asyncio.wait_for(asyncio.gather(*(call.code() for call in calls)), 5)
    assert set(codes) == {grpc.StatusCode.DEADLINE_EXCEEDED}
    await export(request(span(1)))
    assert log.spans == serialised(span(1))
    await channel.close()


async def test_a_call_without_a_message_is_refused(serve: Serve) -> None:
    async def nothing() -> AsyncIterator[bytes]:
        return
        yield b""

    await serve()
    async with grpc.aio.insecure_channel(serve.addresses[0]) as channel:  # type: ignore[attr-defined]
        call = channel.stream_unary(EXPORT)(nothing())
        assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_port_that_is_taken_is_said(serve: Serve) -> None:
    async def nothing(_read: Any, _authorization: str | None, _signal: str) -> bytes:
        return b""

    port = free_port()
    first, second = GrpcServer(nothing, "127.0.0.1", port, None), GrpcServer(nothing, "127.0.0.1", port, None)
    await first.start()
    try:
        with pytest.raises(UserError, match="for gRPC"):
            await second.start()
    finally:
        await first.stop()
