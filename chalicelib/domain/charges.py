"""Charges: how one event was charged, and the arithmetic of its price."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

from msgspec import Struct

from chalicelib.domain.credit import Payment
from chalicelib.domain.money import EXACT, ZERO, divide, exact
from chalicelib.domain.periods import Period
from chalicelib.domain.rate_card import Rate
from chalicelib.domain.usage_events import UsageEvent


class Role(Enum):
    """
    What a charge is.

    An `EVENT` adds to its product's usage. A `SAMPLE` of a daily peak costs nothing by itself. The `PEAK` is what the
    month's highest sample costs, and a `REVERSAL` takes one back that another sample has outdone.
    """

    EVENT = 0
    SAMPLE = 1
    PEAK = 2
    REVERSAL = 3


class Charge(Struct, frozen=True, gc=False):
    """How one event was charged: in which period, by which rate, and who paid what."""

    event: UsageEvent
    period: Period
    is_late: bool
    rate: Rate
    billed: Decimal
    free: Decimal
    amount: Decimal
    payments: tuple[Payment, ...]
    role: Role = Role.EVENT

    @property
    @exact
    def credits(self) -> Decimal:
        """Add up what credit paid."""
        return sum((payment.amount for payment in self.payments), ZERO)

    @property
    def is_taken_event(self) -> bool:
        """Tell whether this is how an event was taken: peaks and reversals speak of events taken before."""
        return self.role in (Role.EVENT, Role.SAMPLE)

    @property
    def sign(self) -> int:
        """Return what the figures count as: 1, -1 for those of a reversal, 0 for those of a sample."""
        return _SIGNS[self.role]


_SIGNS = {Role.EVENT: 1, Role.SAMPLE: 0, Role.PEAK: 1, Role.REVERSAL: -1}


def price(rate: Rate, billed: Decimal, free: Decimal) -> Decimal:
    """Return what *billed* units cost of which *free* are free: half-up to 12 decimals where it is endless."""
    if free == billed:
        return ZERO
    charged = EXACT.subtract(billed, free)
    return divide(EXACT.multiply(rate.price_per_increment, charged), rate.increment)


def billed_units(quantity: Decimal, increment: Decimal) -> Decimal:
    """Round *quantity* up to whole increments."""
    whole, rest = divmod(quantity, increment)
    return (whole + 1 if rest else whole) * increment
