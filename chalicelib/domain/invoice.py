"""Closing a month: the immutable invoice, and the state and ledger after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from chalicelib.domain.accounts import PaymentType
from chalicelib.domain.due import close_due_at
from chalicelib.domain.figures import Figures, figures_of, line_total
from chalicelib.domain.instants import Instant
from chalicelib.domain.ledger import EntryKind, LedgerEntry
from chalicelib.domain.money import ZERO, exact
from chalicelib.domain.state import AccountState


if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from chalicelib.domain.periods import Period
    from chalicelib.domain.products import Product


class Invoice(Struct, frozen=True):
    """
    What one account owes for one period, as the tab last showed it.

    *issued_at* is when it was due, *recorded_at* when it was issued. Name, zone and payment are those of that moment.
    """

    account: str
    account_name: str
    currency: str
    timezone: str
    payment: PaymentType
    figures: Figures
    issued_at: Instant
    recorded_at: Instant

    @property
    def id(self) -> str:
        """Name the invoice: one per account and period."""
        return f"{self.account}-{self.figures.period}"

    @property
    def period(self) -> Period:
        """Return the month invoiced."""
        return self.figures.period

    @property
    @exact
    def total(self) -> Decimal:
        """Add up the lines, each rounded half-up to the minor unit."""
        return sum((line_total(product, self.currency) for product in self.figures.products), ZERO)


class Close(Struct, frozen=True):
    """A month closed: the state after it, its invoice, and the movements of credit it recorded."""

    state: AccountState
    invoice: Invoice
    entries: tuple[LedgerEntry, ...]


def draft_invoice(state: AccountState, period: Period, products: Mapping[str, Product], at: Instant) -> Invoice:
    """Return the invoice that *period* would get if nothing more happened in it."""
    return Invoice(
        account=state.account.id,
        account_name=state.account.name,
        currency=state.account.currency,
        timezone=state.account.timezone,
        payment=state.account.payment_method.type,
        figures=figures_of(state, period, products, at),
        issued_at=close_due_at(state, period),
        recorded_at=at,
    )


def close_oldest_period(state: AccountState, products: Mapping[str, Product], at: Instant) -> Close:
    """
    Issue the invoice of the oldest open period at *at*; what was due before the month's end is carried out already.

    What is to be invoiced goes onto the invoice and is added back to the balance of each pool.
    """
    period = state.oldest_open
    invoice = draft_invoice(state, period, products, at)
    periods = {other: usage for other, usage in state.periods.items() if other != period}
    closed = replace(state, at=at, invoiced_through=period, periods=periods)
    return Close(closed, invoice, _entries(invoice))


@exact
def _entries(invoice: Invoice) -> tuple[LedgerEntry, ...]:
    return tuple(
        LedgerEntry(
            id=f"invoice-{invoice.period}-{pool.pool}",
            at=invoice.issued_at,
            recorded_at=invoice.recorded_at,
            kind=EntryKind.INVOICE,
            pool=pool.pool,
            amount=pool.to_be_invoiced,
            balance_before=pool.balance,
            cause=invoice.id,
            actor="schedule:issue-invoices",
            period=invoice.period,
        )
        for pool in invoice.figures.pools
        if pool.to_be_invoiced
    )
