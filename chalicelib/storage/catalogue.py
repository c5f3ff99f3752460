"""
Products and rate cards.

Both are read before charging and may change at any time. A product's pool, meter and unit, and a card's currency, are
fixed once a charge used them: the first charge that does marks the entry in its own transaction, on the condition
that the entry is still the one it read. From then on what a process remembers of a product stays true.
"""

from __future__ import annotations

import zlib
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from chalicelib.domain.instants import MINUTE, Instant
from chalicelib.domain.products import DEFAULT_CATALOGUE, Product
from chalicelib.domain.rate_card import RateRow, RateTable, Revision
from chalicelib.storage import keys
from chalicelib.storage.accounts import LostRaceError
from chalicelib.storage.formats import decode_record, encode_record, with_format, without_format
from chalicelib.storage.items import (
    Absent,
    Condition,
    ConditionFailedError,
    ContentionError,
    Item,
    ItemStore,
    Key,
    Put,
    Table,
    VersionIs,
)


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence


PRODUCTS_REMEMBERED: Final = MINUTE

_TABLES_CACHED_MAX: Final = 64


class ProductEntry(Struct, frozen=True):
    """A product with the version of its item (0 for one of the default catalogue) and whether usage fixed it."""

    product: Product
    is_used: bool = False
    version: int = 0


class RevisionEntry(Struct, frozen=True):
    """One revision of a version of a card."""

    effective_from: date
    number: int
    put_at: Instant
    rows: int

    @property
    def revision(self) -> Revision:
        """Return what charges call it."""
        return Revision(self.effective_from, self.number)


class CardEntry(Struct, frozen=True):
    """A rate card: its currency, whether usage fixed it, and all revisions ever put, in the order of putting."""

    card: str
    currency: str
    revisions: tuple[RevisionEntry, ...] = ()
    is_used: bool = False
    version: int = 0

    def latest(self) -> list[Revision]:
        """Return the revision that counts for each date."""
        return list({entry.effective_from: entry.revision for entry in self.revisions}.values())

    def next_number(self, effective_from: date) -> int:
        """Return the number of the next revision for a date."""
        numbers = (entry.number for entry in self.revisions if entry.effective_from == effective_from)
        return max(numbers, default=0) + 1


def _write_entry(key: Key, entry: ProductEntry | CardEntry) -> Put:
    condition: Condition = VersionIs(entry.version) if entry.version else Absent()
    changed = replace(entry, version=entry.version + 1)
    item = Item(key.pk, key.sk, body=encode_record(changed), version=changed.version)
    return Put(Table.STATE, item, condition)


def write_product(entry: ProductEntry) -> Put:
    """Return the put that replaces a product, on condition that it is still as *entry* was read."""
    return _write_entry(keys.product(entry.product.resource), entry)


def write_card(entry: CardEntry) -> Put:
    """Return the put that replaces a card's list of versions, on condition that it is still as *entry* was read."""
    return _write_entry(keys.rate_card(entry.card), entry)


class Catalogue:
    """
    Products and rate cards, with a memory of products and of the rows of revisions, which never change.

    By the machine's *clock* products are remembered for a minute: for so long another process may show an old name.
    """

    def __init__(self, store: ItemStore, clock: Callable[[], Instant]) -> None:
        """Read from *store*."""
        self._store = store
        self._clock = clock
        self._products: Mapping[str, ProductEntry] = {}
        self._forget_at = 0
        self._table = lru_cache(maxsize=_TABLES_CACHED_MAX)(self._read_table)

    def products(self, *, fresh: bool = False) -> Mapping[str, ProductEntry]:
        """Return all products by resource: as remembered, or read anew where *fresh*."""
        now = self._clock()
        if fresh or now >= self._forget_at:
            first = keys.product("")
            items = self._store.query(Table.STATE, first.pk, first.sk, first.sk + keys.LAST)
            stored = (decode_record(item.body, ProductEntry) for item in items)
            defaults = {resource: ProductEntry(product) for resource, product in DEFAULT_CATALOGUE.items()}
            self._products = defaults | {entry.product.resource: entry for entry in stored}
            self._forget_at = now + PRODUCTS_REMEMBERED
        return self._products

    def forget(self) -> None:
        """Read the products anew next time."""
        self._forget_at = 0

    def write(self, puts: Iterable[Put]) -> None:
        """
        Write entries one by one.

        Raises:
            LostRaceError: where one is not as it was read any more.
        """
        for put in puts:
            try:
                self._store.put(put.table, put.item, put.condition)
            except (ConditionFailedError, ContentionError) as error:
                raise LostRaceError from error

    def card(self, card: str) -> CardEntry | None:
        """Return a rate card as it is now, None where there is none."""
        item = self._store.get(Table.STATE, keys.rate_card(card))
        return None if item is None else decode_record(item.body, CardEntry)

    def table(self, card: str, revision: Revision) -> RateTable:
        """Return the rows of a revision; KeyError where there is none."""
        return self._table(card, revision)

    def keep_rows(self, card: str, revision: Revision, rows: Sequence[RateRow]) -> bool:
        """Keep the rows of a revision that no card lists yet; False where there are rows of that number already."""
        key = keys.rate_card_revision(card, *revision)
        body = with_format(zlib.compress(msgspec.json.encode(rows), 9))
        try:
            self._store.put(Table.STATE, Item(key.pk, key.sk, body=body), Absent())
        except ConditionFailedError:
            return False
        return True

    def _read_table(self, card: str, revision: Revision) -> RateTable:
        item = self._store.get(Table.STATE, keys.rate_card_revision(card, *revision))
        if item is None:
            message = f"no rows of rate card {card}, {revision}"
            raise KeyError(message)
        rows = msgspec.json.decode(zlib.decompress(without_format(item.body, "rate rows")), type=list[RateRow])
        return RateTable(card, revision, rows)
