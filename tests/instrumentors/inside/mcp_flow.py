"""MCP: a client calls the tools of a server in another process, over stdio. No model and no agent takes part."""

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from desk import SESSION, WORK
from mcp.client.session import ClientSession
from mcp.client.stdio import StdioServerParameters, stdio_client


def run(session: Callable[[str], AbstractContextManager[object]]) -> None:
    """One run, in its session."""
    with session(SESSION):
        asyncio.run(_call_all())


async def _call_all() -> None:
    server = str(Path(__file__).with_name("mcp_desk.py"))
    parameters = StdioServerParameters(command=sys.executable, args=[server], env=dict(os.environ))
    async with stdio_client(parameters) as (read, write), ClientSession(read, write) as client:
        await client.initialize()
        await client.list_tools()
        for _, name, arguments in WORK:
            await client.call_tool(name, arguments)
