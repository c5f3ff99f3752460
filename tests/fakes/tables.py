"""
What DynamoDB does to its tables, one atomic action after the other.

A put is one action. A transaction is several: `accept` judges all conditions and reserves the items, then each of its
legs becomes visible by itself, in any order, while others read what is visible so far. An item that is reserved takes
no other write until its leg is visible.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.storage.items import (
    Absent,
    Condition,
    ConditionFailedError,
    ContentionError,
    Item,
    Key,
    Put,
    Table,
    TransactionFailedError,
)


if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

Place = tuple[Table, Key]
"""Where an item is."""


class Tables:
    """
    The visible items of both tables, and the legs of accepted transactions that are not visible yet.

    Tables of the same content, with the same transactions under way, have the same `fingerprint`, which is made of the
    `mark` of each item.
    """

    def __init__(self) -> None:
        self.mark = mark
        self._state: dict[str, dict[str, Item]] = {}
        self._pages: dict[str, dict[str, Item]] = {}
        self._own: set[str] = set()
        self._legs: dict[Hashable, dict[Place, Item]] = {}
        self._holders: dict[Place, Hashable] = {}
        self._due: dict[str, dict[Key, int]] = {}
        self._owns_due = True
        self.fingerprint = 0

    def copy(self) -> Tables:
        """Return tables of the same content that live their own life; what neither changes they share."""
        copy = Tables()
        copy.mark = self.mark
        copy._state = dict(self._state)
        copy._pages = dict(self._pages)
        self._own = set()
        copy._legs = {name: dict(legs) for name, legs in self._legs.items()} if self._legs else {}
        copy._holders = dict(self._holders)
        copy._due = self._due
        self._owns_due = copy._owns_due = False
        copy.fingerprint = self.fingerprint
        return copy

    def get(self, table: Table, key: Key) -> Item | None:
        """Return the visible item."""
        partition = (self._state if table is Table.STATE else self._pages).get(key.pk)
        return None if partition is None else partition.get(key.sk)

    def query(self, table: Table, pk: str, lower: str, upper: str, *, newest_first: bool = False) -> list[Item]:
        """Return the visible items of a partition from *lower* to *upper*, both included, in order."""
        partition = (self._state if table is Table.STATE else self._pages).get(pk, {})
        return [partition[sk] for sk in sorted(partition, reverse=newest_first) if lower <= sk <= upper]

    def due(self, shard: str) -> list[tuple[int, Key]]:
        """Return the entries of a shard of the index of due work, soonest first."""
        return sorted((due_at, key) for key, due_at in self._due.get(shard, {}).items())

    def put(self, table: Table, item: Item, condition: Condition | None = None) -> None:
        """
        Put one item.

        Raises:
            ContentionError: where a transaction has reserved the item.
            ConditionFailedError: where the condition does not hold.
        """
        if self._holders and (table, item.key) in self._holders:
            raise ContentionError("a transaction holds the item")
        if condition is not None:
            current = self.get(table, item.key)
            if not holds(condition, current):
                raise ConditionFailedError(current)
        self._show(table, item)

    def accept(self, puts: Sequence[Put], name: Hashable) -> None:
        """
        Judge all conditions of a transaction and reserve its items; its legs wait to become visible, under *name*.

        Raises:
            TransactionFailedError: where conditions do not hold.
            ContentionError: where they do, but another transaction has reserved one of the items.
        """
        places = [(put.table, put.item.key) for put in puts]
        failed = [
            position
            for position, (put, place) in enumerate(zip(puts, places, strict=True))
            if place not in self._holders and not holds(put.condition, self.get(*place))
        ]
        if failed:
            raise TransactionFailedError(failed)
        if any(place in self._holders for place in places):
            raise ContentionError("another transaction holds one of the items")
        self._legs[name] = {place: put.item for place, put in zip(places, puts, strict=True)}
        self._holders.update(dict.fromkeys(places, name))
        self.fingerprint ^= hash((name, frozenset(places)))

    def waiting_legs(self, name: Hashable) -> list[Place]:
        """Return the legs of a transaction that are not visible yet."""
        return list(self._legs.get(name, ()))

    def waiting_transactions(self) -> list[Hashable]:
        """Return the names of transactions with legs that are not visible yet."""
        return list(self._legs)

    def holder(self, place: Place) -> Hashable | None:
        """Return the name of the transaction that has reserved an item, None where none has."""
        return self._holders.get(place) if self._holders else None

    def show_leg(self, name: Hashable, place: Place) -> None:
        """Make one leg of a transaction visible."""
        legs = self._legs[name]
        self.fingerprint ^= hash((name, frozenset(legs)))
        item = legs.pop(place)
        del self._holders[place]
        if legs:
            self.fingerprint ^= hash((name, frozenset(legs)))
        else:
            del self._legs[name]
        self._show(place[0], item)

    def _show(self, table: Table, item: Item) -> None:
        partitions = self._state if table is Table.STATE else self._pages
        owned = f"{table.value} {item.pk}"
        if owned not in self._own:
            partitions[item.pk] = dict(partitions.get(item.pk, ()))
            self._own.add(owned)
        partition = partitions[item.pk]
        before = partition.get(item.sk)
        if before is not None:
            self.fingerprint ^= self.mark(table, before)
        self.fingerprint ^= self.mark(table, item)
        partition[item.sk] = item
        if table is Table.STATE and (item.due_at is not None or (before is not None and before.due_at is not None)):
            self._index(before, item)

    def _index(self, before: Item | None, item: Item) -> None:
        if not self._owns_due:
            self._due = {shard: dict(entries) for shard, entries in self._due.items()}
            self._owns_due = True
        if before is not None and before.due_shard is not None:
            self._due.get(before.due_shard, {}).pop(before.key, None)
        if item.due_shard is not None and item.due_at is not None:
            self._due.setdefault(item.due_shard, {})[item.key] = item.due_at


def mark(table: Table, item: Item) -> int:
    """Return a number that no other item has, but by a rare chance."""
    return hash((table.value, item))


def holds(condition: Condition | None, current: Item | None) -> bool:
    """Tell whether a condition holds of the item as it is."""
    if condition is None:
        return True
    if isinstance(condition, Absent):
        return current is None
    return current is not None and current.version == condition.version
