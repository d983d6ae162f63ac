"""OTLP/HTTP as a sender sees it: what each answer says, and that success is never said without Kafka."""

import asyncio
import gzip
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import orjson
import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer
from aiokafka.errors import KafkaConnectionError, MessageSizeTooLargeError
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from schemas.otlp import pack
from schemas.partition import partition_of_trace
from schemas.span import RawSpan
from streams.gateway.app import check_start
from streams.gateway.budget import Budget
from streams.gateway.http import Gateway
from streams.gateway.limits import BODY_BYTES_MAX, HELD_BYTES_MAX, MIB
from streams.settings import Settings
from tests.gateway.fakes import ListLog, request, serialised, span, trace_id

PROTOBUF, JSON = {"Content-Type": "application/x-protobuf"}, {"Content-Type": "application/json; charset=utf-8"}
GZIP = {"Content-Encoding": "gzip"}

Serve = Callable[..., Awaitable[tuple[ListLog, Any]]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts a gateway in front of a topic in memory: `log, client = await serve(...)`."""
    clients: list[Any] = []

    async def start(**options: Any) -> tuple[ListLog, Any]:
        log = ListLog()
        gateway = Gateway(log, linger_s=0.001, partitioner="sarama", **options)
        server = TestServer(gateway.application())
        await server.start_server(auto_decompress=False)
        clients.append(TestClient(server))
        await clients[-1].start_server()
        return log, clients[-1]

    yield start
    for client in clients:
        await client.close()


async def partial(response: ClientResponse) -> Any:
    assert response.status == 200
    return ExportTraceServiceResponse.FromString(await response.read()).partial_success


async def refusal(response: ClientResponse, status: int) -> str:
    """The sentence of an error, which must be an OTLP Status in the encoding of the request."""
    assert response.status == status
    if response.content_type == "application/x-protobuf":
        return str(Status.FromString(await response.read()).message)
    return str((await response.json())["message"])


@pytest.mark.parametrize("unpacked", [True, False])
async def test_an_export_in_protobuf_is_in_the_log_when_success_is_answered(serve: Serve, unpacked: bool) -> None:
    log, client = await serve()
    body = request(span(1), span(2, trace=9))
    data, headers = (body, PROTOBUF) if unpacked else (gzip.compress(body), PROTOBUF | GZIP)
    response = await client.post("/v1/traces", data=data, headers=headers)
    assert log.spans == serialised(span(1), span(2, trace=9))
    assert response.content_type == "application/x-protobuf"
    assert (await partial(response)).rejected_spans == 0
    assert {tenant for _, _, tenant in log.records} == {"default"}


async def test_an_export_in_json_is_answered_in_json(serve: Serve) -> None:
    log, client = await serve()
    spans = [{"traceId": trace_id(1).hex(), "spanId": "0000000000000001"}, {"traceId": "ab"}]
    body = orjson.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]})
    response = await client.post("/v1/traces", data=gzip.compress(body), headers=JSON | GZIP)
    told = (await response.json())["partialSuccess"]
    assert (len(log.spans), told["rejectedSpans"]) == (1, "1")
    assert told["errorMessage"].startswith("refused 1 of 2 spans: bad_trace_id (1): trace id must be 16 bytes")


async def test_refused_spans_are_a_partial_success_that_names_reasons_and_counts(serve: Serve) -> None:
    log, client = await serve()
    raws = [span(1).SerializeToString(), b"\xff", span(2, span_id=b"x").SerializeToString(), b"\xff"]
    body = pack([RawSpan(b"", b"", each) for each in raws])
    told = await partial(await client.post("/v1/traces", data=body, headers=PROTOBUF))
    assert log.spans == serialised(span(1))
    assert told.rejected_spans == 3
    assert told.error_message.startswith("refused 3 of 4 spans: broken_span (2): ")
    assert "; bad_span_id (1): " in told.error_message


@pytest.mark.parametrize(("data", "headers"), [(b"", PROTOBUF), (b"{}", JSON), (b"", JSON)])
async def test_an_empty_export_is_a_success(serve: Serve, data: bytes, headers: dict[str, str]) -> None:
    log, client = await serve()
    assert (await client.post("/v1/traces", data=data, headers=headers)).status == 200
    assert log.records == []


REFUSED = [
    (b"x", {"Content-Type": "text/plain"}, 415, "content type 'text/plain' is not taken"),
    (b"x", PROTOBUF | {"Content-Encoding": "br"}, 415, "content encoding 'br' is not taken: send gzip, zstd or none"),
    (b"x", PROTOBUF | {"Content-Encoding": "gzip, gzip"}, 415, "content encoding 'gzip, gzip' is not taken"),
    (b"\xff", PROTOBUF, 400, "not an OTLP trace export"),
    (b"{", JSON, 400, "not JSON"),
    (b'{"resourceLogs":[{}]}', JSON, 400, "an OTLP logs export"),
    (b"plain", PROTOBUF | GZIP, 400, "the body is not gzip"),
    (bytes(BODY_BYTES_MAX + 1), PROTOBUF, 413, "body over 20971520 bytes"),
    (gzip.compress(bytes(40 * MIB)), PROTOBUF | GZIP, 413, "unpacks to more than 100 times"),
]


@pytest.mark.parametrize(("data", "headers", "status", "sentence"), REFUSED)
async def test_what_cannot_be_taken_is_refused_with_a_status_and_a_sentence(
    serve: Serve, data: bytes, headers: dict[str, str], status: int, sentence: str
) -> None:
    log, client = await serve()
    response = await client.post("/v1/traces", data=io.BytesIO(data), headers=headers)
    assert sentence in await refusal(response, status)
    assert "Retry-After" not in response.headers
    assert log.records == []
    stats = await (await client.get("/stats")).json()
    assert (stats["held_bytes"], stats["requests_now"], stats["requests"]) == (0, 0, {str(status): 1})


async def test_metrics_are_told_that_stepwatch_takes_none(serve: Serve) -> None:
    _, client = await serve()
    response = await client.post("/v1/metrics", data=b"", headers=PROTOBUF)
    assert "takes traces and logs: turn the metrics exporter off" in await refusal(response, 404)


def logs_of(*records: LogRecord) -> bytes:
    message = ExportLogsServiceRequest()
    message.resource_logs.add().scope_logs.add(log_records=records)
    return bytes(message.SerializeToString())


def log_record(n: int, event: str = "gen_ai.user.message", **fields: Any) -> LogRecord:
    return LogRecord(
        **{"trace_id": trace_id(n), "span_id": n.to_bytes(8, "big"), "event_name": event, "time_unix_nano": n, **fields}
    )


async def test_log_records_that_hold_content_go_to_their_trace_and_all_others_are_left_out(serve: Serve) -> None:
    log, client = await serve()
    good = [log_record(1), log_record(1, "gen_ai.choice"), log_record(2)]
    ours, theirs = log_record(3, ""), log_record(4, trace_id=b"", span_id=b"")  # no event; an event of no trace
    bad = log_record(5, trace_id=b"short")
    response = await client.post("/v1/logs", data=logs_of(*good, ours, theirs, bad), headers=PROTOBUF)
    assert response.status == 200
    told = ExportLogsServiceResponse.FromString(await response.read()).partial_success
    assert told.rejected_log_records == 1
    assert "refused 1 of 4 log records: bad_trace_id (1)" in told.error_message
    assert log.spans == sorted(each.SerializeToString() for each in good)
    places = {partition_of_trace(trace_id(n), 48, "sarama") for n in (1, 2)}
    assert {partition for partition, *_ in log.records} == places
    assert set(log.signals) == {"logs"}
    stats = await (await client.get("/stats")).json()
    assert [stats[name] for name in ("accepted_logs", "ignored_logs", "refused_logs")] == [3, 2, {"bad_trace_id": 1}]
    assert stats["accepted_spans"] == 0


async def test_spans_and_logs_of_one_trace_never_share_a_record(serve: Serve) -> None:
    log, client = await serve()
    await asyncio.gather(
        client.post("/v1/traces", data=request(span(1)), headers=PROTOBUF),
        client.post("/v1/logs", data=logs_of(log_record(1)), headers=PROTOBUF),
    )
    assert sorted(log.signals) == ["logs", "traces"]


async def test_logs_come_as_json_too_and_an_empty_export_is_a_success(serve: Serve) -> None:
    log, client = await serve()
    record = {"traceId": trace_id(1).hex(), "spanId": "00000000000000aa", "eventName": "gen_ai.user.message"}
    body = orjson.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record, {**record, "spanId": "zz"}]}]}]})
    response = await client.post("/v1/logs", data=body, headers=JSON)
    assert (await response.json())["partialSuccess"]["rejectedLogRecords"] == "1"
    assert len(log.records) == 1
    assert (await client.post("/v1/logs", data=b"", headers=PROTOBUF)).status == 200


async def test_without_an_acknowledgement_the_sender_is_told_to_try_again(serve: Serve) -> None:
    log, client = await serve(ack_timeout_s=0.05)
    log.release.clear()
    response = await client.post("/v1/traces", data=request(span(1)), headers=PROTOBUF)
    assert "no acknowledgement from Kafka" in await refusal(response, 503)
    assert int(response.headers["Retry-After"]) > 0
    log.release.set()


async def test_a_failing_kafka_is_a_503_and_the_next_try_succeeds(serve: Serve) -> None:
    log, client = await serve()
    log.error = KafkaConnectionError("gone")
    response = await client.post("/v1/traces", data=request(span(1)), headers=PROTOBUF)
    assert "Kafka did not take the spans" in await refusal(response, 503)
    assert (await client.get("/readyz")).status == 503
    log.error = None
    assert (await client.post("/v1/traces", data=request(span(1)), headers=PROTOBUF)).status == 200
    assert (await client.get("/readyz")).status == 200
    assert log.spans == serialised(span(1))


async def test_a_record_that_the_topic_never_takes_is_refused_and_not_tried_for_ever(serve: Serve) -> None:
    log, client = await serve()
    log.error = MessageSizeTooLargeError()
    told = await partial(await client.post("/v1/traces", data=request(span(1), span(2)), headers=PROTOBUF))
    assert told.rejected_spans == 2
    assert "record_too_large (2): the topic's max.message.bytes" in told.error_message


async def test_what_is_held_is_bounded_and_answered_at_once(serve: Serve) -> None:
    budget = Budget(ceiling=10_000)
    log, client = await serve(budget=budget)
    log.release.clear()
    first = asyncio.create_task(client.post("/v1/traces", data=request(span(1, name="x" * 6_000)), headers=PROTOBUF))
    await asyncio.wait_for(log.asked.wait(), 5)
    response = await client.post("/v1/traces", data=request(span(2, name="x" * 6_000)), headers=PROTOBUF)
    assert "bytes that Kafka has not acknowledged" in await refusal(response, 503)
    log.release.set()
    assert (await first).status == 200
    assert budget.held == 0


async def test_too_many_requests_at_a_time_are_told_to_come_back(serve: Serve) -> None:
    _, client = await serve(requests_max=0)
    response = await client.post("/v1/traces", data=request(span(1)), headers=PROTOBUF)
    assert "requests are in progress" in await refusal(response, 429)
    assert "Retry-After" in response.headers


async def test_the_sum_closes_every_span_is_accepted_refused_or_to_be_sent_again(serve: Serve) -> None:
    log, client = await serve()
    bad = span(3, span_id=b"x")
    await client.post("/v1/traces", data=request(span(1), span(2), bad), headers=PROTOBUF)
    log.error = KafkaConnectionError("gone")
    await client.post("/v1/traces", data=request(span(4), bad), headers=PROTOBUF)
    stats = await (await client.get("/stats")).json()
    assert stats["accepted_spans"] == len(log.spans) == 2
    assert stats["refused_spans"] == {"bad_span_id": 1}
    assert stats["retried_spans"] == 2  # the refused one comes again with its neighbour
    assert stats["requests"] == {"200": 1, "503": 1}


async def test_the_process_says_that_it_lives_and_which_version_it_is(serve: Serve) -> None:
    _, client = await serve()
    assert (await client.get("/livez")).status == 200
    assert (await (await client.get("/version")).json())["name"] == "stepwatch"


def test_the_default_bound_of_what_is_held_takes_several_of_the_greatest_requests() -> None:
    assert HELD_BYTES_MAX > 4 * BODY_BYTES_MAX


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "gateway.internal"])
def test_an_address_that_others_reach_is_refused_unless_it_is_asked_for(host: str) -> None:
    with pytest.raises(Exception, match="STEPWATCH_GATEWAY_INSECURE=true"):
        check_start(Settings(gateway_host=host))
    check_start(Settings(gateway_host=host, gateway_insecure=True))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_a_loopback_address_is_bound_without_more_ado(host: str) -> None:
    check_start(Settings(gateway_host=host))


PAGE = "https://shop.example.com"


async def test_a_page_that_is_named_may_send_from_a_browser(serve: Serve) -> None:
    log, client = await serve(cors_origins=(PAGE,))
    asked = await client.options("/v1/traces", headers={"Origin": PAGE, "Access-Control-Request-Method": "POST"})
    assert asked.status == 204
    assert asked.headers["Access-Control-Allow-Origin"] == PAGE
    assert "content-type" in asked.headers["Access-Control-Allow-Headers"]
    sent = await client.post("/v1/traces", data=request(span(1)), headers={**PROTOBUF, "Origin": PAGE})
    assert (sent.status, sent.headers["Access-Control-Allow-Origin"]) == (200, PAGE)
    assert log.spans == serialised(span(1))


async def test_a_page_that_is_not_named_is_not_let_in(serve: Serve) -> None:
    _, client = await serve(cors_origins=(PAGE,))
    asked = await client.options("/v1/traces", headers={"Origin": "https://evil.example.com"})
    assert asked.status == 403
    assert "Access-Control-Allow-Origin" not in asked.headers
    _, closed = await serve()
    assert (await closed.options("/v1/traces", headers={"Origin": PAGE})).status == 405
    answer = await closed.post("/v1/traces", data=request(span(1)), headers={**PROTOBUF, "Origin": PAGE})
    assert "Access-Control-Allow-Origin" not in answer.headers
