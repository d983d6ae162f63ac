"""The spans topic is deleted and made anew under running scorers, whose places in it mean nothing any more (decision 0044).

One of them stands still meanwhile and does not see it go: it must notice by the topic's id, and end itself. The other sees that
the topic is away, and is assigned anew. Those that are there then, or their successors, read the new topic whole.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from aiokafka.admin import AIOKafkaAdminClient

from streams.local.stack import LocalStack
from streams.settings import Settings
from streams.topics import ensure_topics, kafka_options
from tests.chaos.fleet import Fleet
from tests.chaos.schedule import Schedule

ASLEEP_S = 2.0  # shorter than the session timeout of the tests: it is still a member when it wakes up
MADE_WITHIN_S = 60.0
LOOK_S = 0.25


async def make_topic_anew(stack: LocalStack, fleet: Fleet, schedule: Schedule) -> None:
    """Returns when the new topic is there."""
    await fleet.freeze(0, ASLEEP_S)
    await _delete(stack.settings)
    async with asyncio.timeout(MADE_WITHIN_S):
        while stack.settings.spans_topic not in await ensure_topics(stack.settings):
            await asyncio.sleep(0.05)  # the old one is still going
    schedule.done("the spans topic is made anew", "topic")


@contextlib.asynccontextmanager
async def kept_up(fleet: Fleet) -> AsyncIterator[None]:
    """Whoever ends by itself is replaced meanwhile."""

    async def keep_up() -> None:
        while True:
            await fleet.keep_up()
            await asyncio.sleep(LOOK_S)

    keeping = asyncio.create_task(keep_up())
    try:
        yield
    finally:
        keeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeping


async def _delete(settings: Settings) -> None:
    admin = AIOKafkaAdminClient(**kafka_options(settings))
    await admin.start()
    try:
        await admin.delete_topics([settings.spans_topic])
    finally:
        await admin.close()
