"""Accounts: one customer's currency, billing time zone, payment method, rate card and free units."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import Enum

from msgspec import Struct

from chalicelib.domain.money import EXACT, ZERO
from chalicelib.domain.periods import Calendar, calendar


class Per(Enum):
    """What a quantity of free units is multiplied by."""

    ACCOUNT = "account"
    AGENT = "agent"


class FreeUnits(Struct, frozen=True):
    """The units of a product that a month includes, for the account or for each of its agents."""

    quantity: Decimal
    per: Per


class PaymentType(Enum):
    """How an account pays what it owes."""

    CREDIT_CARD = "credit_card"
    INVOICE = "invoice"


class PaymentMethod(Struct, frozen=True):
    """A way of paying; *token* stands for the card at the payment gateway."""

    type: PaymentType
    token: str | None = None

    def __repr__(self) -> str:
        """Show the type alone: the token is a secret."""
        return f"PaymentMethod({self.type.value})"


class Account(Struct, frozen=True):
    """What an administrator sets for one customer."""

    id: str
    name: str
    currency: str
    timezone: str
    payment_method: PaymentMethod
    rate_card: str
    agents: int
    free_units: Mapping[str, FreeUnits]

    @property
    def calendar(self) -> Calendar:
        """Return the days and months of the account's zone."""
        return calendar(self.timezone)

    def included_units(self, resource: str) -> Decimal:
        """Return the free units of *resource* in a month, in the product's unit."""
        free = self.free_units.get(resource)
        if free is None:
            return ZERO
        return free.quantity if free.per is Per.ACCOUNT else EXACT.multiply(free.quantity, Decimal(self.agents))
