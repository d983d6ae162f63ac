"""How much a tenant may send: a bucket a tenant, of spans and of bytes. Pure: the clock is handed in.

The law: over any time there is taken of a tenant at most what its rates grant, plus `BURST_S` of them, plus one request, however
its requests overlap. A request is taken whole while there is anything in the bucket, and its size is owed afterwards; so a large
one passes, and none starves. It is asked twice: before the body, so that none is read in vain, and when the body is there, with
nothing between this question and the charge. What is then told to come back is not charged: it is charged when it comes.
"""

import math
from collections.abc import Mapping

from schemas.api_key import NO_LIMIT, Limit

BURST_S = 10.0  # of its rate, what a tenant may have saved up
WAIT_MAX_S = 60.0  # what it is told to wait at most
TENANTS_MAX = 10_000


class Bucket:
    """What one tenant has left, of spans and of bytes."""

    __slots__ = ("_at_s", "_left", "limit")

    def __init__(self, limit: Limit, now_s: float) -> None:
        self.limit = limit
        self._left = [rate * BURST_S for rate in limit]
        self._at_s = now_s

    def wait_s(self, now_s: float) -> float:
        """Seconds until something may be sent; 0.0: now."""
        self._fill(now_s)
        return max(
            (-left / rate for left, rate in zip(self._left, self.limit, strict=True) if rate and left < 0), default=0.0
        )

    def owe(self, spans: int, size: int) -> None:
        """Take what was sent."""
        self._left = [left - n for left, n in zip(self._left, (spans, size), strict=True)]

    def _fill(self, now_s: float) -> None:
        passed, self._at_s = max(0.0, now_s - self._at_s), max(now_s, self._at_s)
        self._left = [
            min(left + rate * passed, rate * BURST_S) for left, rate in zip(self._left, self.limit, strict=True)
        ]


class Quota:
    """The buckets of all tenants that have a limit."""

    def __init__(self, default: Limit = NO_LIMIT) -> None:
        self._default = default
        self._buckets: dict[str, Bucket] = {}

    def wait_s(self, tenant: str, limits: Mapping[str, Limit], now_s: float) -> int:
        """Whole seconds for which this tenant must wait before it sends again; 0: it may."""
        bucket = self._bucket(tenant, limits, now_s)
        return 0 if bucket is None else math.ceil(min(bucket.wait_s(now_s), WAIT_MAX_S))

    def owe(self, tenant: str, spans: int, size: int) -> None:
        """What a tenant that had not to wait has sent."""
        if (bucket := self._buckets.get(tenant)) is not None:
            bucket.owe(spans, size)

    def _bucket(self, tenant: str, limits: Mapping[str, Limit], now_s: float) -> Bucket | None:
        limit = limits.get(tenant, self._default)
        if limit == NO_LIMIT:
            self._buckets.pop(tenant, None)
            return None
        bucket = self._buckets.get(tenant)
        if bucket is None or bucket.limit != limit:
            if len(self._buckets) >= TENANTS_MAX:
                self._buckets.clear()  # more tenants than keys can have: they begin anew
            bucket = self._buckets[tenant] = Bucket(limit, now_s)
        return bucket
