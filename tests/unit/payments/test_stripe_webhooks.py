"""What Stripe tells of its own accord."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from chalicelib.payments.stripe_webhooks import InvalidSignatureError, WebhookNotice, read_webhook
from tests.fakes.stripe_signing import SECRET, signature


OURS: Final = {"account": "acme", "payment": "p-1"}


def event(kind: str = "payment_intent.succeeded", metadata: Any = OURS) -> bytes:
    """Return a message about a PaymentIntent."""
    intent = {"id": "pi_1", "object": "payment_intent", "status": "succeeded", "metadata": metadata}
    return json.dumps({"id": "evt_1", "object": "event", "type": kind, "data": {"object": intent}}).encode()


@pytest.mark.parametrize("kind", ["succeeded", "payment_failed", "canceled", "processing"])
def test_valid(kind: str) -> None:
    """A message about one of our payments names it, whatever it says happened."""
    payload = event(f"payment_intent.{kind}")

    assert read_webhook(payload, signature(payload), SECRET) == WebhookNotice("acme", "p-1")


def test_signature_made_elsewhere() -> None:
    """A signature that another program made is taken; its time is the first second of 2100."""
    payload = b'{"type":"payment_intent.succeeded","data":{"object":{"metadata":{"account":"acme","payment":"p-1"}}}}'
    # From `printf '4102444800.%s' "$payload" | openssl dgst -sha256 -hmac whsec_made_up`.
    digest = "fbe3ae44d07b27141ae4866b450bd6990a60892f7e09da80343e480a28ce4f64"

    assert read_webhook(payload, f"t=4102444800,v1={digest}", SECRET) == WebhookNotice("acme", "p-1")


def test_several_signatures() -> None:
    """While an endpoint's secret is replaced a message is signed with both."""
    payload = event()
    header = f"{signature(payload)},v1={'0' * 64},v0={'0' * 64}"

    assert read_webhook(payload, header, SECRET) is not None


def test_tampered_body() -> None:
    """A message that was changed is refused."""
    header = signature(event())

    with pytest.raises(InvalidSignatureError):
        read_webhook(event(metadata={"account": "other", "payment": "p-1"}), header, SECRET)


def test_other_secret() -> None:
    """A message that was signed with another secret is refused."""
    payload = event()

    with pytest.raises(InvalidSignatureError):
        read_webhook(payload, signature(payload, secret="whsec_other"), SECRET)


def test_without_a_secret() -> None:
    """An endpoint without a secret believes nobody, not even those who sign with none."""
    payload = event()

    with pytest.raises(InvalidSignatureError):
        read_webhook(payload, signature(payload, secret=""), "")


def test_age() -> None:
    """A signature is good for five minutes."""
    payload = event()

    assert read_webhook(payload, signature(payload, age=270), SECRET) is not None
    with pytest.raises(InvalidSignatureError):
        read_webhook(payload, signature(payload, age=330), SECRET)


@pytest.mark.parametrize(
    "header", ["", "t=1", "v1=00", "t=soon,v1=00", "t=1700000000,v0=00", "t=1700000000,v1=é", ",", "t"]
)
def test_no_signature(header: str) -> None:
    """A header that holds no signature is refused."""
    with pytest.raises(InvalidSignatureError):
        read_webhook(event(), header, SECRET)


def test_body_that_is_no_text() -> None:
    """A body that cannot be Stripe's is refused."""
    with pytest.raises(InvalidSignatureError):
        read_webhook(b"\xff", signature(b"\xff"), SECRET)


@pytest.mark.parametrize(
    "payload",
    [
        event("charge.refunded"),
        event("payment_intents.succeeded"),
        event(metadata={}),
        event(metadata=None),
        event(metadata={"account": "acme"}),
        event(metadata={"account": "acme", "payment": 1}),
        b'{"id": "evt_1", "object": "v2.core.event", "type": "v1.billing.meter.error_report_triggered"}',
        b"{}",
        b"[]",
        b"what",
    ],
    ids=bytes.decode,
)
def test_none_of_ours(payload: bytes) -> None:
    """A message about anything else than a payment of ours is believed, and of no interest."""
    assert read_webhook(payload, signature(payload), SECRET) is None
