"""A topic whose timestamps are the producers': no part that keeps time by it starts, and one sentence says why and what to do."""

import asyncio
import os
import sys

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from streams.local.stack import LocalStack
from streams.topics import ensure_topics, kafka_options


@pytest.mark.parametrize(
    ("part", "setting"),
    [
        ("scorer", "spans_topic"),
        ("alerter", "outcomes_topic"),
    ],
)
async def test_a_part_is_refused_a_create_time_topic_with_one_sentence(
    stack: LocalStack, part: str, setting: str
) -> None:
    topic = f"create-time-for-{part}"
    settings = stack.settings.model_copy(update={setting: topic})
    admin = AIOKafkaAdminClient(**kafka_options(settings))
    await admin.start()
    made = NewTopic(topic, 1, 1, topic_configs={"message.timestamp.type": "CreateTime"})
    answer = await admin.create_topics([made])
    await admin.close()
    assert [code for _, code, *_ in answer.topic_errors] == [0]
    await ensure_topics(settings)  # the others, as they must be

    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streams.console", part),
        env={
            **os.environ,
            "STEPWATCH_BOOTSTRAP_SERVERS": settings.bootstrap_servers,
            "STEPWATCH_CLICKHOUSE_URL": settings.clickhouse_url,
            f"STEPWATCH_{setting.upper()}": topic,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complained = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, said) == (1, b""), complained.decode()
    assert complained.decode() == (
        f"error: topic {topic} has message.timestamp.type=CreateTime, but windows need the broker's append time: run "
        f"`kafka-configs.sh --bootstrap-server {settings.bootstrap_servers} --alter --topic {topic} --add-config "
        "message.timestamp.type=LogAppendTime`, or start with STEPWATCH_ACCEPT_CREATE_TIME=true\n"
    )
