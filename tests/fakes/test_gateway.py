"""What the fake gateway does beside its contract: it fails as asked, and counts."""

from __future__ import annotations

from decimal import Decimal

import pytest

from chalicelib.payments.gateway import (
    DeclinedError,
    GatewayUnavailableError,
    Outcome,
    PaymentRequest,
    PaymentState,
)
from tests.fakes.gateway import FakeGateway
from tests.fakes.memory_store import ClientCrashedError, Fault
from tests.fakes.outside import CALL_FAULTS, Call


def request(token: str = "tok_ok") -> PaymentRequest:  # noqa: S107 - no password
    """Return a payment to be made."""
    return PaymentRequest("p-1", "acme", Decimal(100), "EUR", token)


def test_two_ids_are_two_charges() -> None:
    """Whoever confirms one payment under two ids charges it twice, and the fake tells."""
    gateway = FakeGateway()
    client = gateway.client("a")
    ids = [client.create(request()) for _ in range(2)]

    for gateway_id in ids:
        client.confirm(gateway_id)

    assert len(set(ids)) == 2
    assert gateway.charges == {"p-1": [100, 100]}


@pytest.mark.parametrize("fault", sorted(CALL_FAULTS, key=lambda fault: fault.name))
def test_faults(fault: Fault) -> None:
    """A call that fails is done or not, and the client is gone or told that nobody answered."""
    gateway = FakeGateway()
    gateway_id = gateway.client("a").create(request())
    gateway.before_call = lambda _call: fault

    with pytest.raises((ClientCrashedError, GatewayUnavailableError)) as failed:
        gateway.client("b").confirm(gateway_id)

    is_crash = fault in {Fault.CRASH_BEFORE, Fault.CRASH_AFTER}
    is_done = fault in {Fault.CRASH_AFTER, Fault.ANSWER_LOST}
    assert isinstance(failed.value, ClientCrashedError) is is_crash
    assert gateway.charges == ({"p-1": [100]} if is_done else {})
    assert gateway.calls == [Call("a", "create"), *([Call("b", "confirm")] if is_done else [])]


def test_faults_of_a_store() -> None:
    """A call has no contention."""
    gateway = FakeGateway(lambda _call: Fault.CONTENTION)

    with pytest.raises(ValueError, match="CONTENTION"):
        gateway.client("a").create(request())


def test_processing() -> None:
    """A confirmed payment is said to be processed for a while, whoever asks."""
    gateway = FakeGateway(processing_answers=2)
    client = gateway.client("a")
    gateway_id = client.create(request())

    answers = [client.confirm(gateway_id), client.retrieve(gateway_id), client.retrieve(gateway_id)]

    states = [PaymentState.PROCESSING, PaymentState.PROCESSING, PaymentState.SUCCEEDED]
    assert answers == [Outcome(state) for state in states]


def test_refused() -> None:
    """A card may be refused before anything is announced."""
    with pytest.raises(DeclinedError):
        FakeGateway().client("a").create(request("tok_refused"))
