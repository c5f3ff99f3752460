"""Rollups as they are kept: which of them count."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from msgspec.structs import replace

from chalicelib.domain.instants import DAY, HOUR, SECOND
from chalicelib.domain.series import hours_of
from chalicelib.storage import keys
from chalicelib.storage.items import Item, Table
from chalicelib.storage.pages import Pages
from chalicelib.storage.rollups import Rollups
from tests.fakes.clock import FixedClock
from tests.fakes.memory_store import MemoryStore
from tests.unit.storage.test_pages import ACCOUNT, NOON, NOVEMBER, RETENTION, a_charge, a_head, a_taking


if TYPE_CHECKING:
    from chalicelib.storage.heads import Head

GOLDEN: Final = Path(__file__).parent / "golden" / "rollup-1.hex"
PARTITION: Final = keys.rollups(ACCOUNT, NOVEMBER)
BOTH: Final = [("call", 21 * 24 + 11, "1", "0.01"), ("call", 21 * 24 + 12, "1", "0.01")]
"""One call before noon on the 22nd, one after it."""


class Kept:
    """Two pages of an event each, and what readers kept of them, by default each page by itself."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.clock = FixedClock(NOON)
        self.pages = Pages(self.store, self.clock.now, RETENTION)
        for version, time in enumerate((NOON - 1, NOON), 2):
            self.pages.index(ACCOUNT, self.pages.put(ACCOUNT, [a_taking(a_charge(time, str(time)), version=version)]))

    def read(self, events_min: int = 1, head: Head | None = None) -> list[tuple[str, int, str, str]]:
        """Return product, hour, quantity and amount."""
        usage = Rollups(self.store, self.pages, events_min).hourly_usage(head or a_head(), NOVEMBER)
        return sorted((resource, hour, str(quantity), str(amount)) for resource, hour, quantity, amount in usage.sums())

    def rollups(self) -> list[Item]:
        """Return what is kept."""
        return list(self.store.query(Table.PAGES, PARTITION, keys.FIRST, keys.LAST))

    def put(self, item: Item, usage_of: Item) -> None:
        """Put the body of another rollup in the place of one."""
        self.store.put(Table.PAGES, replace(item, body=usage_of.body))


@pytest.fixture
def kept() -> Kept:
    """Give two pages that were read once."""
    kept = Kept()
    assert kept.read() == BOTH
    return kept


def test_where_they_are(kept: Kept) -> None:
    """A rollup stands at the index entry of its last page."""
    entries = list(kept.store.query(Table.PAGES, keys.pages_by_charge(ACCOUNT, NOVEMBER), keys.FIRST, keys.LAST))

    assert [item.sk for item in kept.rollups()] == [entry.sk for entry in entries]


def test_they_vanish_with_their_pages() -> None:
    """A rollup written long after its pages lives no longer than the last of them."""
    kept = Kept()
    kept.clock.set(NOON + 300 * DAY)
    kept.read(2)

    assert [item.expires for item in kept.rollups()] == [(NOON + RETENTION) // SECOND]


@pytest.mark.parametrize(
    "body",
    [
        None,
        b"",
        b"\x01",
        b"\x02any",
        b"\x01not deflated",
        b"\x01" + zlib.compress(b"\xc1"),
        b"\x01" + zlib.compress(b"\x90"),
    ],
)
def test_one_that_cannot_be_read(kept: Kept, body: bytes | None) -> None:
    """A rollup that is damaged or of another format counts for nothing, and is written anew."""
    first, second = kept.rollups()
    kept.store.put(Table.PAGES, replace(first, body=body))

    assert kept.read() == BOTH
    assert kept.rollups() == [first, second]


@pytest.mark.parametrize("place", range(1, 12))
def test_one_with_a_wrong_bit(kept: Kept, place: int) -> None:
    """Wherever a bit of a rollup is wrong, it counts for nothing."""
    first, _ = kept.rollups()
    body = bytearray(first.body or b"")
    body[place * len(body) // 12] ^= 4
    kept.store.put(Table.PAGES, replace(first, body=bytes(body)))

    assert kept.read() == BOTH


def test_one_that_begins_elsewhere(kept: Kept) -> None:
    """A rollup counts only behind the end of the one before: not twice, and not across a gap."""
    first, second = kept.rollups()
    kept.put(first, usage_of=second)

    assert kept.read() == BOTH

    kept.put(second, usage_of=first)

    assert kept.read() == BOTH


def test_of_stretches_that_overlap(kept: Kept) -> None:
    """Where processes roll up more and less, what one kept is of no use to the other, and no page counts twice."""
    for events_min in (2, 1, 2):
        assert kept.read(events_min) == BOTH


def test_for_an_older_head(kept: Kept) -> None:
    """What a later reader kept does not count for one whose head is older."""
    older = replace(a_head(), version=2)

    assert kept.read(head=older) == BOTH[:1]


def test_other_rules_of_the_zone(kept: Kept) -> None:
    """A rollup whose hours were others than those of today counts for nothing."""
    lord_howe = a_head()
    account = replace(lord_howe.state.account, timezone="Australia/Lord_Howe")
    lord_howe = replace(lord_howe, state=replace(lord_howe.state, account=account))

    # In the half hour from 22:30 on, eleven hours ahead of UTC.
    hours = hours_of(account.calendar, NOVEMBER)
    assert [hours[hour] for _, hour, _, _ in kept.read(head=lord_howe)] == [NOON - HOUR, NOON]


def test_the_format(kept: Kept) -> None:
    """A rollup that was written once can be read for ever."""
    first, _ = kept.rollups()
    only = replace(first, body=bytes.fromhex(GOLDEN.read_text()))
    kept.store = MemoryStore()
    kept.store.put(Table.PAGES, only)
    kept.pages = Pages(kept.store, kept.clock.now, RETENTION)

    assert kept.read() == [("call", 21 * 24 + 11, "1", "0.01")]
