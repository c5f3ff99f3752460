"""The sandbox: cards that do what their tokens say, in a drawer that outlives the process."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import pytest

from chalicelib.payments.gateway import GatewayUnavailableError, Outcome, PaymentRequest, PaymentState
from chalicelib.payments.sandbox import SandboxGateway
from chalicelib.storage.operations import SandboxDrawer
from tests.fakes.memory_store import MemoryStore


if TYPE_CHECKING:
    from chalicelib.payments.sandbox import Drawer

UNCONFIRMED: Final = Outcome(PaymentState.UNCONFIRMED)
SUCCEEDED: Final = Outcome(PaymentState.SUCCEEDED)
DECLINED: Final = Outcome(PaymentState.DECLINED, "card_declined")
UNKNOWN_CARD: Final = Outcome(PaymentState.DECLINED, "unknown_card")


def no_time(_seconds: float) -> None:
    """Let no time pass."""


def a_request(card: str = "tok_ok", payment: str = "p-1", amount: str = "100.50") -> PaymentRequest:
    """Return a payment to be made."""
    return PaymentRequest(payment, "acme", Decimal(amount), "EUR", card)


class Observed:
    """A drawer that calls back before something is kept in it."""

    def __init__(self, drawer: Drawer) -> None:
        self._drawer = drawer
        self.before_keeping: Callable[[], object] = lambda: None

    def read(self, name: str) -> bytes | None:
        """Read."""
        return self._drawer.read(name)

    def keep(self, name: str, content: bytes) -> None:
        """Call back once, then keep."""
        call_back, self.before_keeping = self.before_keeping, lambda: None
        call_back()
        self._drawer.keep(name, content)


@pytest.fixture
def drawer() -> Drawer:
    """Give an empty drawer in a store."""
    return SandboxDrawer(MemoryStore())


@pytest.fixture
def sandbox(drawer: Drawer) -> SandboxGateway:
    """Give a sandbox that takes no time."""
    return SandboxGateway(drawer, no_time)


@pytest.mark.parametrize(
    ("token", "outcome"),
    [
        ("tok_ok", SUCCEEDED),
        ("tok_declined", DECLINED),
        ("tok_elsewhere", UNKNOWN_CARD),
        ("", UNKNOWN_CARD),
        ("TOK_OK", UNKNOWN_CARD),
    ],
)
def test_what_tokens_do(sandbox: SandboxGateway, token: str, outcome: Outcome) -> None:
    """A payment does what its card's token says, an unknown card is declined; asked again it says the same."""
    name = sandbox.create(a_request(token))

    assert sandbox.retrieve(name) == UNCONFIRMED
    assert [sandbox.confirm(name), sandbox.retrieve(name), sandbox.confirm(name)] == [outcome] * 3


def test_a_lost_answer(sandbox: SandboxGateway) -> None:
    """With `tok_error` the first confirmation leaves the outcome open; asked again, it had succeeded."""
    name = sandbox.create(a_request("tok_error"))

    with pytest.raises(GatewayUnavailableError, match="lost"):
        sandbox.confirm(name)

    assert [sandbox.retrieve(name), sandbox.confirm(name), sandbox.retrieve(name)] == [SUCCEEDED] * 3


def test_announced_again(sandbox: SandboxGateway) -> None:
    """The same payment announced again has the same name, before and after it was confirmed, and keeps its outcome."""
    name = sandbox.create(a_request())
    assert sandbox.create(a_request()) == name
    sandbox.confirm(name)

    assert sandbox.create(a_request("tok_declined")) == name
    assert sandbox.retrieve(name) == SUCCEEDED


def test_announced_again_with_another_card(sandbox: SandboxGateway) -> None:
    """It is the card of the first announcement that is charged."""
    sandbox.create(a_request("tok_ok"))

    assert sandbox.confirm(sandbox.create(a_request("tok_declined"))) == SUCCEEDED


def test_payments_apart(sandbox: SandboxGateway) -> None:
    """Payments of one card have names and outcomes of their own."""
    first, second = sandbox.create(a_request(payment="p-1")), sandbox.create(a_request(payment="p-2"))
    sandbox.confirm(first)

    assert first != second
    assert (sandbox.retrieve(first), sandbox.retrieve(second)) == (SUCCEEDED, UNCONFIRMED)


@pytest.mark.parametrize("name", ["", "p-1", "sandbox_p-2", "sandbox_p-1/outcome"])
def test_unknown_payments(sandbox: SandboxGateway, name: str) -> None:
    """Of a name that it never gave the sandbox tells nothing."""
    sandbox.create(a_request())

    with pytest.raises(GatewayUnavailableError):
        sandbox.confirm(name)
    with pytest.raises(GatewayUnavailableError):
        sandbox.retrieve(name)


@pytest.mark.parametrize(("token", "outcome"), [("tok_ok", SUCCEEDED), ("tok_declined", DECLINED)])
def test_another_process(drawer: Drawer, token: str, outcome: Outcome) -> None:
    """Another sandbox over the same drawer goes on where the first stopped."""
    name = SandboxGateway(drawer, no_time).create(a_request(token))
    assert SandboxGateway(drawer, no_time).create(a_request(token)) == name
    assert SandboxGateway(drawer, no_time).confirm(name) == outcome

    assert SandboxGateway(drawer, no_time).retrieve(name) == outcome


def test_another_process_after_a_lost_answer(drawer: Drawer) -> None:
    """An answer that one process lost is told to another."""
    first = SandboxGateway(drawer, no_time)
    name = first.create(a_request("tok_error"))
    with pytest.raises(GatewayUnavailableError):
        first.confirm(name)

    assert SandboxGateway(drawer, no_time).retrieve(name) == SUCCEEDED


def test_announced_by_two_at_once(drawer: Drawer) -> None:
    """A process that announces while another has confirmed already undoes nothing."""
    slow = Observed(drawer)
    fast = SandboxGateway(drawer, no_time)
    slow.before_keeping = lambda: fast.confirm(fast.create(a_request()))

    name = SandboxGateway(slow, no_time).create(a_request("tok_declined"))

    assert fast.retrieve(name) == SUCCEEDED


def test_another_drawer(sandbox: SandboxGateway) -> None:
    """Sandboxes over different drawers know nothing of each other."""
    name = sandbox.create(a_request())

    with pytest.raises(GatewayUnavailableError):
        SandboxGateway(SandboxDrawer(MemoryStore()), no_time).retrieve(name)


def test_latency(drawer: Drawer) -> None:
    """Every call, also one that fails, takes the time it is told to; without such it does not wait at all."""
    waits: list[float] = []
    slow = SandboxGateway(drawer, waits.append, latency_ms=250)
    name = slow.create(a_request("tok_error"))
    with pytest.raises(GatewayUnavailableError):
        slow.confirm(name)
    slow.retrieve(name)
    assert waits == [0.25] * 3

    SandboxGateway(drawer, waits.append).retrieve(name)
    assert waits == [0.25] * 3


def test_the_token_is_a_secret() -> None:
    """A request for a payment can be logged without its card's token."""
    shown = repr(a_request("tok_secret"))

    assert "tok_secret" not in shown
    assert "p-1" in shown
