"""A worker that reads and does nothing with it ends itself, with a sentence and a non-zero exit, on a real broker."""

import asyncio
import os
import sys
from pathlib import Path

from aiokafka import AIOKafkaProducer

from streams.local.parts import variables
from streams.settings import Settings
from streams.topics import kafka_options

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


async def test_a_worker_that_stands_still_ends_itself(own_topics: Settings, tmp_path: Path) -> None:
    producer = AIOKafkaProducer(**kafka_options(own_topics))
    await producer.start()
    await producer.send_and_wait(own_topics.spans_topic, b"x", partition=0)
    await producer.stop()
    program = tmp_path / "stuck.py"
    program.write_text(STUCK)
    quick = {**variables(own_topics), "STEPWATCH_WATCHDOG_STALL_S": "4"}
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
    assert f"{own_topics.spans_topic}-0: nothing done for".encode() in err
    assert b"stopping, to be started anew" in err
