"""Usage over time."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from chalicelib.domain.charges import Charge, Role
from chalicelib.domain.instants import DAY, HOUR, format_instant
from chalicelib.domain.periods import Period, calendar
from chalicelib.domain.series import Granularity, HourlyUsage, bucket_starts, hours_of
from tests.unit.domain.builders import a_rate, an_event, at


NOVEMBER = Period(2026, 11)
END = at("2027-01-01T00:00:00Z")


def a_charge(time: str, quantity: str = "1", *, late: bool = False, role: Role = Role.EVENT) -> Charge:
    """Charge 2 for each unit used at *time*."""
    amount = Decimal(quantity) * 2
    return Charge(
        an_event(quantity, time), NOVEMBER, late, a_rate("2"), Decimal(quantity), Decimal(0), amount, (), role
    )


def used(charges: list[tuple[Charge, str]], granularity: Granularity = Granularity.DAY) -> dict[str, tuple[str, str]]:
    """Return the buckets of November in UTC in which something was used."""
    usage = HourlyUsage(hours_of(calendar("UTC"), NOVEMBER))
    for charge, taken_at in charges:
        usage.add_charge(charge, at(taken_at))
    starts = bucket_starts(calendar("UTC"), NOVEMBER, granularity, END)
    return {
        format_instant(bucket.starts_at)[:13]: (f"{bucket.quantity:f}", f"{bucket.amount:f}")
        for bucket in usage.buckets("call", starts)
        if bucket.quantity or bucket.amount
    }


class TestBuckets:
    """Where buckets begin."""

    @pytest.mark.parametrize(
        ("zone", "period", "hours", "days"),
        [
            ("UTC", Period(2026, 11), 720, 30),
            ("America/New_York", Period(2026, 11), 721, 30),
            ("America/New_York", Period(2026, 3), 743, 31),
            ("Europe/Lisbon", Period(2026, 10), 745, 31),
            ("Asia/Kolkata", Period(2026, 2), 672, 28),
            ("Pacific/Apia", Period(2011, 12), 720, 30),
        ],
    )
    def test_a_month_has_its_hours_and_days(self, zone: str, period: Period, hours: int, days: int) -> None:
        """A day on which clocks change has 23 or 25 hours, and a day that a zone skipped is none."""
        months = calendar(zone)

        starts = {kind: bucket_starts(months, period, kind, END) for kind in Granularity}
        assert [len(starts[kind]) for kind in Granularity] == [hours, days, 1]
        for kind in Granularity:
            assert starts[kind][0] == months.start_of(period)
            assert list(starts[kind]) == sorted(set(starts[kind]))
        assert {
            end - start for start, end in zip(starts[Granularity.HOUR], starts[Granularity.HOUR][1:], strict=False)
        } == {HOUR}

    def test_the_day_of_25_hours_comes_once(self) -> None:
        """1 November 2026 in New York lasts from 04:00 UTC to 05:00 UTC of the 2nd."""
        starts = bucket_starts(calendar("America/New_York"), NOVEMBER, Granularity.DAY, END)

        assert [format_instant(start) for start in starts[:3]] == [
            "2026-11-01T04:00:00Z",
            "2026-11-02T05:00:00Z",
            "2026-11-03T05:00:00Z",
        ]

    def test_they_end_with_the_present_one(self) -> None:
        """There are no buckets of days to come."""
        starts = bucket_starts(calendar("UTC"), NOVEMBER, Granularity.DAY, at("2026-11-03T00:00:00Z"))

        assert len(starts) == 3
        assert starts[-1] - starts[0] == 2 * DAY


class TestUsage:
    """What counts where."""

    def test_usage_counts_at_the_time_of_its_event(self) -> None:
        """Events of one day add up, the last instant of a day belongs to it."""
        charges = [
            (a_charge("2026-11-03T00:00:00Z", "3"), "2026-11-05T00:00:00Z"),
            (a_charge("2026-11-03T23:59:59.999999Z", "4"), "2026-11-05T00:00:00Z"),
            (a_charge("2026-11-04T00:00:00Z", "5"), "2026-11-05T00:00:00Z"),
        ]

        assert used(charges) == {"2026-11-03T00": ("7", "14"), "2026-11-04T00": ("5", "10")}
        assert used(charges, Granularity.HOUR) == {
            "2026-11-03T00": ("3", "6"),
            "2026-11-03T23": ("4", "8"),
            "2026-11-04T00": ("5", "10"),
        }
        assert used(charges, Granularity.MONTH) == {"2026-11-01T00": ("12", "24")}

    def test_a_late_event_counts_when_it_was_taken(self) -> None:
        """An event of an invoiced month counts on the day it came, at the latest on the last of its month."""
        charges = [
            (a_charge("2026-10-20T00:00:00Z", late=True), "2026-11-05T10:00:00Z"),
            (a_charge("2026-10-20T00:00:00Z", late=True), "2026-12-01T00:30:00Z"),
        ]

        assert used(charges) == {"2026-11-05T00": ("1", "2"), "2026-11-30T00": ("1", "2")}

    def test_a_peak_counts_on_its_day(self) -> None:
        """A storage peak counts on the day of the peak, one before the month on the 1st; samples do not count."""
        charges = [
            (a_charge("2026-11-14T08:00:00Z", "9", role=Role.SAMPLE), "2026-11-14T08:00:00Z"),
            (a_charge("2026-11-14T08:00:00Z", "9", role=Role.PEAK), "2026-11-28T00:00:00Z"),
        ]
        early = a_charge("2026-10-30T08:00:00Z", "9", role=Role.PEAK)

        assert used(charges) == {"2026-11-14T00": ("9", "18")}
        assert used([(early, "2026-11-28T00:00:00Z")]) == {"2026-11-01T00": ("9", "18")}

    def test_a_peak_that_was_outdone_leaves_nothing(self) -> None:
        """A reversal takes away what its peak counted for."""
        peak = a_charge("2026-11-14T08:00:00Z", "9", role=Role.PEAK)
        charges = [
            (peak, "2026-11-28T00:00:00Z"),
            (replace(peak, role=Role.REVERSAL), "2026-11-29T00:00:00Z"),
            (a_charge("2026-11-20T08:00:00Z", "11", role=Role.PEAK), "2026-11-29T00:00:00Z"),
        ]

        assert used(charges) == {"2026-11-20T00": ("11", "22")}
