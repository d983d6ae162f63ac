"""Bodies decoded without holding up the others: small ones at once, large ones one after the other in a thread.

JSON of 20 MB takes seconds, and whoever sent 1 KB meanwhile must not wait for it. There is one thread, so that no more than one
large body lies in memory in more than one form.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

AT_ONCE_BYTES = 128 * 1024  # some 10 ms, whatever is in it

T = TypeVar("T")


class Decoding:
    """Of one event loop."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "decoding")  # started by the first large body

    async def of(self, body: bytes, decode: Callable[[bytes], T], done: Callable[[], None]) -> T:
        """What `decode` makes of a body; raises what it raises. `done` is called when the body is needed no more, which is later
        than whoever waits was cancelled."""
        if len(body) <= AT_ONCE_BYTES:
            try:
                return decode(body)
            finally:
                done()
        loop = asyncio.get_running_loop()
        working = self._thread.submit(decode, body)
        working.add_done_callback(lambda _: loop.call_soon_threadsafe(done))
        return await asyncio.wrap_future(working)
