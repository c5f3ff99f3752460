"""Effects as they are kept until they are carried out, and for a while after."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import pytest
from msgspec.structs import replace

from chalicelib.domain.instants import DAY, SECOND, parse_instant
from chalicelib.domain.notifications import Notification
from chalicelib.storage import keys
from chalicelib.storage.items import Table, TransactionFailedError
from chalicelib.storage.outbox import KEPT_WHEN_DONE, Effects, Outbox, put_effects
from tests.fakes.memory_store import MemoryStore


AT: Final = parse_instant("2026-11-10T12:00:00Z")
TOLD: Final = Notification("acme:purchase-1", "credit.purchased", AT, {"amount": "100.00", "expires_on": None})


def effects(name: str = "e-1", at: int = AT, account: str = "acme") -> Effects:
    """Return a notification to publish and a payment to make."""
    return Effects(name, account, at, (TOLD,), "p-1")


def kept(*those: Effects) -> tuple[MemoryStore, Outbox]:
    """Return an outbox that holds effects."""
    store = MemoryStore()
    for each in those:
        store.transact([put_effects(each)])
    return store, Outbox(store, lambda: AT + DAY)


@pytest.mark.parametrize(
    "one", [effects(), Effects("e-2", "acme", AT), replace(effects(), notifications=(TOLD, TOLD), payment=None)]
)
def test_read_as_written(one: Effects) -> None:
    """Effects are read as they were handed over."""
    _, outbox = kept(one)

    assert outbox.get("acme", one.id) == one


def test_none() -> None:
    """There are no effects but those that were handed over."""
    _, outbox = kept(effects())

    assert outbox.get("acme", "e-2") is None
    assert outbox.get("other", "e-1") is None
    assert (list(outbox.due(AT - 1)), outbox.next_due_at()) == ([], AT)


def test_handed_over_once() -> None:
    """Effects of one id cannot be handed over again, done or not."""
    store, outbox = kept(effects())
    with pytest.raises(TransactionFailedError):
        store.transact([put_effects(effects())])

    outbox.note_done(effects())

    with pytest.raises(TransactionFailedError):
        store.transact([put_effects(effects())])


def test_due() -> None:
    """Effects are due from their commit on, those of all accounts, until they are carried out."""
    those = [effects(f"e-{number}", AT + number, f"account-{number % 3}") for number in range(40)]
    _, outbox = kept(*those)
    assert outbox.next_due_at() == AT

    due = set(outbox.due(AT + 9))
    assert due == {(f"account-{number % 3}", f"e-{number}") for number in range(10)}

    for one in those[:5]:
        outbox.note_done(one)
    assert set(outbox.due(AT + 9)) == {(f"account-{number % 3}", f"e-{number}") for number in range(5, 10)}
    assert outbox.next_due_at() == AT + 5
    for one in those[5:]:
        outbox.note_done(one)
    assert (list(outbox.due(AT + DAY)), outbox.next_due_at()) == ([], None)


def test_done() -> None:
    """What is carried out stays for thirty days, by the machine's clock, for whoever comes late."""
    store, outbox = kept(effects())

    for _ in range(2):
        outbox.note_done(effects())

    assert outbox.get("acme", "e-1") == replace(effects(), is_done=True)
    item = store.get(Table.STATE, keys.outbox("acme", "e-1"))
    assert item is not None
    assert item.expires == (AT + DAY + KEPT_WHEN_DONE) // SECOND
    assert (item.due_shard, item.due_at) == (None, None)


def test_what_waits_does_not_expire() -> None:
    """However long effects wait, they are not forgotten."""
    store, _ = kept(effects())

    item = store.get(Table.STATE, keys.outbox("acme", "e-1"))

    assert item is not None
    assert item.expires is None


def test_shards() -> None:
    """Effects are spread over all shards of the index."""
    store, _ = kept(*(effects(f"e-{number}") for number in range(200)))

    filled = [shard for shard in keys.OUTBOX_SHARDS if list(store.query_due(shard, AT))]

    assert filled == list(keys.OUTBOX_SHARDS)
    assert not any(list(store.query_due(shard, AT)) for shard in (*keys.DUE_SHARDS, *keys.PAYMENT_SHARDS))


def test_numbers_in_data_stay_text() -> None:
    """Amounts in a notification come back as the text they were."""
    one = replace(effects(), notifications=(replace(TOLD, data={"amount": str(Decimal("0.10"))}),))
    _, outbox = kept(one)

    found = outbox.get("acme", "e-1")

    assert found is not None
    assert found.notifications[0].data == {"amount": "0.10"}
