"""`/livez`, `/readyz`, `/metrics`, `/version` on a port of their own, for every part.

`/livez` asks nothing but whether the event loop turns: that it answers is the answer. `/readyz` gives its reasons as JSON.
Loopback unless an address is set; nothing here reads or changes what flows.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version

import orjson
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from streams.console.errors import UserError
from streams.settings import Settings
from streams.telemetry.health import Readiness
from streams.telemetry.metrics import Metrics

LOOP_ASKED_S = 0.5
Ready = Callable[[], Readiness | Awaitable[Readiness]]


class HealthServer:
    """The health port of one process. Not started where no port is set."""

    def __init__(self, settings: Settings, part: str, metrics: Metrics, ready: Ready) -> None:
        self._settings, self._part, self._metrics, self._ready = settings, part, metrics, ready
        self._runner: web.AppRunner | None = None
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen. Raises UserError where the port is taken."""
        self._watching = asyncio.get_running_loop().create_task(self._watch_loop())
        host, port = self._settings.health_host, self._settings.health_port
        if port is None:
            return
        app = web.Application()
        for path, answer in (
            ("/livez", self._livez),
            ("/readyz", self._readyz),
            ("/metrics", self._read_metrics),
            ("/version", self._version),
        ):
            app.router.add_get(path, answer)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else error
            raise UserError(
                f"the {self._part} cannot listen on {host}:{port} for its health ({why}): set STEPWATCH_HEALTH_PORT"
            ) from error

    async def stop(self) -> None:
        """Close the port and send the last metrics."""
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching
        if self._runner is not None:
            await self._runner.cleanup()
        await asyncio.to_thread(self._metrics.stop)

    async def _watch_loop(self) -> None:
        while True:
            asked = time.monotonic()
            await asyncio.sleep(LOOP_ASKED_S)
            self._metrics.add("stepwatch.loop.delay", max(0.0, time.monotonic() - asked - LOOP_ASKED_S))

    async def _livez(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        said = self._ready()
        ready, reasons = said if isinstance(said, Readiness) else await said
        body = orjson.dumps({"ready": ready, "reasons": reasons}) + b"\n"
        return web.Response(body=body, status=200 if ready else 503, content_type="application/json")

    async def _version(self, _: web.Request) -> web.Response:
        body = orjson.dumps({"part": self._part, "version": version("stepwatch")}) + b"\n"
        return web.Response(body=body, content_type="application/json")

    async def _read_metrics(self, _: web.Request) -> web.Response:
        body = await asyncio.to_thread(self._metrics.page)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})
