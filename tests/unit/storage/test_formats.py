"""The formats of records: what was written once is read for ever, what a later version writes is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pytest

from chalicelib.domain.card_payments import CardPayment
from chalicelib.domain.invoice import Invoice
from chalicelib.domain.ledger import LedgerEntry
from chalicelib.domain.periods import Period
from chalicelib.domain.rate_card import RateRow, Revision
from chalicelib.storage import keys
from chalicelib.storage.catalogue import CardEntry, Catalogue, ProductEntry
from chalicelib.storage.formats import UnknownFormatError, decode_record, encode_record
from chalicelib.storage.heads import decode_head
from chalicelib.storage.items import Item, ItemStore, Key, Table
from chalicelib.storage.operations import Heartbeat, Heartbeats
from chalicelib.storage.outbox import Effects, Outbox
from chalicelib.storage.payments import Payments
from chalicelib.storage.records import FirstAnswer, Records
from tests.fakes.memory_store import MemoryStore


WRITTEN_ONCE: Final = json.loads((Path(__file__).parent / "golden" / "records-1.json").read_text())
KINDS: Final = (
    CardEntry,
    CardPayment,
    Effects,
    FirstAnswer,
    Heartbeat,
    Invoice,
    LedgerEntry,
    ProductEntry,
    RateRow,
)
"""Whatever is kept as JSON."""

HASHED: Final = sha256(b"order-1").hexdigest()
JANUARY: Final = date(2026, 1, 1)
READERS: Final[dict[Key, Callable[[ItemStore], object]]] = {
    keys.head("acme"): lambda store: decode_head(store.get(Table.STATE, keys.head("acme")) or Item("", "")),
    keys.payment("acme", "p-1"): lambda store: Payments(store).get("acme", "p-1"),
    keys.outbox("acme", "e-1"): lambda store: Outbox(store, int).get("acme", "e-1"),
    keys.invoice("acme", Period(2026, 11)): lambda store: Records(store).invoice("acme", Period(2026, 11)),
    keys.idempotency("acme", "buy", HASHED): lambda store: Records(store).first_answer("acme", "buy", "order-1"),
    Key("account#acme", keys.ledger_range(None, None)[0]): lambda store: list(Records(store).ledger("acme")),
    keys.job("audit"): lambda store: Heartbeats(store).get("audit"),
    keys.product("call"): lambda store: Catalogue(store, int).products(),
    keys.rate_card("standard"): lambda store: Catalogue(store, int).card("standard"),
    keys.rate_card_revision("standard", JANUARY, 1): lambda store: Catalogue(store, int).table(
        "standard", Revision(JANUARY, 1)
    ),
}


def test_every_kind_has_an_example() -> None:
    """Whoever adds a kind of record keeps one of it."""
    assert set(WRITTEN_ONCE) == {kind.__name__ for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_written_once_is_read(kind: type[Any]) -> None:
    """Every member is read: written again it says the same, in the same format."""
    example = WRITTEN_ONCE[kind.__name__]

    written = encode_record(decode_record(b"\x01" + json.dumps(example).encode(), kind))

    assert written[:1] == b"\x01"
    assert json.loads(written[1:]) == example


@pytest.mark.parametrize("body", [b"\x02{}", b"\x00{}", b"", None])
@pytest.mark.parametrize("key", READERS, ids=str)
def test_another_format_is_refused(key: Key, body: bytes | None) -> None:
    """No reader guesses at what a later version wrote: it would lose what it does not know when it writes it back."""
    store = MemoryStore()
    store.put(Table.STATE, Item(key.pk, key.sk, body=body))

    with pytest.raises(UnknownFormatError, match="of format"):
        READERS[key](store)
