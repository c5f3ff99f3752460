"""Payments as they are kept: read as written, changed by one process at a time, found while they are open."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import pytest
from msgspec.structs import replace

from chalicelib.domain.card_payments import CardPayment, PaymentKind, PaymentStatus
from chalicelib.domain.instants import DAY, parse_instant
from chalicelib.storage import keys
from chalicelib.storage.items import OutcomeUnknownError, StoreUnavailableError, Table, TransactionFailedError
from chalicelib.storage.payments import Payments, StoredPayment, put_payment
from tests.fakes.memory_store import Action, Fault, MemoryStore, Step, Undisturbed


AT: Final = parse_instant("2026-11-10T12:00:00Z")
PAYMENT: Final = CardPayment(
    id="p-1",
    account="acme",
    kind=PaymentKind.PURCHASE,
    amount=Decimal("100.50"),
    currency="EUR",
    actor="admin-7",
    requested_at=AT,
    next_try_at=AT,
)
FAILED: Final = replace(
    PAYMENT, status=PaymentStatus.FAILED, settled_at=AT + 1, reason="card_declined", gateway_id="g-1", tries=3
)
SUCCEEDED: Final = replace(
    PAYMENT, status=PaymentStatus.SUCCEEDED, settled_at=AT + 1, balance=Decimal("-0.000000000001"), gateway_id="g-1"
)


class Failing(Undisturbed):
    """Has every put fail."""

    def __init__(self, fault: Fault) -> None:
        self._fault = fault

    def before(self, step: Step) -> Fault | None:
        """Let all else pass."""
        return self._fault if step.action is Action.PUT else None


def kept(*payments: CardPayment) -> tuple[MemoryStore, Payments]:
    """Return a store that holds payments."""
    store = MemoryStore()
    for payment in payments:
        store.transact([put_payment(payment)])
    return store, Payments(store)


@pytest.mark.parametrize(
    "payment", [PAYMENT, FAILED, SUCCEEDED, replace(PAYMENT, kind=PaymentKind.AUTO_RECHARGE, amount=Decimal("1E+3"))]
)
def test_read_as_written(payment: CardPayment) -> None:
    """A payment is read as it was written, to the last digit."""
    _, payments = kept(payment)

    assert payments.get("acme", "p-1") == StoredPayment(payment, 1)


def test_none() -> None:
    """There is no payment of another name or account."""
    _, payments = kept(PAYMENT)

    assert payments.get("acme", "p-2") is None
    assert payments.get("other", "p-1") is None


def test_recorded_once() -> None:
    """A payment of one id cannot be recorded again."""
    store, _ = kept(PAYMENT)

    with pytest.raises(TransactionFailedError):
        store.transact([put_payment(PAYMENT)])


def test_the_first_wins() -> None:
    """Of two who change a payment as it was, one does, and the other is told so."""
    _, payments = kept(PAYMENT)
    stored = payments.get("acme", "p-1")
    assert stored is not None

    first = payments.replace(stored, replace(PAYMENT, gateway_id="g-1"))
    second = payments.replace(stored, replace(PAYMENT, gateway_id="g-2"))

    assert (first, second) == (StoredPayment(replace(PAYMENT, gateway_id="g-1"), 2), None)
    assert payments.get("acme", "p-1") == first
    assert first is not None
    assert payments.replace(first, FAILED) == StoredPayment(FAILED, 3) == payments.get("acme", "p-1")


def test_settled_in_a_transaction() -> None:
    """A transaction that settles a payment counts if the payment is as it was read."""
    store, payments = kept(PAYMENT)
    stored = payments.get("acme", "p-1")
    assert stored is not None
    store.transact([put_payment(SUCCEEDED, stored)])

    with pytest.raises(TransactionFailedError):
        store.transact([put_payment(FAILED, stored)])

    assert payments.get("acme", "p-1") == StoredPayment(SUCCEEDED, 2)


def test_contention() -> None:
    """Where a transaction holds the payment, the change is lost as any race is."""
    store, payments = kept(PAYMENT)
    store.controller = Failing(Fault.CONTENTION)

    assert payments.replace(StoredPayment(PAYMENT, 1), FAILED) is None
    assert payments.get("acme", "p-1") == StoredPayment(PAYMENT, 1)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.ANSWER_LOST, OutcomeUnknownError),
        (Fault.REQUEST_LOST, OutcomeUnknownError),
        (Fault.UNAVAILABLE, StoreUnavailableError),
    ],
)
def test_unknown_outcome(fault: Fault, error: type[Exception]) -> None:
    """Whether a change counts that got no answer, only reading tells."""
    store, payments = kept(PAYMENT)
    store.controller = Failing(fault)

    with pytest.raises(error):
        payments.replace(StoredPayment(PAYMENT, 1), FAILED)

    is_done = fault is Fault.ANSWER_LOST
    assert payments.get("acme", "p-1") == StoredPayment(FAILED if is_done else PAYMENT, 1 + is_done)


def test_due() -> None:
    """An open payment is found from the instant on at which it is to be asked for, a settled one never."""
    open_ones = [
        replace(PAYMENT, id=f"p-{number}", account=f"account-{number % 3}", next_try_at=AT + number)
        for number in range(40)
    ]
    store, payments = kept(*open_ones, replace(SUCCEEDED, id="p-succeeded"), replace(FAILED, id="p-failed"))
    assert payments.next_due_at() == AT
    assert list(payments.due(AT - 1)) == []
    assert set(payments.due(AT + 9)) == {(f"account-{number % 3}", f"p-{number}") for number in range(10)}

    for one in open_ones[:5]:
        store.transact([put_payment(replace(SUCCEEDED, id=one.id, account=one.account), StoredPayment(one, 1))])
    later = payments.replace(StoredPayment(open_ones[5], 1), replace(open_ones[5], next_try_at=AT + DAY))

    assert later is not None
    assert set(payments.due(AT + 9)) == {(f"account-{number % 3}", f"p-{number}") for number in range(6, 10)}
    assert payments.next_due_at() == AT + 6
    assert ("account-2", "p-5") in set(payments.due(AT + DAY))


def test_open_since() -> None:
    """The oldest open payment counts whenever it is asked for next; a settled one does not, however old."""
    old = replace(PAYMENT, id="p-old", requested_at=AT - 5 * DAY, next_try_at=AT + DAY)
    settled = replace(FAILED, id="p-settled", requested_at=AT - 9 * DAY)
    store, payments = kept(PAYMENT, old, settled, replace(PAYMENT, id="p-new", requested_at=AT + DAY))
    assert payments.open_since() == AT - 5 * DAY

    store.transact([put_payment(replace(SUCCEEDED, id="p-old"), StoredPayment(old, 1))])

    assert payments.open_since() == AT


def test_nothing_open() -> None:
    """Where all outcomes are known nothing is due."""
    store, payments = kept(replace(SUCCEEDED, id="p-succeeded"), replace(FAILED, id="p-failed"))

    assert (list(payments.due(AT + DAY)), payments.next_due_at(), payments.open_since()) == ([], None, None)
    item = store.get(Table.STATE, keys.payment("acme", "p-failed"))
    assert item is not None
    assert (item.due_shard, item.due_at) == (None, None)


def test_shards() -> None:
    """Open payments are spread over all shards of the index."""
    store, _ = kept(*(replace(PAYMENT, id=f"p-{number}") for number in range(200)))

    assert all(list(store.query_due(shard, AT)) for shard in keys.PAYMENT_SHARDS)
