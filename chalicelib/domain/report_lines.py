"""
The lines of the cost and the transactions report, worked out from charges and movements of credit.

Cost report: a line for every charge, which is an event or a storage peak; a peak that another outdid has a second line
that takes it back, with quantity and amount below zero. Samples of a storage product cost nothing and have no line. So
for each product quantity and charged amount add up to the figures of the tab.

Transactions report: a line for each part of a charge. `free_units` says that free units covered some of it; they cost
nothing, so its amount is zero. A `credit` line is what one grant paid, the `debit` line what was left to be invoiced; a
charge of nothing is a debit of zero. Where credit that arrived later paid what was a debit, a `credit` line and a
negative `debit` line name the ledger entry in place of the rate. So for each product credits add up to the credits
applied, and debits to what is to be invoiced. Quantity and charged amount are those of the whole charge, on each line.

Of a contact number the digits that are kept are shown, and four asterisks for all the others, however many they are.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from chalicelib.domain.charges import Role
from chalicelib.domain.instants import Instant
from chalicelib.domain.money import EXACT, ZERO


if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.domain.charges import Charge
    from chalicelib.domain.ledger import LedgerEntry

COST_COLUMNS: Final = (
    "Interaction ID",
    "Charge time",
    "Occurred at",
    "Usage type",
    "Rate description",
    "Subtype",
    "Direction",
    "Resolution",
    "Contact number",
    "Contact number country",
    "Quantity",
    "Unit of measure",
    "Charged amount",
    "Currency",
)
TRANSACTION_COLUMNS: Final = (*COST_COLUMNS, "Transaction type", "Transaction amount")

HIDDEN: Final = "****"
"""Stands for the digits of a contact number that are not kept, of which there are four at least."""


class CostLine(Struct, frozen=True, gc=False):
    """A line of the cost report; *usage_type* is the product's resource code, *quantity* in *unit_of_measure*."""

    interaction_id: str
    charged_at: Instant
    occurred_at: Instant
    usage_type: str
    rate_description: str
    subtype: str
    direction: str
    resolution: str
    contact_number: str
    contact_number_country: str
    quantity: Decimal
    unit_of_measure: str
    amount: Decimal


class TransactionType(Enum):
    """Who bore a part of a charge: free units, credit, or nobody yet."""

    FREE_UNITS = "free_units"
    CREDIT = "credit"
    DEBIT = "debit"


class Transaction(Struct, frozen=True, gc=False):
    """One part of what a line of the cost report charges."""

    type: TransactionType
    amount: Decimal


def masked_number(kept: str | None) -> str | None:
    """Write the digits of a contact number that are *kept*, with the others hidden; None where it had none."""
    return None if kept is None else f"{kept}{HIDDEN}"


def signed(value: Decimal, sign: int) -> Decimal:
    """Return *value* as it counts for a charge of this *sign*."""
    if sign == 1:
        return value
    # Not minus zero, which would be written as such.
    return EXACT.multiply(value, Decimal(sign)) if value else ZERO


def has_line(charge: Charge) -> bool:
    """Tell whether reports show *charge*: a sample is only looked at, and costs nothing."""
    return charge.role is not Role.SAMPLE


def cost_line(charge: Charge, charged_at: Instant, rate_description: str, unit: str) -> CostLine:
    """Return the line of a *charge* made at *charged_at*, of a product measured in *unit*."""
    event = charge.event
    return CostLine(
        interaction_id=event.interaction_id or "",
        charged_at=charged_at,
        occurred_at=event.time,
        usage_type=event.resource,
        rate_description=rate_description,
        subtype=event.type or "",
        direction=event.direction or "",
        resolution=event.resolution or "",
        contact_number=masked_number(event.number) or "",
        contact_number_country=event.country_code or "",
        quantity=signed(event.quantity, charge.sign),
        unit_of_measure=unit,
        amount=signed(charge.amount, charge.sign),
    )


def settlement_line(entry: LedgerEntry, resource: str, unit: str) -> CostLine:
    """Return the line on which *entry* paid for *resource* what had been charged before: it charges nothing itself."""
    return CostLine(
        interaction_id="",
        charged_at=entry.recorded_at,
        occurred_at=entry.at,
        usage_type=resource,
        rate_description=entry.id,
        subtype=entry.kind.value,
        direction="",
        resolution="",
        contact_number="",
        contact_number_country="",
        quantity=ZERO,
        unit_of_measure=unit,
        amount=ZERO,
    )


def transactions_of(charge: Charge) -> Iterator[Transaction]:
    """Yield the parts of a *charge* in the order of the waterfall: free units, each grant's credit, the rest."""
    left = charge.amount
    if charge.free:
        yield Transaction(TransactionType.FREE_UNITS, ZERO)
    for payment in charge.payments:
        left = EXACT.subtract(left, payment.amount)
        yield Transaction(TransactionType.CREDIT, signed(payment.amount, charge.sign))
    if left or not (charge.free or charge.payments):
        yield Transaction(TransactionType.DEBIT, signed(left, charge.sign))


def settlement_transactions(amount: Decimal) -> tuple[Transaction, Transaction]:
    """Return the parts of *amount* that was a debit and that credit has paid since."""
    return Transaction(TransactionType.CREDIT, amount), Transaction(TransactionType.DEBIT, signed(amount, -1))
