"""What must hold in a simulation, whatever happens in it: each invariant has a name and is counted as it is checked."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from chalicelib.domain.card_payments import PaymentKind
from chalicelib.domain.charges import Role, billed_units, price
from chalicelib.domain.due import close_due_at
from chalicelib.domain.ledger import EntryKind
from chalicelib.domain.money import ZERO, exact
from chalicelib.domain.storage_peak import window_period
from chalicelib.payments.gateway import PaymentState
from chalicelib.services.errors import RefusedError


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from decimal import Decimal

    from chalicelib.domain.charges import Charge
    from chalicelib.domain.figures import Figures, PoolFigures
    from chalicelib.domain.instants import Instant
    from chalicelib.domain.invoice import Invoice
    from chalicelib.domain.ledger import LedgerEntry
    from chalicelib.domain.periods import Calendar, Period
    from chalicelib.domain.usage_events import UsageEvent
    from chalicelib.payments.sandbox import SandboxPayment
    from chalicelib.services.container import Services
    from chalicelib.storage.pages import Pages

BILLED: Final = "billed = free + charged units"
FREE_FIRST: Final = "free units are used before anything is charged"
AMOUNT: Final = "amount = credits applied + to be invoiced"
BALANCE: Final = "balance = credit - to be invoiced"
USAGE: Final = "usage shown is usage accepted"
PEAK: Final = "a storage peak is the highest sample in time"
LAST_TAB: Final = "an invoice equals the last tab"
UNCHANGED: Final = "an invoice never changes"
ONE_INVOICE: Final = "one invoice per account and month"
MOVEMENTS: Final = "ledger movements add up to the balance"
ONE_GRANT: Final = "one grant for every payment that succeeded"
REPEATS: Final = "repeated events are duplicates"
NOTHING_MOVED: Final = "repeated events change nothing"
REFUSED: Final = "what cannot be taken is rejected"
NO_FAILURE: Final = "no job fails"
ONE_RUN: Final = "a second run finds nothing left to do"
TOLD: Final = "movements and invoices are published"
THE_PAST: Final = "past balances are what they were"
AUDIT: Final = "the audit finds nothing"

INVARIANTS: Final = (
    *(BILLED, FREE_FIRST, AMOUNT, BALANCE, USAGE, PEAK, LAST_TAB, UNCHANGED, ONE_INVOICE, MOVEMENTS, ONE_GRANT),
    *(REPEATS, NOTHING_MOVED, REFUSED, NO_FAILURE, ONE_RUN, TOLD, THE_PAST, AUDIT),
)

_PUBLISHED: Final = frozenset({EntryKind.RECHARGE, EntryKind.PURCHASE, EntryKind.AUTO_RECHARGE})
_PAYMENT_KINDS: Final = frozenset({EntryKind(kind.value) for kind in PaymentKind})


class Violation(NamedTuple):
    """An invariant that did not hold, of which account, and what was found."""

    invariant: str
    subject: str
    detail: str


class Findings:
    """How often each invariant was checked, and where it did not hold."""

    def __init__(self) -> None:
        """Begin with nothing checked."""
        self.checked: Counter[str] = Counter()
        self.violations: list[Violation] = []

    def check(self, invariant: str, subject: str, holds: object, detail: object = "") -> None:
        """Count a check, and note where it does not hold."""
        self.checked[invariant] += 1
        if not holds:
            self.violations.append(Violation(invariant, subject, str(detail)))

    def check_equal(self, invariant: str, subject: str, expected: object, actual: object, what: str = "") -> None:
        """Check that what was found is what was to be found."""
        self.check(invariant, subject, expected == actual, f"{what} {actual} instead of {expected}".strip())


class Accepted:
    """What the service said it took: the quantities of each product, and the highest storage of each month."""

    def __init__(self) -> None:
        """Begin with nothing taken."""
        self.quantities: dict[tuple[str, str], Decimal] = defaultdict(lambda: ZERO)
        self.peaks: dict[tuple[str, str, Period], UsageEvent] = {}

    @exact
    def add_usage(self, event: UsageEvent) -> None:
        """Add an event that was taken."""
        self.quantities[event.account, event.resource] += event.quantity

    def add_sample(self, event: UsageEvent, period: Period) -> None:
        """Note a sample that was taken before the invoice of *period*."""
        highest = self.peaks.setdefault((event.account, event.resource, period), event)
        if (event.quantity, -event.time) > (highest.quantity, -highest.time):
            self.peaks[event.account, event.resource, period] = event


class Watch:
    """Looks at the accounts through services of its own, which are not counted, and checks them."""

    def __init__(self, services: Services, pages: Pages, findings: Findings, accepted: Accepted) -> None:
        """Check what *services* show against what was *accepted*, and note it in *findings*."""
        self._services = services
        self._pages = pages
        self._findings = findings
        self._accepted = accepted
        self._last_tabs: dict[tuple[str, Period], Figures] = {}
        self._invoices: dict[tuple[str, Period], Invoice] = {}
        self._balances: list[tuple[str, Instant, tuple[PoolFigures, ...]]] = []
        self._reset_at: dict[str, Instant] = {}
        self._calendars: dict[str, Calendar] = {}

    def version(self, account: str) -> int:
        """Return how often an account has changed."""
        head = self._services.heads.load(account)
        return 0 if head is None else head.version

    def note_samples(self, account: str, samples: Iterable[UsageEvent]) -> None:
        """Note samples that were taken just now, except those that came too late to count."""
        head = self._services.heads.load(account)
        assert head is not None  # noqa: S101 - it has just taken them
        for sample in samples:
            period = window_period(head.state.account.calendar, sample.time)
            if period > head.state.invoiced_through:
                self._accepted.add_sample(sample, period)

    def note_reset(self, account: str, now: Instant) -> None:
        """Note that an account's free units may have changed."""
        self._reset_at[account] = now

    def look_at_tab(self, account: str, *, remember: bool) -> None:
        """Check an account's tab as it is now; *remember* its balances to ask for them later."""
        tab = self._services.usage.tab(account)
        self._check_figures(account, tab.figures)
        if remember:
            self._balances.append((account, tab.as_of, tab.figures.pools))

    def before_invoices(self, accounts: Iterable[str], now: Instant) -> None:
        """Keep the tabs of all months whose invoices are due."""
        for account in accounts:
            head = self._services.heads.load(account)
            if head is None:
                continue
            period = head.state.oldest_open
            while close_due_at(head.state, period) <= now:
                self._last_tabs[account, period] = self._services.usage.tab(account, period).figures
                period = period.next

    def after_invoices(self) -> None:
        """Check the invoices of those months."""
        for (account, period), figures in self._last_tabs.items():
            invoice = self._services.records.invoice(account, period)
            subject = f"{account} {period}"
            self._findings.check(ONE_INVOICE, subject, invoice, "is missing")
            if invoice is not None:
                differing = _differing(figures, invoice.figures)
                self._findings.check(LAST_TAB, subject, not differing, differing)
                self._check_figures(account, invoice.figures)
                self._check_peaks(account, invoice.figures)
                self._invoices[account, period] = invoice
        self._last_tabs.clear()

    def look_again(self, keys: Iterable[tuple[str, Period]] | None = None) -> None:
        """Check that invoices are as they were when they were issued; all of them unless *keys* name some."""
        for account, period in list(self._invoices) if keys is None else keys:
            now = self._services.records.invoice(account, period)
            self._findings.check(UNCHANGED, f"{account} {period}", now == self._invoices[account, period], "changed")

    @property
    def invoices_seen(self) -> Sequence[tuple[str, Period]]:
        """Return of whom and of when invoices were seen."""
        return list(self._invoices)

    def close(self, account: str, published: Mapping[str, object]) -> Books:
        """Check all that can be told of an account at the end, and return its books."""
        head = self._services.heads.load(account)
        assert head is not None  # noqa: S101 - the simulation has made it
        invoices = [invoice for _, invoice in self._services.records.invoices(account)]
        entries = [entry for _, entry in self._services.records.ledger(account)]
        in_use = [period for period, usage in sorted(head.state.periods.items()) if usage.products]
        open_figures = [self._services.usage.tab(account, period).figures for period in in_use]
        books = Books(account, head.state.account.currency, invoices, entries, open_figures)
        self._check_months(account, books, head.state.invoiced_through)
        self._check_usage(books)
        self._check_movements(books)
        self._check_published(books, published)
        for period in books.periods:
            for taking in self._pages.in_order_of_charge(head, period):
                self._check_charges(account, taking.charges)
        differences = self._services.auditing.audit(account)
        self._findings.check(AUDIT, account, not differences, "; ".join(map(str, differences)))
        return books

    def check_the_past(self) -> None:
        """Ask again for the balances that were remembered."""
        for account, at, pools in self._balances:
            try:
                then, _ = self._services.past_balances.balances(account, at)
            except RefusedError as refused:
                self._findings.check(THE_PAST, account, refused.code == "gone", refused)
                continue
            self._findings.check_equal(THE_PAST, f"{account} at {at}", pools, then)

    def _check_figures(self, account: str, figures: Figures) -> None:
        check, subject = self._findings.check, f"{account} {figures.period}"
        is_settled = self._reset_at.get(account, 0) < self._calendar(account).start_of(figures.period)
        for row in figures.products:
            free = ZERO if row.free_units is None else row.free_units.used
            costs_something = row.amount > 0
            check(BILLED, subject, 0 <= free <= row.billed and (row.billed > free or not costs_something), row)
            check(AMOUNT, subject, 0 <= row.credits <= row.amount, row)
            if row.free_units is not None and is_settled:
                check(FREE_FIRST, subject, free == min(row.billed, row.free_units.included), row)
        for pool in figures.pools:
            open_amounts = _sum(row.amount for row in figures.products if row.pool == pool.pool)
            paid = _sum(row.credits for row in figures.products if row.pool == pool.pool)
            credit = _sum((pool.committed, pool.purchased, pool.promotional))
            self._findings.check_equal(AMOUNT, subject, open_amounts, _sum((paid, pool.to_be_invoiced)), pool.pool)
            self._findings.check_equal(BALANCE, subject, credit, _sum((pool.balance, pool.to_be_invoiced)), pool.pool)

    def _check_peaks(self, account: str, figures: Figures) -> None:
        subject = f"{account} {figures.period}"
        shown = {row.resource: (row.peak.on, row.peak.quantity) for row in figures.products if row.peak is not None}
        calendar = self._calendar(account)
        highest = {
            resource: (calendar.date_of(event.time), event.quantity)
            for (owner, resource, period), event in self._accepted.peaks.items()
            if (owner, period) == (account, figures.period)
        }
        self._findings.check_equal(PEAK, subject, highest, shown)

    def _calendar(self, account: str) -> Calendar:
        """Return the days and months of an account, whose zone never changes."""
        if account not in self._calendars:
            self._calendars[account] = self._services.accounts.get(account).calendar
        return self._calendars[account]

    @exact
    def _check_charges(self, account: str, charges: Iterable[Charge]) -> None:
        for charge in charges:
            if charge.role is not Role.SAMPLE:
                rate = charge.rate
                billed = billed_units(charge.event.quantity, rate.increment)
                amount = price(rate, billed, charge.free)
                subject = f"{account} {charge.event.id}"
                self._findings.check_equal(BILLED, subject, (billed, amount), (charge.billed, charge.amount))
                self._findings.check(AMOUNT, subject, charge.credits <= charge.amount, charge)

    def _check_months(self, account: str, books: Books, invoiced_through: Period) -> None:
        periods = [invoice.period for invoice in reversed(books.invoices)]
        seen = sorted(period for owner, period in self._invoices if owner == account)
        self._findings.check_equal(ONE_INVOICE, account, seen, periods)
        self._findings.check_equal(ONE_INVOICE, account, invoiced_through, max(periods, default=invoiced_through))
        follow = all(after == before.next for before, after in pairwise(periods))
        self._findings.check(ONE_INVOICE, account, follow, periods)

    def _check_usage(self, books: Books) -> None:
        shown: dict[str, Decimal] = defaultdict(lambda: ZERO)
        for figures in books.figures:
            for row in figures.products:
                if row.peak is None:
                    shown[row.resource] = _sum((shown[row.resource], row.quantity))
        taken = {
            resource: quantity
            for (account, resource), quantity in self._accepted.quantities.items()
            if account == books.account
        }
        self._findings.check_equal(USAGE, books.account, taken, dict(shown))

    def _check_movements(self, books: Books) -> None:
        for pool in sorted({entry.pool for entry in books.entries} | {pool.pool for pool in books.pools}):
            moved = _sum(entry.amount for entry in books.entries if entry.pool == pool)
            charged = _sum(row.amount for figures in books.figures for row in figures.products if row.pool == pool)
            left = self._credit_left(books.account, pool)
            still_open = _sum(figures.to_be_invoiced for figures in books.pools if figures.pool == pool)
            self._findings.check_equal(
                MOVEMENTS, books.account, _sum((left, -still_open)), _sum((moved, -charged)), pool
            )

    def _credit_left(self, account: str, pool: str) -> Decimal:
        head = self._services.heads.load(account)
        return ZERO if head is None else _sum(grant.remaining for grant in head.state.grants if grant.pool == pool)

    def _check_published(self, books: Books, published: Mapping[str, object]) -> None:
        names = [f"{books.account}:{entry.id}" for entry in books.entries if entry.kind in _PUBLISHED]
        names += [f"{books.account}:invoice-{invoice.period}" for invoice in books.invoices]
        for name in names:
            self._findings.check(TOLD, books.account, name in published, name)


class Books(NamedTuple):
    """All of an account at the end: its invoices and ledger entries, newest first, and the figures of open months."""

    account: str
    currency: str
    invoices: Sequence[Invoice]
    entries: Sequence[LedgerEntry]
    open_figures: Sequence[Figures]

    @property
    def figures(self) -> Iterator[Figures]:
        """Yield the figures of every month."""
        yield from (invoice.figures for invoice in self.invoices)
        yield from self.open_figures

    @property
    def pools(self) -> list[PoolFigures]:
        """Return the pools of all open months."""
        return [pool for figures in self.open_figures for pool in figures.pools]

    @property
    def periods(self) -> list[Period]:
        """Return every month with figures."""
        return sorted(figures.period for figures in self.figures)


def check_payments(findings: Findings, payments: Iterable[SandboxPayment], books: Iterable[Books]) -> None:
    """Check what the gateway took against what was booked: one grant for each payment that succeeded, and no other."""
    booked: Counter[tuple[str, str, Decimal]] = Counter(
        (account.account, entry.grant or "", entry.amount)
        for account in books
        for entry in account.entries
        if entry.kind in _PAYMENT_KINDS
    )
    for payment in payments:
        request = payment.request
        grants = booked.pop((request.account, request.payment, request.amount), 0)
        expected = int(payment.outcome.state is PaymentState.SUCCEEDED)
        findings.check_equal(ONE_GRANT, f"{request.account} {request.payment}", expected, grants, "grants:")
    findings.check(ONE_GRANT, "all", not booked, f"booked without a payment: {dict(booked)}")


def _differing(expected: Figures, actual: Figures) -> list[object]:
    """Return the parts of two figures that are not in both, those of *expected* first; none where they are equal."""
    before, after = ((*one.products, *one.pools, one.period, one.last_event_at) for one in (expected, actual))
    return [*(part for part in before if part not in after), *(part for part in after if part not in before)]


@exact
def _sum(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, ZERO)
