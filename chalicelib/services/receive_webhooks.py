"""What the payment gateway tells by itself: a hint to ask it, never an outcome to believe."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from chalicelib.services.errors import RefusedError


if TYPE_CHECKING:
    from chalicelib.services.take_payments import TakingPayments


_log = logging.getLogger(__name__)


class ReceivingWebhooks:
    """Receives the webhooks of Stripe."""

    def __init__(self, secret: str | None, taking: TakingPayments) -> None:
        """Carry payments on through *taking*; webhooks are signed with *secret*, without which all are refused."""
        self._secret = secret
        self._taking = taking

    def receive(self, payload: bytes, signature: str) -> None:
        """
        Carry on the payment that *payload* speaks of, if it is one of ours.

        Raises:
            RefusedError: `invalid_signature`.
            BusyError: where the account is too busy; Stripe sends a webhook again.
        """
        from chalicelib.payments.stripe_webhooks import (  # noqa: PLC0415 - the SDK takes longer to load than a request
            InvalidSignatureError,
            read_webhook,
        )

        try:
            notice = read_webhook(payload, signature, self._secret or "")
        except InvalidSignatureError as error:
            raise RefusedError("invalid_signature", "the webhook is not signed as it must be") from error
        if notice is None:
            return
        try:
            self._taking.carry_on(notice.account, notice.payment)
        except LookupError:
            _log.warning(
                "a webhook speaks of payment %s of account %s, which is not here", notice.payment, notice.account
            )
