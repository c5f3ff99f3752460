"""Payments by card against the ledger and against what auto recharge remembers: money and credit never part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chalicelib.domain.card_payments import PaymentKind, PaymentStatus
from chalicelib.domain.ledger import EntryKind
from chalicelib.domain.money import ZERO, format_decimal
from chalicelib.services.audit.findings import Kind


if TYPE_CHECKING:
    from chalicelib.domain.card_payments import CardPayment
    from chalicelib.domain.ledger import LedgerEntry
    from chalicelib.domain.periods import Period
    from chalicelib.services.audit.findings import Findings
    from chalicelib.services.audit.look import Look


_BOUGHT: Final = frozenset({EntryKind.PURCHASE, EntryKind.AUTO_RECHARGE})


def check_payments(look: Look, findings: Findings) -> None:
    """Check that each payment that succeeded has its credit, that no other has, and what auto recharge counts."""
    bought = [entry for entry in look.entries if entry.kind in _BOUGHT]
    for payment in look.payments:
        _check_payment(payment, [entry for entry in bought if entry.grant == payment.id], findings)
    known = {payment.id for payment in look.payments}
    for entry in bought:
        if entry.grant not in known:
            findings.add(Kind.PAYMENT, f"entry {entry.id}", "books credit for which there is no payment")
    _check_auto_recharge(look, findings)


def _check_payment(payment: CardPayment, entries: list[LedgerEntry], findings: Findings) -> None:
    name = f"payment {payment.id}"
    if payment.status is not PaymentStatus.SUCCEEDED:
        if entries:
            findings.add(Kind.PAYMENT, name, f"is {payment.status.value}, but the ledger has credit for it")
        return
    if len(entries) != 1:
        findings.add(Kind.PAYMENT, name, f"succeeded, but its credit is booked {len(entries)} times")
    for entry in entries:
        if entry.amount != payment.amount:
            paid, booked = format_decimal(payment.amount), format_decimal(entry.amount)
            findings.add(Kind.PAYMENT, name, f"was of {paid}, but the ledger has credit of {booked} for it")
        if entry.kind.value != payment.kind.value:
            findings.add(Kind.PAYMENT, name, f"is for {payment.kind.value}, the ledger says {entry.kind.value}")
        if payment.balance is not None and entry.balance_after != payment.balance:
            findings.add(Kind.PAYMENT, name, "tells another balance after it than the ledger")


def _check_auto_recharge(look: Look, findings: Findings) -> None:
    auto = look.head.state.auto_recharge
    payments = [payment for payment in look.payments if payment.kind is PaymentKind.AUTO_RECHARGE]
    pending = {payment.id: payment.amount for payment in payments if payment.status is PaymentStatus.PENDING}
    in_flight = {} if auto.in_flight is None else {auto.in_flight.payment: auto.in_flight.amount}
    for payment in sorted({*pending, *in_flight}):
        if payment not in in_flight:
            findings.add(Kind.AUTO_RECHARGE, f"payment {payment}", "is pending, but not in flight")
        elif payment not in pending:
            findings.add(Kind.AUTO_RECHARGE, f"payment {payment}", "is in flight, but not pending")
        elif pending[payment] != in_flight[payment]:
            findings.add(Kind.AUTO_RECHARGE, f"payment {payment}", "is in flight with another amount")
    if auto.month is None:
        return
    counted = (
        payment.amount
        for payment in payments
        if payment.status is not PaymentStatus.FAILED and _month_of(payment, look) == auto.month
    )
    spent = sum(counted, ZERO)
    if spent != auto.month_spent:
        counted_as, said = format_decimal(auto.month_spent), format_decimal(spent)
        findings.add(Kind.AUTO_RECHARGE, f"{auto.month}:", f"{counted_as} is spent, the payments say {said}")


def _month_of(payment: CardPayment, look: Look) -> Period:
    return max(look.head.state.account.calendar.period_of(payment.requested_at), look.first_period)
