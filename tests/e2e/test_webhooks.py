"""Webhooks of the payment gateway over HTTP, where payments go through Stripe."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import pytest

from app import app
from chalicelib.api.tokens import KeySource, TokenVerifier
from chalicelib.bootstrap import build_services
from chalicelib.domain.instants import parse_instant
from chalicelib.domain.rate_card_upload import Line
from chalicelib.local.server import LocalServer
from chalicelib.local.signing_key import SigningKey
from chalicelib.payments.gateway import Outcome, PaymentRequest, PaymentState
from chalicelib.settings import STRIPE, Settings
from tests.e2e.client import Client, assert_problem, expect
from tests.e2e.samples import pays_by_card
from tests.fakes.clock import FixedClock
from tests.fakes.memory_store import MemoryStore
from tests.fakes.stripe_signing import SECRET, signature


if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.client import Answer

NOW: Final = "2026-11-22T15:00:00Z"
SCOPES: Final = ("usage:read", "credits:write", "events:write", "admin")


class SlowGateway:
    """A gateway that does not tell what becomes of payments until it is *told*."""

    def __init__(self) -> None:
        self.confirmed: list[str] = []
        self.told = Outcome(PaymentState.PROCESSING)

    def create(self, request: PaymentRequest) -> str:
        """Announce a payment."""
        return f"pi_{request.payment}"

    def confirm(self, gateway_id: str) -> Outcome:
        """Take note of it."""
        self.confirmed.append(gateway_id)
        return self.told

    def retrieve(self, gateway_id: str) -> Outcome:
        """Tell what it was told."""
        return self.told if gateway_id in self.confirmed else Outcome(PaymentState.UNCONFIRMED)


@pytest.fixture
def gateway() -> SlowGateway:
    """Give the gateway."""
    return SlowGateway()


@pytest.fixture
def client(gateway: SlowGateway, tmp_path: Path) -> Iterator[Client]:
    """Give a client of a service that expects webhooks, with the account `acme`."""
    settings = Settings(payment_gateway=STRIPE, stripe_api_key="sk_made_up", stripe_webhook_secret=SECRET)
    clock = FixedClock(parse_instant(NOW))
    services = build_services(settings, MemoryStore(), clock=clock, gateway=gateway)
    cells = {"Resource": "call", "Price per increment": "1", "Increment": "1", "Currency": "EUR"}
    services.catalogue.put_rate_card("simple", date(2026, 1, 1), [Line("/rows/0", "row 1", cells)])
    key = SigningKey.load_or_create(tmp_path)
    app.use(services, TokenVerifier(KeySource.from_jwks(key.jwks())))
    with LocalServer(app) as server, Client(server.url, key.issue_token(SCOPES)) as client:
        client.put_account("acme", pays_by_card("pm_made_up"))
        yield client


@pytest.fixture
def pending(client: Client) -> str:
    """Give a purchase whose outcome is not known."""
    purchase: str = expect(202, client.buy("acme", "100", "k")).json["id"]
    return purchase


def notice(purchase: str, kind: str = "payment_intent.succeeded", account: str = "acme") -> bytes:
    """Write the message that Stripe would send about a purchase."""
    metadata = {"account": account, "payment": purchase}
    intent = {"id": f"pi_{purchase}", "object": "payment_intent", "status": "succeeded", "metadata": metadata}
    return json.dumps({"id": "evt_1", "object": "event", "type": kind, "data": {"object": intent}}).encode()


def send(client: Client, payload: bytes, signed: str | None) -> Answer:
    """Post a webhook, which has no token."""
    headers = {} if signed is None else {"Stripe-Signature": signed}
    return client.ask("POST", "/v1/webhooks/stripe", payload, headers=headers, token=None)


def status(client: Client, purchase: str) -> Any:
    """Return how a purchase stands."""
    return client.get(f"/v1/accounts/acme/credits/purchases/{purchase}")["status"]


def test_a_webhook_carries_the_payment_on(client: Client, gateway: SlowGateway, pending: str) -> None:
    """Once the gateway says that it knows, it is asked, and the credit is booked, once for every repeat."""
    gateway.told = Outcome(PaymentState.SUCCEEDED)
    payload = notice(pending)

    for _ in range(3):
        assert send(client, payload, signature(payload)).status == 200
        assert status(client, pending) == "succeeded"
        assert client.balance("acme") == "100.00"
    assert [entry["kind"] for entry in client.ledger("acme")] == ["purchase"]
    assert gateway.confirmed == [f"pi_{pending}"]
    assert expect(201, client.buy("acme", "100", "k")).json["id"] == pending


def test_a_webhook_is_not_believed(client: Client, gateway: SlowGateway, pending: str) -> None:
    """A webhook is a reason to ask the gateway, whose answer counts, whatever the webhook says."""
    payload = notice(pending)

    assert send(client, payload, signature(payload)).status == 200
    assert (status(client, pending), client.balance("acme")) == ("pending", "0.00")
    gateway.told = Outcome(PaymentState.DECLINED, "insufficient_funds")
    assert send(client, payload, signature(payload)).status == 200
    assert (status(client, pending), client.balance("acme")) == ("failed", "0.00")
    assert_problem(client.buy("acme", "100", "k"), 402, "card_declined")


def test_a_bad_signature(client: Client, gateway: SlowGateway, pending: str) -> None:
    """A webhook that is not signed, or by another, or for another body, or long ago, is refused and does nothing."""
    gateway.told = Outcome(PaymentState.SUCCEEDED)
    payload = notice(pending)

    for signed in (
        None,
        "",
        "garbage",
        signature(payload, secret="whsec_another"),
        signature(notice("another")),
        signature(payload, age=3600),
    ):
        assert_problem(send(client, payload, signed), 400, "invalid_signature")
    assert (status(client, pending), client.ledger("acme")) == ("pending", [])


def test_a_token_stands_for_no_signature(client: Client, pending: str) -> None:
    """Whoever may do everything else may not send webhooks."""
    answer = client.ask("POST", "/v1/webhooks/stripe", notice(pending))

    assert_problem(answer, 400, "invalid_signature")


def test_webhooks_about_something_else(client: Client, gateway: SlowGateway, pending: str) -> None:
    """What is none of our payments is taken and passed over, so that it is not sent again."""
    gateway.told = Outcome(PaymentState.SUCCEEDED)

    for payload in (
        notice(pending, kind="charge.refunded"),
        notice("01ARZ3NDEKTSV4RRFFQ69G5FAV"),
        notice(pending, account="nobody"),
        b'{"type": "payment_intent.succeeded", "data": {"object": {"metadata": {}}}}',
        b"[]",
        b"",
    ):
        assert send(client, payload, signature(payload)).status == 200
    assert status(client, pending) == "pending"


def test_without_a_secret(tmp_path: Path, gateway: SlowGateway) -> None:
    """Where no secret is set, no webhook is trusted, not even one signed with nothing."""
    settings = Settings(payment_gateway=STRIPE, stripe_api_key="sk_made_up")
    services = build_services(settings, MemoryStore(), clock=FixedClock(parse_instant(NOW)), gateway=gateway)
    app.use(services, TokenVerifier(KeySource.from_jwks(SigningKey.load_or_create(tmp_path).jwks())))
    payload = notice("any")

    with LocalServer(app) as server, Client(server.url, None) as client:
        assert_problem(send(client, payload, signature(payload, secret="")), 400, "invalid_signature")
