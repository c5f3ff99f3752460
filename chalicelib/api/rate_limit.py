"""
How many requests a client may make: a token bucket for each, in this process.

A function on AWS has a bucket in each of its environments; what the whole fleet takes is API Gateway's throttle to say.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from math import ceil
from typing import TYPE_CHECKING, Final, NamedTuple


if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

BURST_SECONDS: Final = 2
"""A client that was quiet for so long may make all the requests of this time at once."""
CLIENTS_MAX: Final = 10_000
RETRY_AFTER_SECONDS: Final = 1

_POLICY: Final = "requests"


class Allowance(NamedTuple):
    """Whether a request *is_granted*, and how many more: *remaining* of *quota*, all of them after *reset_seconds*."""

    is_granted: bool
    quota: int
    remaining: int
    reset_seconds: int

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers that tell the client, as the IETF's draft "RateLimit header fields for HTTP" has them."""
        told = {
            "RateLimit-Policy": f'"{_POLICY}";q={self.quota};w={BURST_SECONDS}',
            "RateLimit": f'"{_POLICY}";r={self.remaining};t={self.reset_seconds}',
        }
        return told if self.is_granted else {**told, "Retry-After": str(RETRY_AFTER_SECONDS)}


class _Bucket(NamedTuple):
    tokens: float
    at: float


class RequestLimiter:
    """
    Lets every client make *per_second* requests on average.

    It remembers the `CLIENTS_MAX` that asked last: one that is forgotten too soon finds its bucket full again. Threads
    may share it. *monotonic* tells seconds.
    """

    def __init__(self, per_second: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Start with full buckets."""
        self._per_second = per_second
        self._quota = per_second * BURST_SECONDS
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._buckets: OrderedDict[Hashable, _Bucket] = OrderedDict()

    def take(self, client: Hashable) -> Allowance:
        """Count a request of *client*; one that is not granted costs nothing."""
        with self._lock:
            now = self._monotonic()
            bucket = self._buckets.pop(client, _Bucket(self._quota, now))
            tokens = min(self._quota, bucket.tokens + (now - bucket.at) * self._per_second)
            is_granted = tokens >= 1
            tokens -= is_granted
            self._buckets[client] = _Bucket(tokens, now)
            if len(self._buckets) > CLIENTS_MAX:
                self._buckets.popitem(last=False)
        return Allowance(is_granted, self._quota, int(tokens), ceil((self._quota - tokens) / self._per_second))
