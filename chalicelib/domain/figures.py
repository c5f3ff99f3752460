"""The figures of a period: what the tab, the balances and the invoice show of an account's state."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec import Struct

from chalicelib.domain.commitments import Frequency
from chalicelib.domain.credit import GrantKind, total_credit
from chalicelib.domain.due import close_due_at
from chalicelib.domain.instants import Instant
from chalicelib.domain.ledger import counting_grants
from chalicelib.domain.money import EXACT, ZERO, exact, round_to_minor
from chalicelib.domain.periods import Period
from chalicelib.domain.products import SHARED_POOL, Display, Product


if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.domain.state import AccountState, ProductUsage
    from chalicelib.domain.storage_peak import Peak


class FreeUnitFigures(Struct, frozen=True):
    """The free units of a product in a period: what the month includes and what of it is used."""

    included: Decimal
    used: Decimal

    @property
    def remaining(self) -> Decimal:
        """Return what is left, never below zero."""
        return max(EXACT.subtract(self.included, self.used), ZERO)


class PeakFigures(Struct, frozen=True):
    """The day of a storage peak in the account's zone, and its quantity."""

    on: date
    quantity: Decimal


class ProductFigures(Struct, frozen=True):
    """
    A product's row: its usage in the period.

    *free_units* is None where none are included, *peak* where the product is not metered by daily peaks.
    """

    resource: str
    name: str
    unit: str
    display: Display
    pool: str
    commit_available: bool
    quantity: Decimal
    billed: Decimal
    free_units: FreeUnitFigures | None
    amount: Decimal
    credits: Decimal
    peak: PeakFigures | None = None

    @property
    def to_be_invoiced(self) -> Decimal:
        """Return what credit left of the amount."""
        return EXACT.subtract(self.amount, self.credits)


class CommittedCredit(Struct, frozen=True):
    """A running commitment: what it recharges how often, and the days it last did and next will."""

    amount: Decimal
    frequency: Frequency
    last_recharge_on: date | None
    next_recharge_on: date | None


class PoolFigures(Struct, frozen=True):
    """A pool's credit by kind, what is to be invoiced of its products in the period, and its commitment if any."""

    pool: str
    committed: Decimal
    purchased: Decimal
    promotional: Decimal
    to_be_invoiced: Decimal
    commitment: CommittedCredit | None = None

    @property
    @exact
    def credit(self) -> Decimal:
        """Add up the credit that is left."""
        return self.committed + self.purchased + self.promotional

    @property
    @exact
    def balance(self) -> Decimal:
        """Return credit left less to be invoiced: positive is credit, negative what the invoice will ask for."""
        return self.credit - self.to_be_invoiced


class Figures(Struct, frozen=True):
    """All figures of a period; products and pools in the order of their codes, the shared pool first."""

    period: Period
    last_event_at: Instant | None
    products: tuple[ProductFigures, ...]
    pools: tuple[PoolFigures, ...]

    def pool(self, name: str) -> PoolFigures:
        """Return the figures of the pool *name*."""
        return next(pool for pool in self.pools if pool.pool == name)


def figures_of(state: AccountState, period: Period, products: Mapping[str, Product], at: Instant) -> Figures:
    """
    Return the figures of a *period* not yet invoiced, with the credit that counts for it at *at*.

    From the moment its invoice is due the credit is that of that moment, however late the invoice is issued.
    """
    at = min(at, close_due_at(state, period))
    usage = state.usage_of(period)
    used_pools = {product.pool for product in usage.products.values()}
    granted_pools = {grant.pool for grant in state.grants if grant.is_in_force(at)}
    own_pools = sorted((used_pools | granted_pools) - {SHARED_POOL})
    return Figures(
        period=period,
        last_event_at=usage.last_event_at,
        products=tuple(
            _product_figures(state, products[resource], usage.products[resource], usage.peaks.get(resource))
            for resource in sorted(usage.products)
        ),
        pools=tuple(_pool_figures(state, pool, period, at) for pool in (SHARED_POOL, *own_pools)),
    )


def _product_figures(state: AccountState, product: Product, usage: ProductUsage, peak: Peak | None) -> ProductFigures:
    included = state.account.included_units(product.resource)
    return ProductFigures(
        resource=product.resource,
        name=product.name,
        unit=product.unit,
        display=product.display,
        pool=usage.pool,
        commit_available=product.commit_available,
        quantity=usage.quantity,
        billed=usage.billed,
        free_units=FreeUnitFigures(included, usage.free) if included or usage.free else None,
        amount=usage.amount,
        credits=usage.credits,
        peak=None if peak is None else _peak_figures(state, peak),
    )


def _peak_figures(state: AccountState, peak: Peak) -> PeakFigures:
    event = peak.charge.event
    return PeakFigures(state.account.calendar.date_of(event.time), event.quantity)


def _pool_figures(state: AccountState, pool: str, period: Period, at: Instant) -> PoolFigures:
    grants = counting_grants(state, pool, period, at)
    return PoolFigures(
        pool=pool,
        committed=total_credit(grants, GrantKind.COMMITTED),
        purchased=total_credit(grants, GrantKind.PURCHASED),
        promotional=total_credit(grants, GrantKind.PROMOTIONAL),
        to_be_invoiced=state.usage_of(period).to_be_invoiced(pool),
        commitment=_committed_credit(state, pool, at),
    )


def _committed_credit(state: AccountState, pool: str, at: Instant) -> CommittedCredit | None:
    commitment = state.commitment(pool)
    today = state.account.calendar.date_of(at)
    if commitment is None or not commitment.is_active(today):
        return None
    last, following = commitment.recharge_days_around(today)
    return CommittedCredit(commitment.terms.amount, commitment.terms.frequency, last, following)


def line_total(product: ProductFigures, currency: str) -> Decimal:
    """Return what an invoice asks for a product: to be invoiced, rounded half-up to the minor unit."""
    return round_to_minor(product.to_be_invoiced, currency)
