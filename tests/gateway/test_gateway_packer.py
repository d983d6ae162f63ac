"""Spans of concurrent requests share records; every answer waits for the records of its spans."""

import asyncio
from collections.abc import Callable

import pytest
from aiokafka.errors import KafkaConnectionError

from schemas.otlp import pack
from schemas.span import RawSpan
from streams.gateway.account import Account
from streams.gateway.budget import Budget, OverBudget
from streams.gateway.counts import GatewayCounts
from streams.gateway.limits import PACK_BYTES
from streams.gateway.packer import Packer
from tests.gateway.fakes import ListLog

LATER = 3600.0  # a linger that never ends within a test: only `close` or a full pack sends

MakePacker = Callable[..., Packer]


def raw(n: int, size: int = 10, resource: bytes = b"") -> RawSpan:
    return RawSpan(resource, b"", n.to_bytes(4, "big") + bytes(size))


def packer(log: ListLog, linger_s: float = LATER, budget: Budget | None = None) -> Packer:
    return Packer(log.append, linger_s, budget or Budget(), GatewayCounts(), Account())


async def test_concurrent_requests_share_one_record_of_their_partition() -> None:
    log = ListLog()
    packing = packer(log)
    first = packing.put("default", {3: [raw(1), raw(2)]})
    second = packing.put("default", {3: [raw(3)], 4: [raw(4)]})
    assert await packing.close(1) == 0
    assert sorted((p, len(spans)) for p, spans, _ in log.records) == [(3, 3), (4, 1)]
    assert first.keys() < second.keys()
    assert [sum(answers.values()) for answers in (first, second)] == [2, 2]


async def test_tenants_never_share_a_record() -> None:
    log = ListLog()
    packing = packer(log)
    packing.put("a", {3: [raw(1)]})
    packing.put("b", {3: [raw(2)]})
    await packing.close(1)
    assert sorted((tenant, len(spans)) for _, spans, tenant in log.records) == [("a", 1), ("b", 1)]


async def test_a_pack_is_sent_when_its_linger_ends() -> None:
    log = ListLog()
    (answer,) = packer(log, linger_s=0.001).put("default", {1: [raw(1)]})
    assert await asyncio.wait_for(answer, 5) is None
    assert log.spans == [raw(1).span]


async def test_a_record_is_cut_at_its_size_and_a_larger_span_gets_one_of_its_own() -> None:
    log = ListLog()
    packing = packer(log)
    sizes = [PACK_BYTES // 2 - 100, PACK_BYTES // 2 - 100, 500, 4 * PACK_BYTES, 10]
    packing.put("default", {0: [raw(n, size) for n, size in enumerate(sizes)]})
    await packing.close(1)
    assert [[int.from_bytes(s.span[:4], "big") for s in spans] for _, spans, _ in log.records] == [
        [0, 1],
        [2],
        [3],
        [4],
    ]


async def test_a_pack_never_passes_its_size_whatever_the_resources() -> None:
    log = ListLog()
    packing = packer(log)
    spans = [raw(n, n % 700, resource=bytes([n % 3]) * 500) for n in range(1_000)]
    packing.put("default", {0: spans})
    await packing.close(1)
    assert [raw for _, packed, _ in log.records for raw in packed] == spans
    assert max(len(pack(packed)) for _, packed, _ in log.records) <= PACK_BYTES


async def test_a_large_frame_is_not_repeated_with_every_span() -> None:
    log = ListLog()
    packing = packer(log)
    frame = bytes(3 * PACK_BYTES)
    spans = [raw(n, 1_000, frame) for n in range(1_000)]
    packing.put("default", {0: spans})
    await packing.close(1)
    assert [raw for _, packed, _ in log.records for raw in packed] == spans
    assert len(log.records) == 4, "1 MB of spans"
    assert max(len(pack(packed)) for _, packed, _ in log.records) <= len(frame) + PACK_BYTES


async def test_no_answer_comes_before_kafkas() -> None:
    log = ListLog()
    log.release.clear()
    (answer,) = packer(log, linger_s=0).put("default", {1: [raw(1)]})
    done, _ = await asyncio.wait({answer}, timeout=0.05)
    assert not done
    log.release.set()
    assert await asyncio.wait_for(answer, 5) is None


async def test_a_failed_record_is_the_answer_and_not_an_exception_that_nobody_waits_for() -> None:
    log = ListLog()
    log.error = KafkaConnectionError("gone")
    (answer,) = packer(log, linger_s=0).put("default", {1: [raw(1)]})
    assert await asyncio.wait_for(answer, 5) is log.error


async def test_what_waits_for_kafka_is_held_until_kafka_has_answered() -> None:
    log, budget = ListLog(), Budget(ceiling=1_000)
    log.release.clear()
    packing = packer(log, linger_s=0, budget=budget)
    answers = packing.put("default", {1: [raw(1, 800)]})
    with pytest.raises(OverBudget):
        packing.put("default", {2: [raw(2, 800)]})
    log.release.set()
    await asyncio.wait(answers, timeout=5)
    assert await packing.close(5) == 0
    assert budget.held == 0


async def test_closing_gives_up_at_its_time_and_says_how_many_were_not_acknowledged() -> None:
    log, budget = ListLog(), Budget()
    log.release.clear()
    packing = packer(log, budget=budget)
    packing.put("default", {1: [raw(1)], 2: [raw(2)]})
    assert await packing.close(0.05) == 2
