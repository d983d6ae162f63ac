"""`make bench-gateway`: spans per CPU second of a gateway process, with a real broker behind it.

The same spans in requests of 1, 10 and 100, as protobuf over HTTP and over gRPC, plain and gzip, each case by itself. Counted is
the CPU time of the gateway process from the first request to the last answer; the senders' is not. Figures of one run compare
with each other; the machine's other work is in all of them.
"""

import asyncio
import gzip
import os
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import grpc
import psutil
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from rich.console import Console
from rich.table import Table

from schemas.otlp import pack
from schemas.signal import TRACES
from schemas.span import RawSpan
from schemas.topic_record import split_parts
from streams.gateway.otlp_grpc import SERVICES
from streams.local.ports import ANY, PortsAsked
from streams.local.stack import LocalStack
from streams.topics import ensure_topics
from tests.bench.__main__ import shared_tool
from tests.bench.evaluators import long_traces
from tests.ports import free_port

SPANS = int(os.environ.get("STEPWATCH_BENCH_SPANS", "20000"))
PER_REQUEST = (1, 10, 100)
IN_FLIGHT = 16
PROTOBUF = {"Content-Type": "application/x-protobuf"}
Send = Callable[[bytes], Awaitable[None]]


def spans() -> list[RawSpan]:
    """Spans of the shared generator."""
    made = long_traces.generator(shared_tool().parents[1])
    exported = long_traces.exports(made, SPANS // 15, None, "flat")
    found = [raw for _, requests in exported for request in requests for raw in split_parts(request).spans]
    return found[:SPANS]


def bodies(raws: list[RawSpan], per_request: int) -> list[bytes]:
    """Requests of so many spans."""
    assert ExportTraceServiceRequest.FromString(pack(raws[:1])), "what is packed is a request"
    return [pack(raws[at : at + per_request]) for at in range(0, len(raws), per_request)]


async def measured(process: psutil.Process, given: list[bytes], send: Send) -> float:
    """CPU seconds of the gateway for these requests."""
    waiting, turn = iter(given), asyncio.Lock()

    async def sender() -> None:
        while True:
            async with turn:
                body = next(waiting, None)
            if body is None:
                return
            await send(body)

    before = process.cpu_times()
    await asyncio.gather(*(sender() for _ in range(IN_FLIGHT)))
    after = process.cpu_times()
    return float(after.user + after.system - before.user - before.system)


async def run(screen: Console) -> None:
    """Every case after the other, on one gateway."""
    raws = spans()
    with tempfile.TemporaryDirectory() as folder:
        async with LocalStack(Path(folder) / "stack", parts={"broker"}, ports=PortsAsked(ANY, ANY, ANY)) as stack:
            await ensure_topics(stack.settings)
            http_port, grpc_port = free_port(), free_port()
            environment = {
                **os.environ,
                "STEPWATCH_BOOTSTRAP_SERVERS": stack.settings.bootstrap_servers,
                "STEPWATCH_GATEWAY_PORT": str(http_port),
                "STEPWATCH_GATEWAY_GRPC_PORT": str(grpc_port),
            }
            command = [sys.executable, "-m", "streams.console", "gateway"]
            gateway = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                await cases(psutil.Process(gateway.pid), raws, http_port, grpc_port, screen)
            finally:
                gateway.terminate()
                gateway.wait(30)


async def cases(process: psutil.Process, raws: list[RawSpan], http_port: int, grpc_port: int, screen: Console) -> None:
    """Measure and print."""
    url = f"http://127.0.0.1:{http_port}"
    table = Table(
        "spans a request", "HTTP", "HTTP, gzip", "gRPC", "gRPC, gzip", title="spans per CPU second of the gateway"
    )
    async with aiohttp.ClientSession() as session, grpc.aio.insecure_channel(f"127.0.0.1:{grpc_port}") as channel:
        call = channel.unary_unary(f"/{SERVICES[TRACES]}/Export")

        async def post(body: bytes, **headers: str) -> None:
            async with session.post(f"{url}/v1/traces", data=body, headers={**PROTOBUF, **headers}) as response:
                assert response.status == 200, await response.text()

        async def post_gzip(body: bytes) -> None:
            await post(body, **{"Content-Encoding": "gzip"})

        async def export(body: bytes) -> None:
            await call(body)

        async def export_gzip(body: bytes) -> None:
            await call(body, compression=grpc.Compression.Gzip)

        await _until_ready(session, url)
        await measured(process, bodies(raws[:2_000], 10), post)  # warm
        await measured(process, bodies(raws[:2_000], 10), export)
        for per_request in PER_REQUEST:
            given = bodies(raws if per_request > 1 else raws[: SPANS // 5], per_request)
            n = min(len(given) * per_request, SPANS)
            packed = [gzip.compress(body, 6) for body in given]
            took = [await measured(process, of, by) for of, by in (
                (given, post), (packed, post_gzip), (given, export), (given, export_gzip))]  # fmt: skip
            table.add_row(str(per_request), *(f"{n / cpu_s:,.0f}" for cpu_s in took))
    screen.print(table)


async def _until_ready(session: aiohttp.ClientSession, url: str) -> None:
    for _ in range(300):
        try:
            async with session.get(f"{url}/readyz") as response:
                if response.status == 200:
                    return
        except aiohttp.ClientError:
            pass
        await asyncio.sleep(0.1)
    raise SystemExit("the gateway did not come up within 30 s")


if __name__ == "__main__":
    asyncio.run(run(Console()))
