"""The spans topic is deleted and made anew under running scorers, whose places in it mean nothing any more (decision 0044)."""

import asyncio

from aiokafka.admin import AIOKafkaAdminClient

from streams.local.stack import LocalStack
from streams.settings import Settings
from streams.topics import ensure_topics, kafka_options
from tests.chaos.fleet import Fleet
from tests.chaos.schedule import Schedule

MADE_ANEW = "its topic was made anew"  # as the schedule says it
NOTICED_WITHIN_S = 60.0


async def make_topic_anew(stack: LocalStack, fleet: Fleet, schedule: Schedule) -> None:
    """All scorers must notice and end themselves; a supervisor starts them again."""
    scorers, before = len(fleet), fleet.ended[MADE_ANEW]
    await _delete(stack.settings)
    async with asyncio.timeout(NOTICED_WITHIN_S):
        while stack.settings.spans_topic not in await ensure_topics(stack.settings):
            await asyncio.sleep(0.2)  # the old one is still going
    schedule.done("the spans topic is made anew", "topic")
    loop = asyncio.get_running_loop()
    end_s = loop.time() + NOTICED_WITHIN_S
    while (ended := fleet.ended[MADE_ANEW] - before) < scorers:
        assert loop.time() < end_s, f"{ended} of {scorers} scorers noticed that their topic was made anew"
        await asyncio.sleep(0.2)
        await fleet.keep_up()


async def _delete(settings: Settings) -> None:
    admin = AIOKafkaAdminClient(**kafka_options(settings))
    await admin.start()
    try:
        await admin.delete_topics([settings.spans_topic])
    finally:
        await admin.close()
