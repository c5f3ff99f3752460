"""The audit: everything computed anew from the recorded events and the ledger, and compared with what is served."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from chalicelib.domain.ledger import EntryKind
from chalicelib.domain.money import ZERO, exact, format_decimal
from chalicelib.domain.state import ProductUsage
from chalicelib.services.manage_accounts import unknown_account
from chalicelib.storage.pages import LostPageError


if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from decimal import Decimal

    from chalicelib.domain.charges import Charge
    from chalicelib.domain.figures import Figures
    from chalicelib.domain.invoice import Invoice
    from chalicelib.domain.ledger import LedgerEntry
    from chalicelib.domain.periods import Period
    from chalicelib.domain.usage_events import Identity
    from chalicelib.storage.accounts import Accounts
    from chalicelib.storage.catalogue import Catalogue
    from chalicelib.storage.heads import Head
    from chalicelib.storage.pages import Pages
    from chalicelib.storage.records import Records


LOOKS_MAX: Final = 5


class Auditing:
    """Audits accounts, one at a time."""

    def __init__(self, accounts: Accounts, pages: Pages, records: Records, catalogue: Catalogue) -> None:
        """Audit *accounts* against *pages* and *records*."""
        self._accounts = accounts
        self._pages = pages
        self._records = records
        self._catalogue = catalogue

    @exact
    def audit(self, account: str) -> list[str]:
        """
        Return a sentence for every difference found, none for an account that is in order.

        An account that changes meanwhile is looked at again: what was read of it may not belong together.

        Raises:
            RefusedError: `not_found` for an unknown account.
        """
        differences: list[str] = []
        for _ in range(LOOKS_MAX):
            head = self._load(account)
            differences = self._compare(head)
            if not differences or self._load(account).version == head.version:
                break
        return differences

    def _load(self, account: str) -> Head:
        head = self._accounts.load(account)
        if head is None:
            raise unknown_account(account)
        return head

    def _compare(self, head: Head) -> list[str]:
        account = head.state.account.id
        invoices = {invoice.period: invoice for _, invoice in self._records.invoices(account)}
        entries = [entry for _, entry in self._records.ledger(account)]
        recount = _Recount(self._catalogue)
        try:
            for period in _periods(head, invoices):
                for taking in self._pages.in_order_of_charge(head, period):
                    recount.add(charge for charge in taking.charges if charge.period == period)
        except LostPageError as error:
            return [*recount.differences, f"lost: {error}"]
        for entry in entries:
            recount.settle(entry)
        return [
            *recount.differences,
            *_compare_usage(head, invoices, recount),
            *_compare_grants(head, entries, recount),
            *_compare_invoices(head, invoices, entries),
        ]


class _Recount:
    """Usage by period and resource and credit used by grant, added up from charges and ledger entries."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._seen: set[Identity] = set()
        self.usage: dict[tuple[Period, str], list[Decimal]] = defaultdict(lambda: [ZERO] * 5)
        self.used: dict[str, Decimal] = defaultdict(lambda: ZERO)
        self.differences: list[str] = []

    def add(self, charges: Iterator[Charge]) -> None:
        for charge in charges:
            self._check(charge)
            paid = charge.credits
            parts = (charge.event.quantity, charge.billed, charge.free, charge.amount, paid)
            totals = self.usage[charge.period, charge.event.resource]
            totals[:] = [total + part for total, part in zip(totals, parts, strict=True)]
            for payment in charge.payments:
                self.used[payment.grant] += payment.amount

    def settle(self, entry: LedgerEntry) -> None:
        for settled in entry.settled:
            self.usage[entry.period, settled.resource][4] += settled.amount
            if entry.grant is not None:
                self.used[entry.grant] += settled.amount

    def _check(self, charge: Charge) -> None:
        event = charge.event
        if event.identity in self._seen:
            self.differences.append(f"event {event.id} of {event.source} is counted twice")
        self._seen.add(event.identity)
        if charge.credits > charge.amount:
            self.differences.append(f"event {event.id} of {event.source} is paid more than it costs")
        row = self._catalogue.table(charge.rate.card, charge.rate.revision).rows[charge.rate.row]
        if (row.price_per_increment, row.increment) != (
            charge.rate.price_per_increment,
            charge.rate.increment,
        ):
            self.differences.append(f"event {event.id} of {event.source} is not priced as its rate row says")


def _periods(head: Head, invoices: Mapping[Period, Invoice]) -> Iterator[Period]:
    period = min((*invoices, head.state.oldest_open))
    last = max((*head.state.periods, head.state.current_period(head.state.at)))
    while period <= last:
        yield period
        period = period.next


def _compare_usage(head: Head, invoices: Mapping[Period, Invoice], recount: _Recount) -> Iterator[str]:
    served = {(period, resource): usage for period, resource, usage in _served(head, invoices)}
    for period, resource in sorted({*served, *recount.usage}):
        totals = recount.usage[period, resource]
        usage = served.get((period, resource), ProductUsage(""))
        shown = (usage.quantity, usage.billed, usage.free, usage.amount, usage.credits)
        for name, total, figure in zip(
            ("quantity", "billed quantity", "free units", "amount", "credits applied"),
            totals,
            shown,
            strict=True,
        ):
            if total != figure:
                yield f"{period} {resource}: {name} is {_text(figure)}, the events say {_text(total)}"


def _served(head: Head, invoices: Mapping[Period, Invoice]) -> Iterator[tuple[Period, str, ProductUsage]]:
    for period, usage in head.state.periods.items():
        for resource, product in usage.products.items():
            yield period, resource, product
    for period, invoice in invoices.items():
        for resource, product in _usage_of(invoice.figures):
            yield period, resource, product


def _usage_of(figures: Figures) -> Iterator[tuple[str, ProductUsage]]:
    for row in figures.products:
        free = ZERO if row.free_units is None else row.free_units.used
        yield row.resource, ProductUsage(row.pool, row.quantity, row.billed, free, row.amount, row.credits)


def _compare_grants(head: Head, entries: list[LedgerEntry], recount: _Recount) -> Iterator[str]:
    left: dict[str, Decimal] = defaultdict(lambda: ZERO)
    for entry in entries:
        if entry.grant is not None:
            left[entry.grant] += entry.amount
    for grant, used in recount.used.items():
        left[grant] -= used
    kept = {grant.id: grant.remaining for grant in head.state.grants}
    for grant in sorted({*left, *kept}):
        if left[grant] != kept.get(grant, ZERO):
            yield f"grant {grant}: {_text(kept.get(grant, ZERO))} is left, the ledger says {_text(left[grant])}"


def _compare_invoices(head: Head, invoices: Mapping[Period, Invoice], entries: list[LedgerEntry]) -> Iterator[str]:
    booked: dict[tuple[Period, str], Decimal] = defaultdict(lambda: ZERO)
    for entry in entries:
        if entry.kind is EntryKind.INVOICE:
            booked[entry.period, entry.pool] += entry.amount
    for period, invoice in sorted(invoices.items()):
        for pool in invoice.figures.pools:
            amount = booked.pop((period, pool.pool), ZERO)
            if amount != pool.to_be_invoiced:
                asked = _text(pool.to_be_invoiced)
                yield f"invoice {period}: {pool.pool} asks for {asked}, the ledger says {_text(amount)}"
    for period, name in sorted(booked):
        yield f"invoice {period}: the ledger has an entry of {name} but there is no such invoice"
    yield from _missing_invoices(head, invoices)


def _missing_invoices(head: Head, invoices: Mapping[Period, Invoice]) -> Iterator[str]:
    period = min(invoices, default=head.state.oldest_open)
    while period <= head.state.invoiced_through:
        if period not in invoices:
            yield f"invoice {period} is missing"
        period = period.next


def _text(value: Decimal) -> str:
    return format_decimal(value)
