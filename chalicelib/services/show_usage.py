"""What people see of an account: the tab, the balances, the invoices. Each is one read of the head or an invoice."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from msgspec import Struct

from chalicelib.domain.accounts import PaymentType
from chalicelib.domain.consequences import expected_credit, warnings_shown
from chalicelib.domain.due import carry_out_due
from chalicelib.domain.figures import Figures, figures_of
from chalicelib.domain.instants import Instant
from chalicelib.domain.invoice import Invoice, draft_invoice
from chalicelib.domain.low_credit import ExpectedCredit
from chalicelib.services.errors import RefusedError
from chalicelib.services.manage_accounts import unknown_account


if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.domain.periods import Period
    from chalicelib.domain.products import Product
    from chalicelib.domain.state import AccountState
    from chalicelib.services.clocks import Clock
    from chalicelib.storage.accounts import Accounts
    from chalicelib.storage.catalogue import Catalogue
    from chalicelib.storage.records import Records


class PeriodStatus(Enum):
    """Where a period stands: running, over but not invoiced yet, or invoiced."""

    OPEN = "open"
    CLOSING = "closing"
    INVOICED = "invoiced"


class ShownWarning(Struct, frozen=True):
    """A low-credit warning on the tab; *level* is in per cent of *expected*, the credit expected per month."""

    id: str
    level: int
    expected: ExpectedCredit


class Tab(Struct, frozen=True):
    """
    The Usage tab of a period; account details are those at issue once it is invoiced. True up to *as_of*.

    *has_auto_recharge* tells whether it is switched on now, *warnings* are those that show.
    """

    account: str
    account_name: str
    currency: str
    timezone: str
    payment: PaymentType
    status: PeriodStatus
    as_of: Instant
    figures: Figures
    has_auto_recharge: bool
    warnings: tuple[ShownWarning, ...] = ()


class ShowingUsage:
    """Answers what an account has used and owes."""

    def __init__(self, accounts: Accounts, records: Records, catalogue: Catalogue, clock: Clock) -> None:
        """Show *accounts* and *records*, with the product names of *catalogue*."""
        self._accounts = accounts
        self._records = records
        self._catalogue = catalogue
        self._clock = clock

    def tab(self, account: str, period: Period | None = None) -> Tab:
        """
        Return the tab of *period*; None is the one awaiting its invoice, else the current one.

        Raises:
            RefusedError: `not_found` for an unknown account, a period before it or one in the future.
        """
        state, at = self._state(account)
        period = state.oldest_open if period is None else period
        if period <= state.invoiced_through:
            return self._tab_at_issue(state, period)
        if period > state.current_period(at):
            detail = f"{period} is in the future"
            raise RefusedError("not_found", detail)
        return Tab(
            account=account,
            account_name=state.account.name,
            currency=state.account.currency,
            timezone=state.account.timezone,
            payment=state.account.payment_method.type,
            status=PeriodStatus.OPEN if period == state.current_period(at) else PeriodStatus.CLOSING,
            as_of=at,
            figures=figures_of(state, period, self._products(state), at),
            has_auto_recharge=state.auto_recharge.is_enabled,
            warnings=_warnings(state, at),
        )

    def invoice(self, account: str, period: Period) -> Invoice:
        """
        Return the invoice of *period*.

        Raises:
            RefusedError: `not_found` where none is issued.
        """
        invoice = self._records.invoice(account, period)
        if invoice is None:
            detail = f"no invoice of {period} is issued for account {account!r}"
            raise RefusedError("not_found", detail)
        return invoice

    def upcoming_invoice(self, account: str) -> Invoice:
        """
        Return the next invoice as it would be now.

        Raises:
            RefusedError: `not_found` for an unknown account.
        """
        state, at = self._state(account)
        return draft_invoice(state, state.oldest_open, self._products(state), at)

    def _tab_at_issue(self, state: AccountState, period: Period) -> Tab:
        invoice = self.invoice(state.account.id, period)
        return Tab(
            account=invoice.account,
            account_name=invoice.account_name,
            currency=invoice.currency,
            timezone=invoice.timezone,
            payment=invoice.payment,
            status=PeriodStatus.INVOICED,
            as_of=invoice.issued_at,
            figures=invoice.figures,
            has_auto_recharge=state.auto_recharge.is_enabled,
        )

    def _state(self, account: str) -> tuple[AccountState, Instant]:
        """Return the account as of now: what is due is carried out for the reader, whether or not a job has run."""
        state = self._accounts.state(account)
        if state is None:
            raise unknown_account(account)
        at = max(state.at, self._clock.now())
        state, _ = carry_out_due(state, at, at)
        return state, at

    def _products(self, state: AccountState) -> Mapping[str, Product]:
        products = self._catalogue.products()
        if not all(resource in products for usage in state.periods.values() for resource in usage.products):
            products = self._catalogue.products(fresh=True)
        return {resource: entry.product for resource, entry in products.items()}


def _warnings(state: AccountState, at: Instant) -> tuple[ShownWarning, ...]:
    expected = expected_credit(state, at)
    if expected is None:
        return ()
    return tuple(ShownWarning(state.warnings.id_of(level), level, expected) for level in warnings_shown(state, at))
