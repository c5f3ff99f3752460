"""The ledger against itself and against what it books: grants, recharges, invoices and snapshots."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from chalicelib.domain.credit import GrantKind
from chalicelib.domain.ledger import EntryKind
from chalicelib.domain.money import ZERO, format_decimal
from chalicelib.services.audit.findings import Kind
from chalicelib.services.audit.replay import GRANT_KINDS, expiry_of


if TYPE_CHECKING:
    from decimal import Decimal

    from chalicelib.domain.credit import Grant
    from chalicelib.domain.invoice import Invoice
    from chalicelib.domain.ledger import LedgerEntry
    from chalicelib.domain.periods import Period
    from chalicelib.services.audit.findings import Findings
    from chalicelib.services.audit.look import Look


def check_ledger(look: Look, findings: Findings) -> None:
    """Check that nothing is booked twice, and that the head's grants are those that were booked."""
    _check_repeats(look, findings)
    booked = {entry.grant: entry for entry in look.entries if entry.kind in GRANT_KINDS}
    for grant in look.head.state.grants:
        entry = booked.get(grant.id)
        if entry is None:
            findings.add(Kind.WALLET, f"grant {grant.id}", "is in the head, but the ledger never booked it")
        else:
            _check_wallet(look, grant, entry, findings)
    for commitment in look.head.state.commitments:
        day = commitment.last_recharge_on
        if day is not None and f"recharge-{commitment.pool}-{day}" not in booked:
            findings.add(Kind.COMMITMENT, f"commitment of {commitment.pool}", f"has no ledger entry for {day}")


def check_snapshots(look: Look, findings: Findings) -> None:
    """Check that the first snapshot is there, with nothing in it yet."""
    first = next(iter(look.snapshots), None)
    if first is None or first.version != 1:
        findings.add(Kind.SNAPSHOT, "version 1", "has no snapshot")
    elif first.state.periods or first.state.grants:
        findings.add(Kind.SNAPSHOT, "snapshot of version 1", "holds usage or credit of a new account")


def check_invoices(look: Look, findings: Findings) -> None:
    """Check that each month closed has its invoice, and the ledger the entries of it."""
    closed_through = look.head.state.invoiced_through
    period = look.first_period
    while period <= closed_through:
        if period not in look.invoices:
            findings.add(Kind.INVOICE, f"invoice {period}", "is missing")
        period = period.next
    booked: dict[tuple[Period, str], list[LedgerEntry]] = defaultdict(list)
    for entry in look.entries:
        if entry.kind is EntryKind.INVOICE:
            booked[entry.period, entry.pool].append(entry)
    for period, invoice in sorted(look.invoices.items()):
        if period > closed_through:
            findings.add(Kind.INVOICE, f"invoice {period}", "is there, but the month is not closed")
        else:
            _check_invoice_entries(invoice, booked, findings)
    for period, pool in sorted(booked):
        findings.add(Kind.INVOICE, f"invoice {period}", f"does not ask for {pool}, for which the ledger has an entry")


def _check_invoice_entries(
    invoice: Invoice, booked: dict[tuple[Period, str], list[LedgerEntry]], findings: Findings
) -> None:
    name = f"invoice {invoice.period}"
    asked: dict[str, Decimal] = defaultdict(lambda: ZERO)
    for row in invoice.figures.products:
        asked[row.pool] += row.to_be_invoiced
    for pool in invoice.figures.pools:
        entries = booked.pop((invoice.period, pool.pool), [])
        amount = sum((entry.amount for entry in entries), ZERO)
        if amount != pool.to_be_invoiced:
            detail = f"asks for {format_decimal(pool.to_be_invoiced)}, the ledger says {format_decimal(amount)}"
            findings.add(Kind.INVOICE, f"{name}: {pool.pool}", detail)
        if asked[pool.pool] != pool.to_be_invoiced:
            detail = f"asks for {format_decimal(pool.to_be_invoiced)}, its lines for {format_decimal(asked[pool.pool])}"
            findings.add(Kind.INVOICE, f"{name}: lines of {pool.pool}", detail)
        if any((entry.at, entry.recorded_at) != (invoice.issued_at, invoice.recorded_at) for entry in entries):
            findings.add(Kind.INVOICE, f"{name}: {pool.pool}", "was issued at another time than the ledger says")


def _check_repeats(look: Look, findings: Findings) -> None:
    for entry_id, times in Counter(entry.id for entry in look.entries).items():
        if times > 1:
            findings.add(Kind.BOOKED_TWICE, f"entry {entry_id}", f"is in the ledger {times} times")
    for place, ends in ((GRANT_KINDS, "booked"), ((EntryKind.EXPIRY, EntryKind.VOID), "taken away")):
        count = Counter(entry.grant for entry in look.entries if entry.kind in place)
        for grant, times in count.items():
            if times > 1:
                findings.add(Kind.BOOKED_TWICE, f"grant {grant}", f"is {ends} {times} times")


def _check_wallet(look: Look, grant: Grant, entry: LedgerEntry, findings: Findings) -> None:
    """Compare a grant with the entry that booked it; the end of committed credit moves with its commitment."""
    expires_at = grant.expires_at if grant.kind is GrantKind.COMMITTED else expiry_of(entry, look.head.state)
    for name, found, right in (
        ("pool", grant.pool, entry.pool),
        ("kind", grant.kind, GRANT_KINDS[entry.kind]),
        ("effective time", grant.effective_at, entry.at),
        ("expiry", grant.expires_at, expires_at),
    ):
        if found != right:
            findings.add(Kind.WALLET, f"grant {grant.id}", f"has another {name} than the ledger says")
    if grant.remaining > entry.amount:
        findings.add(Kind.CREDIT, f"grant {grant.id}", "has more left than was booked")
