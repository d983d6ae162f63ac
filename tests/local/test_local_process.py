"""A part is ready when it answers itself, not when somebody else does at its port."""

import socket
import sys
from pathlib import Path

from streams.local.process import listens, spawn, until_ready

LISTEN = "import socket, time; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); time.sleep(60)"


async def test_only_the_process_that_listens_is_said_to(tmp_path: Path) -> None:
    log = tmp_path / "child.log"
    child = await spawn((sys.executable, "-c", LISTEN), log)

    async def told_its_port() -> bool:
        return log.read_bytes().endswith(b"\n")

    try:
        await until_ready(child, told_its_port, "the child", 20)
        with socket.create_server(("127.0.0.1", 0)) as ours:
            assert listens(child, int(log.read_text()))
            assert not listens(child, ours.getsockname()[1])
    finally:
        await child.stop(1)
    assert not listens(child, int(log.read_text()))
