"""
A payment gateway that charges cards of its own and counts how often.

    tok_ok         the payment succeeds
    tok_declined   it is declined
    tok_error      it succeeds, but the answer to its first confirmation is lost
    tok_refused    it cannot even be announced

It gives another id whenever a payment is announced, as a gateway does that has forgotten an idempotency key: whoever
confirms two of them charges twice.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import contextmanager
from threading import RLock
from typing import TYPE_CHECKING, Final

from chalicelib.payments.gateway import (
    DeclinedError,
    GatewayUnavailableError,
    Outcome,
    PaymentRequest,
    PaymentState,
)
from tests.fakes.memory_store import Fault
from tests.fakes.outside import BeforeCall, Call, calling, undisturbed


if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

REFUSED: Final = "tok_refused"
ANSWER_LOST: Final = "tok_error"

_SUCCEEDED: Final = Outcome(PaymentState.SUCCEEDED)
_OUTCOMES: Final = {
    "tok_ok": _SUCCEEDED,
    ANSWER_LOST: _SUCCEEDED,
    "tok_declined": Outcome(PaymentState.DECLINED, "card_declined"),
}
_UNKNOWN_CARD: Final = Outcome(PaymentState.DECLINED, "unknown_card")


class _Announced:
    """A payment at the gateway; while *answers_open* is above zero it tells no outcome."""

    def __init__(self, request: PaymentRequest) -> None:
        self.request = request
        self.outcome = Outcome(PaymentState.UNCONFIRMED)
        self.answers_open = 0

    def tell(self) -> Outcome:
        if not self.answers_open:
            return self.outcome
        self.answers_open -= 1
        return Outcome(PaymentState.PROCESSING)


class FakeGateway:
    """
    The gateway itself; `client` gives a process its own way there.

    Whoever asks for a confirmed payment is told *processing_answers* times that it is being processed. *before_call* is
    asked before each call, outside of any lock, and may have it fail.
    """

    def __init__(self, before_call: BeforeCall = undisturbed, processing_answers: int = 0) -> None:
        self.before_call = before_call
        self.processing_answers = processing_answers
        self.calls: list[Call] = []
        self._announced: dict[str, _Announced] = {}
        self._charges: dict[str, list[Decimal]] = defaultdict(list)
        self._lock = RLock()

    def client(self, name: str) -> ClientGateway:
        """Return the gateway as the client *name* uses it."""
        return ClientGateway(self, name)

    @property
    def charges(self) -> dict[str, list[Decimal]]:
        """Return every charge that was made, by our id of its payment."""
        with self._lock:
            return {payment: list(amounts) for payment, amounts in self._charges.items()}

    def _create(self, request: PaymentRequest) -> str:
        if request.token == REFUSED:
            raise DeclinedError("invalid_payment_method")
        gateway_id = f"fake_{len(self._announced) + 1}"
        self._announced[gateway_id] = _Announced(request)
        return gateway_id

    def _confirm(self, gateway_id: str) -> Outcome:
        payment = self._find(gateway_id)
        if payment.outcome.state is not PaymentState.UNCONFIRMED:
            return payment.tell()
        payment.outcome = _OUTCOMES.get(payment.request.token, _UNKNOWN_CARD)
        payment.answers_open = self.processing_answers
        if payment.outcome == _SUCCEEDED:
            self._charges[payment.request.payment].append(payment.request.amount)
        if payment.request.token == ANSWER_LOST:
            raise GatewayUnavailableError("the answer was lost")
        return payment.tell()

    def _retrieve(self, gateway_id: str) -> Outcome:
        return self._find(gateway_id).tell()

    def _find(self, gateway_id: str) -> _Announced:
        if gateway_id not in self._announced:
            message = f"there is no payment {gateway_id}"
            raise GatewayUnavailableError(message)
        return self._announced[gateway_id]

    @contextmanager
    def _calling(self, client: str, name: str) -> Iterator[None]:
        call = Call(client, name)
        fault: Fault | None = self.before_call(call)
        with calling(fault, GatewayUnavailableError), self._lock:
            self.calls.append(call)
            yield


class ClientGateway:
    """The `Gateway` of one client."""

    def __init__(self, shared: FakeGateway, client: str) -> None:
        self._shared = shared
        self._client = client

    def create(self, request: PaymentRequest) -> str:
        """Announce a payment."""
        with self._shared._calling(self._client, "create"):
            return self._shared._create(request)

    def confirm(self, gateway_id: str) -> Outcome:
        """Charge an announced payment, once."""
        with self._shared._calling(self._client, "confirm"):
            return self._shared._confirm(gateway_id)

    def retrieve(self, gateway_id: str) -> Outcome:
        """Tell where a payment stands."""
        with self._shared._calling(self._client, "retrieve"):
            return self._shared._retrieve(gateway_id)
