"""How many requests are in progress: a bound for all of them, and half of it for a tenant where there are several, so that one
whose bodies never end does not shut the others out."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from streams.gateway.answers import Refused


class Places:
    """One counter of each tenant that is there. Use from one event loop."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken: Counter[str] = Counter()

    @property
    def taken(self) -> int:
        """Requests in progress."""
        return self._taken.total()

    @contextmanager
    def one(self, tenant: str, *, several: bool) -> Iterator[None]:
        """A place for the time of a request. `several`: there are other tenants. Raises Refused (429)."""
        if self.taken >= self._most:
            raise Refused(429, f"try again: {self._most} requests are in progress")
        if several and self._taken[tenant] >= self._most // 2:
            raise Refused(429, f"try again: {self._most // 2} requests of tenant {tenant} are in progress")
        self._taken[tenant] += 1
        try:
            yield
        finally:
            self._taken[tenant] -= 1
            if not self._taken[tenant]:
                del self._taken[tenant]
