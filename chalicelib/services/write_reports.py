"""
The cost and the transactions report of a month, as CSV.

A report is written as chunks while the month is read in the order of charging, page by page, so that it takes as much
memory for a million lines as for a thousand. Before its last chunk it is compared with the tab: a report that does not
add up to the figures of its month is not handed out.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from enum import Enum
from typing import TYPE_CHECKING, Final

from chalicelib.domain.instants import format_instant
from chalicelib.domain.money import EXACT, ZERO, format_decimal, format_money
from chalicelib.domain.report_lines import (
    COST_COLUMNS,
    TRANSACTION_COLUMNS,
    CostLine,
    Transaction,
    TransactionType,
    cost_line,
    has_line,
    settlement_line,
    settlement_transactions,
    transactions_of,
)
from chalicelib.domain.spreadsheet_cells import BYTE_ORDER_MARK, harmless
from chalicelib.services.read_months import Charged


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from decimal import Decimal

    from chalicelib.domain.charges import Charge
    from chalicelib.domain.figures import Figures
    from chalicelib.domain.ledger import LedgerEntry
    from chalicelib.domain.periods import Period
    from chalicelib.domain.products import Product
    from chalicelib.services.read_months import Month, ReadingMonths
    from chalicelib.storage.catalogue import Catalogue

CHUNK_CHARACTERS: Final = 64 * 1024


class ReportKind(Enum):
    """Which report."""

    COST = "cost"
    TRANSACTIONS = "transactions"


class MismatchError(Exception):
    """A report does not add up to the figures of its month: what was read of the account does not belong together."""


_Parts = tuple[CostLine, tuple[Transaction, ...]]
"""What is charged, and how it falls into transactions."""


class WritingReports:
    """Writes reports as chunks of CSV."""

    def __init__(self, months: ReadingMonths, catalogue: Catalogue) -> None:
        """Write what *months* hold, with the descriptions of the rate cards of *catalogue*."""
        self._months = months
        self._catalogue = catalogue

    def open(self, account: str, period: Period | None) -> Month:
        """
        Return the month to report on, None for the one that the tab shows.

        Raises:
            RefusedError: `not_found` for an unknown account, a period before it or one in the future, `gone` for one
                whose usage is not kept any more.
        """
        return self._months.open(account, period)

    def chunks(self, kind: ReportKind, month: Month) -> Iterator[str]:
        """
        Yield the report as text, some thousand characters at a time.

        Raises:
            MismatchError: after all but the last chunk.
        """
        text = io.StringIO(newline="")
        text.write(BYTE_ORDER_MARK)
        writer = csv.writer(text)
        writer.writerow(TRANSACTION_COLUMNS if kind is ReportKind.TRANSACTIONS else COST_COLUMNS)
        totals = _Totals()
        for row in self._rows(kind, month, totals):
            writer.writerow(row)
            if text.tell() >= CHUNK_CHARACTERS:
                yield text.getvalue()
                text.seek(0)
                text.truncate()
        totals.compare(month.figures)
        yield text.getvalue()

    def _rows(self, kind: ReportKind, month: Month, totals: _Totals) -> Iterator[list[str]]:
        products = self._months.products([product.resource for product in month.figures.products])
        in_full = kind is ReportKind.TRANSACTIONS
        for line in self._months.in_order_of_charge(month):
            if isinstance(line, Charged):
                parts = self._charge_parts(line, products)
            else:
                parts = _settlement_parts(line, products)
            for cost, transactions in parts:
                totals.add(cost, transactions)
                cells = _cells(cost, month.currency)
                if in_full:
                    yield from ([*cells, *_transaction_cells(part, month.currency)] for part in transactions)
                elif isinstance(line, Charged):
                    yield cells

    def _charge_parts(self, line: Charged, products: Mapping[str, Product]) -> Iterator[_Parts]:
        charge = line.charge
        if has_line(charge):
            unit = products[charge.event.resource].unit
            yield cost_line(charge, line.at, self._description(charge), unit), tuple(transactions_of(charge))

    def _description(self, charge: Charge) -> str:
        rate = charge.rate
        return self._catalogue.table(rate.card, rate.revision).rows[rate.row].description


def _settlement_parts(entry: LedgerEntry, products: Mapping[str, Product]) -> Iterator[_Parts]:
    for settled in entry.settled:
        line = settlement_line(entry, settled.resource, products[settled.resource].unit)
        yield line, settlement_transactions(settled.amount)


def _cells(line: CostLine, currency: str) -> list[str]:
    """Write the cells of a line: what others named is made harmless, what was worked out here is as it is."""
    return [
        harmless(line.interaction_id),
        format_instant(line.charged_at),
        format_instant(line.occurred_at),
        line.usage_type,
        harmless(line.rate_description),
        harmless(line.subtype),
        harmless(line.direction),
        harmless(line.resolution),
        line.contact_number,
        harmless(line.contact_number_country),
        format_decimal(line.quantity),
        harmless(line.unit_of_measure),
        format_money(line.amount, currency),
        currency,
    ]


def _transaction_cells(transaction: Transaction, currency: str) -> list[str]:
    return [transaction.type.value, format_money(transaction.amount, currency)]


class _Totals:
    """Adds up a report by product, for comparing it with the tab."""

    def __init__(self) -> None:
        self._amounts: dict[str, Decimal] = defaultdict(lambda: ZERO)
        self._parts: dict[tuple[str, TransactionType], Decimal] = defaultdict(lambda: ZERO)

    def add(self, line: CostLine, transactions: Iterable[Transaction]) -> None:
        resource = line.usage_type
        self._amounts[resource] = EXACT.add(self._amounts[resource], line.amount)
        for transaction in transactions:
            part = resource, transaction.type
            self._parts[part] = EXACT.add(self._parts[part], transaction.amount)

    def compare(self, figures: Figures) -> None:
        """Raise `MismatchError` unless all products of *figures* and no others add up to them."""
        shown = {
            product.resource: (product.amount, product.credits, product.to_be_invoiced) for product in figures.products
        }
        for resource in sorted({*shown, *self._amounts}):
            added = (
                self._amounts[resource],
                self._parts[resource, TransactionType.CREDIT],
                self._parts[resource, TransactionType.DEBIT],
            )
            if added != shown.get(resource, (ZERO, ZERO, ZERO)):
                message = (
                    f"{figures.period} {resource}: the lines add up to {added}, the tab shows {shown.get(resource)}"
                )
                raise MismatchError(message)
