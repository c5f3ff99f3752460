"""
The usage of a simulated account in the order in which it is delivered: most of it at once, some of it late.

Whether an event is late, and how late, follows from its id; so the same seed delivers the same, in whatever steps time
passes. Storage is sampled besides the centre's traffic, and in most months one high sample of the days before the 28th
is held back until after it, some beyond the invoice.
"""

from __future__ import annotations

from decimal import Decimal
from heapq import heappop, heappush
from random import Random
from typing import TYPE_CHECKING, Final
from zlib import crc32

from chalicelib.domain.instants import DAY, HOUR, Instant, to_datetime
from chalicelib.domain.usage_events import UsageEvent
from chalicelib.local.simulation.fleet import STORAGE, Member, Storage
from chalicelib.local.traffic import traffic


if TYPE_CHECKING:
    from collections.abc import Iterator

LATE_PERMILLE: Final = 15
LATE_HOURS_MAX: Final = 27 * 24
"""Less than the age at which events are refused, by more than the longest pause between two postings."""

_SURGE_DAYS: Final = range(20, 28)
_SURGE_HELD_HOURS_MAX: Final = 130
_GROWTH_DIGITS: Final = Decimal("0.001")


class Feed:
    """Gives what a *member* has used, as it is delivered."""

    def __init__(self, member: Member, seed: str) -> None:
        """Begin when the account does."""
        self._member = member
        self._seed = seed
        self._made_until = member.opens_at
        self._held: list[tuple[Instant, str, UsageEvent]] = []

    def until(self, instant: Instant) -> list[UsageEvent]:
        """Return what is delivered up to *instant*, after all that was returned before, in the order of delivery."""
        for event in self._made(instant):
            heappush(self._held, (event.time + self._held_back(event), event.id, event))
        self._made_until = max(self._made_until, instant)
        delivered = []
        while self._held and self._held[0][0] <= instant:
            delivered.append(heappop(self._held)[2])
        return delivered

    def _made(self, until: Instant) -> Iterator[UsageEvent]:
        member, since = self._member, self._made_until
        if until > since:
            yield from traffic(member.centre, self._seed, since, until)
            if member.storage is not None:
                yield from _samples(member, member.storage, self._seed, since, until)

    def _held_back(self, event: UsageEvent) -> Instant:
        if event.resource == STORAGE and _is_surge(event):
            day = to_datetime(event.time)
            released = (
                (28 - day.day) * DAY - (day.hour * HOUR) + crc32(event.id.encode()) % _SURGE_HELD_HOURS_MAX * HOUR
            )
            return max(released, 0)
        lot = crc32(f"{self._seed}/{event.id}".encode())
        return lot // 1000 % LATE_HOURS_MAX * HOUR if lot % 1000 < LATE_PERMILLE else 0


def _is_surge(event: UsageEvent) -> bool:
    return event.source.endswith("/surge")


def _samples(member: Member, storage: Storage, seed: str, since: Instant, until: Instant) -> Iterator[UsageEvent]:
    """Yield the samples from *since*, included, to *until*, excluded."""
    account = member.account.id
    for number in range(-(-since // storage.every), -(-until // storage.every)):
        time = number * storage.every
        luck = Random(f"{seed}/{account}/storage/{number}")  # noqa: S311 - made up, to be drawn again
        grown = storage.growth_per_day * (time - member.opens_at) // DAY
        size = (storage.size + grown) * luck.randint(80, 120) // 100
        yield _sample(account, "/storage", time, number, size)
        if time % DAY == 0 and _surges_on(account, seed, time):
            yield _sample(account, "/storage/surge", time + HOUR, number, size * luck.randint(10, 25) // 10)


def _sample(account: str, source: str, time: Instant, number: int, size: int) -> UsageEvent:
    return UsageEvent(account, source, f"{account}-{number}", time, STORAGE, size * _GROWTH_DIGITS)


def _surges_on(account: str, seed: str, time: Instant) -> bool:
    """Tell whether the day that begins at *time* has the high sample of its month."""
    day = to_datetime(time)
    lot = crc32(f"{seed}/{account}/{day.year}-{day.month}".encode())
    return day.day == _dealt_day(lot)


def _dealt_day(lot: int) -> int:
    """Return the day of the month on which storage is high; in some months there is none."""
    return _SURGE_DAYS[lot % len(_SURGE_DAYS)] if lot // 100 % 4 else 0
