"""The recount: what all events since an opening come to, against the usage and the credit that are served."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from chalicelib.domain.money import ZERO, format_decimal
from chalicelib.domain.state import ProductUsage
from chalicelib.services.audit.findings import Kind


if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from decimal import Decimal

    from chalicelib.domain.charges import Charge
    from chalicelib.domain.figures import Figures
    from chalicelib.domain.ledger import LedgerEntry
    from chalicelib.domain.periods import Period
    from chalicelib.services.audit.findings import Findings
    from chalicelib.services.audit.look import Look
    from chalicelib.storage.heads import Head


class Recount:
    """Usage by period and resource and what is left by grant, added up from an opening, charges and ledger entries."""

    def __init__(self, look: Look, opening: Head) -> None:
        """Begin with what *opening* holds, and with what was booked since."""
        self._look = look
        self._opening = opening
        self._usage: dict[tuple[Period, str], list[Decimal]] = defaultdict(lambda: [ZERO] * 5)
        self._left: dict[str, Decimal] = defaultdict(lambda: ZERO)
        for period, usage in opening.state.periods.items():
            for resource, product in usage.products.items():
                self._usage[period, resource] = _figures(product)
        for grant in opening.state.grants:
            self._left[grant.id] += grant.remaining
        for booking in look.bookings:
            if booking.version > opening.version:
                self._book(booking.entry)

    def add(self, charges: Sequence[Charge]) -> None:
        """Add events that were charged."""
        for charge in charges:
            parts = (charge.event.quantity, charge.billed, charge.free, charge.amount, charge.credits)
            totals = self._usage[charge.period, charge.event.resource]
            totals[:] = [total + charge.sign * part for total, part in zip(totals, parts, strict=True)]
            for payment in charge.payments:
                self._left[payment.grant] -= charge.sign * payment.amount

    def compare(self, findings: Findings) -> None:
        """Compare with the head and with the invoices since the opening."""
        self._compare_usage(findings)
        self._compare_credit(findings)

    def _book(self, entry: LedgerEntry) -> None:
        for settled in entry.settled:
            self._usage[entry.period, settled.resource][4] += settled.amount
        if entry.grant is not None:
            self._left[entry.grant] += entry.amount - sum((settled.amount for settled in entry.settled), ZERO)

    def _compare_usage(self, findings: Findings) -> None:
        served = {(period, resource): usage for period, resource, usage in self._served()}
        names = ("quantity", "billed quantity", "free units", "amount", "credits applied")
        for period, resource in sorted({*served, *self._usage}):
            shown = _figures(served.get((period, resource), ProductUsage("")))
            for name, total, figure in zip(names, self._usage[period, resource], shown, strict=True):
                if total != figure:
                    detail = f"is {format_decimal(figure)}, the events say {format_decimal(total)}"
                    findings.add(Kind.USAGE, f"{period} {resource}: {name}", detail)

    def _served(self) -> Iterator[tuple[Period, str, ProductUsage]]:
        for period, usage in self._look.head.state.periods.items():
            for resource, product in usage.products.items():
                yield period, resource, product
        for period, invoice in self._look.invoices.items():
            if self._opening.state.invoiced_through < period <= self._look.head.state.invoiced_through:
                for resource, product in _usage_of(invoice.figures):
                    yield period, resource, product

    def _compare_credit(self, findings: Findings) -> None:
        kept: dict[str, Decimal] = defaultdict(lambda: ZERO)
        for grant in self._look.head.state.grants:
            kept[grant.id] += grant.remaining
        for grant_id in sorted({*self._left, *kept}):
            if self._left[grant_id] != kept[grant_id]:
                left, said = format_decimal(kept[grant_id]), format_decimal(self._left[grant_id])
                findings.add(Kind.CREDIT, f"grant {grant_id}:", f"{left} is left, the ledger says {said}")


def _figures(usage: ProductUsage) -> list[Decimal]:
    return [usage.quantity, usage.billed, usage.free, usage.amount, usage.credits]


def _usage_of(figures: Figures) -> Iterator[tuple[str, ProductUsage]]:
    for row in figures.products:
        free = ZERO if row.free_units is None else row.free_units.used
        yield row.resource, ProductUsage(row.pool, row.quantity, row.billed, free, row.amount, row.credits)
