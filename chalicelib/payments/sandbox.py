"""
The sandbox: a gateway that moves no money and does what a card's token says.

    tok_ok         the payment succeeds
    tok_declined   it is declined
    tok_error      it succeeds, but the answer is lost; asked again, the sandbox tells

Any other token is declined as unknown. What it was asked for it keeps in a place of its own, as a real gateway would.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from chalicelib.payments.gateway import GatewayUnavailableError, Outcome, PaymentRequest, PaymentState


if TYPE_CHECKING:
    from collections.abc import Callable


OUTCOMES: Final = {
    "tok_ok": Outcome(PaymentState.SUCCEEDED),
    "tok_error": Outcome(PaymentState.SUCCEEDED),
    "tok_declined": Outcome(PaymentState.DECLINED, "card_declined"),
}
_UNKNOWN_CARD: Final = Outcome(PaymentState.DECLINED, "unknown_card")
_LOSES_ANSWERS: Final = frozenset({"tok_error"})
_MILLISECONDS: Final = 1000


class SandboxPayment(Struct, frozen=True):
    """What the sandbox was asked for, and what became of it."""

    request: PaymentRequest
    outcome: Outcome = Outcome(PaymentState.UNCONFIRMED)


class Drawer(Protocol):
    """Where the sandbox keeps its payments."""

    def read(self, name: str) -> bytes | None:
        """Return what was kept under *name*, None for nothing."""
        ...

    def keep(self, name: str, content: bytes) -> None:
        """Keep *content* under *name*."""
        ...


class SandboxGateway:
    """The gateway of this machine; every call takes *latency_ms* milliseconds, which *pause* waits in seconds."""

    def __init__(self, drawer: Drawer, pause: Callable[[float], None], latency_ms: int = 0) -> None:
        """Keep payments in *drawer*."""
        self._drawer = drawer
        self._pause = pause
        self._latency_ms = latency_ms

    def create(self, request: PaymentRequest) -> str:
        """Announce a payment and return the sandbox's id for it, which follows from ours."""
        self._take_time()
        gateway_id = f"sandbox_{request.payment}"
        if self._drawer.read(gateway_id) is None:
            self._drawer.keep(gateway_id, msgspec.json.encode(request))
        return gateway_id

    def confirm(self, gateway_id: str) -> Outcome:
        """Do what the token says, once."""
        self._take_time()
        payment = self.payment(gateway_id)
        if payment.outcome.state is not PaymentState.UNCONFIRMED:
            return payment.outcome
        outcome = OUTCOMES.get(payment.request.token, _UNKNOWN_CARD)
        self._drawer.keep(_outcome_name(gateway_id), msgspec.json.encode(outcome))
        if payment.request.token in _LOSES_ANSWERS:
            message = "the answer was lost"
            raise GatewayUnavailableError(message)
        return outcome

    def retrieve(self, gateway_id: str) -> Outcome:
        """Tell where a payment stands."""
        self._take_time()
        return self.payment(gateway_id).outcome

    def _take_time(self) -> None:
        if self._latency_ms:
            self._pause(self._latency_ms / _MILLISECONDS)

    def payment(self, gateway_id: str) -> SandboxPayment:
        """
        Return what the sandbox knows of a payment.

        Raises:
            GatewayUnavailableError: where it knows nothing.
        """
        content = self._drawer.read(gateway_id)
        if content is None:
            message = f"there is no payment {gateway_id}"
            raise GatewayUnavailableError(message)
        payment = SandboxPayment(msgspec.json.decode(content, type=PaymentRequest))
        outcome = self._drawer.read(_outcome_name(gateway_id))
        return payment if outcome is None else replace(payment, outcome=msgspec.json.decode(outcome, type=Outcome))


def _outcome_name(gateway_id: str) -> str:
    """Name the place of an outcome: apart from the request's, so that announcing it twice at once loses none."""
    return f"{gateway_id}/outcome"
