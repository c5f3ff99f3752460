"""
Low-credit warnings for the shared pool of an account with a commitment.

A balance is measured against the expected monthly credit: what the commitment comes to per month. Accounts that pay by
card are warned when little of it is left, accounts that pay by invoice when they have overdrawn by much of it. Every
level is raised once per month and recharge, and of levels crossed together the severest alone.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from chalicelib.domain.accounts import PaymentType
from chalicelib.domain.money import exact, round_quotient
from chalicelib.domain.periods import Period


LEVELS: Final = {PaymentType.CREDIT_CARD: (15, 10, 5), PaymentType.INVOICE: (85, 90, 95)}
"""Per cent of the expected monthly credit, in the order of severity."""


class ExpectedCredit(Struct, frozen=True):
    """The expected monthly credit: *amount* for every so many *months*."""

    amount: Decimal
    months: int

    def per_month(self, currency: str) -> Decimal:
        """Return what it comes to in a month, rounded to the minor unit of *currency* for people to read."""
        return round_quotient(self.amount, Decimal(self.months), currency)


class RaisedWarning(Struct, frozen=True):
    """A warning that was raised at a level."""

    level: int
    is_dismissed: bool = False


class Warnings(Struct, frozen=True):
    """The warnings *raised* in *month* since the last credit; *armed* counts how often credit has re-armed them."""

    armed: int = 0
    month: Period | None = None
    raised: tuple[RaisedWarning, ...] = ()

    def id_of(self, level: int) -> str:
        """Name the warning raised at *level*: no other ever has that name in the account."""
        return f"credit-low-{self.month}-{level}-{self.armed}"

    def rearmed(self) -> Warnings:
        """Return the warnings once credit has arrived."""
        return Warnings(self.armed + 1)

    def raise_for(
        self, crossed: tuple[int, ...], levels: tuple[int, ...], month: Period
    ) -> tuple[Warnings, int | None]:
        """Raise the severest of the levels *crossed* unless it or a severer one was raised; return it, else None."""
        current = self if self.month == month else Warnings(self.armed, month)
        severest = max((levels.index(level) for level in crossed), default=-1)
        raised = max((levels.index(one.level) for one in current.raised if one.level in levels), default=-1)
        if severest <= raised:
            return self, None
        level = levels[severest]
        return replace(current, raised=(*current.raised, RaisedWarning(level))), level

    def shown(self, crossed: tuple[int, ...], month: Period) -> list[int]:
        """Return the levels whose warnings show in *month*: raised, not dismissed, and still true."""
        if self.month != month:
            return []
        return [one.level for one in self.raised if not one.is_dismissed and one.level in crossed]

    def dismissed(self, warning: str) -> Warnings | None:
        """Return the warnings with the one named *warning* dismissed, None where there is none of that name."""
        if all(self.id_of(one.level) != warning for one in self.raised):
            return None
        raised = tuple(
            replace(one, is_dismissed=True) if self.id_of(one.level) == warning else one for one in self.raised
        )
        return replace(self, raised=raised)


NO_WARNINGS: Final = Warnings()


@exact
def levels_crossed(payment: PaymentType, expected: ExpectedCredit, balance: Decimal) -> tuple[int, ...]:
    """Return the levels that *balance* has crossed, in the order of severity."""
    hundredths = 100 * expected.months * balance
    if payment is PaymentType.CREDIT_CARD:
        return tuple(level for level in LEVELS[payment] if hundredths <= level * expected.amount)
    return tuple(level for level in LEVELS[payment] if -hundredths > level * expected.amount)
