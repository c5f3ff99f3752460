"""The contract of `ItemStore`, kept by the fake and by DynamoDB alike."""

from __future__ import annotations

from itertools import product
from random import Random
from typing import TYPE_CHECKING

import pytest

from chalicelib.storage.items import (
    TRANSACTION_ITEMS_MAX,
    Absent,
    ConditionFailedError,
    Item,
    Key,
    Put,
    StoreError,
    Table,
    TransactionFailedError,
    VersionIs,
)


if TYPE_CHECKING:
    from chalicelib.storage.items import Condition, ItemStore

MICROSECONDS = 1_793_494_800_000_001


class TestGetAndPut:
    """One item at a time."""

    @pytest.mark.parametrize("table", Table)
    def test_absent(self, store: ItemStore, pk: str, table: Table) -> None:
        """Where there is nothing, nothing is read."""
        assert store.get(table, Key(pk, "a")) is None

    def test_all_attributes(self, store: ItemStore, pk: str) -> None:
        """A state item comes back as it was put."""
        item = Item(pk, "a", bytes(range(256)), 7, f"due-{pk}", MICROSECONDS, 1_793_494_800, MICROSECONDS)
        store.put(Table.STATE, item)

        assert store.get(Table.STATE, item.key) == item

    @pytest.mark.parametrize("table", Table)
    def test_no_attributes(self, store: ItemStore, pk: str, table: Table) -> None:
        """What is None is not stored and comes back as None."""
        item = Item(pk, "a")
        store.put(table, item)

        assert store.get(table, item.key) == item

    @pytest.mark.parametrize("body", [b"\0", b"\xff" * 3, '{"ö": 1}'.encode()])
    def test_bytes_are_not_texts(self, store: ItemStore, pk: str, body: bytes) -> None:
        """A body is any bytes."""
        store.put(Table.PAGES, Item(pk, "a", body=body))
        found = store.get(Table.PAGES, Key(pk, "a"))

        assert found is not None
        assert found.body == body

    def test_large_body(self, store: ItemStore, pk: str) -> None:
        """An item may have nearly 400 KB."""
        item = Item(pk, "a", body=Random(4).randbytes(390_000))
        store.put(Table.PAGES, item)

        assert store.get(Table.PAGES, item.key) == item

    @pytest.mark.parametrize("number", [0, 1, 2**31, MICROSECONDS, 10**17, -MICROSECONDS])
    def test_numbers_are_exact(self, store: ItemStore, pk: str, number: int) -> None:
        """Numbers are whole and lose no digit."""
        item = Item(pk, "a", version=number, expires=number, first=number)
        store.put(Table.PAGES, item)
        found = store.get(Table.PAGES, item.key)

        assert found == item
        assert found is not None
        assert type(found.version) is type(found.expires) is type(found.first) is int

    def test_put_replaces_the_whole_item(self, store: ItemStore, pk: str) -> None:
        """Nothing of the item before is left."""
        store.put(Table.STATE, Item(pk, "a", b"old", 1, f"due-{pk}", 5, 6, 7))
        store.put(Table.STATE, Item(pk, "a", version=2))

        assert store.get(Table.STATE, Key(pk, "a")) == Item(pk, "a", version=2)

    def test_tables_are_apart(self, store: ItemStore, pk: str) -> None:
        """One key in two tables is two items."""
        store.put(Table.STATE, Item(pk, "a", version=1))
        store.put(Table.PAGES, Item(pk, "a", version=2))

        assert [found and found.version for found in (store.get(table, Key(pk, "a")) for table in Table)] == [1, 2]


class TestConditions:
    """Puts that count only if nobody was faster."""

    @pytest.mark.parametrize("table", Table)
    def test_absent_holds(self, store: ItemStore, pk: str, table: Table) -> None:
        """The first put of a key succeeds."""
        item = Item(pk, "a", version=1)
        store.put(table, item, Absent())

        assert store.get(table, item.key) == item

    @pytest.mark.parametrize("condition", [Absent(), VersionIs(1), VersionIs(3)])
    def test_failure_returns_the_current_item(self, store: ItemStore, pk: str, condition: Condition) -> None:
        """Nothing is written, and the item that stands in the way is told."""
        current = Item(pk, "a", b"body", 2, f"due-{pk}", MICROSECONDS, 6, 7)
        store.put(Table.STATE, current)

        with pytest.raises(ConditionFailedError) as failure:
            store.put(Table.STATE, Item(pk, "a", b"other", 9), condition)

        assert failure.value.current == current
        assert store.get(Table.STATE, current.key) == current

    def test_version_holds(self, store: ItemStore, pk: str) -> None:
        """A put succeeds on the version it was decided on."""
        store.put(Table.STATE, Item(pk, "a", version=2))
        store.put(Table.STATE, Item(pk, "a", version=3), VersionIs(2))

        assert store.get(Table.STATE, Key(pk, "a")) == Item(pk, "a", version=3)

    def test_version_of_nothing(self, store: ItemStore, pk: str) -> None:
        """No version holds where there is no item, and there is none to tell."""
        with pytest.raises(ConditionFailedError) as failure:
            store.put(Table.STATE, Item(pk, "a"), VersionIs(0))

        assert failure.value.current is None
        assert store.get(Table.STATE, Key(pk, "a")) is None

    def test_version_of_an_item_without(self, store: ItemStore, pk: str) -> None:
        """No version holds of an item that has none."""
        store.put(Table.STATE, Item(pk, "a"))

        with pytest.raises(ConditionFailedError):
            store.put(Table.STATE, Item(pk, "a", version=1), VersionIs(0))


class TestQuery:
    """Ranges of a partition."""

    @pytest.fixture
    def stored(self, store: ItemStore, pk: str) -> list[Item]:
        """Put a few items, not in order, beside some of other partitions and of the other table."""
        items = [Item(pk, sk, body=sk.encode() * 3) for sk in ("b", "d", "a", "c", "e", "cc")]
        for item in items:
            store.put(Table.STATE, item)
        store.put(Table.STATE, Item(f"{pk}x", "c"))
        store.put(Table.PAGES, Item(pk, "cx"))
        return sorted(items, key=lambda item: item.sk)

    def test_bounds_are_included(self, store: ItemStore, pk: str, stored: list[Item]) -> None:
        """Both ends belong to the range, which comes in the order of its sort keys."""
        assert list(store.query(Table.STATE, pk, "b", "d")) == stored[1:5]

    def test_bounds_between_items(self, store: ItemStore, pk: str, stored: list[Item]) -> None:
        """Bounds need not be keys of items."""
        assert list(store.query(Table.STATE, pk, "b0", "d~")) == stored[2:5]

    def test_one_key(self, store: ItemStore, pk: str, stored: list[Item]) -> None:
        """Equal bounds are one key."""
        assert list(store.query(Table.STATE, pk, "cc", "cc")) == [stored[3]]

    @pytest.mark.parametrize("page_size", [None, 1, 2, 3, 4, 5, 100])
    def test_newest_first(self, store: ItemStore, pk: str, stored: list[Item], page_size: int | None) -> None:
        """The order may be turned round, whatever the size of the pages it is read in."""
        found = store.query(Table.STATE, pk, "a", "d", newest_first=True, page_size=page_size)

        assert list(found) == stored[4::-1]

    @pytest.mark.parametrize("page_size", [1, 2, 3, 4, 5, 100])
    def test_pages(self, store: ItemStore, pk: str, stored: list[Item], page_size: int) -> None:
        """A range is read in pages of any size to its end."""
        assert list(store.query(Table.STATE, pk, "a", "e", page_size=page_size)) == stored

    def test_reading_only_the_beginning(self, store: ItemStore, pk: str, stored: list[Item]) -> None:
        """A reader may stop where it likes."""
        found = store.query(Table.STATE, pk, "a", "e", page_size=2)

        assert [next(found), next(found), next(found)] == stored[:3]

    @pytest.mark.parametrize(("lower", "upper"), [("f", "z"), ("0", "9"), ("aa", "az")])
    def test_nothing_in_range(self, store: ItemStore, pk: str, stored: list[Item], lower: str, upper: str) -> None:
        """A range without items is empty."""
        assert stored
        assert list(store.query(Table.STATE, pk, lower, upper)) == []

    def test_bounds_the_wrong_way_round(self, store: ItemStore, pk: str, stored: list[Item]) -> None:
        """A range that ends before it begins is empty."""
        assert stored
        assert list(store.query(Table.STATE, pk, "d", "b")) == []

    def test_no_such_partition(self, store: ItemStore, pk: str) -> None:
        """A partition nobody wrote to is empty."""
        assert list(store.query(Table.PAGES, pk, " ", "~")) == []

    def test_order_of_characters(self, store: ItemStore, pk: str) -> None:
        """Blank sorts before, tilde after every character of keys."""
        sks = [" ", "#", "-", "0", "9", "A", "Z", "_", "a", "z", "~"]
        store.put_many(Table.PAGES, [Item(pk, sk) for sk in reversed(sks)])

        assert [item.sk for item in store.query(Table.PAGES, pk, " ", "~")] == sks

    def test_more_than_a_megabyte(self, store: ItemStore, pk: str) -> None:
        """A range larger than what DynamoDB returns at a time is read to its end."""
        items = [Item(pk, f"{number}", body=bytes([number]) * 300_000) for number in range(5)]
        for item in items:
            store.put(Table.PAGES, item)

        assert list(store.query(Table.PAGES, pk, "0", "9")) == items


class TestBatches:
    """Many items in a call."""

    def test_get_many(self, store: ItemStore, pk: str) -> None:
        """More keys than DynamoDB takes at a time find every item there is, each once."""
        items = [Item(f"{pk}#{number}", "page", body=b"%d" % number) for number in range(230)]
        store.put_many(Table.PAGES, iter(items))
        keys = [Key(f"{pk}#{number}", "page") for number in range(-20, 250)]

        found = store.get_many(Table.PAGES, iter(keys))

        assert sorted(found, key=lambda item: item.pk) == sorted(items, key=lambda item: item.pk)

    def test_get_many_of_nothing(self, store: ItemStore, pk: str) -> None:
        """No keys, or keys of nothing, find nothing."""
        assert store.get_many(Table.PAGES, []) == []
        assert store.get_many(Table.PAGES, [Key(pk, "a")]) == []

    def test_get_many_of_state(self, store: ItemStore, pk: str) -> None:
        """Items come with all their attributes."""
        item = Item(pk, "a", b"body", 7, f"due-{pk}", MICROSECONDS, 5, 6)
        store.put(Table.STATE, item)

        assert store.get_many(Table.STATE, [item.key]) == [item]

    def test_put_many(self, store: ItemStore, pk: str) -> None:
        """More items than DynamoDB takes at a time are all written, over what was there."""
        store.put(Table.STATE, Item(pk, "003", b"old", 1))
        items = [Item(pk, f"{number:03d}", version=number) for number in range(60)]
        store.put_many(Table.STATE, iter(items))

        assert list(store.query(Table.STATE, pk, "000", "999")) == items

    def test_put_many_of_nothing(self, store: ItemStore) -> None:
        """No items are written at once."""
        store.put_many(Table.STATE, [])

    def test_large_batches(self, store: ItemStore, pk: str) -> None:
        """A batch of large pages is written and read whole."""
        random = Random(3)
        items = [Item(f"{pk}#{number}", "page", body=random.randbytes(200_000)) for number in range(30)]
        store.put_many(Table.PAGES, items)

        found = store.get_many(Table.PAGES, [item.key for item in items])

        assert sorted(found, key=lambda item: item.pk) == sorted(items, key=lambda item: item.pk)


class TestTransactions:
    """All or nothing."""

    def test_all(self, store: ItemStore, pk: str) -> None:
        """Where every condition holds, every item is written, in both tables, new or in the place of another."""
        store.put(Table.STATE, Item(pk, "head", b"old", 4, f"due-{pk}", 1))
        head = Item(pk, "head", b"new", 5, f"due-{pk}", 2)
        entry, page, mark = Item(pk, "entry", b"entry"), Item(pk, "page", b"page"), Item(pk, "mark", version=1)

        store.transact(
            [
                Put(Table.STATE, head, VersionIs(4)),
                Put(Table.STATE, entry, Absent()),
                Put(Table.PAGES, page),
                Put(Table.STATE, mark),
            ]
        )

        assert list(store.query(Table.STATE, pk, " ", "~")) == [entry, head, mark]
        assert store.get(Table.PAGES, page.key) == page

    @pytest.mark.parametrize("failing", list(product([False, True], repeat=3)))
    def test_nothing(self, store: ItemStore, pk: str, failing: tuple[bool, ...]) -> None:
        """Where conditions fail, their legs are named by position and nothing is written."""
        store.put(Table.STATE, Item(pk, "0", version=1))
        conditions: list[Condition] = [VersionIs(1), Absent(), Absent()]
        wrong: list[Condition] = [VersionIs(2), VersionIs(0), VersionIs(0)]
        puts = [
            Put(Table.STATE, Item(pk, str(position), version=9), wrong[position] if fails else conditions[position])
            for position, fails in enumerate(failing)
        ]
        if not any(failing):
            store.transact(puts)
            return

        with pytest.raises(TransactionFailedError) as failure:
            store.transact([*puts, Put(Table.PAGES, Item(pk, "page"))])

        assert failure.value.failed == tuple(position for position, fails in enumerate(failing) if fails)
        assert list(store.query(Table.STATE, pk, " ", "~")) == [Item(pk, "0", version=1)]
        assert store.get(Table.PAGES, Key(pk, "page")) is None

    def test_one_leg(self, store: ItemStore, pk: str) -> None:
        """A transaction of one item is a conditional put that tells the failure as a transaction does."""
        item = Item(pk, "a", version=1)
        store.transact([Put(Table.STATE, item, Absent())])

        with pytest.raises(TransactionFailedError) as failure:
            store.transact([Put(Table.STATE, Item(pk, "a", version=2), Absent())])

        assert failure.value.failed == (0,)
        assert store.get(Table.STATE, item.key) == item

    def test_most_legs(self, store: ItemStore, pk: str) -> None:
        """As many items as are allowed are written, or none of them."""
        items = [Item(pk, f"{number:02d}", body=b"x" * 2_000, version=1) for number in range(TRANSACTION_ITEMS_MAX)]
        puts = [Put(Table.STATE, item, Absent()) for item in items]
        store.transact(puts)

        assert list(store.query(Table.STATE, pk, " ", "~")) == items

        again = [Put(Table.STATE, Item(pk, f"9{number:02d}"), Absent()) for number in range(89)]
        with pytest.raises(TransactionFailedError) as failure:
            store.transact([*again, puts[0]])

        assert failure.value.failed == (89,)
        assert list(store.query(Table.STATE, pk, " ", "~")) == items

    def test_one_item_twice(self, store: ItemStore, pk: str) -> None:
        """A transaction that puts one item twice is a mistake of the program, not a state of the store."""
        item = Item(pk, "a")

        with pytest.raises(Exception, match=r"(?i)one item|each once") as failure:
            store.transact([Put(Table.STATE, item), Put(Table.STATE, item)])

        assert not isinstance(failure.value, StoreError)
        assert store.get(Table.STATE, item.key) is None


class TestDueIndex:
    """Finding work."""

    def test_in_order_until(self, store: ItemStore, pk: str) -> None:
        """What is due at or before an instant is found, the soonest first."""
        shard = f"due-{pk}"
        for sk, due_at in (("c", 30), ("a", 10), ("d", 40), ("b", 20), ("e", MICROSECONDS)):
            store.put(Table.STATE, Item(pk, sk, b"body", 1, shard, due_at))

        assert list(store.query_due(shard, 30)) == [Key(pk, "a"), Key(pk, "b"), Key(pk, "c")]
        assert list(store.query_due(shard, 9)) == []
        assert len(list(store.query_due(shard, MICROSECONDS))) == 5
        assert store.earliest_due(shard) == 10

    def test_sparse(self, store: ItemStore, pk: str) -> None:
        """An item without a due time is not in the index, and leaves it where it loses it."""
        shard = f"due-{pk}"
        store.put(Table.STATE, Item(pk, "never"))
        store.put(Table.STATE, Item(pk, "once", b"", 1, shard, 10))
        store.put(Table.STATE, Item(pk, "once", b"", 2))

        assert list(store.query_due(shard, MICROSECONDS)) == []
        assert store.earliest_due(shard) is None

    def test_shards_are_apart(self, store: ItemStore, pk: str) -> None:
        """Each shard has its own items, and an item that changes its shard moves."""
        store.put(Table.STATE, Item(pk, "a", due_shard=f"one-{pk}", due_at=10))
        store.put(Table.STATE, Item(pk, "b", due_shard=f"two-{pk}", due_at=5))
        store.put(Table.STATE, Item(pk, "a", due_shard=f"two-{pk}", due_at=11))

        assert list(store.query_due(f"one-{pk}", 99)) == []
        assert list(store.query_due(f"two-{pk}", 99)) == [Key(pk, "b"), Key(pk, "a")]
        assert store.earliest_due(f"two-{pk}") == 5

    def test_moves_with_a_transaction(self, store: ItemStore, pk: str) -> None:
        """A due time set in a transaction is found like any other."""
        shard = f"due-{pk}"
        store.put(Table.STATE, Item(pk, "a", version=1, due_shard=shard, due_at=10))
        store.transact([Put(Table.STATE, Item(pk, "a", version=2, due_shard=shard, due_at=20), VersionIs(1))])

        assert list(store.query_due(shard, 10)) == []
        assert store.earliest_due(shard) == 20
