"""How the gateway is served over HTTP: the runner with its bounds, and what it says of those who do not speak HTTP.

Whatever scans a port must not fill the log: its requests are counted as any other that is not taken, with 400.
"""

import logging
from collections.abc import MutableMapping
from typing import Any

from aiohttp import web
from aiohttp.http import HttpProcessingError

from streams.gateway.counts import GatewayCounts
from streams.gateway.http import Gateway
from streams.gateway.limits import IDLE_TIMEOUT_S, STOP_REQUESTS_S


class _Log(logging.LoggerAdapter[logging.Logger]):
    """The server's log, without what its clients do wrong."""

    def __init__(self, counts: GatewayCounts) -> None:
        super().__init__(logging.getLogger("aiohttp.server"))
        self._counts = counts

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        return msg, kwargs

    def debug(self, msg: object, *args: object, **kwargs: Any) -> None:
        if isinstance(kwargs.get("exc_info"), HttpProcessingError):
            self._counts.requests[400] += 1
        super().debug(msg, *args, **kwargs)

    def exception(self, msg: object, *args: object, **kwargs: Any) -> None:
        theirs = isinstance(kwargs.get("exc_info"), HttpProcessingError)
        return self.debug(msg, *args, **kwargs) if theirs else super().exception(msg, *args, **kwargs)


def runner_of(gateway: Gateway) -> web.AppRunner:
    """Serves the gateway once it has a site. What is packed is unpacked by us, and bounded."""
    return web.AppRunner(
        gateway.application(),
        auto_decompress=False,
        access_log=None,
        logger=_Log(gateway.counts),
        keepalive_timeout=IDLE_TIMEOUT_S,  # for the first request of a connection, too, and for its whole head
        shutdown_timeout=STOP_REQUESTS_S,
    )
