"""
Payments by card as they are kept: one item each, in the index of due work as long as the outcome is not known.

Every change of one is conditional on its version, so that of several processes that carry a payment on, one settles it.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from chalicelib.domain.card_payments import CardPayment
from chalicelib.storage import keys
from chalicelib.storage.formats import decode_record, encode_record
from chalicelib.storage.items import (
    Absent,
    ConditionFailedError,
    ContentionError,
    Item,
    ItemStore,
    Put,
    Table,
    VersionIs,
)


if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.domain.instants import Instant


OPEN_READ_MAX: Final = 1_000
"""Open payments read for the age of the oldest: an outage leaves more, but then some of these are old as well."""

_EVER: Final = 1 << 62


class StoredPayment(Struct, frozen=True):
    """A payment as it was read: a change of it is conditional on its *version*."""

    payment: CardPayment
    version: int


class Payments:
    """The payments of all accounts."""

    def __init__(self, store: ItemStore) -> None:
        """Keep payments in *store*."""
        self._store = store

    def get(self, account: str, payment: str) -> StoredPayment | None:
        """Read a payment, None where there is none of that name."""
        item = self._store.get(Table.STATE, keys.payment(account, payment))
        return None if item is None else StoredPayment(_content(item), item.version or 0)

    def all(self, account: str) -> Iterator[CardPayment]:
        """Yield the payments of an account, whatever came of them."""
        lower, upper = keys.payments_range()
        for item in self._store.query(Table.STATE, keys.account_partition(account), lower, upper):
            yield _content(item)

    def replace(self, stored: StoredPayment, payment: CardPayment) -> StoredPayment | None:
        """Put *payment* in the place of *stored* and return it as it is kept, None where another was faster."""
        put = put_payment(payment, stored)
        try:
            self._store.put(put.table, put.item, put.condition)
        except (ConditionFailedError, ContentionError):
            return None
        return StoredPayment(payment, stored.version + 1)

    def due(self, until: Instant) -> Iterator[tuple[str, str]]:
        """Yield the account and name of payments whose outcome is to be asked for at or before *until*."""
        for shard in keys.PAYMENT_SHARDS:
            for key in self._store.query_due(shard, until):
                yield keys.account_of(key), keys.name_of(key)

    def open_since(self) -> Instant | None:
        """Return when the oldest payment whose outcome is not known was requested, None where all are known."""
        read = (self.get(*names) for names in islice(self.due(_EVER), OPEN_READ_MAX))
        still_open = (stored.payment for stored in read if stored is not None and not stored.payment.is_settled)
        return min((payment.requested_at for payment in still_open), default=None)

    def next_due_at(self) -> Instant | None:
        """Return the earliest instant at which an outcome is to be asked for, None where all are known."""
        earliest = (self._store.earliest_due(shard) for shard in keys.PAYMENT_SHARDS)
        return min((due_at for due_at in earliest if due_at is not None), default=None)


def _content(item: Item) -> CardPayment:
    return decode_record(item.body, CardPayment)


def put_payment(payment: CardPayment, before: StoredPayment | None = None) -> Put:
    """Return the leg that records a payment, or its change from what was read *before*."""
    key = keys.payment(payment.account, payment.id)
    item = Item(
        key.pk,
        key.sk,
        body=encode_record(payment),
        version=1 if before is None else before.version + 1,
        due_shard=None if payment.is_settled else keys.shard_of(payment.id, keys.PAYMENT_SHARDS),
        due_at=None if payment.is_settled else payment.next_try_at,
    )
    return Put(Table.STATE, item, Absent() if before is None else VersionIs(before.version))
