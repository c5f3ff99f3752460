"""Damage to a store, past all rules of the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from chalicelib.domain.credit import replace_remaining
from chalicelib.storage import keys
from chalicelib.storage.heads import Head, decode_head, encode_head
from chalicelib.storage.items import Item, Table
from chalicelib.storage.pages import name_page
from chalicelib.storage.payments import Payments
from chalicelib.storage.records import Records
from chalicelib.storage.takings import decode_takings, encode_takings


if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.domain.card_payments import CardPayment
    from chalicelib.domain.credit import Grant
    from chalicelib.domain.ledger import LedgerEntry
    from chalicelib.domain.waterfall import Charge
    from chalicelib.storage.items import Key
    from chalicelib.storage.takings import Taking
    from tests.fakes.memory_store import MemoryStore

_FORMAT = b"\x01"


class Tampering:
    """Changes what is kept of one account."""

    def __init__(self, store: MemoryStore, account: str) -> None:
        self.store = store
        self.account = account

    # Heads and snapshots.

    @property
    def head(self) -> Head:
        """Return the head."""
        return decode_head(self._get(Table.STATE, keys.head(self.account)))

    def change_head(self, **changes: object) -> None:
        """Change the state in the head."""
        head = self.head
        self.store.put(Table.STATE, encode_head(replace(head, state=replace(head.state, **changes))))

    def change_grant(self, grant_id: str, **changes: object) -> None:
        """Change a grant in the head."""
        self.change_head(
            grants=tuple(
                replace(grant, **changes) if grant.id == grant_id else grant for grant in self.head.state.grants
            )
        )

    def grant_of(self, kind: str) -> Grant:
        """Return a grant of a kind in the head."""
        return next(grant for grant in self.head.state.grants if grant.kind.value == kind)

    def snapshots(self) -> list[Item]:
        """Return the items of the snapshots."""
        return list(self._items("snapshot#"))

    def change_snapshot(self, place: int, change: Callable[[Head], Head]) -> int:
        """Change a snapshot and return its version."""
        item = self.snapshots()[place]
        changed = encode_head(change(decode_head(item)))
        self.store.put(Table.STATE, replace(item, body=changed.body))
        return item.version or 0

    # Records.

    def entry(self, kind: str) -> tuple[Item, LedgerEntry]:
        """Return the latest ledger entry of a kind and its item."""
        for position, entry in Records(self.store).ledger(self.account):
            if entry.kind.value == kind:
                return self._item(position), entry
        raise LookupError(kind)

    def change_entry(self, kind: str, **changes: object) -> str:
        """Change the latest ledger entry of a kind and return its id."""
        item, entry = self.entry(kind)
        self._put(item, replace(entry, **changes))
        return entry.id

    def copy_entry(self, kind: str, **changes: object) -> None:
        """Book the latest entry of a kind again, under another key."""
        item, entry = self.entry(kind)
        self._put(replace(item, sk=f"{item.sk}-again"), replace(entry, **changes))

    def change_invoice(self, period: str, change: Callable[[object], object]) -> None:
        """Change an invoice."""
        for position, invoice in Records(self.store).invoices(self.account):
            if str(invoice.period) == period:
                self._put(self._item(position), change(invoice))

    def payment(self, kind: str, status: str = "succeeded") -> CardPayment:
        """Return a payment."""
        return next(
            payment
            for payment in Payments(self.store).all(self.account)
            if (payment.kind.value, payment.status.value) == (kind, status)
        )

    def change_payment(self, payment: CardPayment, **changes: object) -> None:
        """Change a payment."""
        key = keys.payment(self.account, payment.id)
        self._put(self._get(Table.STATE, key), replace(payment, **changes))

    def remove(self, key: Key, table: Table = Table.STATE) -> None:
        """Take an item out of the store."""
        tables = self.store.tables
        partitions = tables._state if table is Table.STATE else tables._pages
        partitions[key.pk] = {sk: item for sk, item in partitions[key.pk].items() if sk != key.sk}

    # Pages.

    def pages(self) -> list[tuple[bytes, tuple[Taking, ...]]]:
        """Return all pages that the index by charge lists, and what is in them."""
        found = {}
        for pk, items in self.store.tables._pages.items():
            if pk.startswith(f"{self.account}#period#"):
                for sk in items:
                    page_id = bytes.fromhex(sk.rpartition("#")[2])
                    body = self._get(Table.PAGES, keys.page(self.account, page_id)).body or b""
                    found[page_id] = decode_takings(body, self.account, deflated=True)
        return sorted(found.items(), key=lambda page: page[1][0].version)

    def index_entries(self, page_id: bytes, order: str) -> list[Key]:
        """Return the keys of a page's index entries in one of the orders, `day` or `period`."""
        return [
            item.key
            for pk, items in self.store.tables._pages.items()
            if pk.startswith(f"{self.account}#{order}#")
            for item in items.values()
            if item.sk.endswith(page_id.hex())
        ]

    def copy_page(self, page_id: bytes) -> None:
        """Keep a page again under another name, and list it."""
        copy = bytes(reversed(page_id))
        item = self._get(Table.PAGES, keys.page(self.account, page_id))
        self.store.put(Table.PAGES, replace(item, pk=keys.page(self.account, copy).pk))
        for order in ("day", "period"):
            for key in self.index_entries(page_id, order):
                entry = self._get(Table.PAGES, key)
                self.store.put(Table.PAGES, replace(entry, sk=key.sk.replace(page_id.hex(), copy.hex())))

    def list_again(self, page_id: bytes) -> None:
        """List a page a second time, for a later version."""
        for key in self.index_entries(page_id, "period"):
            at, version, name = key.sk.split("#")
            entry = self._get(Table.PAGES, key)
            self.store.put(Table.PAGES, replace(entry, sk=f"{at}#{int(version) + 1:012d}#{name}"))

    def change_charge(self, choose: Callable[[Charge], bool], change: Callable[[Charge], Charge]) -> Charge:
        """Change the first charge of the pages that is chosen, and return it as it was."""
        for page_id, takings in self.pages():
            for taking in takings:
                for place, charge in enumerate(taking.charges):
                    if choose(charge):
                        charges = (*taking.charges[:place], change(charge), *taking.charges[place + 1 :])
                        changed = [replace(one, charges=charges) if one is taking else one for one in takings]
                        assert name_page(page_id, changed) == name_page(page_id, takings)
                        item = self._get(Table.PAGES, keys.page(self.account, page_id))
                        self.store.put(Table.PAGES, replace(item, body=encode_takings(changed, deflate=True)))
                        return charge
        raise LookupError

    def _items(self, prefix: str) -> list[Item]:
        return list(self.store.query(Table.STATE, keys.account_partition(self.account), prefix, f"{prefix}{keys.LAST}"))

    def _item(self, sk: str) -> Item:
        return next(item for item in self._items(sk) if item.sk == sk)

    def _get(self, table: Table, key: Key) -> Item:
        item = self.store.get(table, key)
        assert item is not None
        return item

    def _put(self, item: Item, value: object) -> None:
        self.store.put(Table.STATE, replace(item, body=_FORMAT + msgspec.json.encode(value)))


def with_usage(head: Head, **changes: object) -> Head:
    """Return a head with other figures of one product in its latest period."""
    period = max(head.state.periods)
    usage = head.state.periods[period]
    resource = min(usage.products)
    products = {**usage.products, resource: replace(usage.products[resource], **changes)}
    return replace(head, state=head.state.with_usage(period, replace(usage, products=products)))


def with_credit(head: Head) -> Head:
    """Return a head with another amount left of its first grant."""
    first = head.state.grants[0]
    grants = replace_remaining(head.state.grants, {first.id: first.remaining + 7})
    return replace(head, state=replace(head.state, grants=grants))
