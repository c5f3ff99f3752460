"""The store as the engine sees it: items of two tables, conditional puts, range queries and transactions."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from msgspec import Struct


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


TRANSACTION_ITEMS_MAX: Final = 90


class Table(Enum):
    """The two tables: what accounts are and own, and the events they were charged for."""

    STATE = "state"
    PAGES = "pages"


class Key(NamedTuple):
    """The primary key of an item within its table."""

    pk: str
    sk: str


class Item(Struct, frozen=True):
    """
    One item; what is None is not stored.

    *version* counts the changes of the item, *body* is its content in a format of its own, *due_shard* and *due_at* put
    it into the index of due work, *expires* is when it may be deleted (seconds since the epoch), *first* is
    the earliest event time a page index entry speaks of.
    """

    pk: str
    sk: str
    body: bytes | None = None
    version: int | None = None
    due_shard: str | None = None
    due_at: int | None = None
    expires: int | None = None
    first: int | None = None

    @property
    def key(self) -> Key:
        """Return the primary key."""
        return Key(self.pk, self.sk)


class Absent(Struct, frozen=True):
    """Holds where there is no item of that key."""


class VersionIs(Struct, frozen=True):
    """Holds where the item is there and has this version."""

    version: int


Condition = Absent | VersionIs


class Put(Struct, frozen=True):
    """One leg of a transaction: put an item if its condition holds."""

    table: Table
    item: Item
    condition: Condition | None = None


class StoreError(Exception):
    """Something the store answered instead of doing what it was asked."""


class ConditionFailedError(StoreError):
    """The condition did not hold and nothing was written; *current* is the item as it is, where the store tells."""

    def __init__(self, current: Item | None = None) -> None:
        """Keep the item that stands in the way."""
        super().__init__("the item has changed")
        self.current = current


class TransactionFailedError(StoreError):
    """Nothing of a transaction was written; *failed* holds the positions of the legs whose condition did not hold."""

    def __init__(self, failed: Sequence[int]) -> None:
        """Keep which legs failed; none where the transaction only met another one."""
        super().__init__(f"legs {list(failed)} of the transaction failed")
        self.failed = tuple(failed)


class ContentionError(StoreError):
    """Another transaction is writing the same item; nothing was written."""


class OutcomeUnknownError(StoreError):
    """The answer was lost: the write may or may not have happened."""


class StoreUnavailableError(StoreError):
    """The store cannot be reached or is throttling; nothing was read or written."""


class ItemStore(Protocol):
    """
    What the engine needs of DynamoDB.

    Reads are strongly consistent item by item; a query may see one leg of a transaction before another. Every method
    may raise `StoreUnavailableError`; writes may raise `OutcomeUnknownError`.
    """

    def get(self, table: Table, key: Key) -> Item | None:
        """Read one item."""
        ...

    def get_many(self, table: Table, keys: Iterable[Key]) -> list[Item]:
        """Read the items that exist among *keys*, in no particular order."""
        ...

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
        """Yield the items of *pk* whose sk lies from *lower* to *upper*, both included, in the order of sk."""
        ...

    def query_due(self, shard: str, until: int) -> Iterator[Key]:
        """Yield the keys of state items of *shard* due at or before *until*, soonest first; eventually consistent."""
        ...

    def earliest_due(self, shard: str) -> int | None:
        """Return the least `due_at` in *shard*, None where it is empty; eventually consistent."""
        ...

    def put(self, table: Table, item: Item, condition: Condition | None = None) -> None:
        """
        Put one item.

        Raises:
            ConditionFailedError: where *condition* does not hold.
            ContentionError: where a transaction holds the item.
        """
        ...

    def put_many(self, table: Table, items: Iterable[Item]) -> None:
        """Put items without condition, in any order; a failure may leave some of them written."""
        ...

    def transact(self, puts: Sequence[Put]) -> None:
        """
        Put all or nothing, at most 90 items.

        Raises:
            TransactionFailedError: where a condition does not hold.
            ContentionError: where another transaction holds one of the items.
        """
        ...
