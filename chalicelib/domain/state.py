"""What is known of an account at one moment: its settings, its usage not yet invoiced and its credit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from chalicelib.domain.accounts import Account
from chalicelib.domain.auto_recharge import NEVER_CONFIGURED, AutoRecharge
from chalicelib.domain.commitments import Commitment
from chalicelib.domain.credit import Grant
from chalicelib.domain.instants import Instant
from chalicelib.domain.low_credit import NO_WARNINGS, Warnings
from chalicelib.domain.money import EXACT, ZERO
from chalicelib.domain.periods import Period
from chalicelib.domain.storage_peak import Peak


class ProductUsage(Struct, frozen=True):
    """
    The usage of a product in a period.

    *quantity*, *billed* and *free* are in the product's unit; *amount* is what billed units beyond the free ones cost,
    *credits* what credit paid of it.
    """

    pool: str
    quantity: Decimal = ZERO
    billed: Decimal = ZERO
    free: Decimal = ZERO
    amount: Decimal = ZERO
    credits: Decimal = ZERO

    @property
    def to_be_invoiced(self) -> Decimal:
        """Return what credit left of the amount."""
        return EXACT.subtract(self.amount, self.credits)


class PeriodUsage(Struct, frozen=True):
    """
    The usage of a period by resource, and the latest time of an event in it.

    *peaks* holds the highest samples of the period's window, by resource.
    """

    products: Mapping[str, ProductUsage] = {}
    last_event_at: Instant | None = None
    peaks: Mapping[str, Peak] = {}

    def of_pool(self, pool: str) -> Iterator[tuple[str, ProductUsage]]:
        """Yield the products that *pool* pays for, in the order of their resource codes."""
        for resource in sorted(self.products):
            if self.products[resource].pool == pool:
                yield resource, self.products[resource]

    def to_be_invoiced(self, pool: str) -> Decimal:
        """Add up what credit of *pool* left to be invoiced."""
        total = ZERO
        for usage in self.products.values():
            if usage.pool == pool:
                total = EXACT.add(total, usage.to_be_invoiced)
        return total


NO_USAGE = PeriodUsage()


class AccountState(Struct, frozen=True):
    """
    An account at the instant *at*, the latest at which it changed.

    *periods* holds the usage of every period after *invoiced_through*; a period without usage may be absent.
    *is_used* tells whether there ever was usage or credit, which fix the currency and the time zone.
    """

    account: Account
    at: Instant
    invoiced_through: Period
    periods: Mapping[Period, PeriodUsage] = {}
    grants: tuple[Grant, ...] = ()
    commitments: tuple[Commitment, ...] = ()
    is_used: bool = False
    auto_recharge: AutoRecharge = NEVER_CONFIGURED
    warnings: Warnings = NO_WARNINGS

    @property
    def oldest_open(self) -> Period:
        """Return the oldest period that is not invoiced yet."""
        return self.invoiced_through.next

    def usage_of(self, period: Period) -> PeriodUsage:
        """Return the usage of a period not yet invoiced."""
        return self.periods.get(period, NO_USAGE)

    def commitment(self, pool: str) -> Commitment | None:
        """Return the commitment in *pool*, a deleted one too, None where there never was one."""
        return next((commitment for commitment in self.commitments if commitment.pool == pool), None)

    def with_commitment(self, commitment: Commitment) -> AccountState:
        """Return the state with *commitment* in the place of any other in its pool."""
        others = (other for other in self.commitments if other.pool != commitment.pool)
        commitments = tuple(sorted((*others, commitment), key=lambda one: one.pool))
        return replace(self, commitments=commitments)

    def current_period(self, at: Instant) -> Period:
        """
        Return the calendar month at the instant *at*.

        For an account that was moved to a zone where it still is the month before its first, that is its first.
        """
        return max(self.account.calendar.period_of(at), self.oldest_open)

    def with_usage(self, period: Period, usage: PeriodUsage) -> AccountState:
        """Return the state with another usage of *period*."""
        return replace(self, periods={**self.periods, period: usage})
