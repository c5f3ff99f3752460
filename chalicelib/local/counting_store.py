"""A store that counts what it is asked for in DynamoDB's read and write units, worked out from the sizes of items."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Final, NamedTuple

from chalicelib.local.units import (
    TRANSACTION_TIMES,
    index_bytes,
    index_entry_bytes,
    item_bytes,
    units_of_move,
    units_of_put,
    units_of_read,
)
from chalicelib.storage.items import Absent, ConditionFailedError, Table, TransactionFailedError


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from chalicelib.storage.items import Condition, Item, ItemStore, Key, Put

PAGE_BYTES_MAX: Final = 1 << 20
"""What DynamoDB reads at a time for a query."""


class Units(NamedTuple):
    """
    Read and write units; the writes of the index of due work are told apart from those of the tables.

    An eventually consistent read costs half a unit, so reads are counted in *half_reads*.
    """

    writes: int = 0
    index_writes: int = 0
    half_reads: int = 0

    @property
    def write_units(self) -> int:
        """Return all write units."""
        return self.writes + self.index_writes

    @property
    def read_units(self) -> float:
        """Return all read units."""
        return self.half_reads / 2

    def since(self, earlier: Units) -> Units:
        """Return what was counted after *earlier*."""
        return Units(*(now - then for now, then in zip(self, earlier, strict=True)))

    def plus(self, other: Units) -> Units:
        """Return both together."""
        return Units(*(one + another for one, another in zip(self, other, strict=True)))


class _Seen(NamedTuple):
    """What an item weighed, and its entry in the index of due work, when it was put last."""

    size: int
    due_shard: str | None
    due_at: int | None
    index_size: int


_NEVER_SEEN: Final = _Seen(0, None, None, 0)


class CountingStore:
    """
    Passes everything on to *store* and counts units.

    Of what an item was before a put it knows what went through itself. A query is counted as far as it was read, page
    by page. A write that is refused costs as one that is done; one whose outcome is unknown counts as done.
    """

    def __init__(self, store: ItemStore) -> None:
        """Count what *store* is asked for."""
        self._store = store
        self._seen: dict[Key, _Seen] = {}
        self._lock = Lock()
        self._units = Units()

    @property
    def units(self) -> Units:
        """Return what was counted so far."""
        return self._units

    def get(self, table: Table, key: Key) -> Item | None:
        """Read one item; asking for one that is not there costs a unit, too."""
        item = self._store.get(table, key)
        self._count_read(0 if item is None else item_bytes(item))
        return item

    def get_many(self, table: Table, keys: Iterable[Key]) -> list[Item]:
        """Read several items, each of which costs by itself."""
        keys = list(keys)
        items = self._store.get_many(table, keys)
        for item in items:
            self._count_read(item_bytes(item))
        for _ in range(len(keys) - len(items)):
            self._count_read(0)
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
        """Read a range; each page of it costs by the sum of its sizes."""
        page = _Page(page_size)
        try:
            for item in self._store.query(table, pk, lower, upper, newest_first=newest_first, page_size=page_size):
                if not page.has_room:
                    self._count_read(page.size)
                    page = _Page(page_size)
                page.add(item_bytes(item))
                yield item
        finally:
            self._count_read(page.size)

    def query_due(self, shard: str, until: int) -> Iterator[Key]:
        """Read the index, eventually consistent: half the price."""
        page = _Page(None)
        try:
            for key in self._store.query_due(shard, until):
                if not page.has_room:
                    self._count_read(page.size, halves=1)
                    page = _Page(None)
                page.add(index_entry_bytes(key, shard, self._seen.get(key, _NEVER_SEEN).due_at or until))
                yield key
        finally:
            self._count_read(page.size, halves=1)

    def earliest_due(self, shard: str) -> int | None:
        """Read one entry of the index."""
        self._count_read(0, halves=1)
        return self._store.earliest_due(shard)

    def put(self, table: Table, item: Item, condition: Condition | None = None) -> None:
        """Write one item."""
        try:
            self._store.put(table, item, condition)
        except ConditionFailedError:
            self._count_refused(item)
            raise
        self._count_write(table, item, condition)

    def put_many(self, table: Table, items: Iterable[Item]) -> None:
        """Write several items."""
        items = list(items)
        self._store.put_many(table, items)
        for item in items:
            self._count_write(table, item)

    def transact(self, puts: Sequence[Put]) -> None:
        """Write all or nothing."""
        try:
            self._store.transact(puts)
        except TransactionFailedError:
            for put in puts:
                self._count_refused(put.item, TRANSACTION_TIMES)
            raise
        for put in puts:
            self._count_write(put.table, put.item, put.condition, TRANSACTION_TIMES)

    def _count_read(self, size: int, halves: int = 2) -> None:
        self._count(Units(half_reads=halves * units_of_read(size)))

    def _count_refused(self, item: Item, times: int = 1) -> None:
        self._count(Units(writes=times * units_of_put(self._seen.get(item.key, _NEVER_SEEN).size, item_bytes(item))))

    def _count_write(self, table: Table, item: Item, condition: Condition | None = None, times: int = 1) -> None:
        before = self._seen.get(item.key, _NEVER_SEEN) if table is Table.STATE else _NEVER_SEEN
        after = _Seen(item_bytes(item), item.due_shard, item.due_at, index_bytes(item))
        moved = (before.due_shard, before.due_at) != (after.due_shard, after.due_at)
        self._count(
            Units(
                writes=times * units_of_put(before.size, after.size),
                index_writes=units_of_move(before.index_size, after.index_size) if moved else 0,
            )
        )
        if table is Table.STATE and _may_be_replaced(item, condition):
            self._seen[item.key] = after

    def _count(self, units: Units) -> None:
        with self._lock:
            self._units = self._units.plus(units)


class _Page:
    """One page of a query as it is read."""

    def __init__(self, items_max: int | None) -> None:
        self._items_max = items_max
        self._items = 0
        self.size = 0

    @property
    def has_room(self) -> bool:
        return self.size < PAGE_BYTES_MAX and self._items != self._items_max

    def add(self, size: int) -> None:
        self._items += 1
        self.size += size


def _may_be_replaced(item: Item, condition: Condition | None) -> bool:
    """Tell whether it is worth remembering an item: ledger entries, invoices and the like are put once."""
    is_record = isinstance(condition, Absent) and item.version is None and item.due_at is None
    return not is_record
