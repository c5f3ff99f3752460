"""Calendar months and days in time zones."""

from __future__ import annotations

from collections import Counter
from datetime import date
from zoneinfo import ZoneInfoNotFoundError

import pytest

from chalicelib.domain.instants import DAY, HOUR, format_instant
from chalicelib.domain.periods import Calendar, Period, calendar, is_timezone
from tests.unit.domain.builders import at


def test_written_and_read() -> None:
    """A period is written as year and month, and read again."""
    assert str(Period(2026, 11)) == "2026-11"
    assert Period(2026, 11) == Period.parse("2026-11")
    assert str(Period(7, 1)) == "0007-01"


@pytest.mark.parametrize(
    "text",
    ["", "2026", "2026-1", "2026-00", "2026-13", "2026-11-01", "26-11", " 2026-11", "2026-11\n", "0000-01", "2026/11"],
)
def test_no_period(text: str) -> None:
    """Anything but a month of a four-digit year is refused."""
    with pytest.raises(ValueError, match="month"):
        Period.parse(text)


def test_order() -> None:
    """Periods follow each other across the turn of the year, and compare by time."""
    assert Period(2027, 1) == Period(2026, 12).next
    assert Period(2025, 12) == Period(2026, 1).previous
    assert Period(2026, 12) < Period(2027, 1)
    assert Period(2026, 12) == Period.from_ordinal(Period(2026, 12).ordinal)
    assert date(2026, 12, 1) == Period(2026, 12).first_day


@pytest.mark.parametrize(
    ("timezone", "period", "start", "end"),
    [
        ("UTC", "2026-11", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"),
        ("UTC", "2024-02", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"),
        # summer time begins on 29 March
        ("Europe/Lisbon", "2026-03", "2026-03-01T00:00:00Z", "2026-03-31T23:00:00Z"),
        # summer time ends on 25 October
        ("Europe/Lisbon", "2026-10", "2026-09-30T23:00:00Z", "2026-11-01T00:00:00Z"),
        ("America/New_York", "2023-03", "2023-03-01T05:00:00Z", "2023-04-01T04:00:00Z"),
        ("Pacific/Kiritimati", "2026-11", "2026-10-31T10:00:00Z", "2026-11-30T10:00:00Z"),
        ("Pacific/Pago_Pago", "2026-11", "2026-11-01T11:00:00Z", "2026-12-01T11:00:00Z"),
        ("Asia/Kolkata", "2026-11", "2026-10-31T18:30:00Z", "2026-11-30T18:30:00Z"),
        ("Asia/Kathmandu", "2026-11", "2026-10-31T18:15:00Z", "2026-11-30T18:15:00Z"),
        # summer time, UTC-2:30, ends at two o'clock on 1 November itself
        ("America/St_Johns", "2026-11", "2026-11-01T02:30:00Z", "2026-12-01T03:30:00Z"),
        # half an hour of summer time, UTC+11, ends on 5 April
        ("Australia/Lord_Howe", "2026-04", "2026-03-31T13:00:00Z", "2026-04-30T13:30:00Z"),
        # the clocks went from 31 October 24:00 summer time, UTC+3, back to 23:00: October ends an hour later
        ("Africa/Cairo", "2024-10", "2024-09-30T21:00:00Z", "2024-10-31T22:00:00Z"),
        # the clocks go from 1:00 on 1 November, UTC-4, back to 0:00: the month begins with the first midnight
        ("America/Havana", "2026-11", "2026-11-01T04:00:00Z", "2026-12-01T05:00:00Z"),
        # the clocks went from 1 October 0:00, UTC-4, to 1:00: there was no midnight
        ("America/Asuncion", "2023-10", "2023-10-01T04:00:00Z", "2023-11-01T03:00:00Z"),
        # 30 December was skipped: from UTC-10 to UTC+14
        ("Pacific/Apia", "2011-12", "2011-12-01T10:00:00Z", "2011-12-31T10:00:00Z"),
    ],
)
def test_months(timezone: str, period: str, start: str, end: str) -> None:
    """A month spans from its first local instant to that of the next."""
    zone, month = calendar(timezone), Period.parse(period)

    assert (start, end) == (format_instant(zone.start_of(month)), format_instant(zone.end_of(month)))


@pytest.mark.parametrize(
    ("timezone", "day", "start", "hours"),
    [
        ("America/New_York", date(2026, 3, 8), "2026-03-08T05:00:00Z", 23),
        ("America/New_York", date(2026, 11, 1), "2026-11-01T04:00:00Z", 25),
        # 0:00 to 1:00 does not exist: summer time, UTC+3, begins at midnight
        ("Africa/Cairo", date(2024, 4, 26), "2024-04-25T22:00:00Z", 23),
        # summer time ends at 24:00, the hour before comes twice
        ("Africa/Cairo", date(2024, 10, 31), "2024-10-30T21:00:00Z", 25),
        ("America/Havana", date(2024, 3, 10), "2024-03-10T05:00:00Z", 23),
        ("America/Havana", date(2024, 11, 3), "2024-11-03T04:00:00Z", 25),
        ("America/Santiago", date(2024, 9, 8), "2024-09-08T04:00:00Z", 23),
        ("America/Santiago", date(2024, 4, 6), "2024-04-06T03:00:00Z", 25),
        ("Australia/Lord_Howe", date(2026, 4, 5), "2026-04-04T13:00:00Z", 24.5),
        ("Pacific/Apia", date(2011, 12, 29), "2011-12-29T10:00:00Z", 24),
        # the clocks went from 30 March 23:30, UTC-5, to 0:30
        ("America/Toronto", date(1919, 3, 31), "1919-03-31T04:30:00Z", 23.5),
        # the day that never was ends as it begins
        ("Pacific/Apia", date(2011, 12, 30), "2011-12-30T10:00:00Z", 0),
        ("Pacific/Apia", date(2011, 12, 31), "2011-12-30T10:00:00Z", 24),
    ],
)
def test_days(timezone: str, day: date, start: str, hours: float) -> None:
    """A day begins at its first instant, where clocks skip midnight at the one they skip from."""
    zone = calendar(timezone)

    assert start == format_instant(zone.start_of_day(day))
    assert hours * HOUR == zone.end_of_day(day) - zone.start_of_day(day)


def test_a_spring_in_new_york() -> None:
    """Local midnights decide the month, on both sides of the change to summer time."""
    units = [
        "2023-03-01T04:00:00-05:00",
        "2023-03-15T00:00:00-04:00",
        "2023-03-31T23:59:00-04:00",
        "2023-04-01T00:00:00-04:00",
        "2023-04-01T00:01:00-04:00",
        "2023-04-15T00:00:00-04:00",
        "2023-04-30T23:59:00-04:00",
        "2023-05-01T00:00:00-04:00",
        "2023-05-01T00:01:00-04:00",
    ]

    zone = calendar("America/New_York")

    assert Counter({"2023-03": 3, "2023-04": 4, "2023-05": 2}) == Counter(
        str(zone.period_of(at(unit))) for unit in units
    )


def test_the_last_microsecond() -> None:
    """A month ends right before the first instant of the next, whichever is asked for first."""
    zone = Calendar("Europe/Lisbon")
    end = at("2026-03-31T23:00:00Z")

    assert Period(2026, 3) == zone.period_of(end - 1)
    assert Period(2026, 4) == zone.period_of(end)
    assert Period(2026, 3) == zone.period_of(end - 1)


@pytest.mark.parametrize(
    ("timezone", "instant", "day"),
    [
        ("Pacific/Kiritimati", "2026-10-31T10:00:00Z", date(2026, 11, 1)),
        ("Pacific/Pago_Pago", "2026-11-01T10:59:59Z", date(2026, 10, 31)),
        ("Pacific/Apia", "2011-12-30T09:59:59Z", date(2011, 12, 29)),
        ("Pacific/Apia", "2011-12-30T10:00:00Z", date(2011, 12, 31)),
    ],
)
def test_local_dates(timezone: str, instant: str, day: date) -> None:
    """An instant has the date that the zone's calendars show."""
    assert day == calendar(timezone).date_of(at(instant))


def test_the_skipped_day_is_in_its_month() -> None:
    """The instants around a skipped day belong to one month."""
    zone = calendar("Pacific/Apia")

    assert [Period(2011, 12)] * 2 == [zone.period_of(at("2011-12-30T10:00:00Z") + step) for step in (-1, 0)]


@pytest.mark.parametrize("timezone", ["UTC", "Asia/Tokyo", "America/New_York"])
def test_the_first_day_that_can_be_written(timezone: str) -> None:
    """A version of a rate card may be effective from the very first day, in every zone."""
    assert abs(calendar(timezone).start_of_day(date.min) - at("0001-01-01T00:00:00Z")) <= DAY


@pytest.mark.parametrize("timezone", ["UTC", "Asia/Tokyo", "America/New_York"])
def test_the_last_day_that_can_be_written(timezone: str) -> None:
    """Credit may expire on the very last day, which many write for never, in every zone."""
    assert abs(calendar(timezone).end_of_day(date.max) - at("9999-12-31T23:59:59Z")) <= DAY


@pytest.mark.parametrize("name", ["UTC", "Europe/Lisbon", "America/Argentina/Buenos_Aires", "Etc/GMT-14"])
def test_timezones(name: str) -> None:
    """A name of the IANA database is a time zone."""
    assert is_timezone(name)


@pytest.mark.parametrize(
    "name", ["", "europe/lisbon", "Lisbon", "Mars/Olympus", "+01:00", "../UTC", "localtime", "posixrules", "Factory"]
)
def test_no_timezones(name: str) -> None:
    """Any other name is none, also files that happen to lie beside the zones."""
    assert not is_timezone(name)


def test_an_unknown_timezone_has_no_calendar() -> None:
    """A calendar of an unknown zone cannot be made."""
    with pytest.raises(ZoneInfoNotFoundError):
        Calendar("Mars/Olympus")
