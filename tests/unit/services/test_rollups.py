"""The hours of a month, whatever rollups earlier readers left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from chalicelib.domain.instants import DAY
from chalicelib.domain.periods import Period
from chalicelib.domain.series import HourlyUsage, hours_of
from chalicelib.storage.pages import Pages
from chalicelib.storage.rollups import Rollups
from tests.fakes.memory_store import FAULTS, Action, ClientCrashedError, Fault, MemoryStore
from tests.unit.services.histories import ACCOUNT, History
from tests.unit.services.world import Interruption


if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.domain.instants import Instant
    from chalicelib.storage.heads import Head
    from chalicelib.storage.items import ItemStore

READER: Final = "reader"
OCTOBER: Final = Period(2026, 10)

Sums = dict[tuple[str, int], tuple[str, str]]


def sums_of(usage: HourlyUsage) -> Sums:
    """Return quantity and amount by product and hour."""
    return {(resource, hour): (f"{q.normalize():f}", f"{a.normalize():f}") for resource, hour, q, a in usage.sums()}


def pages_in(store: ItemStore, now: Callable[[], Instant]) -> Pages:
    """Return the pages as any process reads them."""
    return Pages(store, now, 800 * DAY)


def from_scratch(pages: Pages, head: Head, period: Period) -> Sums:
    """Add up every single charge of a month."""
    usage = HourlyUsage(hours_of(head.state.account.calendar, period))
    for taking in pages.in_order_of_charge(head, period):
        for charge in taking.charges:
            if charge.period == period:
                usage.add_charge(charge, taking.at)
    return sums_of(usage)


class _Watched(History):
    """Reads some month after everything that happens, as processes do that roll up more or less."""

    def note_answer(self) -> None:
        """Compare the month that the tab shows, or one before it, with its charges."""
        head = self.services.heads.load(ACCOUNT)
        assert head is not None
        pages = pages_in(self.store, self.clock.now)
        period = self.random.choice([head.state.oldest_open, head.state.oldest_open.previous])
        rollups = Rollups(self.store, pages, self.random.choice([1, 10, 200]))
        assert sums_of(rollups.hourly_usage(head, period)) == from_scratch(pages, head, period)


@pytest.mark.parametrize("seed", range(10))
def test_whatever_was_read_before(seed: int) -> None:
    """Whatever happens and whoever read the month at whatever moments, its hours are those of its charges."""
    history = _Watched(seed)
    history.play(60)


class _Read:
    """A month of some pages, the last of which the head names, and a tail; some of it is rolled up already."""

    def __init__(self) -> None:
        self.history = History(3)
        for _ in range(3):
            self.use(10)
        assert self.read(Rollups(self.history.store, self._pages(self.history.store), 15)) == self.expected()
        for count in (10, 10, 10, 60, 1):
            self.use(count)

    @property
    def store(self) -> MemoryStore:
        """Return the store."""
        store = self.history.store
        assert isinstance(store, MemoryStore)
        return store

    @property
    def head(self) -> Head:
        """Return the head as it is now."""
        head = self.history.services.heads.load(ACCOUNT)
        assert head is not None
        return head

    def use(self, count: int) -> None:
        """Take some events of the days before."""
        self.history.clock.pass_by(1)
        self.history.take(*self.history.events(count, 5 * DAY))

    def rollups(self, client: str, events_min: int) -> Rollups:
        """Return the rollups as a process sees them."""
        store = self.store.client(client)
        return Rollups(store, self._pages(store), events_min)

    def read(self, rollups: Rollups, head: Head | None = None) -> Sums:
        """Read the month."""
        return sums_of(rollups.hourly_usage(head or self.head, OCTOBER))

    def expected(self, head: Head | None = None) -> Sums:
        """Add up the month."""
        return from_scratch(self._pages(self.store), head or self.head, OCTOBER)

    def _pages(self, store: ItemStore) -> Pages:
        return pages_in(store, self.history.clock.now)


class TestBesideOthers:
    """What other processes do while one reads."""

    @pytest.mark.parametrize("events_min", [8, 25])
    def test_at_every_step(self, events_min: int) -> None:
        """Whichever step of a reader others come before, it sees the month as of its head, and so do later ones."""
        number, is_over = 0, True
        while is_over:
            number += 1
            read = _Read()
            head = read.head
            expected = read.expected()

            def go_on(read: _Read = read) -> None:
                read.use(20)
                read.use(1)
                assert read.read(read.rollups("other", 12)) == read.expected()

            interruption = Interruption(number, go_on, client=READER)
            read.store.controller = interruption

            assert read.read(read.rollups(READER, events_min), head) == expected
            is_over = interruption.is_over
            assert read.read(read.rollups("later", events_min)) == read.expected()
            assert read.read(read.rollups("later", events_min), head) == expected
        assert number > 8

    @pytest.mark.parametrize("fault", sorted(FAULTS[Action.PUT], key=lambda fault: fault.name))
    def test_any_write_may_fail(self, fault: Fault) -> None:
        """A reader whose writes fail answers all the same; whatever is left of them, the next one reads the month."""
        number, is_over = 0, True
        while is_over:
            number += 1
            read = _Read()
            interruption = Interruption(
                number, fault=fault, client=READER, uncounted={Action.GET.value, Action.QUERY.value}
            )
            read.store.controller = interruption
            try:
                assert read.read(read.rollups(READER, 8)) == read.expected()
            except ClientCrashedError:
                assert fault in {Fault.CRASH_BEFORE, Fault.CRASH_AFTER}
            is_over = interruption.is_over
            read.use(10)
            assert read.read(read.rollups("later", 8)) == read.expected()
        assert number > 3


class TestCost:
    """What is read and written."""

    def test_pages_are_read_once(self) -> None:
        """A second reader reads no page that the first rolled up, and nobody but readers writes rollups."""
        read = _Read()
        rollups = read.rollups(READER, 8)

        # Rollups, index and six pages, each of which is rolled up.
        assert _units_of(read, rollups) == (1 + 1 + 6, 6)
        assert _units_of(read, rollups) == (1 + 1, 0)

    def test_an_invoiced_month_is_rolled_up_to_its_end(self) -> None:
        """Of an invoiced month no page is read again, however few its last events are."""
        read = _Read()
        read.history.at("2026-11-01T01:30:00Z")
        read.history.run_jobs()
        rollups = read.rollups(READER, 1_000)

        assert read.read(rollups) == read.expected()
        # The last event waits in the tail: the page to come has some of the month.
        assert _units_of(read, rollups) == (1 + 1 + 6, 0)
        read.use(20)
        assert read.read(rollups) == read.expected()
        assert _units_of(read, rollups) == (1 + 1, 0)


def _units_of(read: _Read, rollups: Rollups) -> tuple[int, int]:
    """Return the units of reading the month: what it reads and what it writes."""
    head = read.head
    read.store.reset_units()
    read.read(rollups, head)
    return read.store.read_units, read.store.write_units
