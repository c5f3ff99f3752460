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
    starts = list(_starts(calendar, period, granularity))
    return tuple(starts[: max(bisect_right(starts, until), 1)])


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


class SeriesTally:
    """Adds up the charges of a month by product and bucket; it is as large as the buckets are many."""

    def __init__(self, starts: Sequence[Instant]) -> None:
        """Count in the buckets that begin at *starts*."""
        self._starts = starts
        self._cells: dict[str, dict[int, tuple[Decimal, Decimal]]] = {}

    def add(self, charge: Charge, taken_at: Instant) -> None:
        """Count a *charge* taken at *taken_at*; samples count for nothing."""
        if not charge.sign:
            return
        at = taken_at if charge.is_late else charge.event.time
        place = max(bisect_right(self._starts, at) - 1, 0)
        cells = self._cells.setdefault(charge.event.resource, {})
        quantity, amount = cells.get(place, (ZERO, ZERO))
        cells[place] = (
            EXACT.add(quantity, signed(charge.event.quantity, charge.sign)),
            EXACT.add(amount, signed(charge.amount, charge.sign)),
        )

    def buckets(self, resource: str) -> tuple[Bucket, ...]:
        """Return all buckets of a product, those without usage too."""
        cells = self._cells.get(resource, {})
        return tuple(Bucket(start, *cells.get(place, (ZERO, ZERO))) for place, start in enumerate(self._starts))
