"""
What the service tells the world, in words fixed by the schemas in `events/`.

A notification has an id of its own that never changes, so that a receiver can tell one that comes twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from chalicelib.domain.instants import Instant, format_instant
from chalicelib.domain.ledger import EntryKind, LedgerEntry
from chalicelib.domain.money import format_decimal, format_money


if TYPE_CHECKING:
    from decimal import Decimal

    from chalicelib.domain.accounts import Account
    from chalicelib.domain.auto_recharge import AutoRecharge
    from chalicelib.domain.invoice import Invoice
    from chalicelib.domain.low_credit import ExpectedCredit
    from chalicelib.domain.periods import Period


class Notification(Struct, frozen=True):
    """Something that happened at the instant *at*: its *name*, and *data* as JSON will carry it."""

    id: str
    name: str
    at: Instant
    data: dict[str, Any]


_NAMES_BY_KIND: Final = {
    EntryKind.RECHARGE: "credit.recharged",
    EntryKind.AUTO_RECHARGE: "credit.recharged",
    EntryKind.PURCHASE: "credit.purchased",
}


def credit_arrived(account: Account, entry: LedgerEntry) -> Notification | None:
    """Return what is told of a ledger entry, None for a movement nobody is told of."""
    name = _NAMES_BY_KIND.get(entry.kind)
    if name is None:
        return None
    return _notification(
        account,
        name,
        entry.id,
        entry.recorded_at,
        ledger_entry=entry.id,
        kind=entry.kind.value,
        pool=entry.pool,
        amount=format_money(entry.amount, account.currency),
        balance=format_money(entry.balance_after, account.currency),
        currency=account.currency,
        effective_at=format_instant(entry.at),
        expires_on=None if entry.expires_on is None else entry.expires_on.isoformat(),
    )


def credit_low(  # noqa: PLR0913 - the parts of a warning
    account: Account, warning: str, level: int, balance: Decimal, expected: ExpectedCredit, period: Period, at: Instant
) -> Notification:
    """Tell of a low-credit warning that was raised."""
    return _notification(
        account,
        "credit.low",
        warning,
        at,
        warning=warning,
        level=level,
        payment_method=account.payment_method.type.value,
        period=str(period),
        balance=format_money(balance, account.currency),
        commitment=format_money(expected.amount, account.currency),
        commitment_months=expected.months,
        currency=account.currency,
    )


def free_units_exhausted(
    account: Account, resource: str, period: Period, included: Decimal, at: Instant
) -> Notification:
    """Tell that the last of a product's free units in a month was used."""
    quantity = format_decimal(included)
    name = f"free-units-{period}-{resource}-{quantity}"
    return _notification(
        account, "free_units.exhausted", name, at, resource=resource, period=str(period), included=quantity
    )


def auto_recharge_failed(  # noqa: PLR0913 - the parts of a failure
    account: Account, payment: str, amount: Decimal, reason: str, auto: AutoRecharge, at: Instant
) -> Notification:
    """Tell that a payment of auto recharge was declined, and when the next is tried."""
    return _notification(
        account,
        "auto_recharge.failed",
        f"failed-{payment}",
        at,
        payment=payment,
        amount=format_money(amount, account.currency),
        currency=account.currency,
        reason=reason,
        failures=auto.failures,
        next_try_at=None if auto.next_try_at is None else format_instant(auto.next_try_at),
    )


def auto_recharge_disabled(account: Account, payment: str, auto: AutoRecharge, at: Instant) -> Notification:
    """Tell that auto recharge is off after failures in a row."""
    return _notification(
        account, "auto_recharge.disabled", f"disabled-{payment}", at, payment=payment, failures=auto.failures
    )


def invoice_issued(account: Account, invoice: Invoice) -> Notification:
    """Tell that the invoice of a month was issued."""
    return _notification(
        account,
        "invoice.issued",
        f"invoice-{invoice.period}",
        invoice.recorded_at,
        invoice=invoice.id,
        period=str(invoice.period),
        issued_at=format_instant(invoice.issued_at),
        total=format_money(invoice.total, invoice.currency),
        currency=invoice.currency,
    )


def _notification(account: Account, name: str, subject: str, at: Instant, /, **data: Any) -> Notification:
    return Notification(f"{account.id}:{subject}", name, at, {"account": account.id, **data})
