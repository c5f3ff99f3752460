"""What the memory store does beyond the contract: steps, faults, legs one by one, units."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chalicelib.local.units import item_bytes
from chalicelib.storage.items import (
    Absent,
    ConditionFailedError,
    ContentionError,
    Item,
    Key,
    OutcomeUnknownError,
    Put,
    StoreUnavailableError,
    Table,
    TransactionFailedError,
    VersionIs,
)
from tests.fakes.memory_store import Action, ClientCrashedError, Fault, InvalidRequestError, MemoryStore
from tests.fakes.turns import RandomTurns


if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chalicelib.storage.items import ItemStore
    from tests.fakes.memory_store import Step
    from tests.fakes.tables import Place

A, B, C = (Item("p", sk, version=1) for sk in "abc")


class Script:
    """Does something before each step of one client; the last leg becomes visible first."""

    def __init__(self, acts: Sequence[Callable[[], Fault | None]]) -> None:
        self._acts = list(acts)
        self.steps: list[tuple[str, Action]] = []

    def before(self, step: Step) -> Fault | None:
        """Take the next act where the step is not that of an onlooker."""
        if step.client == "onlooker":
            return None
        self.steps.append((step.client, step.action))
        return self._acts.pop(0)() if self._acts else None

    def next_leg(self, places: Sequence[Place]) -> int:
        """Choose the last."""
        return len(places) - 1


def fail_with(fault: Fault) -> Callable[[], Fault | None]:
    """Return an act that lets the step fail."""
    return lambda: fault


def nothing() -> None:
    """Let the step pass."""


def _visible(store: MemoryStore) -> str:
    onlooker = store.client("onlooker")
    return "".join(item.sk for item in onlooker.query(Table.STATE, "p", "a", "z"))


def _puts(*items: Item) -> list[Put]:
    return [Put(Table.STATE, item, Absent()) for item in items]


def test_legs_become_visible_one_by_one() -> None:
    """Between two legs others see one and not the other, in the order the controller chooses."""
    seen: list[str] = []
    script = Script([nothing, *[lambda: seen.append(_visible(store))] * 3])
    store = MemoryStore(script)

    store.client("writer").transact(_puts(A, B, C))

    assert seen == ["", "c", "bc"]
    assert _visible(store) == "abc"
    assert script.steps == [("writer", Action.TRANSACT)] + [("writer", Action.LEG)] * 3


def test_a_reserved_item_takes_no_other_write() -> None:
    """Until its leg is visible a put and a transaction are refused, whatever their conditions; reads go on."""
    refusals: list[type[Exception]] = []

    def write() -> None:
        other = store.client("onlooker")
        with pytest.raises(ContentionError) as refused:
            other.put(Table.STATE, B)
        refusals.append(refused.type)
        with pytest.raises(ContentionError) as refused:
            other.transact(_puts(A, Item("q", "z")))
        refusals.append(refused.type)
        assert other.get(Table.STATE, A.key) is None
        other.put(Table.STATE, Item("q", "free"), Absent())

    store = MemoryStore(Script([nothing, write]))
    store.client("writer").transact(_puts(A, B))

    assert refusals == [ContentionError, ContentionError]
    assert store.get(Table.STATE, Key("q", "z")) is None
    assert store.get(Table.STATE, Key("q", "free")) is not None


def test_a_condition_that_fails_is_told_before_contention() -> None:
    """A transaction that meets another one and a failing condition names the failing legs."""
    failed: list[tuple[int, ...]] = []

    def write() -> None:
        with pytest.raises(TransactionFailedError) as refused:
            store.client("onlooker").transact([*_puts(A), Put(Table.STATE, Item("q", "x"), VersionIs(7))])
        failed.append(refused.value.failed)

    store = MemoryStore(Script([nothing, write]))
    store.client("writer").transact(_puts(A))

    assert failed == [(1,)]


@pytest.mark.parametrize("at_leg", [0, 1, 2])
@pytest.mark.parametrize("fault", [Fault.CRASH_BEFORE, Fault.CRASH_AFTER])
def test_an_accepted_transaction_survives_its_client(at_leg: int, fault: Fault) -> None:
    """Wherever the client ends after acceptance, later steps find the legs visible one after the other."""
    store = MemoryStore(Script([*[nothing] * (1 + at_leg), fail_with(fault)]))

    with pytest.raises(ClientCrashedError):
        store.client("writer").transact(_puts(A, B, C))

    assert [_visible(store) for _ in range(4)][-1] == "abc"
    assert store.tables.waiting_transactions() == []


def test_a_crash_before_acceptance_writes_nothing() -> None:
    """A client that ends before its transaction is accepted leaves nothing."""
    store = MemoryStore(Script([fail_with(Fault.CRASH_BEFORE)]))

    with pytest.raises(ClientCrashedError):
        store.client("writer").transact(_puts(A))
    store.settle()

    assert _visible(store) == ""


def test_settle_shows_all_that_waits() -> None:
    """What a crashed client left under way can be brought to its end at once."""
    store = MemoryStore(Script([nothing, fail_with(Fault.CRASH_BEFORE)]))
    with pytest.raises(ClientCrashedError):
        store.client("writer").transact(_puts(A, B, C))

    store.settle()

    assert store.tables.waiting_transactions() == []


@pytest.mark.parametrize(
    ("fault", "error", "visible"),
    [
        (Fault.CRASH_BEFORE, ClientCrashedError, ""),
        (Fault.CRASH_AFTER, ClientCrashedError, "a"),
        (Fault.REQUEST_LOST, OutcomeUnknownError, ""),
        (Fault.ANSWER_LOST, OutcomeUnknownError, "a"),
        (Fault.CONTENTION, ContentionError, ""),
        (Fault.UNAVAILABLE, StoreUnavailableError, ""),
    ],
)
@pytest.mark.parametrize(
    "write",
    [lambda store: store.put(Table.STATE, A), lambda store: store.transact(_puts(A))],
    ids=["put", "transaction"],
)
def test_faults_of_writes(
    fault: Fault, error: type[BaseException], visible: str, write: Callable[[ItemStore], None]
) -> None:
    """A write ends as the controller says, done or not done."""
    store = MemoryStore(Script([fail_with(fault)]))

    with pytest.raises(error):
        write(store.client("writer"))
    store.settle()

    assert _visible(store) == visible


def test_a_batch_may_end_half_way() -> None:
    """Every item of a batch is a step of its own."""
    store = MemoryStore(Script([nothing, fail_with(Fault.UNAVAILABLE)]))

    with pytest.raises(StoreUnavailableError):
        store.client("writer").put_many(Table.STATE, [A, B, C])

    assert _visible(store) == "a"


def test_a_read_cannot_be_lost() -> None:
    """Faults that only writes know are mistakes of the test at a read."""
    store = MemoryStore(Script([fail_with(Fault.ANSWER_LOST)]))

    with pytest.raises(ValueError, match="cannot end so"):
        store.client("reader").get(Table.STATE, A.key)


def test_a_lagging_index_shows_what_was() -> None:
    """Due work is found as of the last catching up."""
    store = MemoryStore(due_lags=True)
    item = Item("p", "a", due_shard="00", due_at=5)
    store.put(Table.STATE, item)

    assert list(store.query_due("00", 9)) == []
    assert store.earliest_due("00") is None

    store.catch_up()
    store.put(Table.STATE, Item("p", "a", due_shard="00", due_at=20))

    assert list(store.query_due("00", 9)) == [item.key]
    assert store.earliest_due("00") == 5


@pytest.mark.parametrize(
    "puts",
    [
        [],
        [Put(Table.STATE, A), Put(Table.STATE, A)],
        [Put(Table.STATE, Item("p", str(number))) for number in range(101)],
        [Put(Table.STATE, Item("p", str(number), body=bytes(390_000))) for number in range(11)],
    ],
    ids=["none", "one-twice", "101", "more-than-4-MB"],
)
def test_transactions_dynamodb_would_not_take(puts: list[Put]) -> None:
    """A transaction has 1 to 100 different items and at most 4 MB."""
    with pytest.raises(InvalidRequestError):
        MemoryStore().transact(puts)


def test_items_dynamodb_would_not_take() -> None:
    """An item has at most 400 KB, names and all, and a key that is not empty."""
    store = MemoryStore()
    store.put(Table.STATE, Item("p", "s", body=bytes(400 * 1024 - 2 - 2 - 4 - 2)))

    with pytest.raises(InvalidRequestError):
        store.put(Table.STATE, Item("p", "s", body=bytes(400 * 1024 - 2 - 2 - 4 - 1)))
    with pytest.raises(InvalidRequestError):
        store.put(Table.STATE, Item("p", ""))


def test_item_size() -> None:
    """Names and texts count their UTF-8 bytes; a number a byte for two digits, one more, one more for its sign."""
    assert item_bytes(Item("pö", "s", body=b"12345")) == (2 + 3) + (2 + 1) + (4 + 5)
    assert item_bytes(Item("p", "s", version=7)) == 3 + 3 + (7 + 2)
    assert item_bytes(Item("p", "s", version=12_345)) == 3 + 3 + (7 + 4)
    assert item_bytes(Item("p", "s", version=1_000_000)) == 3 + 3 + (7 + 2)
    assert item_bytes(Item("p", "s", first=-12)) == 3 + 3 + (5 + 3)


def _sized(size: int, sk: str = "s") -> Item:
    return Item("p", sk, body=bytes(size - 2 - 1 - 2 - len(sk) - 4))


def test_write_units() -> None:
    """Each begun KB of the larger of old and new item is a unit; in a transaction two."""
    store = MemoryStore()
    units = []
    for size in (1024, 1025, 100, 100):
        store.reset_units()
        store.put(Table.STATE, _sized(size))
        units.append(store.write_units)
    store.reset_units()
    store.transact([Put(Table.STATE, _sized(1024, "t")), Put(Table.STATE, _sized(2049, "u"))])

    assert units == [1, 2, 2, 1]
    assert store.write_units == 2 * (1 + 3)


def test_a_failed_condition_costs_a_write() -> None:
    """A put that is refused is charged like one that is not."""
    store = MemoryStore()
    store.put(Table.STATE, A)
    store.reset_units()

    with pytest.raises(ConditionFailedError):
        store.put(Table.STATE, A, Absent())

    assert store.write_units == 1


def test_index_write_units() -> None:
    """An entry of the index of due work costs a unit when it comes, two when it moves, none when it stays."""
    store = MemoryStore()
    units = []
    for due_at in (5, 5, 6, None):
        store.reset_units()
        store.put(Table.STATE, Item("p", "a", due_shard="00", due_at=due_at))
        units.append(store.index_write_units)

    assert units == [1, 0, 2, 1]


def test_read_units() -> None:
    """Each begun 4 KB of an item, or of all that a query's page returns, is a unit; nothing found is one, too."""
    store = MemoryStore()
    store.put_many(Table.STATE, [_sized(4096, "a"), _sized(4097, "b"), _sized(100, "c")])
    store.reset_units()
    for sk in "abx":
        store.get(Table.STATE, Key("p", sk))
    by_get = store.read_units
    store.get_many(Table.STATE, [Key("p", "a"), Key("p", "c")])
    by_batch = store.read_units - by_get
    list(store.query(Table.STATE, "p", "a", "c"))
    by_query = store.read_units - by_get - by_batch

    assert (by_get, by_batch, by_query) == (1 + 2 + 1, 2, 3)


def _count_up(store: MemoryStore, name: str) -> Callable[[], int]:
    mine = store.client(name)

    def count() -> int:
        for _ in range(20):
            before = mine.get(Table.STATE, Key("p", "n"))
            version = 0 if before is None else before.version or 0
            item = Item("p", "n", version=version + 1)
            try:
                mine.put(Table.STATE, item, VersionIs(version) if version else Absent())
            except ConditionFailedError:
                continue
            return version + 1
        raise AssertionError("lost every race")

    return count


def test_random_turns_are_those_of_their_seed() -> None:
    """Clients in threads take their steps in the same order whenever the seed is the same."""

    def results(seed: int) -> dict[str, int]:
        turns = RandomTurns(seed)
        store = MemoryStore(turns)
        return turns.run({name: _count_up(store, name) for name in "abcd"})

    assert results(1) == results(1)
    assert len({tuple(sorted(results(seed).items())) for seed in range(10)}) > 1
    assert sorted(results(2).values()) == [1, 2, 3, 4]
