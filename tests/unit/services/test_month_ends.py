"""
Where one month ends and the next begins: by the account's own clock, to the minute.

The clock follows the events, for one that is older than 35 days is refused, and stays before the closes: nothing is
late. Expected instants are written in UTC, worked out from the zone's offset by hand.
"""

from __future__ import annotations

from typing import Final

import pytest

from chalicelib.domain.instants import MINUTE, format_instant, parse_instant
from chalicelib.domain.periods import Period
from tests.unit.services.peak_world import PeakWorld


WALL_TIMES: Final = (
    "2023-03-01T04:00",
    "2023-03-15T00:00",
    "2023-03-31T23:59",
    "2023-04-01T00:00",
    "2023-04-01T00:01",
    "2023-04-15T00:00",
    "2023-04-30T23:59",
    "2023-05-01T00:00",
    "2023-05-01T00:01",
)
COUNTS: Final = {"2023-03": "3", "2023-04": "4", "2023-05": "2"}
NEW_YORK: Final = (
    # clocks go forward on 12 March
    "2023-03-01T09:00:00Z",
    "2023-03-15T04:00:00Z",
    "2023-04-01T03:59:00Z",
    "2023-04-01T04:00:00Z",
    "2023-04-01T04:01:00Z",
    "2023-04-15T04:00:00Z",
    "2023-05-01T03:59:00Z",
    "2023-05-01T04:00:00Z",
    "2023-05-01T04:01:00Z",
)


def _with_offset(offset: str) -> tuple[str, ...]:
    return tuple(format_instant(parse_instant(f"{time}:00{offset}")) for time in WALL_TIMES)


FIXED: Final = {
    "Pacific/Kiritimati": "+14:00",
    "Pacific/Pago_Pago": "-11:00",
    "Asia/Kolkata": "+05:30",
    "Asia/Kathmandu": "+05:45",
    "Australia/Darwin": "+09:30",
    "Pacific/Marquesas": "-09:30",
    "UTC": "+00:00",
}


def _count(world: PeakWorld, times: tuple[str, ...], months: dict[str, str]) -> dict[str, str]:
    """Take a unit at each time, as it comes, issue what is due between, and count by month."""
    counts: dict[str, str] = {}
    for time in times:
        world.at(time).run("issue-invoices")
        world.use("1", time)
    for month in months:
        counts[month] = world.quantity(month)
    return counts


@pytest.mark.parametrize(
    ("timezone", "times"),
    [("America/New_York", NEW_YORK), *((zone, _with_offset(offset)) for zone, offset in FIXED.items())],
)
def test_a_unit_belongs_to_the_month_on_the_wall(timezone: str, times: tuple[str, ...]) -> None:
    """Three in March, four in April, two in May, in whatever zone, taken as they come."""
    world = PeakWorld("2023-03-01T00:00:00Z", timezone)
    if timezone == "Pacific/Kiritimati":
        assert parse_instant(times[0]) < world.clock.now()  # there it is the 1st already

    assert _count(world, times, COUNTS) == COUNTS


def test_the_same_units_in_new_york_and_utc() -> None:
    """What is March's in New York is three units in UTC as well, but of others: the zone decides."""
    world = PeakWorld("2023-03-01T00:00:00Z", "UTC")

    # 03:59Z of 1 April and of 1 May are the next month's already
    assert _count(world, NEW_YORK, COUNTS) == {"2023-03": "2", "2023-04": "4", "2023-05": "3"}


@pytest.mark.parametrize(
    ("timezone", "end", "before", "after"),
    [
        # clocks go back from midnight of the 1st to 23:00 of 31 October: the month's last hour comes twice
        ("Africa/Cairo", "2024-10-31T22:00:00Z", "2024-10", "2024-11"),
        # clocks went forward from midnight of the 1st to 01:00
        ("Asia/Amman", "2011-03-31T22:00:00Z", "2011-03", "2011-04"),
        # they went back from midnight of the 1st of March, for good
        ("Asia/Almaty", "2024-02-29T19:00:00Z", "2024-02", "2024-03"),
        # they go back from 01:00 of the 1st to 00:00: the month's first hour comes twice
        ("America/Havana", "2020-11-01T04:00:00Z", "2020-10", "2020-11"),
    ],
)
def test_where_clocks_change_at_midnight_of_the_1st(timezone: str, end: str, before: str, after: str) -> None:
    """The month ends once: what comes before that instant is its own, what comes at it or later the next one's."""
    world = PeakWorld(format_instant(parse_instant(end) - 600 * MINUTE), timezone)
    last = parse_instant(end)

    for minutes in (-90, -61, -60, -31, -1):
        world.at(last + minutes * MINUTE).use("1")
    assert world.at(last - 1).quantity(before) == "5"
    world.use("1")
    for minutes in (0, 1, 29, 59):
        world.at(last + minutes * MINUTE).use("1")
        assert world.run("issue-invoices") == 0

    assert (world.quantity(before), world.quantity(after)) == ("6", "4")
    assert world.services.usage.tab("acme").figures.period == Period.parse(before)
    world.at(last + 60 * MINUTE)
    assert world.run("issue-invoices") == 1
    assert world.services.usage.invoice("acme", Period.parse(before)).issued_at == last + 60 * MINUTE
    assert world.services.usage.tab("acme").figures.period == Period.parse(after)


@pytest.mark.parametrize(("timezone", "offset"), FIXED.items())
def test_the_28th_on_the_wall(timezone: str, offset: str) -> None:
    """A sample of the 27th's last minute is March's, one of the 28th's first April's; the row comes with the 28th."""
    last, first = (parse_instant(f"2023-03-{time}:00{offset}") for time in ("27T23:59", "28T00:00"))
    world = PeakWorld(format_instant(last - 600 * MINUTE), timezone)

    world.at(last).sample("3")
    assert world.at(first - 1).row() is None
    world.at(first).sample("9")

    assert (world.money(), world.peak()) == (("3", "0", "3"), ("2023-03-27", "3"))
    assert world.row("2023-03") is not None
    world.at(parse_instant(f"2023-04-28T00:00:00{offset}")).run_all()
    assert world.peak("2023-04") == ("2023-03-28", "9")
