"""Limits that act before costly work: token buckets per address, account and name, and a count of connections.

Knows keys and times. Refuses to know what is being limited. A refusal says when to come back.

Spec: LIM-001, LIM-002, LIM-004, LIM-005.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from cloister.errors import Busy, RateLimited

# Buckets remembered; a forgotten one starts full, so the bound costs memory safety nothing but precision.
MAX_BUCKETS: Final = 100_000


class Buckets:
    """Token buckets by key: ``burst`` tokens at once, ``per_second`` new ones. A rate of 0 means no limit."""

    def __init__(self, per_second: float, burst: float, clock: Callable[[], float]) -> None:
        self._rate = per_second
        self._burst = burst
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str, cost: float = 1.0) -> None:
        """Take ``cost`` tokens or raise RateLimited with the seconds to wait (LIM-001)."""
        if self._rate <= 0:
            return
        now = self._clock()
        tokens, since = self._buckets.pop(key, (self._burst, now))
        tokens = min(self._burst, tokens + max(0.0, now - since) * self._rate)
        if tokens < cost:
            self._buckets[key] = (tokens, now)
            raise RateLimited("rate", retry_after=max(1, round((cost - tokens) / self._rate)))
        self._buckets[key] = (tokens - cost, now)
        if len(self._buckets) > MAX_BUCKETS:
            self._buckets.popitem(last=False)

    def reset(self, key: str) -> None:
        """Fill a bucket again, after a success that shows the tries were honest."""
        self._buckets.pop(key, None)


class Connections:
    """Requests and sockets served at the same time (LIM-004)."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.count = 0

    def enter(self) -> None:
        """Count one in. Raises Busy above the limit."""
        if self.count >= self._limit:
            raise Busy("connections", retry_after=2)
        self.count += 1

    def leave(self) -> None:
        self.count -= 1
