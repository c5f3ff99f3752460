"""What the engine relies on, and every store therefore has to do alike."""

from __future__ import annotations

import pytest

from chalicelib.storage.items import (
    TRANSACTION_ITEMS_MAX,
    Absent,
    ConditionFailedError,
    Item,
    ItemStore,
    Key,
    Put,
    Table,
    TransactionFailedError,
    VersionIs,
)


STATE, PAGES = Table.STATE, Table.PAGES
FULL = Item("a", "1", body=b"\x00\xff\x80", version=7, due_shard="03", due_at=1_794_000_000_000_000)


def test_an_item_comes_back_as_it_was_put(store: ItemStore) -> None:
    """Every attribute survives, binary ones and large numbers too, and what is None stays away."""
    page = Item("p", "1", body=b"\x01" * 300_000, expires=1_900_000_000, first=1_794_000_000_123_456)
    store.put(STATE, FULL)
    store.put(PAGES, page)

    assert store.get(STATE, FULL.key) == FULL
    assert store.get(PAGES, page.key) == page


def test_tables_are_apart(store: ItemStore) -> None:
    """A key of one table says nothing about the other."""
    store.put(STATE, Item("a", "1"))

    assert store.get(PAGES, Key("a", "1")) is None


def test_an_item_is_put_where_there_is_none(store: ItemStore) -> None:
    """`Absent` lets the first put pass and stops the second, which is told what stands in its way."""
    store.put(STATE, FULL, Absent())

    with pytest.raises(ConditionFailedError) as caught:
        store.put(STATE, Item("a", "1", version=1), Absent())

    assert caught.value.current == FULL
    assert store.get(STATE, FULL.key) == FULL


def test_an_item_is_put_over_the_version_that_was_read(store: ItemStore) -> None:
    """`VersionIs` lets one of two writers pass that read the same version."""
    store.put(STATE, Item("a", "1", version=1))
    store.put(STATE, Item("a", "1", version=2, body=b"first"), VersionIs(1))

    with pytest.raises(ConditionFailedError) as caught:
        store.put(STATE, Item("a", "1", version=2, body=b"second"), VersionIs(1))

    assert caught.value.current == Item("a", "1", version=2, body=b"first")


def test_no_version_where_there_is_no_item(store: ItemStore) -> None:
    """`VersionIs` fails where there is no item at all, and nothing stands in the way."""
    with pytest.raises(ConditionFailedError) as caught:
        store.put(STATE, Item("a", "1", version=2), VersionIs(1))

    assert caught.value.current is None


def test_a_put_replaces_the_whole_item(store: ItemStore) -> None:
    """What the new item does not have is gone."""
    store.put(STATE, FULL)
    store.put(STATE, Item("a", "1", version=8))

    assert store.get(STATE, FULL.key) == Item("a", "1", version=8)


def test_a_range_includes_both_its_ends_and_is_in_order(store: ItemStore) -> None:
    """A query yields one partition's items from the lower to the upper sort key."""
    store.put_many(PAGES, [Item("a", f"{number:03d}") for number in range(60)])
    store.put(PAGES, Item("b", "020"))

    found = [item.sk for item in store.query(PAGES, "a", "010", "050")]

    assert found == [f"{number:03d}" for number in range(10, 51)]


@pytest.mark.parametrize("page_size", [None, 1, 7])
def test_a_range_backwards_and_page_by_page(store: ItemStore, page_size: int | None) -> None:
    """However many items a call returns, the newest come first and all come."""
    store.put_many(PAGES, [Item("a", f"{number:03d}", first=number) for number in range(30)])

    found = [item.first for item in store.query(PAGES, "a", "000", "999", newest_first=True, page_size=page_size)]

    assert found == list(range(29, -1, -1))


def test_an_empty_range(store: ItemStore) -> None:
    """A partition nobody wrote to yields nothing."""
    assert list(store.query(STATE, "nobody", " ", "~")) == []


def test_more_items_than_one_call_carries(store: ItemStore) -> None:
    """Batches are cut to what DynamoDB takes, and items that do not exist are left out."""
    items = [Item("a", f"{number:03d}", body=b"x" * number) for number in range(230)]
    store.put_many(PAGES, items)

    found = store.get_many(PAGES, [Key("a", f"{number:03d}") for number in range(250)])

    assert sorted(found, key=lambda item: item.sk) == items


def test_nothing_to_read_or_write(store: ItemStore) -> None:
    """Empty batches are no mistake."""
    store.put_many(PAGES, [])

    assert store.get_many(PAGES, []) == []


def test_a_transaction_over_both_tables(store: ItemStore) -> None:
    """All legs are written where all conditions hold."""
    store.put(STATE, Item("a", "1", version=1))
    head, page = Item("a", "1", version=2), Item("p", "1", body=b"page")

    store.transact([Put(STATE, head, VersionIs(1)), Put(PAGES, page, Absent()), Put(STATE, Item("a", "2"))])

    assert store.get(STATE, head.key) == head
    assert store.get(PAGES, page.key) == page
    assert store.get(STATE, Key("a", "2")) == Item("a", "2")


def test_a_transaction_of_which_legs_fail(store: ItemStore) -> None:
    """Nothing is written where a condition does not hold, and the failed legs are told by their positions."""
    store.put(STATE, Item("a", "1", version=1))
    puts = [
        Put(STATE, Item("a", "2"), Absent()),
        Put(STATE, Item("a", "1", version=2), Absent()),
        Put(PAGES, Item("p", "1"), Absent()),
        Put(STATE, Item("a", "3", version=4), VersionIs(3)),
    ]

    with pytest.raises(TransactionFailedError) as caught:
        store.transact(puts)

    assert caught.value.failed == (1, 3)
    assert store.get(STATE, Key("a", "2")) is None
    assert store.get(PAGES, Key("p", "1")) is None


def test_the_largest_transaction(store: ItemStore) -> None:
    """A transaction takes as many items as the engine ever puts into one."""
    puts = [Put(STATE, Item("a", f"{number:03d}"), Absent()) for number in range(TRANSACTION_ITEMS_MAX)]

    store.transact(puts)

    assert sum(1 for _ in store.query(STATE, "a", " ", "~")) == TRANSACTION_ITEMS_MAX


def test_due_work_soonest_first(store: ItemStore) -> None:
    """The index yields the keys of one shard that are due by then, the instant itself included."""
    due = {"late": 300, "soon": 100, "now": 200}
    for name, due_at in due.items():
        store.put(STATE, Item(name, "head", version=1, due_shard="01", due_at=due_at))
    store.put(STATE, Item("other", "head", due_shard="02", due_at=50))
    store.put(STATE, Item("never", "head"))

    assert list(store.query_due("01", 200)) == [Key("soon", "head"), Key("now", "head")]
    assert store.earliest_due("01") == 100
    assert store.earliest_due("02") == 50


def test_work_that_is_not_due_any_more(store: ItemStore) -> None:
    """An item that is put with another due time, or none, leaves its old place in the index."""
    store.put(STATE, Item("a", "head", version=1, due_shard="01", due_at=100))
    store.put(STATE, Item("a", "head", version=2, due_shard="01", due_at=500), VersionIs(1))
    store.put(STATE, Item("b", "head", version=1, due_shard="01", due_at=100))
    store.put(STATE, Item("b", "head", version=2), VersionIs(1))

    assert list(store.query_due("01", 400)) == []
    assert store.earliest_due("01") == 500


def test_an_empty_shard(store: ItemStore) -> None:
    """Nothing is due where there is nothing."""
    assert store.earliest_due("07") is None
    assert list(store.query_due("07", 1 << 60)) == []
