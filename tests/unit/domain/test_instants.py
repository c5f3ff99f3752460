"""Points in time: reading and writing RFC 3339."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from chalicelib.domain.instants import NotAnInstantError, format_instant, parse_instant, to_datetime, to_instant


# 2026 begins 56 * 365 + 14 leap days = 20454 days after 1970 does; 22 November is 325 days later.
# (20454 + 325) * 86400 + 14 * 3600 + 3 * 60 + 11 = 1795356191 seconds
NOVEMBER_22 = 1_795_356_191_000_000


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T14:03:11Z",
        "2026-11-22t14:03:11z",
        "2026-11-22T14:03:11+00:00",
        "2026-11-22T14:03:11-00:00",
        "2026-11-22T15:03:11+01:00",
        "2026-11-22T09:03:11-05:00",
        "2026-11-22T19:33:11+05:30",
        "2026-11-23T04:03:11+14:00",
        "2026-11-21T14:04:11-23:59",
        "2026-11-22T14:03:11.0Z",
        "2026-11-22T14:03:11.000000Z",
        "2026-11-22T14:03:11.0000009Z",
    ],
)
def test_one_instant_in_many_notations(text: str) -> None:
    """Offset, letter case and digits beyond the microsecond make no other instant."""
    assert parse_instant(text) == NOVEMBER_22


@pytest.mark.parametrize(
    ("fraction", "microseconds"),
    [
        (".5", 500_000),
        (".05", 50_000),
        (".000001", 1),
        (".123456", 123_456),
        (".1234567", 123_456),
        (".9999999", 999_999),
        (".999999999999999999999999999999", 999_999),
    ],
)
def test_fractions_are_truncated(fraction: str, microseconds: int) -> None:
    """A fraction counts up to the microsecond; what is beyond is cut off, not rounded."""
    assert NOVEMBER_22 + microseconds == parse_instant(f"2026-11-22T14:03:11{fraction}Z")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-22",
        "2026-11-22T14:03:11",
        "2026-11-22T14:03Z",
        "2026-11-22 14:03:11Z",
        "2026-11-22T14:03:11 Z",
        " 2026-11-22T14:03:11Z",
        "2026-11-22T14:03:11Z\n",
        "2026-11-22T14:03:11.Z",
        "2026-11-22T14:03:11,5Z",
        "2026-11-22T14:03:11+01",
        "2026-11-22T14:03:11+0100",
        "2026-11-22T14:03:11+1:00",
        "2026-11-22T14:03:11 UTC",
        "2026-11-22T14:03:11Zulu",
        "26-11-22T14:03:11Z",
        "+2026-11-22T14:03:11Z",
        "20261122T140311Z",
        "2026-W47-7T14:03:11Z",
        "1795356191",
        "\u0662\u0660\u0662\u0666-11-22T14:03:11Z",
    ],
)
def test_other_notations_are_refused(text: str) -> None:
    """Nothing but RFC 3339 with an offset is read."""
    with pytest.raises(NotAnInstantError, match="RFC 3339"):
        parse_instant(text)


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-29T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-11-22T24:00:00Z",
        "2026-11-22T14:60:11Z",
        "2026-12-31T23:59:60Z",
        "2026-11-22T14:03:11+24:00",
        "2026-11-22T14:03:11+01:60",
        "0000-01-01T00:00:00Z",
    ],
)
def test_times_that_do_not_exist_are_refused(text: str) -> None:
    """A date that is on no calendar, a leap second or an impossible offset is refused."""
    with pytest.raises(NotAnInstantError, match="not a time that exists"):
        parse_instant(text)


@pytest.mark.parametrize("text", ["2024-02-29T00:00:00Z", "2000-02-29T23:59:59Z"])
def test_leap_days(text: str) -> None:
    """A leap day is read and written."""
    assert text == format_instant(parse_instant(text))


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"])
def test_edges_of_the_calendar(text: str) -> None:
    """The first and the last instant of four-digit years are read and written."""
    assert text == format_instant(parse_instant(text))


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01"])
def test_beyond_the_edges_of_the_calendar(text: str) -> None:
    """A time that its offset moves out of the four-digit years of UTC cannot be written and is not read."""
    with pytest.raises(NotAnInstantError):
        parse_instant(text)


def test_before_the_epoch() -> None:
    """Instants before 1970 are negative, and their fractions are truncated like all others."""
    assert -500_000 == parse_instant("1969-12-31T23:59:59.5Z")  # noqa: SIM300
    assert -1 == parse_instant("1969-12-31T23:59:59.9999999Z")  # noqa: SIM300


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [
        (0, "2026-11-22T14:03:11Z"),
        (1, "2026-11-22T14:03:11.000001Z"),
        (500_000, "2026-11-22T14:03:11.5Z"),
        (120_000, "2026-11-22T14:03:11.12Z"),
    ],
)
def test_writing(microseconds: int, text: str) -> None:
    """An instant is written in UTC, with a fraction only where there is one."""
    assert text == format_instant(NOVEMBER_22 + microseconds)


def test_writing_whole_tens_of_seconds() -> None:
    """Zeros of the seconds are no trailing zeros of a fraction."""
    assert format_instant(0) == "1970-01-01T00:00:00Z"


def test_datetimes() -> None:
    """Datetimes of any zone turn into instants, and instants into datetimes in UTC."""
    moment = datetime(2026, 11, 22, 15, 3, 11, tzinfo=timezone(timedelta(hours=1)))

    assert to_instant(moment) == NOVEMBER_22
    assert datetime(2026, 11, 22, 14, 3, 11, tzinfo=UTC) == to_datetime(NOVEMBER_22)
