"""Payments by card: what was asked of the payment gateway, what came of it, and the credit that was bought."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

from msgspec import Struct
from msgspec.structs import replace

from chalicelib.domain.credit import Grant, GrantKind
from chalicelib.domain.instants import Instant
from chalicelib.domain.ledger import EntryKind, LedgerEntry, book_grant, pool_balance
from chalicelib.domain.notifications import Notification, auto_recharge_disabled, auto_recharge_failed
from chalicelib.domain.products import SHARED_POOL
from chalicelib.domain.state import AccountState


class PaymentKind(Enum):
    """What a payment is for."""

    PURCHASE = "purchase"
    AUTO_RECHARGE = "auto_recharge"


class PaymentStatus(Enum):
    """What came of a payment; pending until the gateway has told."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class CardPayment(Struct, frozen=True):
    """
    A payment of a whole number of minor units of *currency*.

    *gateway_id* is the gateway's own id, stored before anything is charged. *tries* counts how often asking the gateway
    left the outcome open, *next_try_at* is when it is asked again. *balance* is that of the shared pool once the credit
    was booked, *reason* the gateway's for a failure.
    """

    id: str
    account: str
    kind: PaymentKind
    amount: Decimal
    currency: str
    actor: str
    requested_at: Instant
    next_try_at: Instant
    status: PaymentStatus = PaymentStatus.PENDING
    gateway_id: str | None = None
    tries: int = 0
    settled_at: Instant | None = None
    reason: str | None = None
    balance: Decimal | None = None

    @property
    def is_settled(self) -> bool:
        """Tell whether the outcome is known."""
        return self.status is not PaymentStatus.PENDING


class Settlement(Struct, frozen=True):
    """A payment settled: the state after it, the payment as it now stands, and what is recorded and told."""

    state: AccountState
    payment: CardPayment
    entries: tuple[LedgerEntry, ...] = ()
    notifications: tuple[Notification, ...] = ()


_ENTRY_KINDS = {
    PaymentKind.PURCHASE: EntryKind.PURCHASE,
    PaymentKind.AUTO_RECHARGE: EntryKind.AUTO_RECHARGE,
}


def succeed(state: AccountState, payment: CardPayment, at: Instant) -> Settlement:
    """Book the credit that *payment* bought, as of *at*."""
    period = state.current_period(at)
    before = pool_balance(state, SHARED_POOL, period, at)
    grant = Grant(payment.id, SHARED_POOL, GrantKind.PURCHASED, payment.amount, at)
    state, settled = book_grant(state, grant)
    if payment.kind is PaymentKind.AUTO_RECHARGE:
        state = replace(state, auto_recharge=state.auto_recharge.succeeded())
    entry = LedgerEntry(
        id=f"{payment.kind.value}-{payment.id}",
        at=at,
        recorded_at=at,
        kind=_ENTRY_KINDS[payment.kind],
        pool=SHARED_POOL,
        amount=payment.amount,
        balance_before=before,
        cause=payment.id,
        actor=payment.actor,
        period=period,
        grant=payment.id,
        settled=settled,
    )
    paid = replace(payment, status=PaymentStatus.SUCCEEDED, settled_at=at, balance=entry.balance_after)
    return Settlement(replace(state, at=at), paid, (entry,))


def fail(state: AccountState, payment: CardPayment, reason: str, at: Instant) -> Settlement:
    """Note that *payment* was declined at *at*, and no credit booked."""
    failed = replace(payment, status=PaymentStatus.FAILED, settled_at=at, reason=reason)
    if payment.kind is PaymentKind.PURCHASE:
        return Settlement(replace(state, at=at), failed)
    before, after = state.auto_recharge, state.auto_recharge.declined(at)
    account = state.account
    notifications = [auto_recharge_failed(account, payment.id, payment.amount, reason, after, at)]
    if before.is_enabled and not after.is_enabled:
        notifications.append(auto_recharge_disabled(account, payment.id, after, at))
    return Settlement(replace(state, at=at, auto_recharge=after), failed, (), tuple(notifications))
