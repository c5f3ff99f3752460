"""The window of a storage peak, and which sample is the highest."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise, permutations
from zoneinfo import ZoneInfo

import pytest

from chalicelib.domain.charges import Charge, Role
from chalicelib.domain.credit import Payment
from chalicelib.domain.instants import DAY, HOUR, MINUTE, to_instant
from chalicelib.domain.money import ZERO
from chalicelib.domain.periods import Calendar, Period
from chalicelib.domain.storage_peak import Peak, peak_due_at, window_period
from tests.unit.domain.builders import a_grant, a_rate, an_event, at


MONTHS = [Period(year, month) for year in (2023, 2024) for month in range(1, 13)]
ZONES = [
    "UTC",
    "America/New_York",
    "Pacific/Kiritimati",  # +14
    "Pacific/Pago_Pago",  # -11
    "Asia/Kolkata",  # +5:30
    "America/St_Johns",  # -3:30, -2:30
    "Asia/Kathmandu",  # +5:45
    "Australia/Lord_Howe",  # +10:30, +11: half an hour at a time
    "Africa/Cairo",  # skips midnight of 28 April 2023, repeats the last hour of 31 October 2024
    "Asia/Almaty",  # repeats the last hour of 29 February 2024
    "America/Havana",  # repeats the first hour of a day
]


def _local(zone: str, text: str) -> int:
    return to_instant(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC))


@pytest.mark.parametrize("period", MONTHS, ids=str)
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Africa/Cairo"])
def test_a_window_is_as_long_as_the_month_before(zone: str, period: Period) -> None:
    """It has as many days as the month before its own, each whole, and those of no other."""
    before = date(period.year, period.month, 1) - timedelta(days=1)
    first = before.replace(day=28)
    calendar = Calendar(zone)
    days = [first - timedelta(days=2) + timedelta(days=number) for number in range(40)]

    inside = [
        day
        for day in days
        if {window_period(calendar, _local(zone, f"{day}T{hour:02d}:30:00")) for hour in range(2, 24)} == {period}
    ]

    assert len(inside) == monthrange(before.year, before.month)[1]
    assert (inside[0], inside[-1]) == (first, date(period.year, period.month, 27))


@pytest.mark.parametrize("zone", ZONES)
def test_windows_meet_without_a_gap(zone: str) -> None:
    """The last microsecond of a 27th is in the month then charged, the first instant of the 28th in the next."""
    calendar = Calendar(zone)

    for period in MONTHS:
        due_at = peak_due_at(calendar, period)
        assert window_period(calendar, due_at - 1) == period
        assert window_period(calendar, due_at) == period.next
        assert calendar.date_of(due_at) == date(period.year, period.month, 28)
        assert calendar.date_of(due_at - 1) == date(period.year, period.month, 27)


@pytest.mark.parametrize(
    ("zone", "due_at"),
    [
        ("UTC", "2024-02-28T00:00:00Z"),
        ("America/New_York", "2024-02-28T05:00:00Z"),
        ("Pacific/Kiritimati", "2024-02-27T10:00:00Z"),
        ("Pacific/Pago_Pago", "2024-02-28T11:00:00Z"),
        ("Asia/Kolkata", "2024-02-27T18:30:00Z"),
        ("America/St_Johns", "2024-02-28T03:30:00Z"),
        ("Asia/Kathmandu", "2024-02-27T18:15:00Z"),
    ],
)
def test_the_28th_begins_in_the_zone_of_the_account(zone: str, due_at: str) -> None:
    """February's peak is due at its 28th's first instant, a day before the month ends in a leap year."""
    assert peak_due_at(Calendar(zone), Period(2024, 2)) == at(due_at)


def test_where_clocks_skip_the_midnight() -> None:
    """In Cairo 28 April 2023 begins at one o'clock, the instant after the 27th's last."""
    calendar = Calendar("Africa/Cairo")

    assert peak_due_at(calendar, Period(2023, 4)) == at("2023-04-27T22:00:00Z")
    assert window_period(calendar, at("2023-04-27T21:59:59.999999Z")) == Period(2023, 4)
    assert window_period(calendar, at("2023-04-27T22:00:00Z")) == Period(2023, 5)


def test_where_clocks_go_back_at_midnight() -> None:
    """In Damascus the 27th of October 2016 had two last hours, and both are in the window."""
    calendar = Calendar("Asia/Damascus")

    assert peak_due_at(calendar, Period(2016, 10)) == at("2016-10-27T22:00:00Z")
    # 23:30, twice
    assert window_period(calendar, at("2016-10-27T20:30:00Z")) == Period(2016, 10)
    assert window_period(calendar, at("2016-10-27T21:30:00Z")) == Period(2016, 10)


def test_where_a_minute_of_the_28th_comes_before_the_end_of_the_27th() -> None:
    """In St. John's clocks went back from 28 October 2001 00:01: from its first instant on it is the next window."""
    calendar = Calendar("America/St_Johns")
    first = at("2001-10-28T02:30:00Z")

    assert peak_due_at(calendar, Period(2001, 10)) == first
    assert window_period(calendar, first - 1) == Period(2001, 10)
    # 00:00 to 00:01, then 23:01 to midnight once more, then the 28th again
    for minutes in (0, 1, 30, 59, 61, 120):
        assert window_period(calendar, first + minutes * MINUTE) == Period(2001, 11)


@pytest.mark.parametrize("zone", ZONES)
def test_months_never_go_back(zone: str) -> None:
    """From one quarter of an hour to the next the month stays or is the one after."""
    calendar = Calendar(zone)
    start = at("2023-01-27T00:00:00Z")
    months = [window_period(calendar, start + quarter * 15 * MINUTE) for quarter in range(24 * 4 * 70)]

    assert all(later in {earlier, earlier.next} for earlier, later in pairwise(months))
    assert set(months) >= {Period(2023, 2), Period(2023, 3), Period(2023, 4)}


@pytest.mark.parametrize("month", range(1, 13))
def test_the_last_days_of_a_month_belong_to_the_next(month: int) -> None:
    """The 28th and the days after it, as far as the month has them, are those of the month after."""
    calendar = Calendar("UTC")
    period = Period(2024, month)

    for day in range(28, monthrange(2024, month)[1] + 1):
        noon = at(f"2024-{month:02d}-{day}T12:00:00Z")
        assert window_period(calendar, noon) == period.next
    assert window_period(calendar, at(f"2024-{month:02d}-01T00:00:00Z")) == period
    assert calendar.end_of(period) - peak_due_at(calendar, period) in {2 * DAY, 3 * DAY, 4 * DAY}
    assert calendar.end_of(period) % HOUR == 0


def _sample(quantity: str, time: str, name: str = "s", source: str = "/storage") -> Charge:
    event = an_event(quantity, time, "screen_recording_storage", name)
    event = type(event)(event.account, source, event.id, event.time, event.resource, event.quantity)
    return Charge(event, Period(2026, 11), False, a_rate("1"), ZERO, ZERO, ZERO, (), Role.SAMPLE)  # noqa: FBT003 - not late


NOON, LATER, NEXT_DAY = "2026-11-10T12:00:00Z", "2026-11-10T13:00:00Z", "2026-11-11T12:00:00Z"


@pytest.mark.parametrize(
    ("own", "other", "is_outdone"),
    [
        (("5", NOON), ("6", NOON), True),
        (("5", NOON), ("5.000000001", NEXT_DAY), True),
        (("5", NOON), ("4.999999999", "2026-11-01T12:00:00Z"), False),
        (("5", NOON), ("5.0", NEXT_DAY), False),
        (("5", NEXT_DAY), ("5.0", NOON), True),
        (("5", LATER), ("5", NOON), True),
        (("0", NOON), ("0.00", NEXT_DAY), False),
        # of one instant
        (("5", NOON, "b"), ("5", NOON, "a"), True),
        (("5", NOON, "a"), ("5", NOON, "b"), False),
        (("5", NOON, "a", "/2"), ("5", NOON, "b", "/1"), True),
    ],
)
def test_the_highest_and_of_equal_ones_the_earliest(
    own: tuple[str, ...],
    other: tuple[str, ...],
    is_outdone: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """A sample outdoes another that is lower, or as high and later."""
    assert Peak(_sample(*own), "pool").is_outdone_by(_sample(*other)) is is_outdone


def test_one_of_several_outdoes_all_others() -> None:
    """Whatever is compared first, one and the same is left: no two are each other's equals."""
    samples = [
        _sample("5", NOON, "a"),
        _sample("5", NOON, "b"),
        _sample("5.0", LATER, "a"),
        _sample("4", NOON, "c"),
    ]

    for order in permutations(samples):
        highest = order[0]
        for sample in order[1:]:
            if Peak(highest, "pool").is_outdone_by(sample):
                highest = sample
        assert highest == samples[0]


def test_what_later_credit_pays() -> None:
    """Credit that pays for a peak after it was charged is known with what it was, for giving it back."""
    charged = Charge(
        _sample("5", NOON).event,
        Period(2026, 11),
        False,  # noqa: FBT003 - not late
        a_rate("1"),
        Decimal(5),
        ZERO,
        Decimal(5),
        (Payment("g-1", Decimal(2)),),
        Role.PEAK,
    )
    first, second = a_grant("g-1", "2"), a_grant("g-2", "9")

    peak = Peak(charged, "pool", (first,)).paid_later(second, Decimal(3))

    assert peak.is_charged
    assert peak.charge.payments == (Payment("g-1", Decimal(2)), Payment("g-2", Decimal(3)))
    assert peak.paid_by == (first, second)
    assert peak.charge.credits == Decimal(5)
