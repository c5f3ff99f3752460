"""
An `ItemStore` in memory that is as honest as DynamoDB about what can happen between one call and the next.

Every call, every item of a batch and every leg of a transaction that becomes visible is a step. Before each of them
the store asks a `Controller`, outside of any lock: it may wait there while other clients go on, or answer with a
`Fault`. Legs of a transaction whose caller is gone become visible one at a time, before later steps of whoever comes.
"""

from __future__ import annotations

from enum import Enum
from threading import RLock
from typing import TYPE_CHECKING, Final, Protocol

from msgspec import Struct

from chalicelib.local.units import index_write_units, item_bytes, read_units, write_units
from chalicelib.storage.items import (
    Condition,
    ContentionError,
    Item,
    Key,
    OutcomeUnknownError,
    Put,
    StoreUnavailableError,
    Table,
)
from tests.fakes.tables import Place, Tables


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

ITEM_BYTES_MAX: Final = 400 * 1024
TRANSACTION_ITEMS_MAX: Final = 100
TRANSACTION_BYTES_MAX: Final = 4 * 1024 * 1024
QUERY_PAGE_ITEMS: Final = 1000
"""What a query reads at a time where the caller does not say; DynamoDB goes by bytes."""


class InvalidRequestError(ValueError):
    """DynamoDB takes no such request: a mistake of the program, which no state of the tables excuses."""


class Action(Enum):
    """What a step does."""

    GET = "get"
    QUERY = "query"
    QUERY_DUE = "query due"
    PUT = "put"
    TRANSACT = "transact"
    LEG = "leg"


class Step(Struct, frozen=True):
    """One thing a *client* is about to do to *places*; for a query, the partition with an empty sort key."""

    client: str
    action: Action
    places: tuple[Place, ...]

    @property
    def is_write(self) -> bool:
        """Tell whether the step may change something."""
        return self.action in {Action.PUT, Action.TRANSACT, Action.LEG}


class Fault(Enum):
    """How a step can end otherwise."""

    CRASH_BEFORE = "the client's process ends before the step"
    CRASH_AFTER = "the client's process ends after the step, before the answer"
    REQUEST_LOST = "the write is not done, and the client does not know"
    ANSWER_LOST = "the write is done, and the client does not know"
    CONTENTION = "the write is refused as if a transaction held the item"
    UNAVAILABLE = "nothing is done, and the client knows"


_CRASHES: Final = frozenset({Fault.CRASH_BEFORE, Fault.CRASH_AFTER})
_READ_FAULTS: Final = _CRASHES | {Fault.UNAVAILABLE}
_FAULTS: Final = {
    Action.GET: _READ_FAULTS,
    Action.QUERY: _READ_FAULTS,
    Action.QUERY_DUE: _READ_FAULTS,
    Action.PUT: frozenset(Fault),
    Action.TRANSACT: frozenset(Fault),
    Action.LEG: _CRASHES | {Fault.ANSWER_LOST},
}


class ClientCrashedError(BaseException):
    """The process of the client is gone: no code of it may catch this."""


class Controller(Protocol):
    """Decides what happens between steps."""

    def before(self, step: Step) -> Fault | None:
        """Return how *step* is to fail, None for not at all; may wait while other clients take steps."""
        ...

    def next_leg(self, places: Sequence[Place]) -> int:
        """Return which leg of a transaction becomes visible next, as a position in *places*."""
        ...


class Undisturbed:
    """Lets every step pass, and legs become visible in the order given."""

    def before(self, step: Step) -> Fault | None:  # noqa: ARG002 - it treats all alike
        """Let the step pass."""
        return None

    def next_leg(self, places: Sequence[Place]) -> int:  # noqa: ARG002 - it treats all alike
        """Choose the first."""
        return 0


class MemoryStore:
    """
    The two tables in memory; `client` gives every client a store of its own over the same tables.

    *controller* decides what happens between steps. With *due_lags* the index of due work stays as it was when
    `catch_up` was called last. The counters are units as DynamoDB would charge them; a transaction counts double.
    """

    def __init__(
        self, controller: Controller | None = None, tables: Tables | None = None, *, due_lags: bool = False
    ) -> None:
        self.tables = tables or Tables()
        self.controller = controller or Undisturbed()
        self.write_units = 0
        self.index_write_units = 0
        self.read_units = 0
        self._due_lags = due_lags
        self._due_tables = self.tables.copy() if due_lags else self.tables
        self._abandoned: list[object] = []
        self._lock = RLock()
        self._own = self.client("")
        self.get = self._own.get
        self.get_many = self._own.get_many
        self.query = self._own.query
        self.query_due = self._own.query_due
        self.earliest_due = self._own.earliest_due
        self.put = self._own.put
        self.put_many = self._own.put_many
        self.transact = self._own.transact

    def client(self, name: str) -> ClientStore:
        """Return the store as the client *name* uses it."""
        return ClientStore(self, name)

    def catch_up(self) -> None:
        """Bring a lagging index of due work up to date."""
        with self._lock:
            if self._due_lags:
                self._due_tables = self.tables.copy()

    def settle(self) -> None:
        """Make every leg visible that still waits because its client is gone."""
        while self._abandoned:
            self._show_abandoned()

    def reset_units(self) -> None:
        """Count units from zero again."""
        with self._lock:
            self.write_units = self.index_write_units = self.read_units = 0

    def _step(self, step: Step) -> Fault | None:
        """Ask what becomes of a step; raises where it does not happen."""
        fault = self.controller.before(step)
        self._show_abandoned()
        if fault is Fault.CRASH_BEFORE:
            raise ClientCrashedError
        if fault is Fault.UNAVAILABLE:
            raise StoreUnavailableError("the store is not to be reached")
        if fault is not None and fault not in _FAULTS[step.action]:
            message = f"{step.action} cannot end so: {fault}"
            raise ValueError(message)
        if fault is Fault.REQUEST_LOST:
            raise OutcomeUnknownError("the request was lost")
        if fault is Fault.CONTENTION:
            raise ContentionError("a transaction holds the item")
        return fault

    def _show_abandoned(self) -> None:
        with self._lock:
            if self._abandoned:
                self._show_next_leg(self._abandoned[0])
                self._abandoned = [name for name in self._abandoned if self.tables.waiting_legs(name)]

    def _show_next_leg(self, name: object) -> None:
        places = self.tables.waiting_legs(name)
        place = places[self.controller.next_leg(places)]
        self.tables.show_leg(name, place)


class ClientStore:
    """The `ItemStore` of one client of a `MemoryStore`."""

    def __init__(self, shared: MemoryStore, client: str) -> None:
        self._shared = shared
        self._client = client

    def get(self, table: Table, key: Key) -> Item | None:
        """Read one item."""
        fault = self._step(Action.GET, (table, key))
        with self._shared._lock:
            item = self._shared.tables.get(table, key)
            self._shared.read_units += read_units([] if item is None else [item])
        self._end(fault)
        return item

    def get_many(self, table: Table, keys: Iterable[Key]) -> list[Item]:
        """Read the items that exist among *keys*, each at a moment of its own."""
        keys = list(keys)
        _refuse_repeated(keys)
        items = (self.get(table, key) for key in keys)
        return [item for item in items if item is not None]

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
        """Yield the items of *pk* from *lower* to *upper*; each page of them is read at a moment of its own."""
        size = page_size or QUERY_PAGE_ITEMS
        seen: Item | None = None
        while True:
            fault = self._step(Action.QUERY, (table, Key(pk, "")))
            with self._shared._lock:
                found = self._shared.tables.query(table, pk, lower, upper, newest_first=newest_first)
                if seen is not None:
                    found = [item for item in found if (item.sk < seen.sk if newest_first else item.sk > seen.sk)]
                found = found[:size]
                self._shared.read_units += read_units(found)
            self._end(fault)
            yield from found
            if len(found) < size:
                return
            seen = found[-1]

    def query_due(self, shard: str, until: int) -> Iterator[Key]:
        """Yield the keys of state items of *shard* due at or before *until*, soonest first."""
        for due_at, key in self._due(shard):
            if due_at > until:
                return
            yield key

    def earliest_due(self, shard: str) -> int | None:
        """Return the least `due_at` in *shard*, None where it is empty."""
        return next((due_at for due_at, _ in self._due(shard)), None)

    def put(self, table: Table, item: Item, condition: Condition | None = None) -> None:
        """Put one item."""
        _check(item)
        fault = self._step(Action.PUT, (table, item.key))
        shared = self._shared
        with shared._lock:
            before = shared.tables.get(table, item.key)
            shared.write_units += write_units(before, item)
            shared.tables.put(table, item, condition)
            shared.index_write_units += index_write_units(before, item)
        self._end(fault)

    def put_many(self, table: Table, items: Iterable[Item]) -> None:
        """Put items without condition, one after the other."""
        items = list(items)
        _refuse_repeated([item.key for item in items])
        for item in items:
            self.put(table, item)

    def transact(self, puts: Sequence[Put]) -> None:
        """Put all or nothing; what is accepted becomes visible leg by leg, whatever becomes of the client."""
        _check_transaction(puts)
        fault = self._step(Action.TRANSACT, *((put.table, put.item.key) for put in puts))
        shared = self._shared
        name = object()
        with shared._lock:
            before = [shared.tables.get(put.table, put.item.key) for put in puts]
            shared.write_units += sum(2 * write_units(old, put.item) for old, put in zip(before, puts, strict=True))
            shared.tables.accept(puts, name)
            shared.index_write_units += sum(
                index_write_units(old, put.item) for old, put in zip(before, puts, strict=True)
            )
        try:
            self._end(fault)
            self._show_legs(name)
        finally:
            if shared.tables.waiting_legs(name):
                shared._abandoned.append(name)

    def _show_legs(self, name: object) -> None:
        shared = self._shared
        while places := shared.tables.waiting_legs(name):
            place = places[shared.controller.next_leg(places)]
            fault = self._step(Action.LEG, place)
            with shared._lock:
                shared.tables.show_leg(name, place)
            self._end(fault)

    def _due(self, shard: str) -> list[tuple[int, Key]]:
        fault = self._step(Action.QUERY_DUE, (Table.STATE, Key(shard, "")))
        with self._shared._lock:
            entries = self._shared._due_tables.due(shard)
            self._shared.read_units += 1
        self._end(fault)
        return entries

    def _step(self, action: Action, *places: Place) -> Fault | None:
        return self._shared._step(Step(self._client, action, places))

    def _end(self, fault: Fault | None) -> None:
        if fault is Fault.CRASH_AFTER:
            raise ClientCrashedError
        if fault is Fault.ANSWER_LOST:
            raise OutcomeUnknownError("the answer was lost")


def _refuse_repeated(keys: Sequence[Key]) -> None:
    if len(set(keys)) < len(keys):
        raise InvalidRequestError("a batch names no item twice")


def _check_transaction(puts: Sequence[Put]) -> None:
    if not 0 < len(puts) <= TRANSACTION_ITEMS_MAX or len({(put.table, put.item.key) for put in puts}) < len(puts):
        raise InvalidRequestError("a transaction has 1 to 100 items, each once")
    if sum(item_bytes(put.item) for put in puts) > TRANSACTION_BYTES_MAX:
        raise InvalidRequestError("a transaction has at most 4 MB")
    for put in puts:
        _check(put.item)


def _check(item: Item) -> None:
    if not item.pk or not item.sk:
        raise InvalidRequestError("a key must not be empty")
    if item_bytes(item) > ITEM_BYTES_MAX:
        raise InvalidRequestError("an item has at most 400 KB")
