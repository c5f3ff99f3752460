"""One-time purchases of credit, each made once however often the request is sent."""

from __future__ import annotations

from decimal import Decimal
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from ulid import ULID

from chalicelib.domain.accounts import PaymentType
from chalicelib.domain.card_payments import CardPayment, PaymentKind
from chalicelib.domain.instants import SECOND
from chalicelib.domain.money import NotADecimalError, format_decimal, parse_payment
from chalicelib.services.changes import Changes, Decision, Situation, new_nonce
from chalicelib.services.errors import BusyError, Fault, RefusedError
from chalicelib.services.manage_accounts import unknown_account
from chalicelib.storage.payments import Payments, put_payment
from chalicelib.storage.records import FirstAnswer, Records, put_first_answer


if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.services.clocks import Clock
    from chalicelib.services.manage_accounts import AccountManagement
    from chalicelib.services.take_payments import TakingPayments


OPERATION: Final = "purchases"
PURCHASE_MIN: Final = Decimal(100)
CREATED: Final = 201
FIRST_RUN_SECONDS_MAX: Final = 12
"""How long a repeat waits for the first request before it takes the payment to be abandoned and carries it on."""

_LOOK_SECONDS: Final = 0.05


class _Order(Struct, frozen=True):
    """A request to buy credit under its idempotency key; *payment* is the id that a first request gives."""

    amount: Decimal
    key: str
    actor: str
    payment: str

    @property
    def body_hash(self) -> str:
        return sha256(format_decimal(self.amount).encode()).hexdigest()


class _Placed(Struct, frozen=True):
    """The payment that an idempotency key stands for, and whether this request is the first with it."""

    payment: str
    is_first: bool


class BuyingCredit:
    """Sells credit of the shared pool to accounts that pay by card."""

    def __init__(  # noqa: PLR0913 - what a purchase touches
        self,
        accounts: AccountManagement,
        changes: Changes,
        records: Records,
        payments: Payments,
        taking: TakingPayments,
        real_clock: Clock,
        pause: Callable[[float], None],
    ) -> None:
        """Sell through *taking*; *real_clock* and *pause* measure how long a repeat waits."""
        self._accounts = accounts
        self._changes = changes
        self._records = records
        self._payments = payments
        self._taking = taking
        self._real_clock = real_clock
        self._pause = pause

    def purchase(self, account: str, amount: str, idempotency_key: str, actor: str) -> CardPayment:
        """
        Buy credit for *amount*, or return what became of the first request where *idempotency_key* was used before.

        The payment is pending where the gateway has not told yet.

        Raises:
            RefusedError: `not_found`, `invalid_amount`, `below_minimum`, `payment_method_not_card`, or
                `idempotency_key_reused` for another amount under the same key.
            BusyError: where the account is too busy.
        """
        currency = self._accounts.get(account).currency
        order = _Order(read_payment("/amount", amount, currency), idempotency_key, actor, payment=str(ULID()))
        if order.amount < PURCHASE_MIN:
            detail = f"must be at least {PURCHASE_MIN} {currency}"
            raise RefusedError("below_minimum", f"amount {detail}", (Fault("/amount", detail),))
        placed = self._changes.apply(account, new_nonce(), lambda situation: self._place(situation, order))
        if placed is None:
            raise unknown_account(account)
        if not placed.is_first:
            self._wait_for_first(account, placed.payment)
        return self._carry_on(account, placed)

    def get(self, account: str, payment: str) -> CardPayment:
        """
        Return a purchase.

        Raises:
            RefusedError: `not_found`.
        """
        stored = self._payments.get(account, payment)
        if stored is None or stored.payment.kind is not PaymentKind.PURCHASE:
            detail = f"there is no purchase {payment!r}"
            raise RefusedError("not_found", detail)
        return stored.payment

    def _place(self, situation: Situation, order: _Order) -> Decision[_Placed]:
        """Record the payment that is asked for, together with the key that asks for it."""
        account = situation.state.account
        first = self._records.first_answer(account.id, OPERATION, order.key)
        if first is not None:
            if first.body_hash != order.body_hash:
                raise RefusedError("idempotency_key_reused", "the key was used with another body")
            placed = msgspec.json.decode(first.answer, type=str)
            return Decision(_Placed(placed, is_first=placed == order.payment))
        if account.payment_method.type is not PaymentType.CREDIT_CARD:
            raise RefusedError("payment_method_not_card", "only accounts that pay by card can buy credit")
        payment = CardPayment(
            id=order.payment,
            account=account.id,
            kind=PaymentKind.PURCHASE,
            amount=order.amount,
            currency=account.currency,
            actor=order.actor,
            requested_at=situation.at,
            next_try_at=situation.at,
        )
        kept = FirstAnswer(order.body_hash, CREATED, msgspec.Raw(msgspec.json.encode(order.payment)))
        puts = (put_payment(payment), put_first_answer(account.id, OPERATION, order.key, kept))
        return Decision(_Placed(order.payment, is_first=True), replace(situation.state, is_used=True), puts=puts)

    def _carry_on(self, account: str, placed: _Placed) -> CardPayment:
        stored = self._payments.get(account, placed.payment)
        if stored is None:
            message = f"payment {placed.payment} of account {account} is being recorded"
            raise BusyError(message)
        payment = stored.payment
        if payment.is_settled or (payment.tries and not placed.is_first):
            return payment
        return self._taking.carry_on(account, placed.payment)

    def _wait_for_first(self, account: str, payment: str) -> None:
        """
        Wait until the first request has its answer, or has had time enough for it.

        Its payment may become visible later than the key that names it.
        """
        until = self._real_clock.now() + FIRST_RUN_SECONDS_MAX * SECOND
        while self._real_clock.now() < until:
            stored = self._payments.get(account, payment)
            if stored is not None and (stored.payment.is_settled or stored.payment.tries):
                return
            self._pause(_LOOK_SECONDS)


def read_payment(pointer: str, text: object, currency: str) -> Decimal:
    """
    Read an amount to pay, of whole minor units of *currency*.

    Raises:
        RefusedError: `invalid_amount`.
    """
    try:
        return parse_payment(text, currency)
    except NotADecimalError as error:
        raise RefusedError("invalid_amount", f"{pointer[1:]} {error}", (Fault(pointer, str(error)),)) from error
