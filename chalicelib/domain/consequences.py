"""
What follows from a change of an account by itself: who is told, which warning is raised, whether credit is bought.

Low credit is judged after a charge and before auto recharge, both by the balance of the calendar month.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from chalicelib.domain.accounts import PaymentType
from chalicelib.domain.auto_recharge import InFlight
from chalicelib.domain.card_payments import CardPayment, PaymentKind
from chalicelib.domain.ledger import LedgerEntry, pool_balance
from chalicelib.domain.low_credit import LEVELS, ExpectedCredit, levels_crossed
from chalicelib.domain.money import ZERO, exact
from chalicelib.domain.notifications import Notification, credit_arrived, credit_low, free_units_exhausted
from chalicelib.domain.products import SHARED_POOL
from chalicelib.domain.state import AccountState


if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from chalicelib.domain.charges import Charge
    from chalicelib.domain.instants import Instant
    from chalicelib.domain.periods import Period

AUTO_RECHARGE_ACTOR = "schedule:auto-recharge"


class Consequences(Struct, frozen=True):
    """The *state* with all that follows, whom to tell, and the *payment* to make if any."""

    state: AccountState
    notifications: tuple[Notification, ...] = ()
    payment: CardPayment | None = None


def draw_consequences(
    before: AccountState,
    after: AccountState,
    charges: Sequence[Charge],
    entries: Sequence[LedgerEntry],
    payment_id: str,
) -> Consequences:
    """Return what follows where *charges* and *entries* led from *before* to *after*; a payment gets *payment_id*."""
    arrivals = (credit_arrived(after.account, entry) for entry in entries)
    notifications = [arrival for arrival in arrivals if arrival is not None]
    state = after
    if charges:
        notifications += _exhausted(before, after, charges)
        state, warnings = _warn(state)
        notifications += warnings
    state, payment = _request_payment(state, payment_id)
    return Consequences(state, tuple(notifications), payment)


def warnings_shown(state: AccountState, at: Instant) -> list[int]:
    """Return the levels of the low-credit warnings that show at *at*."""
    return state.warnings.shown(_crossed(state, at), state.current_period(at))


def expected_credit(state: AccountState, at: Instant) -> ExpectedCredit | None:
    """Return the credit that the shared pool's commitment stands for, None where none has begun or it is over."""
    commitment = state.commitment(SHARED_POOL)
    if commitment is None or commitment.last_recharge_on is None:
        return None
    if not commitment.is_active(state.account.calendar.date_of(at)):
        return None
    return ExpectedCredit(commitment.terms.amount, commitment.terms.frequency.months)


def _crossed(state: AccountState, at: Instant) -> tuple[int, ...]:
    expected = expected_credit(state, at)
    if expected is None:
        return ()
    balance = pool_balance(state, SHARED_POOL, state.current_period(at), at)
    return levels_crossed(state.account.payment_method.type, expected, balance)


def _warn(state: AccountState) -> tuple[AccountState, list[Notification]]:
    at = state.at
    expected = expected_credit(state, at)
    if expected is None:
        return state, []
    month = state.current_period(at)
    levels = LEVELS[state.account.payment_method.type]
    warnings, level = state.warnings.raise_for(_crossed(state, at), levels, month)
    if level is None:
        return state, []
    balance = pool_balance(state, SHARED_POOL, month, at)
    told = credit_low(state.account, warnings.id_of(level), level, balance, expected, month, at)
    return replace(state, warnings=warnings), [told]


@exact
def _exhausted(before: AccountState, after: AccountState, charges: Sequence[Charge]) -> list[Notification]:
    """Return the products whose free units *charges* have used up."""
    notifications = []
    used: dict[tuple[Period, str], Decimal] = {}
    for charge in charges:
        key = (charge.period, charge.event.resource)
        used[key] = used.get(key, ZERO) + charge.sign * charge.free
    for (period, resource), free in sorted(used.items()):
        included = after.account.included_units(resource)
        usage = before.usage_of(period).products.get(resource)
        used_before = ZERO if usage is None else usage.free
        if free and used_before < included <= used_before + free:
            notifications.append(free_units_exhausted(after.account, resource, period, included, after.at))
    return notifications


def _request_payment(state: AccountState, payment_id: str) -> tuple[AccountState, CardPayment | None]:
    """Ask for the payment that auto recharge has to make now, if any."""
    at = state.at
    auto = state.auto_recharge.waited(at)
    if auto is not state.auto_recharge:
        state = replace(state, auto_recharge=auto)
    if not auto.is_enabled or state.account.payment_method.type is not PaymentType.CREDIT_CARD:
        return state, None
    month = state.current_period(at)
    amount = auto.payment_due(pool_balance(state, SHARED_POOL, month, at), month, at)
    if amount is None:
        return state, None
    payment = CardPayment(
        id=payment_id,
        account=state.account.id,
        kind=PaymentKind.AUTO_RECHARGE,
        amount=amount,
        currency=state.account.currency,
        actor=AUTO_RECHARGE_ACTOR,
        requested_at=at,
        next_try_at=at,
    )
    return replace(state, auto_recharge=auto.requested(InFlight(payment_id, amount, month))), payment
