"""The embedded ClickHouse server as a part of the laptop stack: how it is started, and when it is ready.

It runs in a process of its own (`clickhouse_server.py`), so that a crash of either side leaves the other alone.
"""

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path

from streams.local.process import Child, listens, spawn, until_ready

READY_TIMEOUT_S = 60.0
STOP_GRACE_S = 20.0
PROJECT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class ClickHouse:
    """How to run the server of one data folder."""

    home: Path
    log: Path
    port: int
    tcp_port: int = 0  # 0: HTTP only, which is all that Stepwatch needs

    async def start(self) -> Child:
        """Start the process. Returns at once; `wait_ready` tells when it serves."""
        module = (sys.executable, "-m", "streams.local.clickhouse_server")
        command = (*module, str(self.home), str(self.port), *([str(self.tcp_port)] if self.tcp_port else []))
        return await spawn(command, self.log, cwd=PROJECT)

    async def wait_ready(self, child: Child) -> None:
        """Return when it answers a query. Raises `UserError` when it ends or takes too long."""

        async def ours_answers() -> bool:
            return await answers(self.port) and listens(child, self.port)

        await until_ready(child, ours_answers, "ClickHouse", READY_TIMEOUT_S)


async def answers(port: int) -> bool:
    """Whether a ClickHouse at this loopback port answers `SELECT version()`."""
    try:
        async with asyncio.timeout(3):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(b"GET /?query=SELECT%20version() HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                status = await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
    return status.split(b" ")[1:2] == [b"200"]
