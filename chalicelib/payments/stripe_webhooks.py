"""What Stripe tells of its own accord. A notice says which payment to look at, never what became of it."""

from __future__ import annotations

from typing import Final

from msgspec import DecodeError, Struct
from msgspec.json import decode


TOLERANCE_SECONDS: Final = 5 * 60
"""How old a signature may be."""


class WebhookNotice(Struct, frozen=True):
    """Something happened to this payment of this account; `Gateway.retrieve` tells what."""

    account: str
    payment: str


class InvalidSignatureError(Exception):
    """The message is not Stripe's, or an old one; nothing of it may be believed."""


class _PaymentIntent(Struct):
    metadata: WebhookNotice


class _Data(Struct):
    object: _PaymentIntent


class _Event(Struct):
    type: str
    data: _Data


def read_webhook(payload: bytes, signature: str, secret: str) -> WebhookNotice | None:
    """
    Return whose payment a message of Stripe's is about, None where it is about none of ours.

    *payload* is the body as it came, *signature* its `Stripe-Signature` header, *secret* that of the endpoint.

    Raises:
        InvalidSignatureError: where the signature is missing, wrong, or older than five minutes.
    """
    _verify(payload, signature, secret)
    try:
        event = decode(payload, type=_Event)
    except DecodeError:
        return None
    return event.data.object.metadata if event.type.startswith("payment_intent.") else None


def _verify(payload: bytes, signature: str, secret: str) -> None:
    import stripe  # noqa: PLC0415 - no other request needs it, and it is slow to load

    try:
        stripe.WebhookSignature.verify_header(payload, signature, secret, TOLERANCE_SECONDS)
    except (stripe.SignatureVerificationError, TypeError, ValueError):
        # Text that is not UTF-8 or, in the header, not ASCII is beyond the SDK.
        raise InvalidSignatureError("the signature does not match") from None
