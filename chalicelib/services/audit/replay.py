"""
The replay: from snapshot to snapshot every event is charged and every entry booked again, by the rules of the domain.

It goes on from each snapshot as it is recorded, so that what is wrong is told where it began.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from chalicelib.domain.charges import Charge, Role
from chalicelib.domain.credit import Grant, GrantKind, Payment, replace_remaining
from chalicelib.domain.due import rank_of
from chalicelib.domain.figures import figures_of
from chalicelib.domain.instants import format_instant
from chalicelib.domain.ledger import EntryKind, book_grant, pool_balance
from chalicelib.domain.money import ZERO, format_decimal
from chalicelib.domain.peak_charges import apply_peak_charge, charge_peak
from chalicelib.domain.state import ProductUsage
from chalicelib.domain.storage_peak import peak_due_at
from chalicelib.domain.waterfall import PricedEvent, charge_events, replay_charges
from chalicelib.services.audit.findings import Kind, name_event


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from decimal import Decimal

    from chalicelib.domain.commitments import Commitment
    from chalicelib.domain.figures import Figures
    from chalicelib.domain.instants import Instant
    from chalicelib.domain.ledger import LedgerEntry, Settled
    from chalicelib.domain.products import Product
    from chalicelib.domain.state import AccountState
    from chalicelib.services.audit.findings import Findings
    from chalicelib.services.audit.look import Look
    from chalicelib.storage.heads import Head
    from chalicelib.storage.takings import Taking


GRANT_KINDS: Final = {
    EntryKind.RECHARGE: GrantKind.COMMITTED,
    EntryKind.GRANT: GrantKind.PROMOTIONAL,
    EntryKind.PURCHASE: GrantKind.PURCHASED,
    EntryKind.AUTO_RECHARGE: GrantKind.PURCHASED,
}
"""What kind of grant an entry of credit that arrives books."""


class Replay:
    """Replays what came after an opening, commit by commit."""

    def __init__(self, look: Look, opening: Head, products: Mapping[str, Product], findings: Findings) -> None:
        """Begin at *opening*."""
        self._look = look
        self._products = products
        self._findings = findings
        self._before = opening
        self._state = opening.state
        self._snapshots = {one.version: one for one in look.snapshots}
        self._entries: dict[int, list[LedgerEntry]] = defaultdict(list)
        for booking in look.bookings:
            self._entries[booking.version].append(booking.entry)
        stops = {*self._snapshots, *self._entries}
        self._stops = sorted((version for version in stops if version > opening.version), reverse=True)

    def take(self, taking: Taking) -> None:
        """Replay a taking, and before it what came before."""
        while self._stops and self._stops[-1] < taking.version:
            self._stop(self._stops.pop(), None)
        if self._stops and self._stops[-1] == taking.version:
            self._stop(self._stops.pop(), taking)
        else:
            peaks, charges = _split(taking)
            for peak in peaks:
                self._charge_peak(peak)
            self._charge(charges, taking.at)

    def finish(self) -> None:
        """Replay what came after the last taking, and compare with the head."""
        while self._stops:
            self._stop(self._stops.pop(), None)
        self._compare(self._look.head, "head")

    def _stop(self, version: int, taking: Taking | None) -> None:
        """Replay a commit that was not of usage alone: what was due, peaks and entries, in its order."""
        peaks, charges = _split(taking)
        for entry in self._entries[version]:
            while peaks and self._is_due_before(peaks[0], entry):
                self._charge_peak(peaks.pop(0))
            self._book(entry)
        for peak in peaks:
            self._charge_peak(peak)
        if taking is not None:
            self._charge(charges, taking.at)
        snapshot = self._snapshots.get(version)
        if snapshot is None:
            self._findings.add(Kind.SNAPSHOT, f"version {version}", "has ledger entries but no snapshot")
            return
        self._close_until(snapshot)
        self._compare(snapshot, f"snapshot of version {version}")
        self._before = snapshot
        self._state = snapshot.state

    def _is_due_before(self, peak: Charge, entry: LedgerEntry) -> bool:
        due_at = peak_due_at(self._state.account.calendar, peak.period)
        return (due_at, rank_of(peak)) < (entry.at, rank_of(entry))

    def _charge_peak(self, charge: Charge) -> None:
        """Replay the charge of a storage peak on its day."""
        period, resource = charge.period, charge.event.resource
        due_at = peak_due_at(self._state.account.calendar, period)
        if resource in self._state.usage_of(period).peaks:
            _, expected = charge_peak(self._state, period, resource, due_at)
            self._compare_all([expected], [charge], due_at)
        else:
            self._findings.add(Kind.CHARGE, name_event(charge.event), "is charged as a peak and was no sample")
        self._state = apply_peak_charge(self._state, self._possible(charge), self._products[resource].pool)

    def _charge(self, recorded: Sequence[Charge], at: Instant) -> None:
        priced = [PricedEvent(charge.event, charge.rate) for charge in recorded if charge.is_taken_event]
        state, expected = charge_events(self._state, priced, self._products, at)
        if expected == list(recorded):
            self._state = state
            return
        self._compare_all(expected, recorded, at)
        possible = [self._possible(charge) for charge in recorded]
        self._state = replay_charges(self._state, possible, self._products, at)

    def _possible(self, charge: Charge) -> Charge:
        """Return *charge* without what it says of grants that there are not."""
        known = {grant.id for grant in self._state.grants}
        return replace(charge, payments=tuple(payment for payment in charge.payments if payment.grant in known))

    def _compare_all(self, expected: Sequence[Charge], recorded: Sequence[Charge], at: Instant) -> None:
        right = {(charge.event.identity, charge.role): charge for charge in expected}
        for charge in recorded:
            same = right.pop((charge.event.identity, charge.role), None)
            if same is None:
                what = charge.role.name.lower()
                self._findings.add(Kind.CHARGE, name_event(charge.event), f"is recorded as a {what} and is none")
            else:
                self._compare_charges(same, charge, at)
        for charge in right.values():
            what = charge.role.name.lower()
            self._findings.add(Kind.CHARGE, name_event(charge.event), f"is not recorded as the {what} that it is")

    def _compare_charges(self, expected: Charge, charge: Charge, at: Instant) -> None:
        if expected == charge:
            return
        event = name_event(charge.event)
        details = [
            f"{name} is {_text(actual)} and should be {_text(right)}"
            for name, actual, right in (
                ("billed quantity", charge.billed, expected.billed),
                ("number of free units", charge.free, expected.free),
                ("amount", charge.amount, expected.amount),
            )
            if actual != right
        ]
        if (charge.period, charge.is_late) != (expected.period, expected.is_late):
            details.append(f"month is {charge.period} and should be {expected.period}")
        if charge.payments != expected.payments:
            paid, right = _text_of(charge.payments), _text_of(expected.payments)
            details.append(f"payment is {paid} and should be {right}")
            details += [
                f"{payment.grant} {why}" for payment in charge.payments if (why := self._bar(charge, payment, at))
            ]
        self._findings.add(Kind.CHARGE, event, f"is charged wrong: {'; '.join(details)}")

    def _bar(self, charge: Charge, payment: Payment, at: Instant) -> str | None:
        """Return what forbids a grant to pay a charge, None for nothing."""
        grant = next((grant for grant in self._state.grants if grant.id == payment.grant), None)
        if grant is None:
            return "has nothing left or was never booked"
        pool = self._products[charge.event.resource].pool
        if grant.pool != pool:
            return f"is of the pool {grant.pool}, not of {pool}"
        if not grant.is_in_force(at):
            return f"is not in force at {format_instant(at)}"
        if grant.effective_at >= self._state.account.calendar.end_of(charge.period):
            return f"took effect after {charge.period}"
        return None

    def _book(self, entry: LedgerEntry) -> None:
        moment = entry.at - 1 if entry.kind is EntryKind.EXPIRY else max(entry.at, self._state.at)
        balance = pool_balance(self._state, entry.pool, entry.period, moment)
        if balance != entry.balance_before:
            detail = f"begins with a balance of {_text(entry.balance_before)} and should with {_text(balance)}"
            self._findings.add(Kind.LEDGER, f"entry {entry.id}", detail)
        kind = GRANT_KINDS.get(entry.kind)
        if kind is not None:
            self._book_arrival(entry, kind)
        elif entry.grant is not None:
            self._take_away(entry, entry.grant)

    def _book_arrival(self, entry: LedgerEntry, kind: GrantKind) -> None:
        grant = Grant(entry.grant or "", entry.pool, kind, entry.amount, entry.at, expiry_of(entry, self._state))
        self._state, settled = book_grant(self._state, grant)
        if settled != entry.settled:
            detail = f"pays {_text_of(entry.settled)} on arrival and should pay {_text_of(settled)}"
            self._findings.add(Kind.LEDGER, f"entry {entry.id}", detail)

    def _take_away(self, entry: LedgerEntry, grant_id: str) -> None:
        left = sum((grant.remaining for grant in self._state.grants if grant.id == grant_id), ZERO)
        if left != -entry.amount:
            detail = f"takes {_text(-entry.amount)} from {grant_id}, which has {_text(left)}"
            self._findings.add(Kind.LEDGER, f"entry {entry.id}", detail)
        grants = replace_remaining(self._state.grants, {grant_id: left + entry.amount})
        self._state = replace(self._state, grants=grants)

    def _close_until(self, snapshot: Head) -> None:
        """Compare the invoices of the months that a commit closed, and close these."""
        while self._state.invoiced_through < snapshot.state.invoiced_through:
            period = self._state.oldest_open
            self._compare_invoice(snapshot.state.at)
            periods = {other: usage for other, usage in self._state.periods.items() if other != period}
            self._state = replace(self._state, invoiced_through=period, periods=periods)

    def _compare_invoice(self, at: Instant) -> None:
        period = self._state.oldest_open
        invoice = self._look.invoices.get(period)
        if invoice is None:
            self._findings.add(Kind.INVOICE, f"invoice {period}", "is missing")
            return
        expected = figures_of(self._state, period, self._products, at)
        if _without_names(expected) != _without_names(invoice.figures):
            detail = "does not show what the tab showed when it was issued"
            self._findings.add(Kind.INVOICE, f"invoice {period}", detail)

    def _compare(self, actual: Head, name: str) -> None:
        self._compare_usage(actual.state, name)
        self._compare_grants(actual.state, name)

    def _compare_usage(self, actual: AccountState, name: str) -> None:
        for period in sorted({*self._state.periods, *actual.periods}):
            expected, found = self._state.usage_of(period), actual.usage_of(period)
            for resource in sorted({*expected.products, *found.products}):
                right = expected.products.get(resource, ProductUsage(""))
                wrong = found.products.get(resource, ProductUsage(""))
                if right != wrong:
                    detail = f"has {_text_of_usage(wrong)} and should have {_text_of_usage(right)}"
                    self._findings.add(Kind.SNAPSHOT, f"{name}: {period} {resource}", detail)
            for resource in sorted({*expected.peaks, *found.peaks}):
                if expected.peaks.get(resource) != found.peaks.get(resource):
                    self._findings.add(Kind.SNAPSHOT, f"{name}: {period} {resource}", "has another storage peak")
            if expected.last_event_at != found.last_event_at:
                self._findings.add(Kind.SNAPSHOT, f"{name}: {period}", "has another latest event than was recorded")

    def _compare_grants(self, actual: AccountState, name: str) -> None:
        for grant_id, times in Counter(grant.id for grant in actual.grants).items():
            if times > 1:
                self._findings.add(Kind.BOOKED_TWICE, f"{name}: grant {grant_id}", f"is there {times} times")
        expected = {grant.id: grant for grant in self._state.grants}
        found = {grant.id: grant for grant in actual.grants}
        for grant_id in sorted({*expected, *found}):
            right, wrong = expected.get(grant_id), found.get(grant_id)
            subject = f"{name}: grant {grant_id}"
            left = [ZERO if grant is None else grant.remaining for grant in (wrong, right)]
            if left[0] != left[1]:
                detail = f"has {_text(left[0])} left and should have {_text(left[1])}"
                self._findings.add(Kind.CREDIT, subject, detail)
            if right is not None and wrong is not None and not self._is_same_wallet(right, wrong, actual):
                self._findings.add(Kind.WALLET, subject, f"is {_text_of_grant(wrong)} and was {_text_of_grant(right)}")

    def _is_same_wallet(self, right: Grant, wrong: Grant, actual: AccountState) -> bool:
        """Tell whether a grant is still what it was: a commitment that changed may move the end of its credit."""
        same = replace(wrong, remaining=right.remaining)
        terms = [one and (one.terms, one.upcoming, one.is_deleted) for one in self._commitments(right.pool, actual)]
        if right.kind is GrantKind.COMMITTED and terms[0] != terms[1]:
            same = replace(same, expires_at=right.expires_at)
        return same == right

    def _commitments(self, pool: str, actual: AccountState) -> Iterable[Commitment | None]:
        return self._before.state.commitment(pool), actual.commitment(pool)


def expiry_of(entry: LedgerEntry, state: AccountState) -> Instant | None:
    """Return when the grant that an entry booked expires, by what the entry says."""
    return None if entry.expires_on is None else state.account.calendar.end_of_day(entry.expires_on)


def _without_names(figures: Figures) -> tuple[object, ...]:
    """Return what of figures does not go by the catalogue or the terms of commitments, which may change."""
    products = [
        (row.resource, row.pool, row.quantity, row.billed, row.free_units, row.amount, row.credits, row.peak)
        for row in figures.products
    ]
    return figures.period, figures.last_event_at, products, [replace(pool, commitment=None) for pool in figures.pools]


def _text(value: Decimal) -> str:
    return format_decimal(value)


def _text_of(parts: Iterable[Payment | Settled]) -> str:
    named = [
        f"{_text(part.amount)} by {part.grant}"
        if isinstance(part, Payment)
        else f"{_text(part.amount)} of {part.resource}"
        for part in parts
    ]
    return " and ".join(named) or "nothing"


def _text_of_usage(usage: ProductUsage) -> str:
    return (
        f"quantity {_text(usage.quantity)}, billed {_text(usage.billed)}, free {_text(usage.free)}, "
        f"amount {_text(usage.amount)}, credits {_text(usage.credits)}"
    )


def _text_of_grant(grant: Grant) -> str:
    expires = "never" if grant.expires_at is None else f"at {format_instant(grant.expires_at)}"
    effective = format_instant(grant.effective_at)
    return f"{grant.kind.value} credit of {grant.pool} from {effective}, which expires {expires}"


def _split(taking: Taking | None) -> tuple[list[Charge], list[Charge]]:
    """Return the peaks that were due before a taking's own events, and the rest of its charges."""
    charges = [] if taking is None else list(taking.charges)
    peaks = list(takewhile(lambda charge: charge.role is Role.PEAK, charges))
    return peaks, charges[len(peaks) :]
