"""The token buckets of clients."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from chalicelib.api.rate_limit import CLIENTS_MAX, RequestLimiter


class Seconds:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    """Give the clock."""
    return Seconds()


def granted(limiter: RequestLimiter, client: str, requests: int) -> int:
    """Count how many of some requests are granted."""
    return sum(limiter.take(client).is_granted for _ in range(requests))


def test_a_burst_of_two_seconds_and_then_the_rate(seconds: Seconds) -> None:
    """Twice the rate goes at once, then as many as time has passed for, and never more than the burst again."""
    limiter = RequestLimiter(10, seconds)

    assert granted(limiter, "a", 25) == 20
    seconds.now += 0.5
    assert granted(limiter, "a", 25) == 5
    seconds.now += 3_600
    assert granted(limiter, "a", 25) == 20


def test_what_is_left_is_told(seconds: Seconds) -> None:
    """The headers tell the policy, the requests left and the seconds until all are there again."""
    limiter = RequestLimiter(10, seconds)

    assert limiter.take("a").headers == {
        "RateLimit-Policy": '"requests";q=20;w=2',
        "RateLimit": '"requests";r=19;t=1',
    }
    granted(limiter, "a", 18)
    assert limiter.take("a").headers["RateLimit"] == '"requests";r=0;t=2'
    refused = limiter.take("a").headers
    assert (refused["RateLimit"], refused["Retry-After"]) == ('"requests";r=0;t=2', "1")
    seconds.now += int(refused["Retry-After"])
    assert "Retry-After" not in limiter.take("a").headers


def test_no_client_pays_for_another(seconds: Seconds) -> None:
    """Every client has a bucket of its own."""
    limiter = RequestLimiter(1, seconds)

    assert (granted(limiter, "a", 9), granted(limiter, "b", 9)) == (2, 2)


def test_clients_without_number_take_no_memory(seconds: Seconds) -> None:
    """Of very many clients those that asked last are remembered, and a busy one among them stays limited."""
    limiter = RequestLimiter(1, seconds)
    assert granted(limiter, "busy", 2) == 2
    for number in range(2 * CLIENTS_MAX):
        limiter.take(str(number))
        if number % (CLIENTS_MAX // 2) == 0:
            assert granted(limiter, "busy", 1) == 0

    assert len(limiter._buckets) == CLIENTS_MAX


def test_threads_share_a_bucket(seconds: Seconds) -> None:
    """However many threads ask at once, no more is granted than the bucket holds."""
    limiter = RequestLimiter(500, seconds)
    barrier = threading.Barrier(8)

    def ask(_: int) -> int:
        barrier.wait()
        return granted(limiter, "a", 300)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(ask, range(8))) == 1_000
