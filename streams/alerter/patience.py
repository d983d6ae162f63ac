"""Trying again, for ever: what the alerter does while Kafka or ClickHouse is away.

The law: work that is handed in may be repeated; it is never given up, so nothing is skipped.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TypeVar

from aiokafka.errors import KafkaError

from streams.console.errors import UserError
from streams.store.errors import StoreUnavailable

BACKOFF_MAX_S = 30.0
AWAY = (KafkaError, OSError, StoreUnavailable, UserError)  # UserError: the store refuses the connection
T = TypeVar("T")
_trying: Counter[str] = Counter()  # of this process: what the watchdog asks for

log = logging.getLogger(__name__)


async def patiently(
    doing: str, work: Callable[[], Awaitable[T]], sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> T:
    """The result of `work`, tried until it succeeds; `doing` begins the log line of a failure."""
    pause_s, waiting = 0.5, False
    try:
        while True:
            try:
                return await work()
            except AWAY as error:
                log.warning("%s failed, trying again in %.1f s: %s", doing, pause_s, error)
            if not waiting:
                waiting = True
                _trying[doing] += 1
            await sleep(pause_s)
            pause_s = min(2 * pause_s, BACKOFF_MAX_S)
    finally:
        if waiting:
            _trying[doing] -= 1


def trying() -> int:
    """How much work of this process waits for what is away."""
    return _trying.total()
