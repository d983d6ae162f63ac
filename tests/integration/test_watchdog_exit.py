"""A worker that reads and does nothing with it ends itself, with a sentence and a non-zero exit, on a real broker."""

import asyncio
import os
import sys
from pathlib import Path

from aiokafka import AIOKafkaProducer

from streams.topics import ensure_topics, kafka_options
from tests.integration.conftest import NewStack

STUCK = """
import asyncio, faust, uvloop
from streams.console.parts import log_to_stderr
from streams.settings import Settings
from streams.worker.guard import Guard
from streams.worker.ledger import create_ledger_app

async def stuck(chunk):
    print("got a chunk", flush=True)
    await asyncio.Event().wait()

async def nothing(_):
    pass

log_to_stderr()
settings = Settings()
loop = uvloop.new_event_loop()
asyncio.set_event_loop(loop)

async def create():
    app = create_ledger_app("stuck", settings, settings.spans_topic, stuck, nothing, nothing)
    Guard(settings, app, settings.spans_topic, "stuck", lambda: False).watch()
    return app

app = loop.run_until_complete(create())
faust.Worker(app, loop=loop, override_logging=False, redirect_stdouts=False, quiet=True).execute_from_commandline()
"""


async def test_a_worker_that_stands_still_ends_itself(new_stack: NewStack, tmp_path: Path) -> None:
    settings = (await new_stack(parts=("broker",))).settings
    await ensure_topics(settings)
    producer = AIOKafkaProducer(**kafka_options(settings))
    await producer.start()
    await producer.send_and_wait(settings.spans_topic, b"x", partition=0)
    await producer.stop()
    program = tmp_path / "stuck.py"
    program.write_text(STUCK)
    quick = {"STEPWATCH_BOOTSTRAP_SERVERS": settings.bootstrap_servers, "STEPWATCH_WATCHDOG_STALL_S": "8"}
    root = str(Path(__file__).parents[2])
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, str(program)),
        env={**os.environ, **quick, "PYTHONPATH": root},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(worker.communicate(), 90)
    assert b"got a chunk" in out
    assert worker.returncode == 1
    assert b"otlp_spans-0: nothing done for" in err
    assert b"stopping, to be started anew" in err
