"""
Taking payments: from the request to the gateway to the credit, step by step, from wherever a payment stands.

A payment is announced at the gateway, the gateway's own id is stored, and only then is it confirmed; the credit is
booked in the transaction that settles the payment. `carry_on` takes all steps that are left. It may stop anywhere and
be called again, late, or by several processes at once: one id is ever confirmed, and one transaction books the credit.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from chalicelib.domain.accounts import PaymentType
from chalicelib.domain.card_payments import CardPayment, Settlement, fail, succeed
from chalicelib.domain.instants import DAY, MINUTE, Instant
from chalicelib.observability import Metric, count
from chalicelib.payments.gateway import (
    DeclinedError,
    Gateway,
    GatewayUnavailableError,
    Outcome,
    PaymentRequest,
    PaymentState,
)
from chalicelib.services.changes import Changes, Decision, Situation, new_nonce
from chalicelib.storage.payments import Payments, StoredPayment, put_payment


if TYPE_CHECKING:
    from chalicelib.services.clocks import Clock
    from chalicelib.storage.accounts import Accounts


FIRST_RETRY_AFTER: Final = 15 * MINUTE
RETRY_AFTER_MAX: Final = DAY

NO_CARD: Final = "payment_method_not_card"

_log = logging.getLogger(__name__)


class _Told(Struct, frozen=True):
    """What the gateway said of the payment that it knows as *gateway_id*, None where it took no announcement."""

    gateway_id: str | None
    outcome: Outcome


class TakingPayments:
    """Carries payments on until their outcome is known and booked."""

    def __init__(
        self, accounts: Accounts, changes: Changes, payments: Payments, gateway: Gateway, clock: Clock
    ) -> None:
        """Take *payments* through *gateway*."""
        self._accounts = accounts
        self._changes = changes
        self._payments = payments
        self._gateway = gateway
        self._clock = clock

    def carry_on(self, account: str, payment: str) -> CardPayment:
        """
        Take all steps that are left of a payment, and return how it stands: pending where its outcome is not known.

        Raises:
            LookupError: where there is no such payment.
            BusyError, StoreError: where the account is too busy or the store cannot be reached; nothing is lost.
        """
        stored = self._load(account, payment)
        if stored.payment.is_settled:
            return stored.payment
        after = self._take_steps(stored)
        count(Metric.PAYMENTS, result=after.status.value)
        return after

    def _take_steps(self, stored: StoredPayment) -> CardPayment:
        account, payment = stored.payment.account, stored.payment.id
        try:
            told = self._charge(stored)
        except DeclinedError as error:
            told = _Told(None, Outcome(PaymentState.DECLINED, error.reason))
        except GatewayUnavailableError as error:
            _log.warning("payment %s of account %s: outcome unknown: %s", payment, account, error)
            return self._wait(account, payment)
        if told.outcome.state in (PaymentState.SUCCEEDED, PaymentState.DECLINED):
            return self._settle(account, payment, told)
        return self._wait(account, payment)

    def _load(self, account: str, payment: str) -> StoredPayment:
        stored = self._payments.get(account, payment)
        if stored is None:
            message = f"account {account} has no payment {payment}"
            raise LookupError(message)
        return stored

    def _charge(self, stored: StoredPayment) -> _Told:
        """Confirm a payment, unless asking shows that this was done."""
        gateway_id = stored.payment.gateway_id
        if gateway_id is not None:
            outcome = self._gateway.retrieve(gateway_id)
            if outcome.state is not PaymentState.UNCONFIRMED:
                return _Told(gateway_id, outcome)
        else:
            gateway_id = self._announce(stored)
        return _Told(gateway_id, self._gateway.confirm(gateway_id))

    def _announce(self, stored: StoredPayment) -> str:
        """Store the gateway's id of a payment; where another process was faster, its id is the one that counts."""
        payment = stored.payment
        gateway_id = self._gateway.create(self._request(payment))
        if self._payments.replace(stored, replace(payment, gateway_id=gateway_id)) is not None:
            return gateway_id
        current = self._load(payment.account, payment.id).payment
        if current.gateway_id is None:
            message = "another process is at it"
            raise GatewayUnavailableError(message)
        return current.gateway_id

    def _request(self, payment: CardPayment) -> PaymentRequest:
        head = self._accounts.load(payment.account)
        method = None if head is None else head.state.account.payment_method
        if method is None or method.type is not PaymentType.CREDIT_CARD or method.token is None:
            raise DeclinedError(NO_CARD)
        return PaymentRequest(payment.id, payment.account, payment.amount, payment.currency, method.token)

    def _settle(self, account: str, payment: str, told: _Told) -> CardPayment:
        """Book what the gateway said, once; that it took no announcement says nothing of one that it took."""

        def decide(situation: Situation) -> Decision[CardPayment]:
            stored = self._load(account, payment)
            if stored.payment.is_settled or stored.payment.gateway_id != told.gateway_id:
                return Decision(stored.payment)
            settlement = _settlement(situation, stored.payment, told.outcome)
            return Decision(
                settlement.payment,
                settlement.state,
                entries=settlement.entries,
                notifications=settlement.notifications,
                puts=(put_payment(settlement.payment, stored),),
            )

        settled = self._changes.apply(account, new_nonce(), decide)
        if settled is None:
            message = f"there is no account {account}"
            raise LookupError(message)
        return settled

    def _wait(self, account: str, payment: str) -> CardPayment:
        """Note that the outcome is not known yet, and when to ask again: the first time at once, then ever later."""
        stored = self._load(account, payment)
        if stored.payment.is_settled:
            return stored.payment
        now = self._clock.now()
        tries = stored.payment.tries
        waiting = replace(stored.payment, tries=tries + 1, next_try_at=now + _pause_before_retry(tries))
        noted = self._payments.replace(stored, waiting)
        return self._load(account, payment).payment if noted is None else noted.payment


def _pause_before_retry(tries: int) -> Instant:
    return 0 if tries == 0 else min(FIRST_RETRY_AFTER * 2 ** min(tries - 1, 10), RETRY_AFTER_MAX)


def _settlement(situation: Situation, payment: CardPayment, outcome: Outcome) -> Settlement:
    if outcome.state is PaymentState.SUCCEEDED:
        return succeed(situation.state, payment, situation.at)
    return fail(situation.state, payment, outcome.reason or "declined", situation.at)
