"""
A month as of one moment: whose it is, its figures, and every charge and later payment that they are made of.

What reports, series and the list of interactions show is read here, so that they always agree with the tab: they are as
of one head, with what is due but not recorded yet carried out for the reader.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from chalicelib.domain.charges import Charge
from chalicelib.domain.due import carry_out_due
from chalicelib.domain.figures import Figures, figures_of
from chalicelib.domain.instants import DAY, Instant
from chalicelib.domain.ledger import LedgerEntry
from chalicelib.domain.periods import Calendar, Period
from chalicelib.domain.storage_peak import peak_due_at
from chalicelib.services.errors import RefusedError
from chalicelib.services.manage_accounts import unknown_account
from chalicelib.storage.heads import Head
from chalicelib.storage.pages import Position


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from chalicelib.domain.products import Product
    from chalicelib.domain.state import AccountState
    from chalicelib.services.clocks import Clock
    from chalicelib.storage.accounts import Accounts
    from chalicelib.storage.catalogue import Catalogue
    from chalicelib.storage.pages import Pages
    from chalicelib.storage.records import Records

_ZONES_APART: Final = 2 * DAY
"""More than the same calendar day can be apart in two zones, by which an account's first month may begin early."""


class Charged(Struct, frozen=True, gc=False):
    """A charge, and when it was made."""

    charge: Charge
    at: Instant


class Month(Struct, frozen=True):
    """
    A *period* of an account as *head* has it at the instant *at*; *figures* are those of the tab.

    *is_final* tells whether it is invoiced, so that nothing of it changes any more. *due_charges* and *due_entries* are
    due without being recorded.
    """

    head: Head
    period: Period
    at: Instant
    figures: Figures
    is_final: bool
    due_charges: tuple[Charge, ...] = ()
    due_entries: tuple[LedgerEntry, ...] = ()

    @property
    def account(self) -> str:
        """Name the account."""
        return self.head.state.account.id

    @property
    def currency(self) -> str:
        """Return what amounts are in."""
        return self.head.state.account.currency

    @property
    def calendar(self) -> Calendar:
        """Return the days and months of the account's zone."""
        return self.head.state.account.calendar


class ReadingMonths:
    """Reads what was charged in a month."""

    def __init__(self, accounts: Accounts, pages: Pages, records: Records, catalogue: Catalogue, clock: Clock) -> None:
        """Read *accounts*, *pages* and *records*."""
        self._accounts = accounts
        self._pages = pages
        self._records = records
        self._catalogue = catalogue
        self._clock = clock

    def open(self, account: str, period: Period | None = None) -> Month:
        """
        Return *period* as it is now; None is the one that the tab shows.

        Raises:
            RefusedError: `not_found` for an unknown account, a period before it or one in the future, `gone` for one
                whose usage is not all kept any more.
        """
        head = self._accounts.load(account)
        if head is None:
            raise unknown_account(account)
        at = max(head.state.at, self._clock.now())
        state, done = carry_out_due(head.state, at, at)
        period = state.oldest_open if period is None else period
        if period > state.current_period(at):
            detail = f"{period} is in the future"
            raise RefusedError("not_found", detail)
        is_final = period <= state.invoiced_through
        figures = self._figures_at_issue(account, period) if is_final else self._figures(state, period, at)
        self._check_kept(state, period)
        charges = tuple(one for one in done if isinstance(one, Charge) and one.period == period)
        entries = tuple(one for one in done if isinstance(one, LedgerEntry) and one.period == period and one.settled)
        return Month(head, period, at, figures, is_final, charges, entries)

    def in_order_of_charge(self, month: Month) -> Iterator[Charged | LedgerEntry]:
        """Yield the charges of *month* and the movements of credit that paid for some of them later, as they came."""
        waiting = self._settlements(month)
        for taking in self._pages.in_order_of_charge(month.head, month.period):
            while waiting and waiting[0][0] <= taking.version:
                yield waiting.pop(0)[1]
            yield from (Charged(charge, taking.at) for charge in taking.charges if charge.period == month.period)
        yield from (entry for _, entry in waiting)
        yield from (Charged(charge, month.at) for charge in month.due_charges)
        yield from month.due_entries

    def newest_first(self, month: Month, before: Position | None = None) -> Iterator[tuple[Position, Charge]]:
        """Yield the charges of *month* and others made in between, the last first, from behind *before*."""
        for place in reversed(range(len(month.due_charges))):
            # As the next commit is going to record it.
            position = Position(month.at, month.head.version + 1, 0, place)
            if before is None or position < before:
                yield position, month.due_charges[place]
        yield from self._pages.newest_first(month.head, month.period, before)

    def products(self, resources: Iterable[str]) -> Mapping[str, Product]:
        """Return the catalogue; read anew where what is remembered lacks one of *resources*."""
        products = self._catalogue.products()
        if not all(resource in products for resource in resources):
            products = self._catalogue.products(fresh=True)
        return {resource: entry.product for resource, entry in products.items()}

    def _settlements(self, month: Month) -> list[tuple[int, LedgerEntry]]:
        start, end = month.calendar.start_of(month.period) - _ZONES_APART, month.calendar.end_of(month.period)
        return [
            (version, entry)
            for version, entry in self._records.settlements(month.account, start, end)
            if entry.period == month.period and version <= month.head.version
        ]

    def _figures(self, state: AccountState, period: Period, at: Instant) -> Figures:
        used = {resource for usage in state.periods.values() for resource in usage.products}
        return figures_of(state, period, self.products(used), at)

    def _figures_at_issue(self, account: str, period: Period) -> Figures:
        invoice = self._records.invoice(account, period)
        if invoice is None:
            detail = f"account {account!r} began after {period}"
            raise RefusedError("not_found", detail)
        return invoice.figures

    def _check_kept(self, state: AccountState, period: Period) -> None:
        """Refuse a month of which the first samples, from the 28th of the month before, may have been deleted."""
        first = peak_due_at(state.account.calendar, period.previous)
        if first < self._pages.kept_since(self._clock.now()):
            detail = f"usage of {period} is not kept any more"
            raise RefusedError("gone", detail)
