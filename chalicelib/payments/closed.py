"""No payment gateway: for processes that take no payments, and are given no keys for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from chalicelib.payments.gateway import GatewayUnavailableError


if TYPE_CHECKING:
    from chalicelib.payments.gateway import Outcome, PaymentRequest


class ClosedGateway:
    """Answers nothing: a payment that comes here by mistake stays open, and is carried on by who can."""

    def create(self, request: PaymentRequest) -> str:  # noqa: ARG002 - as every gateway's
        """Refuse to answer."""
        _refuse()

    def confirm(self, gateway_id: str) -> Outcome:  # noqa: ARG002 - as above
        """Refuse to answer."""
        _refuse()

    def retrieve(self, gateway_id: str) -> Outcome:  # noqa: ARG002 - as above
        """Refuse to answer."""
        _refuse()


def _refuse() -> NoReturn:
    raise GatewayUnavailableError("this process takes no payments")
