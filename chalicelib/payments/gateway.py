"""
What the service asks of a payment gateway.

A payment is made in two steps, so that a crash never leaves a charge nobody knows of: `create` names it at the gateway
and charges nothing, and once that name is stored, `confirm` charges it. Whatever became of a confirmation, `retrieve`
tells by the name. All three may be repeated, by several processes at once, and one payment is charged once at the most.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from typing import Protocol

from msgspec import Struct


class PaymentState(Enum):
    """Where a payment stands at the gateway; `PROCESSING` is for one whose outcome is not known yet."""

    UNCONFIRMED = "unconfirmed"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    DECLINED = "declined"


class Outcome(Struct, frozen=True):
    """What a gateway says of a payment; *reason* is its code for a decline, such as `insufficient_funds`."""

    state: PaymentState
    reason: str | None = None


class PaymentRequest(Struct, frozen=True):
    """
    A payment to be made off-session with a stored card.

    *payment* is our own id of it, *amount* is exact, above zero and of whole minor units of *currency* (ISO 4217), and
    *token* stands for the card.
    """

    payment: str
    account: str
    amount: Decimal
    currency: str
    token: str

    def __repr__(self) -> str:
        """Show everything but the token, which is a secret."""
        return f"PaymentRequest({self.payment}, {self.account}, {self.amount} {self.currency})"


class DeclinedError(Exception):
    """The gateway will never take the payment; *reason* is its code for that."""

    def __init__(self, reason: str) -> None:
        """Keep the reason."""
        super().__init__(f"declined: {reason}")
        self.reason = reason


class GatewayUnavailableError(Exception):
    """The gateway did not answer, or not what was asked: what was asked may or may not have happened."""


class Gateway(Protocol):
    """A payment gateway."""

    def create(self, request: PaymentRequest) -> str:
        """
        Announce a payment and return the gateway's own id for it; nothing is charged.

        The same payment announced again gives the same id, or another that is never confirmed.

        Raises:
            DeclinedError: where the gateway refuses the payment as it is.
            GatewayUnavailableError: where it did not answer.
        """
        ...

    def confirm(self, gateway_id: str) -> Outcome:
        """
        Charge an announced payment, once however often this is called.

        Raises:
            GatewayUnavailableError: where it did not answer; `retrieve` tells what became of it.
        """
        ...

    def retrieve(self, gateway_id: str) -> Outcome:
        """
        Tell where a payment stands; one that is unconfirmed may be about to be charged, if `confirm` did not answer.

        Raises:
            GatewayUnavailableError: where it did not answer.
        """
        ...
