"""The contract of `Gateway`, kept by the fake, by the sandbox and, over a server that behaves like it, by Stripe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import pytest
from msgspec import Struct

from chalicelib.payments.gateway import GatewayUnavailableError, Outcome, PaymentRequest, PaymentState
from chalicelib.payments.sandbox import SandboxGateway
from chalicelib.payments.stripe import StripeGateway
from chalicelib.storage.operations import SandboxDrawer
from tests.fakes.gateway import FakeGateway
from tests.fakes.memory_store import MemoryStore
from tests.integration.localstripe_server import API_KEY, LocalStripe


if TYPE_CHECKING:
    from chalicelib.payments.gateway import Gateway

UNCONFIRMED: Final = Outcome(PaymentState.UNCONFIRMED)
SUCCEEDED: Final = Outcome(PaymentState.SUCCEEDED)
DECLINED: Final = Outcome(PaymentState.DECLINED, "card_declined")


class Peer(Struct):
    """A *gateway*, tokens of a good and of a bad card, and one whose answer is lost where there is such."""

    gateway: Gateway
    good: str
    bad: str
    charged: Callable[[str], list[Decimal]]
    """Tells what was really charged for a payment, by the gateway's id."""
    loses_answer: str | None = None

    def announce(self, token: str | None = None, amount: str = "120.50", payment: str | None = None) -> str:
        """Announce a payment."""
        request = PaymentRequest(payment or uuid4().hex, "acme", Decimal(amount), "EUR", token or self.good)
        return self.gateway.create(request)


def sandbox() -> Peer:
    """Give a sandbox."""
    gateway = SandboxGateway(SandboxDrawer(MemoryStore()), pause=lambda _seconds: None)

    def charged(gateway_id: str) -> list[Decimal]:
        payment = gateway.payment(gateway_id)
        return [payment.request.amount] if payment.outcome == SUCCEEDED else []

    return Peer(gateway, "tok_ok", "tok_declined", charged, "tok_error")


def fake() -> Peer:
    """Give a fake."""
    gateway = FakeGateway()

    def charged(gateway_id: str) -> list[Decimal]:
        return gateway.charges.get(gateway._announced[gateway_id].request.payment, [])

    return Peer(gateway.client("a"), "tok_ok", "tok_declined", charged, "tok_error")


@pytest.fixture(scope="module")
def localstripe() -> Iterator[LocalStripe]:
    """Run a localstripe."""
    with LocalStripe() as server:
        yield server


@pytest.fixture(params=["sandbox", "fake", "stripe"])
def peer(request: pytest.FixtureRequest) -> Peer:
    """Give each gateway in turn."""
    if request.param == "sandbox":
        return sandbox()
    if request.param == "fake":
        return fake()
    server: LocalStripe = request.getfixturevalue("localstripe")
    gateway = StripeGateway(API_KEY, api_base=server.url, timeout=30, confirm_timeout=30)

    def charged(gateway_id: str) -> list[Decimal]:
        return [Decimal(cents) / 100 for state, cents in server.charges(gateway_id) if state == "succeeded"]

    return Peer(gateway, "pm_card_visa", "pm_card_chargeCustomerFail", charged)


def test_announced(peer: Peer) -> None:
    """A payment that is only announced is charged to nobody."""
    name = peer.announce()

    assert peer.gateway.retrieve(name) == UNCONFIRMED
    assert peer.charged(name) == []


def test_confirmed(peer: Peer) -> None:
    """A payment that is confirmed is charged in full, and the gateway remembers."""
    name = peer.announce()

    assert peer.gateway.confirm(name) == SUCCEEDED
    assert peer.gateway.retrieve(name) == SUCCEEDED
    assert peer.charged(name) == [Decimal("120.50")]


def test_confirmed_again(peer: Peer) -> None:
    """However often a payment is confirmed, it is charged once and answered alike."""
    name = peer.announce()

    answers = {peer.gateway.confirm(name) for _ in range(3)}

    assert answers == {SUCCEEDED}
    assert peer.charged(name) == [Decimal("120.50")]


def test_confirmed_at_once(peer: Peer) -> None:
    """Of several who confirm at once nobody charges a second time; in the end all know of the success."""
    name = peer.announce()

    def confirm() -> None:
        try:
            peer.gateway.confirm(name)
        except GatewayUnavailableError:
            return  # another is at it

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(confirm) for _ in range(4)]:
            done.result()

    assert peer.gateway.confirm(name) == SUCCEEDED
    assert peer.charged(name) == [Decimal("120.50")]


def test_declined(peer: Peer) -> None:
    """A decline is told with its reason, as often as one asks, and nothing is charged."""
    name = peer.announce(peer.bad)

    answers = [peer.gateway.confirm(name), peer.gateway.retrieve(name), peer.gateway.confirm(name)]

    assert answers == [DECLINED] * 3
    assert peer.charged(name) == []


@pytest.mark.parametrize("confirmed", [False, True])
def test_announced_again(peer: Peer, confirmed: bool) -> None:  # noqa: FBT001 - the case
    """Announcing a payment again, late or not, neither charges it nor changes what became of the first."""
    first = peer.announce(payment=(payment := uuid4().hex))
    if confirmed:
        peer.gateway.confirm(first)

    again = peer.announce(payment=payment)

    assert peer.gateway.retrieve(first) == (SUCCEEDED if confirmed else UNCONFIRMED)
    assert again == first or peer.gateway.retrieve(again) == UNCONFIRMED
    assert peer.gateway.confirm(first) == SUCCEEDED
    assert peer.charged(first) == [Decimal("120.50")]


def test_payments_apart(peer: Peer) -> None:
    """Payments have nothing to do with each other."""
    small, large, bad = peer.announce(amount="100"), peer.announce(amount="2000"), peer.announce(peer.bad)
    peer.gateway.confirm(bad)
    peer.gateway.confirm(large)

    assert peer.gateway.retrieve(small) == UNCONFIRMED
    assert (peer.charged(small), peer.charged(large), peer.charged(bad)) == ([], [Decimal(2000)], [])


def test_unknown(peer: Peer) -> None:
    """Of a payment that it does not know a gateway says nothing that could be taken for an outcome."""
    with pytest.raises(GatewayUnavailableError):
        peer.gateway.retrieve("pi_elsewhere")
    with pytest.raises(GatewayUnavailableError):
        peer.gateway.confirm("pi_elsewhere")


@pytest.mark.parametrize("make", [sandbox, fake])
def test_answer_lost(make: Callable[[], Peer]) -> None:
    """Where the answer to a confirmation is lost, asking tells what became of it, and confirming again is harmless."""
    peer = make()
    name = peer.announce(peer.loses_answer)

    with pytest.raises(GatewayUnavailableError):
        peer.gateway.confirm(name)

    assert peer.gateway.retrieve(name) == SUCCEEDED
    assert peer.gateway.confirm(name) == SUCCEEDED
    assert peer.charged(name) == [Decimal("120.50")]


@pytest.mark.parametrize("make", [sandbox, fake])
def test_unknown_card(make: Callable[[], Peer]) -> None:
    """A card that nobody knows is declined."""
    peer = make()

    assert peer.gateway.confirm(peer.announce("tok_elsewhere")) == Outcome(PaymentState.DECLINED, "unknown_card")
