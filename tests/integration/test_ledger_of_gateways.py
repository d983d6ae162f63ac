"""Both sides of the ledger on real servers: what a gateway was sent, and what became of it, over a gateway that is killed."""

import asyncio
import signal
import time

import aiohttp
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.ledger import GatewayRow
from schemas.otlp import split
from schemas.signal import TRACES
from streams.local.stack import LocalStack
from streams.store import gateway_ledger as gateways
from streams.store.client import connect
from streams.store.ledger import Sum, sums
from streams.store.writer import Writer
from streams.topics import kafka_options
from tests.gateway.fakes import request, span
from tests.integration.conftest import NewStack
from tests.integration.pipeline import FAST, query, run, until

NOW_LATER = "SELECT max(written_at) < now() FROM gateway_ledger"
PROTOBUF = {"Content-Type": "application/x-protobuf"}
TOLD = "SELECT sumIf(n, outcome = 'in_log'), sumIf(n, outcome = 'refused') FROM gateway_ledger FINAL"
N, KILL_AFTER = 200, 20  # spans sent; answers before the kill, while others are on their way


async def post(stack: LocalStack, body: bytes) -> int:
    """The status; 0 where nobody answered."""
    url = f"http://127.0.0.1:{stack.settings.gateway_port}/v1/traces"
    try:
        async with aiohttp.request("POST", url, data=body, headers=PROTOBUF) as response:
            await response.read()
            return response.status
    except aiohttp.ClientError:
        return 0


async def logged(stack: LocalStack) -> list[bytes]:
    """The span ids in the log; one that was sent again is in it again."""
    settings = stack.settings
    places = [TopicPartition(settings.spans_topic, p) for p in range(settings.spans_partitions)]
    consumer = AIOKafkaConsumer(**kafka_options(settings), auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        found: list[bytes] = []
        while any([await consumer.position(place) < ends[place] for place in places]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found += [raw.span[20:28] for record in records for raw in split(record.value)]
        return found
    finally:
        await consumer.stop()


async def send_all_and_kill(stack: LocalStack) -> list[int]:
    """Send spans until each is acknowledged; the gateway is killed amid them, and started again. Those that were acknowledged."""
    taken: list[int] = []

    async def send(n: int) -> None:
        body = request(span(n, trace=n), span(n, trace_id=b"bad"))
        while await post(stack, body) != 200:
            await asyncio.sleep(0.2)
        taken.append(n)
        if len(taken) == KILL_AFTER:
            stack.kill("gateway")

    async with asyncio.timeout(90):
        async with asyncio.TaskGroup() as senders:
            for n in range(10, 9 + N):
                senders.create_task(send(n))
                await asyncio.sleep(0.005)
        await send(9 + N)  # which only the second gateway can have taken
    return taken


async def words_later(stack: LocalStack, killed: str) -> None:
    """Wait until the second gateway has told all that it counted until now."""
    ask = f"SELECT max(seq) FROM gateway_ledger WHERE gateway != '{killed}'"
    seq = query(stack, ask)[0][0]
    async with asyncio.timeout(60):
        while query(stack, ask)[0][0] < seq + 2:
            await asyncio.sleep(0.3)


async def test_both_sides_close_over_a_gateway_that_is_killed(own_parts: NewStack) -> None:
    stack = await own_parts("gateway", "scorer", environment=FAST)
    topic = stack.settings.spans_topic
    assert await post(stack, request(span(1), span(2), span(3, trace=2), span(4, trace_id=b"bad"))) == 200
    await until(stack, TOLD, [3, 1])
    ((killed,),) = query(stack, "SELECT DISTINCT gateway FROM gateway_ledger")
    taken = await send_all_and_kill(stack)
    in_log = await logged(stack)
    assert {n.to_bytes(8, "big") for n in (1, 2, 3, *taken)} <= set(in_log), "what was acknowledged is in the log"
    await until(stack, "SELECT sum(spans), countIf(NOT closes) FROM v1_ledger", [len(in_log), 0])
    await words_later(stack, killed)
    client = connect(stack.settings)
    try:
        side = gateways.read(client, topic)
        (told,) = side.sent[TRACES]
        assert 3 + 1 <= told.in_log <= len(in_log), "before the kill and after it; beyond the last word nobody knows"
        assert 1 + 1 <= told.refused <= 1 + N
        assert gateways.lost(side.words, sums(client, topic)) == {}
        stack.kill("gateway", signal.SIGTERM, restarts=False)
        await until(stack, "SELECT max(is_last) FROM gateway_ledger", [1])
        await until(stack, NOW_LATER, [1])
        assert [each.gateway for each in gateways.read(client, topic, 0).silent] == [killed], "the other one ended well"
        shown = await run(stack, "ledger")
        assert "the sum closes" in shown
        assert "refused: bad_trace_id" in shown
        Writer(client).write_gateway_ledger([_more_than_there_is(sums(client, topic)[0], topic)])
    finally:
        client.close()
    with pytest.raises(AssertionError):  # exit code 1
        await run(stack, "ledger")


def _more_than_there_is(found: Sum, topic: str) -> GatewayRow:
    """A word of one span more than the scorer counted."""
    head = topic, "other", 0, 0, int(time.time() * 1000), 1, found.tenant, TRACES, "in_log", ""
    return GatewayRow(*head, found.partition, found.first_offset, found.last_offset, found.spans + 1)
