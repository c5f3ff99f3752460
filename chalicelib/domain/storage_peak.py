"""
The storage peak: a daily-peak product is charged for one day a month, the one with the highest sample.

The window of a month runs from the 28th of the month before to its 27th, both included. From the first instant of the
28th the peak is charged; a sample of the window that comes later, before the invoice, may still outdo it.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from chalicelib.domain.charges import Charge, Role
from chalicelib.domain.credit import Grant, Payment
from chalicelib.domain.periods import Period


if TYPE_CHECKING:
    from decimal import Decimal

    from chalicelib.domain.instants import Instant
    from chalicelib.domain.periods import Calendar

FIRST_DAY: Final = 28
"""The day of the month with which a window begins, and on which the month's peak is charged."""


class Peak(Struct, frozen=True):
    """
    The highest sample of a window so far; *charge* holds it, its role tells whether it is charged yet.

    *pool* pays for it. *paid_by* are the grants that paid, as they were, for giving back what they paid.
    """

    charge: Charge
    pool: str
    paid_by: tuple[Grant, ...] = ()

    @property
    def is_charged(self) -> bool:
        """Tell whether the peak has been charged."""
        return self.charge.role is Role.PEAK

    def paid_later(self, grant: Grant, amount: Decimal) -> Peak:
        """Return the peak once *grant*, which arrived after it was charged, has paid *amount* of it."""
        charge = replace(self.charge, payments=(*self.charge.payments, Payment(grant.id, amount)))
        return replace(self, charge=charge, paid_by=(*self.paid_by, grant))

    def is_outdone_by(self, sample: Charge) -> bool:
        """
        Tell whether *sample* is higher, or as high and earlier: of equal days the earliest counts.

        Of equal samples of one instant the names decide, so that the order in which they come never matters.
        """
        own, other = self.charge.event, sample.event
        if other.quantity != own.quantity:
            return other.quantity > own.quantity
        return (other.time, other.source, other.id) < (own.time, own.source, own.id)


def window_period(calendar: Calendar, time: Instant) -> Period:
    """Return the month whose window holds the instant *time*."""
    day = calendar.date_of(time)
    period = Period(day.year, day.month)
    return period.next if time >= peak_due_at(calendar, period) else period


def peak_due_at(calendar: Calendar, period: Period) -> Instant:
    """Return when the peak of *period* is charged: at the first instant after its window."""
    return calendar.start_of_day(date(period.year, period.month, FIRST_DAY))
