"""A store that counts units by DynamoDB's published rules, worked out from the sizes of items."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import ceil

from chalicelib.storage.items import Condition, Item, ItemStore, Key, Put, Table


WRITE_UNIT_BYTES = 1024
READ_UNIT_BYTES = 4096

_NUMBERS = ("version", "due_at", "expires", "first")
_TEXTS = ("pk", "sk", "due_shard")


def item_bytes(item: Item) -> int:
    """Return the size of an item: names and values of its attributes; a number takes half its digits and one."""
    size = sum(len(name) + len(value.encode()) for name in _TEXTS if (value := getattr(item, name)) is not None)
    size += sum(
        len(name) + ceil(len(str(value)) / 2) + 1 for name in _NUMBERS if (value := getattr(item, name)) is not None
    )
    return size + (0 if item.body is None else len("body") + len(item.body))


class CountingStore:
    """
    Passes everything on to *store* and counts.

    A strongly consistent read costs a unit per 4 KB, a write one per KB, twice that in a transaction; an index of keys
    costs a write when its keys change, two where there was an entry before.
    """

    def __init__(self, store: ItemStore) -> None:
        """Count what *store* is asked for."""
        self._store = store
        self._due: dict[Key, int | None] = {}
        self.write_units = 0
        self.read_units = 0

    def get(self, table: Table, key: Key) -> Item | None:
        """Read one item."""
        item = self._store.get(table, key)
        self.read_units += 1 if item is None else ceil(item_bytes(item) / READ_UNIT_BYTES)
        return item

    def get_many(self, table: Table, keys: Iterable[Key]) -> list[Item]:
        """Read several items."""
        items = self._store.get_many(table, keys)
        self.read_units += sum(ceil(item_bytes(item) / READ_UNIT_BYTES) for item in items)
        return items

    def query(  # noqa: PLR0913 - the parts of a range query
        self,
        table: Table,
        pk: str,
        lower: str,
        upper: str,
        *,
        newest_first: bool = False,
        page_size: int | None = None,
    ) -> Iterator[Item]:
        """Read a range, which costs by the sum of its sizes."""
        size = 0
        try:
            for item in self._store.query(table, pk, lower, upper, newest_first=newest_first, page_size=page_size):
                size += item_bytes(item)
                yield item
        finally:
            self.read_units += max(1, ceil(size / READ_UNIT_BYTES))

    def query_due(self, shard: str, until: int) -> Iterator[Key]:
        """Read the index."""
        return self._store.query_due(shard, until)

    def earliest_due(self, shard: str) -> int | None:
        """Read the index."""
        return self._store.earliest_due(shard)

    def put(self, table: Table, item: Item, condition: Condition | None = None) -> None:
        """Write one item."""
        self._store.put(table, item, condition)
        self._count(item, 1)

    def put_many(self, table: Table, items: Iterable[Item]) -> None:
        """Write several items."""
        items = list(items)
        self._store.put_many(table, items)
        for item in items:
            self._count(item, 1)

    def transact(self, puts: Sequence[Put]) -> None:
        """Write all or nothing."""
        self._store.transact(puts)
        for put in puts:
            self._count(put.item, 2)

    def _count(self, item: Item, times: int) -> None:
        self.write_units += times * ceil(item_bytes(item) / WRITE_UNIT_BYTES)
        if item.due_at is not None and self._due.get(item.key) != item.due_at:
            self.write_units += times * (1 if item.key not in self._due else 2)
            self._due[item.key] = item.due_at
