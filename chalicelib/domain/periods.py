"""Calendar months and days in an account's time zone."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from chalicelib.domain.instants import EARLIEST, LATEST, Instant, to_datetime, to_instant


_PERIOD: Final = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")
_NOT_PLACES: Final = frozenset({"Factory", "localtime", "posixrules"})


class Period(NamedTuple):
    """A calendar month, `2026-11`; what instants it spans depends on the zone."""

    year: int
    month: int

    def __str__(self) -> str:
        """Write the period as in the API."""
        return f"{self.year:04d}-{self.month:02d}"

    @property
    def ordinal(self) -> int:
        """Count the months since year 0."""
        return self.year * 12 + self.month - 1

    @classmethod
    def from_ordinal(cls, ordinal: int) -> Period:
        """Return the period that has this *ordinal*."""
        return cls(ordinal // 12, ordinal % 12 + 1)

    @classmethod
    def parse(cls, text: str) -> Period:
        """Read `2026-11`; ValueError for anything else."""
        match = _PERIOD.fullmatch(text)
        if match is None or match[1] == "0000":
            message = "must be a month such as 2026-11"
            raise ValueError(message)
        return cls(int(match[1]), int(match[2]))

    @property
    def next(self) -> Period:
        """Return the month after."""
        return Period.from_ordinal(self.ordinal + 1)

    @property
    def previous(self) -> Period:
        """Return the month before."""
        return Period.from_ordinal(self.ordinal - 1)

    @property
    def first_day(self) -> date:
        """Return the 1st."""
        return date(self.year, self.month, 1)


def is_timezone(name: str) -> bool:
    """Tell whether *name* is a zone of the IANA database."""
    return name in _timezones()


@cache
def _timezones() -> frozenset[str]:
    return frozenset(available_timezones() - _NOT_PLACES)


class Calendar:
    """
    The days and months of one IANA time zone as spans of instants.

    A day begins at its first instant: where clocks skip midnight, that is the instant they skip from.
    """

    def __init__(self, timezone: str) -> None:
        """Read the zone; `zoneinfo.ZoneInfoNotFoundError` if there is none of that name."""
        self._zone = ZoneInfo(timezone)
        self.start_of_day = lru_cache(maxsize=1024)(self._start_of_day)
        self._latest: tuple[Instant, Instant, Period] = (0, 0, Period(1970, 1))

    def date_of(self, instant: Instant) -> date:
        """Return the local date at *instant*."""
        return to_datetime(instant).astimezone(self._zone).date()

    def period_of(self, instant: Instant) -> Period:
        """Return the month *instant* belongs to."""
        start, end, period = self._latest
        if start <= instant < end:
            return period
        day = self.date_of(instant)
        period = Period(day.year, day.month)
        while instant < self.start_of(period):
            period = period.previous
        while instant >= self.end_of(period):
            period = period.next
        self._latest = (self.start_of(period), self.end_of(period), period)
        return period

    def start_of(self, period: Period) -> Instant:
        """Return the first instant of *period*."""
        return self.start_of_day(period.first_day)

    def end_of(self, period: Period) -> Instant:
        """Return the first instant after *period*."""
        return self.start_of_day(period.next.first_day)

    def end_of_day(self, day: date) -> Instant:
        """Return the first instant after *day*."""
        return LATEST if day == date.max else self.start_of_day(day + timedelta(days=1))

    def _start_of_day(self, day: date) -> Instant:
        if day == date.min:
            return EARLIEST
        midnight = to_instant(datetime(day.year, day.month, day.day, tzinfo=self._zone))
        if self._local(midnight) == datetime(day.year, day.month, day.day):  # noqa: DTZ001 - wall time
            return midnight
        return self._first_instant_from(day, midnight)

    def _first_instant_from(self, day: date, skipped_midnight: Instant) -> Instant:
        two_days = to_instant(datetime(1970, 1, 3, tzinfo=UTC))
        before, after = skipped_midnight - two_days, skipped_midnight + two_days
        while after - before > 1:
            middle = (before + after) // 2
            if self._local(middle).date() < day:
                before = middle
            else:
                after = middle
        return after

    def _local(self, instant: Instant) -> datetime:
        return to_datetime(instant).astimezone(self._zone).replace(tzinfo=None)


@lru_cache(maxsize=1024)
def calendar(timezone: str) -> Calendar:
    """Return the calendar of an IANA *timezone*, made once per process."""
    return Calendar(timezone)
