"""One run: traffic, every failpoint, faults by a seed, quiet, the check of everything that must hold; then a topic made anew."""

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from streams.local.stack import LocalStack
from streams.settings import Settings
from tests.chaos.check import RULES, check, in_log
from tests.chaos.failpoints import check_all_reached, reach_all
from tests.chaos.faults import Faults
from tests.chaos.fleet import Fleet
from tests.chaos.schedule import Schedule
from tests.chaos.store_proxy import StoreProxy
from tests.chaos.topic_anew import kept_up, make_topic_anew
from tests.chaos.traffic import Traffic, slices
from tests.integration.pipeline import FAST, Recorded, environment, prepare
from tests.integration.test_kills import ALERTER, SETTLE, become, has_rules
from tests.scenarios.chaos import UNDYING

CHAOS = {"group.min.session.timeout.ms": "1000"}
ENVIRONMENT = {**FAST, **ALERTER}
SPANS_PARTITIONS = int(FAST["STEPWATCH_SPANS_PARTITIONS"])
STACK: dict[str, Any] = {
    "parts": ("broker", "clickhouse", "gateway", "alerter"),
    "environment": ENVIRONMENT,
    "broker_options": CHAOS,
    "policy": UNDYING,
    "settings": Settings(spans_partitions=SPANS_PARTITIONS),
}
SCORER = {**SETTLE, "STEPWATCH_FLUSH_ROWS_MAX": "300"}


class Asked(NamedTuple):
    """How much of it."""

    kills: int
    seed: int
    failpoints: bool = True
    outage_s: float = 60.0
    all_troubles: bool = True  # every kind of trouble with the store, until a request has met it
    topic_anew: bool = True
    spans_per_s: float = 50.0


class Happened(NamedTuple):
    """What was done, and how long it took."""

    faults: Counter[str]
    failpoints: int
    ended: Counter[str]  # scorers that ended by themselves, by reason
    hurt: Counter[str]  # requests to the store
    spans: int
    seconds: float


async def chaos(
    stack: LocalStack, recorded: Recorded, folder: Path, asked: Asked, told: Callable[[str], None]
) -> Happened:
    """Play it. Raises AssertionError (or pytest's Failed) where something is not as it must be."""
    started, schedule = time.monotonic(), Schedule(told)
    rules = folder / "rules.yaml"
    rules.write_text(RULES)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # of our own clients, while there is no broker
    await prepare(stack, recorded, rules)
    await become("rules in force", lambda: has_rules(stack.settings))
    made = await asyncio.to_thread(slices, recorded, folder, asked.seed)
    traffic = Traffic(stack, made, asked.spans_per_s)
    async with _proxy(stack) as proxy:
        env = {**environment(stack), **SCORER, "STEPWATCH_CLICKHOUSE_URL": proxy.url}
        fleet = Fleet(env, folder / "scorers", schedule.explain)
        faults = Faults(stack, fleet, proxy, asked.seed, schedule)
        try:
            await _make_trouble(stack, traffic, fleet, faults, asked, schedule)
            await _calm(fleet)
            spans = await _all_is_well(stack, recorded, folder, traffic, schedule)
            n_failpoints = check_all_reached(stack, fleet) if asked.failpoints else fleet.reached.total()
            if asked.topic_anew:
                async with kept_up(fleet):
                    await make_topic_anew(stack, fleet, schedule)
                    await traffic.send()
                    spans += await _all_is_well(stack, recorded, folder, traffic, schedule, anew=True)
        finally:
            await fleet.stop()
    assert not fleet.unexplained, "scorers ended by themselves, and nothing explains it:\n" + "\n".join(
        fleet.unexplained
    )
    return Happened(schedule.counts, n_failpoints, fleet.ended, proxy.hurt, spans, time.monotonic() - started)


async def _make_trouble(
    stack: LocalStack,
    traffic: Traffic,
    fleet: Fleet,
    faults: Faults,
    asked: Asked,
    schedule: Schedule,
) -> None:
    going_on = True
    await fleet.join()
    littering = asyncio.create_task(traffic.litter())
    sending = asyncio.create_task(traffic.send_while(lambda: going_on))
    try:
        await become("spans flow", lambda: _has_spans(stack))  # who finds nobody at the very first gives up soon
        if asked.failpoints:
            await unless(sending, reach_all(stack, fleet, asked.seed, schedule))
            schedule.say("every failpoint was reached")
        await unless(sending, _at_random(faults, asked, schedule))
        going_on = False
        schedule.say(f"quiet: no more faults; the rest of slice {len(traffic.sent)} is sent")
        await sending
    finally:
        for task in (littering, sending):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
    await faults.quiet()


async def _at_random(faults: Faults, asked: Asked, schedule: Schedule) -> None:
    """Faults by the seed, until there were enough of them; the outage begins when half of the kills are done."""
    outage: asyncio.Task[None] | None = None
    try:
        while schedule.kills < asked.kills:
            await faults.next()
            if outage is None and asked.outage_s and schedule.kills >= asked.kills / 2:
                outage = asyncio.create_task(faults.outage(asked.outage_s))
        if outage is not None:
            await outage
        if asked.all_troubles:
            await faults.every_trouble_hurts()
    finally:
        if outage is not None:
            outage.cancel()
    await faults.quiet()


async def _calm(fleet: Fleet) -> None:
    """Two scorers that nobody disturbs."""
    await fleet.stop()
    for _ in range(2):
        await fleet.join()


async def _all_is_well(
    stack: LocalStack, recorded: Recorded, folder: Path, traffic: Traffic, schedule: Schedule, *, anew: bool = False
) -> int:
    """All that was sent comes to its end, and is checked. How many spans are in the log."""
    oracle = await asyncio.to_thread(traffic.oracle, recorded, folder)
    there = await check(stack, traffic.sent, oracle, anew=anew)
    schedule.say(
        f"all is as it must be: {there.spans} spans, {there.logs} log records, {len(there.garbage)} pieces of garbage"
    )
    return there.spans


async def unless(sending: "asyncio.Task[None]", work: Coroutine[Any, Any, None]) -> None:
    """Do the work; where the sender fails before it is done, that is the error."""
    working = asyncio.create_task(work)
    try:
        await asyncio.wait({sending, working}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            await sending
        await working
    except ExceptionGroup as several:
        raise several.exceptions[0] from several
    finally:
        working.cancel()
        with contextlib.suppress(BaseException):
            await working


@contextlib.asynccontextmanager
async def _proxy(stack: LocalStack) -> AsyncIterator[StoreProxy]:
    url = urlsplit(stack.settings.clickhouse_url)
    assert url.hostname and url.port
    proxy = StoreProxy(url.hostname, url.port)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()


async def _has_spans(stack: LocalStack) -> bool:
    return (await in_log(stack.settings)).spans > 0
