"""The subscriber of docs/subscribers.md, as it stands there, on a real alert topic: each transition once."""

import asyncio
import os
import re
import sys
from pathlib import Path

from aiokafka import AIOKafkaProducer

from schemas.alert import Heartbeat, Pipeline
from schemas.cloud_event import to_cloud_event
from streams.local.stack import LocalStack
from streams.topics import ensure_topics, kafka_options
from tests.outcomes import alerts, new_fold, run, timeline

PAGE = Path(__file__).parents[2] / "docs" / "subscribers.md"
(PROGRAM,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
FIRING, RESOLVED = alerts(run(new_fold(), timeline((100, 0), (30, 1), (300, 0))))
BEAT = Heartbeat(0, 1, FIRING.time_ms, 1, 0, 0, 1, 0.0)


async def test_it_prints_each_transition_once(stack: LocalStack) -> None:
    settings = stack.settings  # the program names the usual topic, where nobody else of the session publishes
    await ensure_topics(settings)
    again = FIRING._replace(silenced=True, episode=FIRING.episode + 1)
    events = [BEAT, FIRING, FIRING, BEAT, RESOLVED, FIRING, RESOLVED, again]
    producer = AIOKafkaProducer(**kafka_options(settings))
    await producer.start()
    for event in events:
        key, headers, value = to_cloud_event(event, Pipeline(event.time_ms, "1"))
        await producer.send_and_wait(settings.alerts_topic, value, key=key, headers=headers)
    await producer.stop()
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM),
        env={**os.environ, "STEPWATCH_BOOTSTRAP_SERVERS": settings.bootstrap_servers},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert program.stdout is not None
        async with asyncio.timeout(40):
            lines = [(await program.stdout.readline()).decode() for _ in range(2)]
        assert lines[0].startswith(
            "firing refund/executor/update_crm refund / executor/update_crm ToolCallSuccess fails in"
        )
        assert lines[1].startswith("resolved refund/executor/update_crm")
        await asyncio.sleep(1.0)
    finally:
        program.terminate()
    assert await program.stdout.read() == b"", "what came again and what is silenced is not told"
