"""
Stripe as a `Gateway`: a payment is a PaymentIntent, made unconfirmed and confirmed off-session.

The token of an account is `pm_…`, a payment method, or `cus_…/pm_…`, a payment method and the customer it belongs to.
Stripe charges a payment method a second time only for the customer it is attached to, so accounts need the latter.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from decimal import Decimal, localcontext
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec import Struct, ValidationError, convert

from chalicelib.domain.money import EXACT, minor_digits
from chalicelib.payments.gateway import DeclinedError, GatewayUnavailableError, Outcome, PaymentState


if TYPE_CHECKING:
    from collections.abc import Callable

    from stripe import PaymentIntent, PaymentIntentService, StripeClient, StripeError
    from stripe.params import PaymentIntentCreateParams

    from chalicelib.payments.gateway import PaymentRequest

CONNECT_TIMEOUT_SECONDS: Final = 1.0
READ_TIMEOUT_SECONDS: Final = 3.0
CONFIRM_TIMEOUT_SECONDS: Final = 8.0
"""A confirmation waits for the card's bank."""
RETRIES_MAX: Final = 1
"""How often the SDK asks again, half a second later. With it, all three calls together take 26 s at the most."""

_TOKEN: Final = re.compile(r"(?:(?P<customer>cus_\w+)/)?(?P<payment_method>pm_\w+)", re.ASCII)
_NOT_FOUND: Final = 404
_ABOUT_THE_PAYMENT: Final = frozenset({"amount", "currency", "customer", "payment_method"})
_MISCONFIGURED: Final = frozenset({"livemode_mismatch", "secret_key_required", "testmode_charges_only"})


class _Unit(NamedTuple):
    """How Stripe counts a currency: in units of *digits* decimals, and only multiples of *step* of them."""

    digits: int
    step: int = 1


_UNITS: Final = {
    # Written with two decimals that must be zero.
    "ISK": _Unit(2, 100),
    "UGX": _Unit(2, 100),
    # Has a fifth as its minor unit, which Stripe does not know.
    "MGA": _Unit(0),
    # Card networks take two decimals of the three.
    "BHD": _Unit(3, 10),
    "JOD": _Unit(3, 10),
    "KWD": _Unit(3, 10),
    "OMR": _Unit(3, 10),
    "TND": _Unit(3, 10),
}
"""Where Stripe's smallest unit is not that of ISO 4217; see docs.stripe.com/currencies."""


class _Failure(Struct, frozen=True):
    """Stripe's word on what went wrong; messages are left out, since they quote what was sent."""

    code: str | None = None
    decline_code: str | None = None
    param: str | None = None

    @property
    def reason(self) -> str:
        return self.decline_code or self.code or "invalid_request"


class _Intent(Struct, frozen=True):
    id: str
    status: str
    last_payment_error: _Failure | None = None


class _RefusedError(Exception):
    """Stripe understood the request and refused it; *is_by_card* where the card did."""

    def __init__(self, failure: _Failure, status: int | None, *, is_by_card: bool) -> None:
        super().__init__(failure.reason)
        self.failure = failure
        self.is_by_card = is_by_card
        self._status = status

    @property
    def is_about_payment(self) -> bool:
        """Whether the payment itself is refused, rather than this program or its settings."""
        if self.is_by_card:
            return True
        if self.failure.code in _MISCONFIGURED or (self._status == _NOT_FOUND and self.failure.code is None):
            return False
        return self.failure.param is None or self.failure.param in _ABOUT_THE_PAYMENT

    def as_unavailable(self) -> GatewayUnavailableError:
        """Return the error for a refusal that says nothing of the payment."""
        return GatewayUnavailableError(f"Stripe refuses the request: {self.failure.reason}, {self.failure.param}")


class _RepeatedFailureError(GatewayUnavailableError):
    """Stripe repeats how an earlier request failed, which it keeps for the idempotency key."""

    def __init__(self, message: str, original: str) -> None:
        super().__init__(message)
        self.original = original


class StripeGateway:
    """
    Payments by Stripe at *api_base* (None for Stripe's own address).

    *timeout* and *confirm_timeout* limit how long an answer may take, seconds.
    """

    def __init__(
        self,
        api_key: str,
        *,
        api_base: str | None = None,
        timeout: float = READ_TIMEOUT_SECONDS,
        confirm_timeout: float = CONFIRM_TIMEOUT_SECONDS,
    ) -> None:
        self._api_key = api_key
        self._api_base = api_base
        self._timeout = timeout
        self._confirm_timeout = confirm_timeout

    def create(self, request: PaymentRequest) -> str:
        """
        Make an unconfirmed PaymentIntent and return its id.

        Raises:
            DeclinedError: where token, amount or currency are none of Stripe's, or Stripe refuses one of them.
            GatewayUnavailableError: where it did not answer, or is not set up for us.
        """
        params = _params(request)
        # All that is sent belongs to the key: Stripe takes a key only with the very parameters it came with first.
        key = f"create-{_digest(request.payment, params)}"
        try:
            try:
                intent = _ask(lambda: self._intents.create(params, {"idempotency_key": key}))
            except _RepeatedFailureError as failure:
                # Nothing would come of that key for a day. A second intent does no harm, since only one is confirmed.
                key = f"{key}-{failure.original}"
                intent = _ask(lambda: self._intents.create(params, {"idempotency_key": key}))
        except _RefusedError as refusal:
            if not refusal.is_about_payment:
                raise refusal.as_unavailable() from None
            raise DeclinedError(refusal.failure.reason) from None
        return intent.id

    def confirm(self, gateway_id: str) -> Outcome:
        """
        Charge a PaymentIntent; one that needs the customer to act is declined.

        Raises:
            GatewayUnavailableError: where Stripe did not answer, or another confirmation is under way.
        """
        try:
            return _outcome(_ask(lambda: self._send_confirmation(gateway_id)))
        except _RefusedError as refusal:
            if refusal.is_by_card:
                return Outcome(PaymentState.DECLINED, refusal.failure.reason)
            return self._after_refusal(gateway_id, refusal)

    def retrieve(self, gateway_id: str) -> Outcome:
        """
        Tell where a PaymentIntent stands.

        Raises:
            GatewayUnavailableError: where Stripe did not answer, or knows of no such PaymentIntent.
        """
        try:
            return _outcome(_ask(lambda: self._intents.retrieve(gateway_id)))
        except _RefusedError as refusal:
            raise refusal.as_unavailable() from None

    def _send_confirmation(self, gateway_id: str) -> PaymentIntent:
        return self._patient_intents.confirm(
            gateway_id,
            {"off_session": True, "error_on_requires_action": True},
            {
                "idempotency_key": f"confirm-{gateway_id}",
                # There is no time for a second one, so the first does not go over a connection that may have died.
                "max_network_retries": 0,
                "headers": {"Connection": "close"},
            },
        )

    def _after_refusal(self, gateway_id: str, refusal: _RefusedError) -> Outcome:
        """Tell what became of an intent that Stripe would not confirm: most often it has been confirmed before."""
        outcome = self.retrieve(gateway_id)
        if outcome.state is not PaymentState.UNCONFIRMED:
            return outcome
        if not refusal.is_about_payment or refusal.failure.code == "payment_intent_unexpected_state":
            raise refusal.as_unavailable() from None
        return self._cancel(gateway_id, refusal.failure.reason)

    def _cancel(self, gateway_id: str, reason: str) -> Outcome:
        """Decline a payment so that nobody can confirm it later; one that was confirmed meanwhile stays so."""
        try:
            _ask(lambda: self._intents.cancel(gateway_id))
        except _RefusedError:
            return self.retrieve(gateway_id)
        return Outcome(PaymentState.DECLINED, reason)

    @cached_property
    def _intents(self) -> PaymentIntentService:
        return self._client(self._timeout).v1.payment_intents

    @cached_property
    def _patient_intents(self) -> PaymentIntentService:
        return self._client(self._confirm_timeout).v1.payment_intents

    def _client(self, timeout: float) -> StripeClient:
        import stripe  # noqa: PLC0415 - most requests pay nothing, and it is slow to load

        # It would write an id of this machine to its disk, and send it.
        stripe.enable_telemetry = False
        # At a lower level it would log what it sends, tokens and all.
        logging.getLogger("stripe").setLevel(logging.WARNING)
        return stripe.StripeClient(
            self._api_key,
            base_addresses={} if self._api_base is None else {"api": self._api_base},
            max_network_retries=RETRIES_MAX,
            http_client=stripe.RequestsClient(timeout=(CONNECT_TIMEOUT_SECONDS, timeout)),
        )


def _params(request: PaymentRequest) -> PaymentIntentCreateParams:
    token = _TOKEN.fullmatch(request.token)
    if token is None:
        raise DeclinedError("invalid_payment_method")
    params: PaymentIntentCreateParams = {
        "amount": _units(request.amount, request.currency),
        "currency": request.currency.lower(),
        "payment_method": token["payment_method"],
        "payment_method_types": ["card"],
        "metadata": {"account": request.account, "payment": request.payment},
    }
    if token["customer"]:
        params["customer"] = token["customer"]
    return params


def _units(amount: Decimal, currency: str) -> int:
    """Return an amount in the units Stripe counts *currency* in."""
    digits = minor_digits(currency)
    if digits is None:
        raise DeclinedError("invalid_currency")
    unit = _UNITS.get(currency, _Unit(digits))
    with localcontext(EXACT):
        units = amount.scaleb(unit.digits)
        if units <= 0 or units % unit.step:
            raise DeclinedError("invalid_amount")
    return int(units)


def _digest(payment: str, params: PaymentIntentCreateParams) -> str:
    return hashlib.sha256(json.dumps([payment, params], sort_keys=True).encode()).hexdigest()


def _ask(call: Callable[[], PaymentIntent]) -> _Intent:
    """Return the PaymentIntent that Stripe answers with, or raise what has become of the call, without its secrets."""
    import stripe  # noqa: PLC0415 - as above

    try:
        return convert(call().to_dict(), _Intent)
    except (stripe.CardError, stripe.InvalidRequestError) as error:
        failure = _Failure(error.code, getattr(error.error, "decline_code", None), error.param)
        raise _RefusedError(failure, error.http_status, is_by_card=isinstance(error, stripe.CardError)) from None
    except stripe.StripeError as error:
        raise _unavailable(error) from None
    except (AttributeError, TypeError, ValidationError):
        # So the SDK, or we, stumble over an answer that is not of Stripe's making.
        raise GatewayUnavailableError("the answer is not Stripe's") from None


def _unavailable(error: StripeError) -> GatewayUnavailableError:
    headers = error.headers or {}
    message = f"{type(error).__name__}, status {error.http_status}, request {headers.get('Request-Id')}"
    if headers.get("Idempotent-Replayed") == "true" and "Original-Request" in headers:
        return _RepeatedFailureError(message, headers["Original-Request"])
    return GatewayUnavailableError(message)


def _outcome(intent: _Intent) -> Outcome:
    failure = intent.last_payment_error
    match intent.status:
        case "requires_confirmation":
            return Outcome(PaymentState.UNCONFIRMED)
        case "processing":
            return Outcome(PaymentState.PROCESSING)
        case "succeeded":
            return Outcome(PaymentState.SUCCEEDED)
        case "requires_payment_method":
            # Every intent starts with a payment method, and loses it for good when that is declined.
            return Outcome(PaymentState.DECLINED, failure.reason if failure else "payment_method_missing")
        case "requires_action":
            return Outcome(PaymentState.DECLINED, "authentication_required")
        case "canceled":
            return Outcome(PaymentState.DECLINED, failure.reason if failure else "canceled")
        case _:
            raise GatewayUnavailableError("the payment is in a state that it should never be in")
