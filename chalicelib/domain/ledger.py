"""The ledger: every movement of credit, what it changes, and how credit that arrives pays what is open."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from chalicelib.domain.credit import Grant, replace_remaining, total_credit
from chalicelib.domain.instants import Instant
from chalicelib.domain.money import ZERO, exact
from chalicelib.domain.periods import Period
from chalicelib.domain.products import SHARED_POOL


if TYPE_CHECKING:
    from chalicelib.domain.state import AccountState


class EntryKind(Enum):
    """Why credit moved."""

    RECHARGE = "recharge"
    PURCHASE = "purchase"
    AUTO_RECHARGE = "auto_recharge"
    GRANT = "grant"
    VOID = "void"
    EXPIRY = "expiry"
    INVOICE = "invoice"


class Settled(Struct, frozen=True):
    """What arriving credit paid of a product's amount that was to be invoiced."""

    resource: str
    amount: Decimal


class LedgerEntry(Struct, frozen=True):
    """
    One movement of credit in a pool.

    *at* is when it was due, *recorded_at* when it was done; *amount* = *balance_after* - *balance_before*. *grant* is
    the grant that moved, *settled* what it paid on arrival, *period* the month whose balance is shown.
    """

    id: str
    at: Instant
    recorded_at: Instant
    kind: EntryKind
    pool: str
    amount: Decimal
    balance_before: Decimal
    cause: str
    actor: str
    period: Period
    expires_on: date | None = None
    grant: str | None = None
    settled: tuple[Settled, ...] = ()

    @property
    @exact
    def balance_after(self) -> Decimal:
        """Return the pool's balance once the credit moved."""
        return self.balance_before + self.amount


@exact
def pool_balance(state: AccountState, pool: str, period: Period, at: Instant) -> Decimal:
    """Return the credit of *pool* that counts for *period* at *at*, less what is to be invoiced in that period."""
    return total_credit(counting_grants(state, pool, period, at)) - state.usage_of(period).to_be_invoiced(pool)


def counting_grants(state: AccountState, pool: str, period: Period, at: Instant) -> list[Grant]:
    """Return the grants of *pool* in force at *at* that took effect before the end of *period*."""
    end = state.account.calendar.end_of(period)
    return [
        grant for grant in state.grants if grant.pool == pool and grant.effective_at < end and grant.is_in_force(at)
    ]


@exact
def book_grant(state: AccountState, grant: Grant) -> tuple[AccountState, tuple[Settled, ...]]:
    """
    Add *grant* to its pool, after it paid what of the pool is to be invoiced in the month of its effect.

    Products are paid in the order of their resource codes. Credit in the shared pool re-arms its warnings.
    """
    period = state.current_period(grant.effective_at)
    usage = state.usage_of(period)
    products = dict(usage.products)
    remaining = grant.remaining
    peaks = dict(usage.peaks)
    settled = []
    for resource, product in usage.of_pool(grant.pool):
        paid = min(remaining, product.to_be_invoiced)
        if paid:
            products[resource] = replace(product, credits=product.credits + paid)
            settled.append(Settled(resource, paid))
            remaining -= paid
            if resource in peaks:
                peaks[resource] = peaks[resource].paid_later(grant, paid)
    if settled:
        state = state.with_usage(period, replace(usage, products=products, peaks=peaks))
    if remaining:
        state = replace(state, grants=(*state.grants, replace(grant, remaining=remaining)))
    warnings = state.warnings.rearmed() if grant.pool == SHARED_POOL else state.warnings
    return replace(state, is_used=True, warnings=warnings), tuple(settled)


@exact
def expire_grant(state: AccountState, grant: Grant, recorded_at: Instant) -> tuple[AccountState, LedgerEntry]:
    """Take away what is left of a *grant* at the instant it expires."""
    at = grant.expires_at
    if at is None:
        message = f"grant {grant.id} never expires"
        raise ValueError(message)
    period = state.current_period(at)
    entry = LedgerEntry(
        id=f"expiry-{grant.id}-{grant.revivals}" if grant.revivals else f"expiry-{grant.id}",
        at=at,
        recorded_at=recorded_at,
        kind=EntryKind.EXPIRY,
        pool=grant.pool,
        amount=-grant.remaining,
        balance_before=pool_balance(state, grant.pool, period, at - 1),
        cause=grant.id,
        actor="schedule:expire-credit",
        period=period,
        expires_on=state.account.calendar.date_of(at - 1),
        grant=grant.id,
    )
    return replace(state, grants=replace_remaining(state.grants, {grant.id: ZERO})), entry


@exact
def void_grant(state: AccountState, grant: Grant, at: Instant, actor: str) -> tuple[AccountState, LedgerEntry]:
    """Take back what is left of a *grant* at the instant *at*."""
    period = state.current_period(at)
    entry = LedgerEntry(
        id=f"void-{grant.id}",
        at=at,
        recorded_at=at,
        kind=EntryKind.VOID,
        pool=grant.pool,
        amount=-grant.remaining,
        balance_before=pool_balance(state, grant.pool, period, at),
        cause=grant.id,
        actor=actor,
        period=period,
        grant=grant.id,
    )
    return replace(state, grants=replace_remaining(state.grants, {grant.id: ZERO})), entry
