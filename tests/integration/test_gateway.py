"""The gateway on a real Kafka: what an SDK sends is in the log as it was sent, and nothing is said to be that is not."""

import asyncio
import gzip
import io
import os
import signal
import socket
import ssl
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import grpc
import pytest
import trustme
from aiokafka import AIOKafkaConsumer, TopicPartition
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpanExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import Status, StatusCode

from schemas.api_key import KeyFile, KeyRecord, hashed, spell, write_keys
from schemas.otlp import pack, parse_resource, plain_of, split
from schemas.partition import partition_of_trace
from schemas.span import RawSpan
from streams.console.errors import UserError
from streams.gateway.app import serve
from streams.local.stack import LocalStack
from streams.settings import Settings
from streams.topics import ensure_topics, kafka_options
from tests.gateway.fakes import request, serialised, span
from tests.integration.conftest import NewStack
from tests.ports import free_port

PARTITIONS = 5
DAY_NS = 86_400_000_000_000
PROTOBUF = {"Content-Type": "application/x-protobuf"}


async def topic_of(stack: LocalStack) -> Settings:
    """Settings with a spans topic and a gateway port of their own."""
    fresh = {
        "spans_topic": f"spans-{uuid4().hex}",
        "spans_partitions": PARTITIONS,
        "gateway_port": free_port(),
        "health_port": free_port(),
    }
    settings = stack.settings.model_copy(update=fresh)
    await ensure_topics(settings)
    return settings


@asynccontextmanager
async def gateway(settings: Settings) -> AsyncIterator[str]:
    """A gateway in this process; its address."""
    ready = asyncio.Event()
    serving = asyncio.create_task(serve(settings, ready))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED, timeout=20)
    waiting.cancel()
    try:
        assert ready.is_set(), serving
        yield f"http://127.0.0.1:{settings.gateway_port}"
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def records_of(settings: Settings) -> list[tuple[int, list[RawSpan], list[tuple[str, bytes]]]]:
    """All records on the spans topic now: (partition, spans, headers)."""
    partitions = [TopicPartition(settings.spans_topic, p) for p in range(PARTITIONS)]
    async with AIOKafkaConsumer(
        **kafka_options(settings), auto_offset_reset="earliest", max_partition_fetch_bytes=9 << 20
    ) as consumer:
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        found = []
        while any([await consumer.position(p) < end for p, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=1_000)).values():
                found += [(r.partition, split(r.value), list(r.headers)) for r in records]
    return found


async def spans_of(settings: Settings) -> list[bytes]:
    return sorted(raw.span for _, spans, _ in await records_of(settings) for raw in spans)


async def post(url: str, body: bytes, **headers: str) -> tuple[int, Any]:
    """Status and partial success (or None) of one protobuf export."""
    posted = aiohttp.request("POST", f"{url}/v1/traces", data=io.BytesIO(body), headers={**PROTOBUF, **headers})
    async with posted as response:
        answer = await response.read()
        ok = response.status == 200
        return response.status, ExportTraceServiceResponse.FromString(answer).partial_success if ok else None


def tell_a_refund(endpoint: str) -> tuple[str, list[str]]:
    """One agent's run through the real SDK and exporter; the trace id and the names of its spans."""
    exporter = OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces", compression=Compression.Gzip)
    provider = TracerProvider(resource=Resource.create({"service.name": "shop"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("refunds", "1.0")
    with tracer.start_as_current_span("invoke_workflow refund") as root:
        with tracer.start_as_current_span("execute_tool update_crm") as tool:
            tool.set_attribute("gen_ai.tool.call.arguments", '{"ticket": 7}')
            tool.set_status(Status(StatusCode.ERROR, "no such ticket"))
        trace_id = format(root.get_span_context().trace_id, "032x")
    provider.shutdown()
    return trace_id, ["execute_tool update_crm", "invoke_workflow refund"]


async def test_what_the_real_sdk_sends_is_in_the_log_with_its_resource_in_the_partition_of_its_trace(
    stack: LocalStack,
) -> None:
    settings = await topic_of(stack)
    async with gateway(settings) as url:
        trace_id, names = await asyncio.to_thread(tell_a_refund, url)
        async with aiohttp.request("GET", f"http://127.0.0.1:{settings.health_port}/metrics") as page:
            told = await page.text()
        async with aiohttp.request("GET", f"http://127.0.0.1:{settings.health_port}/readyz") as page:
            assert page.status == 200
    assert 'stepwatch_gateway_spans_total{outcome="accepted",reason=""} 2.0' in told
    records = await records_of(settings)
    assert {partition for partition, *_ in records} == {
        partition_of_trace(bytes.fromhex(trace_id), PARTITIONS, "sarama")
    }
    raws = [raw for _, spans, _ in records for raw in spans]
    spans = [Span.FromString(raw.span) for raw in raws]
    assert [each.name for each in spans] == names
    assert [each.status.message for each in spans] == ["no such ticket", ""]
    assert plain_of(parse_resource(raws[0].resource).attributes["service.name"]) == "shop"
    assert [headers for *_, headers in records] == [[]] * len(records)  # the default tenant has no header


async def test_spans_of_concurrent_requests_share_records(stack: LocalStack) -> None:
    settings = (await topic_of(stack)).model_copy(update={"gateway_linger_ms": 300})
    spans = [span(n, trace=n) for n in range(1, 101)]
    async with gateway(settings) as url:
        answers = await asyncio.gather(*(post(url, request(each)) for each in spans))
    assert {status for status, _ in answers} == {200}
    assert await spans_of(settings) == serialised(*spans)
    assert len(await records_of(settings)) <= 2 * PARTITIONS


def odd_spans() -> list[Span]:
    """What no sender should send and some do; none of it may cost a neighbour."""
    not_json = span(200, name="execute_tool")
    not_json.attributes.add(key="gen_ai.tool.call.arguments").value.string_value = "{not json"
    return [
        not_json,
        span(201, start_time_unix_nano=1, end_time_unix_nano=2),  # 1970
        span(202, start_time_unix_nano=9_214_646_400_000_000_000),  # 2262
        *(span(n, trace=n, start_time_unix_nano=1_700_000_000_000_000_000 + n * DAY_NS) for n in range(1, 151)),
    ]


async def test_bad_spans_are_refused_odd_ones_go_through_unchanged_and_150_days_in_one_request_are_no_matter(
    stack: LocalStack,
) -> None:
    settings = await topic_of(stack)
    good = [each.SerializeToString() for each in odd_spans()]
    good.append(span(203).SerializeToString().replace(b"span 203", b"spa\xff\xfe203"))  # not UTF-8
    bad = [b"\xff\xff", span(1, trace_id=b"short").SerializeToString(), span(1, span_id=b"x" * 12).SerializeToString()]
    body = pack([RawSpan(b"", b"", each) for each in [*good, *bad]])
    async with gateway(settings) as url:
        status, told = await post(url, gzip.compress(body), **{"Content-Encoding": "gzip"})
    assert (status, told.rejected_spans) == (200, 3)
    for reason in ("broken_span (1)", "bad_trace_id (1)", "bad_span_id (1)"):
        assert reason in told.error_message
    assert await spans_of(settings) == sorted(good)


async def test_a_span_of_nearly_a_record_is_taken_and_a_larger_one_is_refused_by_name(stack: LocalStack) -> None:
    settings = await topic_of(stack)
    noise = os.urandom(7 << 20)  # does not compress
    large = span(1)
    large.attributes.add(key="k").value.bytes_value = noise
    larger = span(2)
    larger.attributes.add(key="k").value.bytes_value = noise + noise[: 1 << 20]
    async with gateway(settings) as url:
        status, told = await post(url, request(large, larger, span(3)))
    assert (status, told.rejected_spans) == (200, 1)
    assert "span_too_large (1)" in told.error_message
    assert await spans_of(settings) == serialised(large, span(3))


async def test_a_record_that_this_topic_does_not_take_is_refused_and_later_ones_are_taken(stack: LocalStack) -> None:
    settings = await topic_of(stack)
    await limit_records(settings, 300_000)
    large = span(1)
    large.attributes.add(key="k").value.bytes_value = os.urandom(1 << 20)
    async with gateway(settings) as url:
        status, told = await post(url, request(large))
        assert (status, told.rejected_spans) == (200, 1)
        assert "max.message.bytes" in told.error_message
        assert [await post(url, request(span(n))) for n in (2, 3)] == [(200, told.__class__())] * 2
    assert await spans_of(settings) == serialised(span(2), span(3))


async def limit_records(settings: Settings, size: int) -> None:
    from aiokafka.admin import AIOKafkaAdminClient
    from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

    admin = AIOKafkaAdminClient(**kafka_options(settings))
    await admin.start()
    try:
        configs = {"max.message.bytes": str(size), "message.timestamp.type": "LogAppendTime"}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, settings.spans_topic, configs)])
    finally:
        await admin.close()


async def test_a_missing_topic_a_missing_broker_and_a_taken_port_are_one_sentence_each(stack: LocalStack) -> None:
    settings = await topic_of(stack)
    with pytest.raises(UserError, match="topic nowhere does not exist: run `stepwatch topics apply`"):
        await serve(settings.model_copy(update={"spans_topic": "nowhere"}))
    with pytest.raises(UserError, match="no Kafka broker answers at 127"):
        await serve(settings.model_copy(update={"bootstrap_servers": f"127.0.0.1:{free_port()}"}))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", settings.gateway_port))
        taken.listen()
        with pytest.raises(UserError, match=f"cannot listen on 127.0.0.1:{settings.gateway_port}"):
            await serve(settings)


async def test_without_kafka_the_sender_is_told_to_come_back_and_afterwards_all_is_as_before(
    new_stack: NewStack,
) -> None:
    stack = await new_stack(parts=("broker",))
    settings = await topic_of(stack)
    async with gateway(settings) as url:
        assert (await post(url, request(span(1))))[0] == 200
        await stack.stop_part("broker")
        assert (await post(url, request(span(2))))[0] == 503
        await stack.start_part("broker")
        await until_taken(url, request(span(3)))
        stats = await stats_of(url)
    assert (stats["accepted_spans"], stats["retried_spans"] >= 1) == (2, True)
    # Span 2 was not promised; the producer, which never gives up, may have brought it in all the same.
    assert (
        set(serialised(span(1), span(3))) <= set(await spans_of(settings)) <= set(serialised(span(1), span(2), span(3)))
    )


async def until_taken(url: str, body: bytes) -> None:
    """Send as an exporter does: again and again while the answer is 503."""
    deadline = time.monotonic() + 60
    while (await post(url, body))[0] == 503:
        assert time.monotonic() < deadline, "the gateway did not recover"


async def stats_of(url: str) -> Any:
    async with aiohttp.request("GET", f"{url}/stats") as response:
        return await response.json()


async def test_at_sigterm_every_span_answered_with_success_is_in_the_log_and_the_process_ends_with_0(
    stack: LocalStack,
) -> None:
    settings = (await topic_of(stack)).model_copy(update={"gateway_linger_ms": 200})
    process = await gateway_process(settings)
    url = f"http://127.0.0.1:{settings.gateway_port}"
    try:
        spans = [span(n, trace=n) for n in range(1, 41)]
        sending = [asyncio.create_task(post(url, request(each))) for each in spans]
        await asyncio.wait(sending, return_when=asyncio.FIRST_COMPLETED, timeout=10)
        more = [asyncio.create_task(post(url, request(span(n, trace=n)))) for n in range(41, 61)]
        process.send_signal(signal.SIGTERM)
        answers = await asyncio.gather(*sending, *more, return_exceptions=True)
        assert await asyncio.wait_for(process.wait(), 20) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    promised = [
        span(n, trace=n) for n, answer in enumerate(answers, 1) if isinstance(answer, tuple) and answer[0] == 200
    ]
    assert len(promised) >= 1
    assert set(serialised(*promised)) <= set(await spans_of(settings))


async def gateway_process(settings: Settings) -> asyncio.subprocess.Process:
    """`stepwatch gateway` as its own process, ready."""
    fields = ("bootstrap_servers", "spans_topic", "gateway_port", "gateway_linger_ms")
    told = {f"STEPWATCH_{name.upper()}": str(getattr(settings, name)) for name in fields}
    command = (sys.executable, "-m", "streams.console", "gateway")
    process = await asyncio.create_subprocess_exec(*command, env={**os.environ, **told}, cwd=Path(__file__).parents[2])
    deadline = time.monotonic() + 30
    while True:
        try:
            async with aiohttp.request("GET", f"http://127.0.0.1:{settings.gateway_port}/readyz") as response:
                assert response.status == 200
                return process
        except aiohttp.ClientError:
            assert process.returncode is None, "the gateway ended"
            assert time.monotonic() < deadline, "the gateway was not ready in time"
            await asyncio.sleep(0.05)


async def livez(url: str, context: ssl.SSLContext | None) -> int:
    async with aiohttp.request("GET", f"{url}/livez", ssl=context if context else True) as response:
        return response.status


async def test_tls_keys_and_a_certificate_that_is_renewed(
    stack: LocalStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real SDK over TLS with a key; another authority is refused; a renewed certificate is shown without a restart."""
    for bundle in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # the exporter's library would trust these instead
        monkeypatch.delenv(bundle, raising=False)
    authority, other = trustme.CA(), trustme.CA()
    certificate, keys = tmp_path / "gateway.pem", tmp_path / "keys.json"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    key = spell("0a1b2c3d", "secret")
    keys.write_bytes(write_keys(KeyFile([KeyRecord("0a1b2c3d", hashed(key), "acme", "")])))
    safe = {"gateway_tls_certfile": certificate, "gateway_keys_file": keys}
    settings = (await topic_of(stack)).model_copy(update={**safe, "gateway_grpc_port": free_port()})
    async with gateway(settings) as plain:
        url = plain.replace("http://", "https://")
        exporter = OTLPSpanExporter(
            endpoint=f"{url}/v1/traces",
            certificate_file=str(tmp_path / "ca.pem"),
            headers={"authorization": f"Bearer {key}"},
        )
        over_grpc = GrpcSpanExporter(
            endpoint=f"https://127.0.0.1:{settings.gateway_grpc_port}",
            credentials=grpc.ssl_channel_credentials((tmp_path / "ca.pem").read_bytes()),
            headers={"authorization": f"Bearer {key}"},
            compression=grpc.Compression.Gzip,
        )
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        provider.add_span_processor(SimpleSpanProcessor(over_grpc))
        await asyncio.to_thread(lambda: provider.get_tracer("t").start_span("one").end())
        await asyncio.to_thread(provider.shutdown)
        records = await records_of(settings)
        assert [dict(headers)["stepwatch-tenant"] for *_, headers in records] == [b"acme"] * 2, (
            "over HTTP and over gRPC"
        )
        assert len({raw.span for _, raws, _ in records for raw in raws}) == 1

        trusting, stranger = ssl.create_default_context(cafile=tmp_path / "ca.pem"), ssl.create_default_context()
        other.configure_trust(stranger)
        async with aiohttp.request("POST", f"{url}/v1/traces", data=b"", ssl=trusting) as response:
            assert response.status == 401
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await livez(url, stranger)
        with pytest.raises(aiohttp.ClientError):
            await livez(plain, None)
        other.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
        async with asyncio.timeout(20):
            while True:
                try:
                    assert await livez(url, stranger) == 200
                    break
                except aiohttp.ClientConnectorCertificateError:
                    await asyncio.sleep(0.3)


async def test_clients_must_show_a_certificate_where_an_authority_is_named(stack: LocalStack, tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate, ca = tmp_path / "gateway.pem", tmp_path / "ca.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
    authority.cert_pem.write_to_path(ca)
    safe = {"gateway_tls_certfile": certificate, "gateway_tls_client_ca": ca}
    settings = (await topic_of(stack)).model_copy(update=safe)
    async with gateway(settings) as plain:
        url = plain.replace("http://", "https://")
        with pytest.raises(aiohttp.ClientError):
            await livez(url, ssl.create_default_context(cafile=ca))
        known = ssl.create_default_context(cafile=ca)
        authority.issue_cert("client.example").configure_cert(known)
        assert await livez(url, known) == 200

    keys = tmp_path / "keys.json"
    keys.write_bytes(write_keys(KeyFile([], certificates={"DNS:client.example": "acme"})))
    async with (
        gateway(settings.model_copy(update={"gateway_keys_file": keys})) as plain,
        aiohttp.ClientSession() as http,
    ):
        url = plain.replace("http://", "https://") + "/v1/traces"
        stranger = ssl.create_default_context(cafile=ca)
        authority.issue_cert("stranger.example").configure_cert(stranger)
        for context, status in ((known, 200), (stranger, 401)):
            async with http.post(url, data=b"", headers=PROTOBUF, ssl=context) as response:
                assert response.status == status
