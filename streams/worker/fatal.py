"""Ending the worker on a fault of ours, before anything more is committed.

Faust acks what an agent raises out of, which would lose spans: so nothing is raised out of one.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable
from typing import Any

log = logging.getLogger(__name__)


class StopWorker(Exception):
    """The worker must not go on, and its message says why: no bug, so no traceback."""


async def or_die(work: Awaitable[Any]) -> None:
    """Await the work; what it throws is said, and ends the process with exit code 1."""
    try:
        await work
    except StopWorker as reason:
        log.critical("stopping: %s", reason)
    except asyncio.CancelledError:
        raise
    except Exception:
        log.critical("stopping: a bug of ours", exc_info=True)
    else:
        return
    os._exit(1)  # not sys.exit: mode would swallow it and go on
