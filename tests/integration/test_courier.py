"""Couriers on a real broker: bounded memory before a target that does not answer, and no event twice over a rebalance."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from schemas.targets import parse_targets
from streams.delivery.courier import Courier
from streams.delivery.delivery_log import DeliveryLog
from streams.delivery.message import Message
from streams.delivery.senders import Sender
from streams.delivery.verdict import OK, Answer
from streams.settings import Settings
from tests.integration.delivering import ends, in_order, is_placed, offsets, publish, stories, until

TARGETS = parse_targets("targets: [{name: a, file: {path: unused}}]\nroutes: [{to: [a]}]", "t.yaml")


class Door(Sender):
    """Takes events when it is open."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.ids: list[str] = []

    async def send(self, messages: Sequence[Message]) -> Answer:
        await self.open.wait()
        self.ids += [message.event.id for message in messages]
        return OK


@asynccontextmanager
async def courier(settings: Settings, door: Door, waiting_max: int = 1_000) -> AsyncIterator[Courier]:
    """A courier with a delivery log of its own, as in a process of its own; stopped cleanly."""
    log = DeliveryLog(settings)
    await log.start()
    made = Courier(settings, TARGETS.targets[0], TARGETS.routes, door, log, waiting_max)
    running = asyncio.create_task(made.run())
    try:
        yield made
    finally:
        running.cancel()
        await asyncio.wait([running])
        await log.stop()


async def test_before_a_target_that_does_not_answer_no_more_than_the_bound_is_held(own_topics: Settings) -> None:
    settings, door = own_topics, Door()
    messages = stories(20)
    async with courier(settings, door, waiting_max=7) as held:
        await until("placed", lambda: is_placed(settings, "a"))
        before = await offsets(settings, "a")
        await publish(settings, messages)
        await until("full", lambda: held.attempts.waiting == 7)
        most = [held.attempts.waiting]

        async def watched() -> bool:
            most.append(held.attempts.waiting)
            return len(most) > 20

        await until("watched for a while", watched)
        assert max(most) == 7
        assert await offsets(settings, "a") == before
        door.open.set()
        await until("delivered", lambda: len(door.ids) >= len(messages))
    assert Counter(door.ids) == Counter(m.event.id for m in messages)
    assert in_order(door.ids, messages)
    assert await offsets(settings, "a") == await ends(settings)


async def test_partitions_that_move_between_couriers_take_their_place_and_their_log_with_them(
    own_topics: Settings,
) -> None:
    settings, door = own_topics, Door()
    door.open.set()
    messages = stories(40)
    firing, updated, resolved = messages[:40], messages[40:80], messages[80:]
    async with courier(settings, door):
        await until("placed", lambda: is_placed(settings, "a"))
        await publish(settings, firing, times=2)
        publishing = asyncio.create_task(publish(settings, updated, times=2))
        async with courier(settings, door) as second:
            await until("shared", lambda: second.partitions > 0)
            await publishing
            publishing = asyncio.create_task(publish(settings, resolved, times=2))
            await until("some of it the second's", lambda: second.attempts.counts["delivered"] > 0)
        await publishing
        await until("delivered", lambda: len(door.ids) >= len(messages))

        async def settled() -> bool:
            return await offsets(settings, "a") == await ends(settings)

        await until("committed to the end", settled)
    assert Counter(door.ids) == Counter(m.event.id for m in messages)
    assert in_order(door.ids, messages)
