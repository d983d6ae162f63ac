"""Random faults by a seed: which, of whom, how long. When exactly a process dies is the machine's."""

import asyncio
import signal
import time
from random import Random

from streams.local.stack import LocalStack
from tests.chaos import store_proxy
from tests.chaos.fleet import SCORERS_MAX, Fleet
from tests.chaos.schedule import Schedule
from tests.chaos.store_proxy import StoreProxy

WEIGHTS = {
    "kill a scorer": 10, "stop a scorer": 3, "freeze a scorer": 2, "a scorer joins": 2, "a scorer leaves": 2,
    "kill the gateway": 2, "kill the store": 1, "kill the broker": 1, "kill the alerter": 1,
    "stop the gateway": 1, "stop the store": 0.5, "stop the broker": 0.5, "trouble with the store": 3,
}  # fmt: skip
PARTS = {"the gateway": "gateway", "the store": "clickhouse", "the broker": "broker", "the alerter": "alerter"}
EXPLAINS = {"clickhouse": ("store",), "broker": ("broker",)}
PART_PAUSE_S = 14.0  # between two ends of one part: more often is another test
PAUSE_S = (0.3, 2.2)
TROUBLE_S = (0.5, 4.0)
READY_WITHIN_S = 120.0
TRIES_MAX = 20


class Faults:
    """Which fault comes next."""

    def __init__(self, stack: LocalStack, fleet: Fleet, proxy: StoreProxy, seed: int, schedule: Schedule) -> None:
        self._stack, self._fleet, self._proxy, self._schedule = stack, fleet, proxy, schedule
        self._draw = Random(seed)
        self._hit_s: dict[str, float] = {}
        self._troubles: list[str] = []
        self._trouble: asyncio.Task[None] | None = None

    async def next(self) -> None:
        """Wait a little, then do something."""
        await asyncio.sleep(self._draw.uniform(*PAUSE_S))
        await self._fleet.keep_up()
        (name,) = self._draw.choices(list(WEIGHTS), list(WEIGHTS.values()))
        await self._do(name, self._draw.randrange(SCORERS_MAX))

    async def _do(self, name: str, number: int) -> None:
        match name:
            case "kill a scorer":
                await self._fleet.end(number, signal.SIGKILL, again=True)
            case "stop a scorer":
                await self._fleet.end(number, signal.SIGTERM, again=True)
            case "freeze a scorer":
                await self._fleet.freeze(number)
            case "a scorer joins" if len(self._fleet) < SCORERS_MAX:
                await self._fleet.join()
            case "a scorer leaves" if len(self._fleet) > 1:
                await self._fleet.end(number, signal.SIGTERM, again=False)
            case "trouble with the store":
                self._begin_trouble()
                return
            case _ if name.partition(" ")[2] in PARTS:
                self._end_part(name)
                return
            case _:
                return
        self._schedule.done(name)

    def _end_part(self, name: str) -> None:
        how, _, whom = name.partition(" ")
        part, now_s = PARTS[whom], time.monotonic()
        if now_s - self._hit_s.get(part, 0.0) < PART_PAUSE_S or self._stack.parts[part].state != "ready":
            return
        self._hit_s[part] = now_s
        self._stack.kill(part, signal.SIGKILL if how == "kill" else signal.SIGTERM)
        self._schedule.done(name, *EXPLAINS.get(part, ()))

    def _begin_trouble(self) -> None:
        if self._trouble is None or self._trouble.done():
            self._trouble = asyncio.create_task(self.trouble_with_the_store())

    async def trouble_with_the_store(self) -> None:
        """One fault of the proxy; each kind comes once before any comes again."""
        if not self._troubles:
            self._troubles = list(store_proxy.FAULTS)
            self._draw.shuffle(self._troubles)
        await self._suffer(self._troubles.pop())

    async def every_trouble_hurts(self) -> None:
        """Those kinds that no request has met so far come until one has."""
        if self._trouble is not None:
            await self._trouble
        for fault in store_proxy.FAULTS:
            for _ in range(TRIES_MAX):
                await self._fleet.keep_up()
                if self._proxy.hurt[fault]:
                    break
                await self._suffer(fault)
            assert self._proxy.hurt[fault], f"no request has met a store that {fault}"

    async def _suffer(self, fault: str) -> None:
        seconds = self._draw.uniform(*TROUBLE_S)
        self._schedule.done(f"the store {fault}", "store", detail=f"for {seconds:.1f} s")
        await self._proxy.trouble(fault, seconds)
        self._schedule.touch("store")

    async def outage(self, seconds: float) -> None:
        """The broker is down for so long; what else happens goes on."""
        how = self._draw.choice((signal.SIGKILL, signal.SIGTERM))
        self._schedule.done(f"the broker is down for {seconds:.0f} s", "broker", "outage", detail=f"by {how.name}")
        self._hit_s["broker"] = time.monotonic() + seconds
        self._stack.kill("broker", how, restarts=False)
        await asyncio.sleep(seconds)
        await self._stack.stop_part("broker")
        self._stack.parts["broker"].restarts = True
        await self._stack.start_part("broker")
        self._schedule.touch("broker", "outage")
        self._schedule.say("the broker is back")

    async def quiet(self) -> None:
        """No more faults: what was begun ends, and every part serves."""
        if self._trouble is not None:
            await self._trouble
        async with asyncio.timeout(READY_WITHIN_S):
            while any(part.state != "ready" for part in self._stack.parts.values()):
                await asyncio.sleep(0.1)
