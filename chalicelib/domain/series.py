"""
Usage over time: the hours or days of a month in the account's zone, and what was used in each.

A bucket begins at the first instant of an hour or day: a day on which clocks change has 23 or 25 hours. Usage counts
in the bucket of its event's time; a late event counts where it was taken, a storage peak on the day of the peak. What
falls outside of the month that it is charged in counts in the first or the last bucket of that month: a peak on one of
the last days of the month before, or a late event that was taken while the month awaited its invoice. So the buckets of
a product always add up to its figures on the tab.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import timedelta
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING

from msgspec import Struct

from chalicelib.domain.instants import HOUR, Instant
from chalicelib.domain.money import EXACT, ZERO
from chalicelib.domain.report_lines import signed


if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    from chalicelib.domain.charges import Charge
    from chalicelib.domain.periods import Calendar, Period


class Granularity(Enum):
    """How long a bucket is."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


class Bucket(Struct, frozen=True):
    """What a product used in the bucket that begins at *starts_at*, and what it cost before credit."""

    starts_at: Instant
    quantity: Decimal
    amount: Decimal


def bucket_starts(calendar: Calendar, period: Period, granularity: Granularity, until: Instant) -> tuple[Instant, ...]:
    """Return the first instants of the buckets of *period* up to that of *until*; of the first bucket at least."""
    starts = tuple(_starts(calendar, period, granularity))
    return starts[: max(bisect_right(starts, until), 1)]


def hours_of(calendar: Calendar, period: Period) -> tuple[Instant, ...]:
    """Return the first instants of all hours of *period*, each of which lies within one day of the calendar."""
    return tuple(_starts(calendar, period, Granularity.HOUR))


def _starts(calendar: Calendar, period: Period, granularity: Granularity) -> Iterator[Instant]:
    if granularity is Granularity.MONTH:
        yield calendar.start_of(period)
        return
    for day in _days(period):
        start, end = calendar.start_of_day(day), calendar.end_of_day(day)
        # A day that a zone has skipped altogether has no instants.
        if start < end:
            yield from (start,) if granularity is Granularity.DAY else range(start, end, HOUR)


def _days(period: Period) -> Iterator[date]:
    day = period.first_day
    while day.month == period.month:
        yield day
        day += timedelta(days=1)


class HourlyUsage:
    """
    What each product used in each hour of a month; it is as large as the hours with usage are many.

    *hours* are the first instants of all of them. Sums of parts of a month, added up, are those of the whole.
    """

    def __init__(self, hours: Sequence[Instant]) -> None:
        """Begin with no usage."""
        self._hours = hours
        self._sums: dict[str, dict[int, tuple[Decimal, Decimal]]] = {}

    def add_charge(self, charge: Charge, taken_at: Instant) -> None:
        """Count a *charge* taken at *taken_at*; samples count for nothing."""
        if not charge.sign:
            return
        at = taken_at if charge.is_late else charge.event.time
        hour = max(bisect_right(self._hours, at) - 1, 0)
        quantity, amount = signed(charge.event.quantity, charge.sign), signed(charge.amount, charge.sign)
        self.add(charge.event.resource, hour, quantity, amount)

    def add(self, resource: str, hour: int, quantity: Decimal, amount: Decimal) -> None:
        """Count usage of a product in an *hour*, told by its place in the month."""
        sums = self._sums.setdefault(resource, {})
        before = sums.get(hour)
        sums[hour] = (
            (quantity, amount) if before is None else (EXACT.add(before[0], quantity), EXACT.add(before[1], amount))
        )

    def add_all(self, other: HourlyUsage) -> None:
        """Count what another part of the same month counted."""
        for resource, hour, quantity, amount in other.sums():
            self.add(resource, hour, quantity, amount)

    def sums(self) -> Iterator[tuple[str, int, Decimal, Decimal]]:
        """Yield product, place of the hour in the month, quantity and amount, in no particular order."""
        for resource, sums in self._sums.items():
            for hour, (quantity, amount) in sums.items():
                yield resource, hour, quantity, amount

    def buckets(self, resource: str, starts: Sequence[Instant]) -> tuple[Bucket, ...]:
        """Return the usage of a product in the buckets that begin at *starts*, those without usage too."""
        usage = HourlyUsage(starts)
        for hour, (quantity, amount) in self._sums.get(resource, {}).items():
            usage.add(resource, max(bisect_right(starts, self._hours[hour]) - 1, 0), quantity, amount)
        sums = usage._sums.get(resource, {})
        return tuple(Bucket(start, *sums.get(place, (ZERO, ZERO))) for place, start in enumerate(starts))
