"""Snapshots: what a head was after each change that was not of usage alone."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import pytest
from msgspec.structs import replace

from chalicelib.domain.accounts import Account, PaymentMethod, PaymentType
from chalicelib.domain.credit import Grant, GrantKind
from chalicelib.domain.instants import DAY, SECOND, Instant, parse_instant
from chalicelib.domain.ledger import EntryKind, LedgerEntry
from chalicelib.domain.money import ZERO
from chalicelib.domain.periods import Period
from chalicelib.domain.products import SHARED_POOL
from chalicelib.domain.rate_card import Rate, Revision
from chalicelib.domain.state import AccountState
from chalicelib.domain.usage_events import UsageEvent
from chalicelib.domain.waterfall import Charge
from chalicelib.storage import keys
from chalicelib.storage.accounts import Accounts, Commit
from chalicelib.storage.heads import Head, Turn
from chalicelib.storage.items import Table
from chalicelib.storage.pages import Pages
from tests.fakes.clock import FixedClock
from tests.fakes.memory_store import MemoryStore


ACCOUNT: Final = "acme"
NOON: Final = parse_instant("2026-11-22T12:00:00Z")
NOVEMBER: Final = Period(2026, 11)
RATE: Final = Rate("standard", Revision(NOVEMBER.first_day, 1), 0, Decimal(1), Decimal(1))
EVENT: Final = UsageEvent(ACCOUNT, "/voice", "e-1", NOON, "call", Decimal(3))
CHARGE: Final = Charge(EVENT, NOVEMBER, False, RATE, Decimal(3), ZERO, Decimal(3), ())  # noqa: FBT003 - not late
GRANT: Final = Grant("g-1", SHARED_POOL, GrantKind.PROMOTIONAL, Decimal(5), NOON)
ENTRY: Final = LedgerEntry(
    "grant-g-1", NOON, NOON, EntryKind.GRANT, SHARED_POOL, Decimal(5), ZERO, "gift", "admin", NOVEMBER, grant="g-1"
)


@pytest.fixture
def store() -> MemoryStore:
    """Give a store in which nothing is kept."""
    return MemoryStore()


@pytest.fixture
def accounts(store: MemoryStore) -> Accounts:
    """Give accounts among which there is one, created at noon."""
    accounts = Accounts(store, Pages(store, FixedClock(NOON).now, DAY))
    method = PaymentMethod(PaymentType.INVOICE)
    account = Account(ACCOUNT, "Acme", "USD", "Etc/UTC", method, "standard", 1, {})
    accounts.create(AccountState(account, NOON, NOVEMBER.previous))
    return accounts


def _head(accounts: Accounts) -> Head:
    head = accounts.load(ACCOUNT)
    assert head is not None
    return head


def _commit(accounts: Accounts, at: Instant, **changes: object) -> None:
    head = _head(accounts)
    grants = changes.pop("grants", head.state.grants)
    accounts.commit(head, Commit(replace(head.state, at=at, grants=grants), b"request", **changes))


def _versions(accounts: Accounts) -> list[int]:
    return [snapshot.version for snapshot in accounts.snapshots(ACCOUNT)]


def test_a_new_account_leaves_one(accounts: Accounts) -> None:
    """From the first instant of an account on there is a snapshot to begin with."""
    assert _versions(accounts) == [1]
    assert accounts.snapshot(ACCOUNT, NOON) == _head(accounts)
    assert accounts.snapshot(ACCOUNT, NOON - 1) is None
    assert accounts.snapshot("nobody", NOON) is None


def test_usage_alone_leaves_none(accounts: Accounts) -> None:
    """What follows from the charges is not kept twice; nor is it a change to ask others to wait."""
    _commit(accounts, NOON + 1, charges=(CHARGE,))
    accounts.note_turn(_head(accounts), Turn(b"12345678", NOON + SECOND))

    assert _versions(accounts) == [1]
    assert _head(accounts).version == 3


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"entries": (ENTRY,), "grants": (GRANT,)}, id="a movement of credit"),
        pytest.param({"entries": (ENTRY,), "charges": (CHARGE,)}, id="a movement of credit and usage"),
        pytest.param({}, id="other settings"),
    ],
)
def test_every_other_change_leaves_one(accounts: Accounts, changes: dict[str, object]) -> None:
    """Whatever cannot be told from the charges is kept as it was."""
    _commit(accounts, NOON + 1, **changes)

    assert _versions(accounts) == [1, 2]
    assert accounts.snapshot(ACCOUNT, NOON + 1) == replace(_head(accounts), tail=(), pages=())


def test_it_holds_neither_events_nor_pages(store: MemoryStore, accounts: Accounts) -> None:
    """A snapshot is the state alone, in no index and without an end, whatever the head holds beside it."""
    many = tuple(replace(CHARGE, event=replace(EVENT, id=str(number))) for number in range(20))
    _commit(accounts, NOON + 1, charges=many, entries=(ENTRY,))

    assert _head(accounts).pages
    snapshot = accounts.snapshot(ACCOUNT, NOON + 1)
    assert snapshot == replace(_head(accounts), pages=())
    item = store.get(Table.STATE, keys.snapshot(ACCOUNT, NOON + 1, 2))
    assert item is not None
    assert (item.due_shard, item.due_at, item.expires) == (None, None, None)


def test_the_last_one_of_a_time(accounts: Accounts) -> None:
    """Of several changes at one instant the last counts, and of later ones none."""
    for at, remaining in ((NOON + 5, 1), (NOON + 5, 2), (NOON + 9, 3)):
        _commit(accounts, at, grants=(replace(GRANT, remaining=Decimal(remaining)),))

    def remaining(at: Instant) -> list[int]:
        snapshot = accounts.snapshot(ACCOUNT, at)
        return [] if snapshot is None else [int(grant.remaining) for grant in snapshot.state.grants]

    assert [remaining(NOON + later) for later in (0, 4, 5, 8, 9, 10**12)] == [[], [], [2], [2], [3], [3]]
    assert _versions(accounts) == [1, 2, 3, 4]


def test_asking_for_one_reads_one(store: MemoryStore, accounts: Accounts) -> None:
    """However many snapshots there are, one of them is read."""
    for later in range(50):
        _commit(accounts, NOON + later, grants=(GRANT,))
    store.reset_units()
    accounts.snapshot(ACCOUNT, NOON + 100)

    assert store.read_units <= 2
