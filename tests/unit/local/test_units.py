"""What things cost: sizes of items and units worked out by hand."""

from __future__ import annotations

from contextlib import suppress

import pytest

from chalicelib.local.counting_store import CountingStore, Units
from chalicelib.local.units import (
    index_bytes,
    index_entry_bytes,
    index_write_units,
    item_bytes,
    read_units,
    units_of_move,
    units_of_put,
    units_of_read,
    write_units,
)
from chalicelib.storage.items import (
    Absent,
    ConditionFailedError,
    Item,
    Key,
    Put,
    Table,
    TransactionFailedError,
    VersionIs,
)
from tests.fakes.memory_store import MemoryStore


def sized(size: int, sk: str = "s") -> Item:
    """Return an item of *size* bytes: `pk` and `p`, `sk` and the sort key, `body` and what is left."""
    return Item("p", sk, body=bytes(size - (2 + 1) - (2 + len(sk)) - 4))


@pytest.mark.parametrize(
    ("item", "size"),
    [
        (Item("p", "s"), (2 + 1) + (2 + 1)),
        (Item("account#ä", "head"), (2 + 8 + 2) + (2 + 4)),
        (Item("p", "s", body=b"12345"), 6 + (4 + 5)),
        (Item("p", "s", version=7), 6 + (7 + 1 + 1)),
        (Item("p", "s", version=123), 6 + (7 + 2 + 1)),
        (Item("p", "s", version=120_000), 6 + (7 + 1 + 1)),
        (Item("p", "s", version=0), 6 + (7 + 1)),
        (Item("p", "s", first=-12), 6 + (5 + 1 + 1 + 1)),
        (Item("p", "s", expires=1_796_126_401), 6 + (7 + 5 + 1)),
        (Item("p", "s", due_shard="07", due_at=1_796_126_401_000_001), 6 + (9 + 2) + (6 + 8 + 1)),
    ],
)
def test_size_of_an_item(item: Item, size: int) -> None:
    """An item weighs the names and values of its attributes; a number half its significant digits and a byte."""
    assert item_bytes(item) == size


def test_size_of_an_index_entry() -> None:
    """The index of due work holds both keys of the table and its own, for items that have them."""
    due = Item("p", "s", body=bytes(5000), version=3, due_shard="07", due_at=12)
    size = (2 + 1) + (2 + 1) + (9 + 2) + (6 + 2)

    assert index_bytes(due) == index_entry_bytes(Key("p", "s"), "07", 12) == size
    assert index_bytes(Item("p", "s", due_shard="07")) == index_bytes(None) == 0


def test_units_of_a_write() -> None:
    """A write costs a unit for each begun KB of the larger of the two items."""
    assert [units_of_put(0, size) for size in (1, 1024, 1025, 3073)] == [1, 1, 2, 4]
    assert units_of_put(5000, 10) == 5
    assert write_units(None, sized(1024)) == 1
    assert write_units(sized(2049), sized(30)) == 3


def test_units_of_the_index() -> None:
    """An entry costs a unit when it comes or goes, two when it moves, none when it stays."""
    items = [Item("p", "s", due_shard="00", due_at=due_at, version=version) for due_at, version in ((5, 1), (5, 2))]
    moved = Item("p", "s", due_shard="00", due_at=6)
    gone = Item("p", "s")

    assert index_write_units(None, items[0]) == 1
    assert index_write_units(items[0], items[1]) == 0
    assert index_write_units(items[1], moved) == 2
    assert index_write_units(moved, gone) == 1
    assert units_of_move(0, 0) == 0


def test_units_of_a_read() -> None:
    """A strongly consistent read costs a unit for each begun 4 KB, and one for nothing."""
    assert [units_of_read(size) for size in (0, 1, 4096, 4097)] == [1, 1, 1, 2]
    assert read_units([sized(4000), sized(100)]) == 2


class TestCountingStore:
    """The store that counts."""

    @pytest.fixture
    def store(self) -> CountingStore:
        """Give one over a store in memory."""
        return CountingStore(MemoryStore())

    def test_puts(self, store: CountingStore) -> None:
        """A put costs by the larger of old and new item, in a transaction twice."""
        store.put(Table.STATE, sized(2049))
        store.put(Table.STATE, sized(100))
        store.put_many(Table.PAGES, [sized(1025, "a"), sized(10 + 2, "b")])
        store.transact([Put(Table.STATE, sized(1024, "t")), Put(Table.STATE, sized(1025, "u"))])

        assert store.units == Units(writes=3 + 3 + 2 + 1 + 2 * (1 + 2))
        assert store.units.write_units == 15

    def test_the_index_of_due_work(self, store: CountingStore) -> None:
        """Its entries cost extra where they change, also in a transaction once."""
        for due_at in (5, 5, 6):
            store.put(Table.STATE, Item("p", "s", due_shard="00", due_at=due_at))
        store.transact([Put(Table.STATE, Item("p", "s"))])

        assert store.units == Units(writes=1 + 1 + 1 + 2, index_writes=1 + 0 + 2 + 1)

    def test_refused_writes(self, store: CountingStore) -> None:
        """A write whose condition does not hold is charged all the same, by the item that is there."""
        store.put(Table.STATE, Item("p", "s", body=bytes(2000), version=1))
        before = store.units
        with pytest.raises(ConditionFailedError):
            store.put(Table.STATE, Item("p", "s", version=9), VersionIs(8))
        with pytest.raises(TransactionFailedError):
            store.transact([Put(Table.STATE, Item("p", "s", version=9), Absent()), Put(Table.STATE, Item("p", "t"))])

        assert store.units.since(before) == Units(writes=2 + 2 * (2 + 1))

    def test_reads(self, store: CountingStore) -> None:
        """One item costs by its size, a batch item by item, a range by its sum; what is not there costs a unit."""
        store.put_many(Table.STATE, [sized(4097, "a"), sized(100, "b"), sized(100, "c")])
        before = store.units
        found = store.get(Table.STATE, Key("p", "a"))
        by_get = store.units.since(before)
        store.get_many(Table.STATE, [Key("p", "a"), Key("p", "b"), Key("p", "x")])
        by_batch = store.units.since(before).since(by_get)
        assert len(list(store.query(Table.STATE, "p", "b", "c"))) == 2

        assert found == sized(4097, "a")
        assert by_get.read_units == 2
        assert by_batch.read_units == 2 + 1 + 1
        assert store.units.since(before).since(by_get).since(by_batch).read_units == 1

    def test_what_is_not_read_costs_nothing(self, store: CountingStore) -> None:
        """A query that ends early costs the pages it has read."""
        store.put_many(Table.STATE, [sized(4000, sk) for sk in "abc"])
        before = store.units
        newest = next(iter(store.query(Table.STATE, "p", "a", "c", newest_first=True, page_size=1)))
        by_first = store.units.since(before)
        everything = list(store.query(Table.STATE, "p", "a", "c", page_size=1))

        assert newest == sized(4000, "c")
        assert by_first.read_units == 1
        assert len(everything) == 3
        assert store.units.since(before).since(by_first).read_units == 3

    def test_reads_of_the_index(self, store: CountingStore) -> None:
        """The index is read with eventual consistency, for half a unit each time."""
        keys = [f"account-{number:03d}" for number in range(120)]
        store.put_many(Table.STATE, [Item(key, "head", due_shard="00", due_at=12_345_678) for key in keys])
        before = store.units

        assert store.earliest_due("00") == 12_345_678
        assert store.earliest_due("01") is None
        assert store.units.since(before).read_units == 0.5 + 0.5
        assert len(list(store.query_due("00", 99_999_999))) == 120
        # An entry is (2 + 11) + (2 + 4) + (9 + 2) + (6 + 5) = 41 bytes; 120 of them begin a second 4 KB.
        assert store.units.since(before).read_units == 1 + 2 * 0.5
        assert list(store.query_due("01", 99_999_999)) == []
        assert store.units.since(before).read_units == 2 + 0.5

    def test_as_the_fake_counts(self) -> None:
        """What the counting store knows only from outside agrees with what the store in memory knows from inside."""
        memory = MemoryStore()
        store = CountingStore(memory)
        for version, size in enumerate((100, 3000, 1200, 40), start=1):
            item = Item("p", "s", body=bytes(size), version=version, due_shard="00", due_at=size // 100)
            store.transact([Put(Table.STATE, item), Put(Table.STATE, Item("p", f"entry-{version}"), Absent())])
            with suppress(ConditionFailedError):
                store.put(Table.STATE, item, VersionIs(77))

        assert store.units.writes == memory.write_units
        assert store.units.index_writes == memory.index_write_units
