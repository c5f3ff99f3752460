"""Pages, their index, and finding recorded events again."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Final
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from chalicelib.domain.accounts import Account, PaymentMethod, PaymentType
from chalicelib.domain.credit import Payment
from chalicelib.domain.instants import DAY, HOUR, MINUTE, SECOND, parse_instant
from chalicelib.domain.money import ZERO
from chalicelib.domain.periods import Period
from chalicelib.domain.rate_card import Rate, Revision
from chalicelib.domain.state import AccountState
from chalicelib.domain.usage_events import UsageEvent
from chalicelib.domain.waterfall import Charge
from chalicelib.local.units import item_bytes
from chalicelib.storage import keys
from chalicelib.storage.heads import Head, PageName
from chalicelib.storage.items import Item, Table
from chalicelib.storage.pages import PAGE_SPAN_MAX, SMALL_PAGE, LostPageError, Pages
from chalicelib.storage.takings import Taking, decode_takings, encode_takings, events_in
from tests.fakes.clock import FixedClock
from tests.fakes.memory_store import MemoryStore


if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from chalicelib.domain.instants import Instant

ACCOUNT: Final = "acme"
NOON: Final = parse_instant("2026-11-22T12:00:00Z")
MIDNIGHT: Final = parse_instant("2026-11-23T00:00:00Z")
OCTOBER, NOVEMBER = Period(2026, 10), Period(2026, 11)
RETENTION: Final = 760 * DAY
RATE: Final = Rate("standard", Revision(date(2026, 1, 1), 1), 0, Decimal("0.01"), Decimal(1))
PAGE_BYTES_MAX: Final = 300_000


def a_charge(time: Instant, name: str = "e", period: Period = NOVEMBER, **fields: str) -> Charge:
    """Charge one unit of a call at *time*, to be invoiced."""
    event = UsageEvent(ACCOUNT, fields.pop("source", "/voice"), name, time, "call", Decimal(1), **fields)
    return Charge(event, period, False, RATE, Decimal(1), ZERO, Decimal("0.01"), ())  # noqa: FBT003 - not late


def a_taking(*charges: Charge, version: int = 2, at: Instant = NOON + HOUR, nonce: bytes = b"request") -> Taking:
    """Take *charges* in one commit."""
    return Taking(nonce, version, at, charges)


def a_head(pages: Iterable[PageName] = (), tail: Iterable[Taking] = ()) -> Head:
    """Return the head of an account that did nothing but take events."""
    account = Account(ACCOUNT, "Acme", "USD", "Etc/UTC", PaymentMethod(PaymentType.INVOICE), "standard", 1, {})
    return Head(AccountState(account, NOON + HOUR, OCTOBER), 7, tuple(pages), tuple(tail))


@pytest.fixture
def store() -> MemoryStore:
    """Give an empty store."""
    return MemoryStore()


@pytest.fixture
def pages(store: MemoryStore) -> Pages:
    """Give the pages kept in the store, at noon."""
    return Pages(store, FixedClock(NOON).now, RETENTION)


def _found(pages: Pages, head: Head, *charges: Charge) -> list[str]:
    """Return the names of those events of *charges* that are recorded as of *head*."""
    found = pages.lookup(head).find(head, [charge.event for charge in charges])
    return sorted(name for _, name, _ in found)


class TestFinding:
    """A recorded event is found by its identity wherever it is kept, and nothing else is."""

    def test_in_the_tail(self, pages: Pages) -> None:
        """The latest events are in the head itself; the request that brought them is told."""
        charge = a_charge(NOON)
        head = a_head(tail=[a_taking(charge, nonce=b"one")])

        found = pages.lookup(head).find(head, [charge.event])

        assert found[charge.event.identity].event == charge.event
        assert found[charge.event.identity].nonce == b"one"

    def test_in_a_named_page(self, pages: Pages) -> None:
        """A page counts once a head names it, before it is indexed."""
        charge = a_charge(NOON)
        names = pages.put(ACCOUNT, [a_taking(charge)])

        assert _found(pages, a_head(names), charge) == ["e"]

    def test_in_an_indexed_page(self, pages: Pages) -> None:
        """A page goes on counting when its name has left the head for the index."""
        charge = a_charge(NOON)
        pages.index(ACCOUNT, pages.put(ACCOUNT, [a_taking(charge)]))

        assert _found(pages, a_head(), charge) == ["e"]

    def test_a_page_nobody_names(self, pages: Pages) -> None:
        """A page counts for nothing as long as no head names it."""
        charge = a_charge(NOON)
        pages.put(ACCOUNT, [a_taking(charge)])

        assert _found(pages, a_head(), charge) == []

    def test_another_account(self, pages: Pages) -> None:
        """Every account has pages of its own."""
        charge = a_charge(NOON)
        pages.index("acme2", pages.put("acme2", [a_taking(charge)]))

        assert _found(pages, a_head(), charge) == []

    @pytest.mark.parametrize(
        "other",
        [
            a_charge(NOON, "f"),
            a_charge(NOON, source="/chat"),
            a_charge(NOON + 1),
            a_charge(NOON - 1),
        ],
        ids=["id", "source", "later", "earlier"],
    )
    def test_another_identity(self, pages: Pages, other: Charge) -> None:
        """Another id, source or instant is another event, in the same page or not."""
        neighbours = a_charge(NOON - 1, "before"), a_charge(NOON), a_charge(NOON + 1, "after")
        pages.index(ACCOUNT, pages.put(ACCOUNT, [a_taking(*neighbours)]))

        assert _found(pages, a_head(), other) == []

    def test_over_many_pages(self, pages: Pages) -> None:
        """Events are found in the tail, in named and in indexed pages at once, whatever order they are asked in."""
        charges = [a_charge(NOON + number * MINUTE, f"e-{number:02d}") for number in range(60)]
        for number in range(40):
            pages.index(ACCOUNT, pages.put(ACCOUNT, [a_taking(charges[number], version=number)]))
        names = [name for charge in charges[40:55] for name in pages.put(ACCOUNT, [a_taking(charge)])]
        head = a_head(names, [a_taking(*charges[55:])])
        asked = [*charges, a_charge(NOON, "unknown")]
        Random(1).shuffle(asked)

        assert _found(pages, head, *asked) == [f"e-{number:02d}" for number in range(60)]

    @pytest.mark.parametrize(
        ("first", "last"),
        [
            (MIDNIGHT - 1, MIDNIGHT),
            (MIDNIGHT - HOUR, MIDNIGHT + HOUR - 1),
            (NOON, NOON + 35 * DAY),
            (NOON - 1, NOON),
            (0, NOON),
        ],
        ids=["midnight", "two-days", "five-weeks", "an-hours-edge", "since-the-epoch"],
    )
    def test_over_edges(self, pages: Pages, first: Instant, last: Instant) -> None:
        """A page that spans hours, days or more is found by either of its events."""
        charges = a_charge(first, "first"), a_charge(last, "last")
        pages.index(ACCOUNT, pages.put(ACCOUNT, [a_taking(*charges)]))

        assert _found(pages, a_head(), charges[0]) == ["first"]
        assert _found(pages, a_head(), charges[1]) == ["last"]
        assert _found(pages, a_head(), *charges) == ["first", "last"]

    @given(
        times=st.lists(
            st.integers(NOON - 30 * HOUR, NOON + 30 * HOUR).map(lambda time: time // MINUTE * MINUTE), max_size=40
        ),
        cuts=st.lists(st.integers(1, 6), max_size=20),
        asked=st.sets(st.integers(0, 60)),
    )
    @settings(deadline=None, max_examples=60)
    def test_exactly_what_is_recorded(self, times: list[Instant], cuts: list[int], asked: set[int]) -> None:
        """However events are spread over pages and however few are asked for: found is what is recorded, no more."""
        pages = Pages(MemoryStore(), FixedClock(NOON).now, RETENTION)
        charges = [a_charge(time, f"e-{number}") for number, time in enumerate(times)]
        recorded: set[str] = set()
        left = list(charges)
        for cut in cuts:
            batch, left = left[:cut], left[cut:]
            if batch:
                pages.index(ACCOUNT, pages.put(ACCOUNT, [a_taking(*batch)]))
                recorded.update(charge.event.id for charge in batch)
        wanted = [charge for number, charge in enumerate(charges) if number in asked]

        found = _found(pages, a_head(), *wanted)

        assert set(found) == recorded & {charge.event.id for charge in wanted}

    def test_reads_few_pages(self, store: MemoryStore, pages: Pages) -> None:
        """Of a busy day only the index entries of the hour and the pages around the event are read."""
        for number in range(60):
            time = NOON + number * MINUTE
            pages.index(ACCOUNT, pages.put(ACCOUNT, [a_taking(a_charge(time), a_charge(time + 59 * SECOND))]))
        store.reset_units()

        assert _found(pages, a_head(), a_charge(NOON + 30 * MINUTE)) == ["e"]
        assert store.read_units == 1 + 1

    def test_pages_are_read_once(self, store: MemoryStore, pages: Pages) -> None:
        """What was read is kept while a request begins again after a lost race."""
        charge = a_charge(NOON)
        pages.index(ACCOUNT, pages.put(ACCOUNT, [a_taking(charge)]))
        lookup = pages.lookup(a_head())
        lookup.find(a_head(), [charge.event])
        store.reset_units()

        assert lookup.find(a_head(tail=[a_taking(a_charge(NOON + 1))]), [charge.event])
        assert store.read_units == 1

    @pytest.mark.parametrize("is_indexed", [False, True])
    def test_a_lost_page(self, pages: Pages, is_indexed: bool) -> None:  # noqa: FBT001 - a parameter of the test
        """A page that counts and is not there must not let its events pass for new ones."""
        charge = a_charge(NOON)
        elsewhere = Pages(MemoryStore(), FixedClock(NOON).now, RETENTION)
        names = elsewhere.put(ACCOUNT, [a_taking(charge)])
        if is_indexed:
            pages.index(ACCOUNT, names)
        head = a_head([] if is_indexed else names)

        with pytest.raises(LostPageError, match=names[0].id.hex()):
            pages.lookup(head).find(head, [charge.event])
        with pytest.raises(LostPageError, match=names[0].id.hex()):
            list(pages.in_order_of_charge(head, NOVEMBER))


class TestIndex:
    """Entries are copied from heads, as often as it takes."""

    def test_entries(self, store: MemoryStore, pages: Pages) -> None:
        """A page has an entry for each hour it touches and one for each period it charges."""
        first, last = MIDNIGHT - 90 * MINUTE, MIDNIGHT + 5
        charges = [a_charge(first), a_charge(first + 1), a_charge(MIDNIGHT - 1), a_charge(last, period=OCTOBER)]
        (name,) = pages.put(ACCOUNT, [a_taking(*charges, version=12)])
        pages.index(ACCOUNT, [name])
        by_time = [
            item
            for day in (MIDNIGHT // DAY - 1, MIDNIGHT // DAY)
            for item in store.query(Table.PAGES, f"acme#day#{day}", " ", "~")
        ]
        by_charge = [
            [item.sk for item in store.query(Table.PAGES, f"acme#period#{period}", " ", "~")]
            for period in (OCTOBER, NOVEMBER)
        ]
        expires = (NOON + RETENTION) // SECOND

        assert by_time == [
            Item(*keys.page_by_time(ACCOUNT, first + 1, name.id), first=first, expires=expires),
            Item(*keys.page_by_time(ACCOUNT, MIDNIGHT - 1, name.id), first=MIDNIGHT - 1, expires=expires),
            Item(*keys.page_by_time(ACCOUNT, last, name.id), first=last, expires=expires),
        ]
        assert by_charge == [[f"0{NOON + HOUR}#000000000012#{name.id.hex()}"]] * 2

    def test_written_again(self, store: MemoryStore, pages: Pages) -> None:
        """Writing entries again changes nothing, and finds nothing twice."""
        charge = a_charge(NOON)
        names = pages.put(ACCOUNT, [a_taking(charge)])
        pages.index(ACCOUNT, names)
        before = store.tables.fingerprint
        pages.index(ACCOUNT, names)

        assert store.tables.fingerprint == before
        assert _found(pages, a_head(names), charge) == ["e"]
        assert [events_in([taking]) for taking in pages.in_order_of_charge(a_head(names), NOVEMBER)] == [1]

    def test_nothing_to_index(self, store: MemoryStore, pages: Pages) -> None:
        """A head without names costs nothing."""
        pages.index(ACCOUNT, [])

        assert store.write_units == 0

    def test_entries_are_small(self, store: MemoryStore, pages: Pages) -> None:
        """An entry has well under 200 bytes, so that a query of an hour reads many at a time."""
        pages.index(ACCOUNT, pages.put(ACCOUNT, [a_taking(a_charge(NOON))]))
        entries = list(store.query(Table.PAGES, f"acme#day#{NOON // DAY}", " ", "~"))

        assert [item_bytes(entry) < 120 for entry in entries] == [True]

    def test_time_to_live(self, store: MemoryStore, pages: Pages) -> None:
        """Pages vanish when usage is not kept any longer, by the real clock."""
        (name,) = pages.put(ACCOUNT, [a_taking(a_charge(0))])
        page = store.get(Table.PAGES, keys.page(ACCOUNT, name.id))

        assert page is not None
        assert page.expires == (NOON + RETENTION) // SECOND


class TestOrderOfCharge:
    """All that a period was charged for, as it was taken."""

    def test_pages_then_names_then_tail(self, pages: Pages) -> None:
        """Indexed pages come first, by the head's clock and version, then named ones, then the tail."""
        late = a_taking(a_charge(NOON - DAY, "late"), version=5, at=NOON + 2)
        first = a_taking(a_charge(NOON, "first"), version=3, at=NOON + 1)
        second = a_taking(a_charge(NOON - 1, "second"), version=4, at=NOON + 1)
        for taking in (late, second, first):
            pages.index(ACCOUNT, pages.put(ACCOUNT, [taking]))
        names = pages.put(ACCOUNT, [a_taking(a_charge(NOON, "named"), version=6, at=NOON + 3)])
        head = a_head(names, [a_taking(a_charge(NOON, "tail"), version=7, at=NOON + 3)])

        takings = list(pages.in_order_of_charge(head, NOVEMBER))

        assert [charge.event.id for taking in takings for charge in taking.charges] == [
            "first",
            "second",
            "late",
            "named",
            "tail",
        ]

    def test_as_of_the_head_that_was_read(self, pages: Pages) -> None:
        """A reader with an older head sees no commit after it: a tail that became a page since is not read twice."""
        taken = a_taking(a_charge(NOON, "tail"), version=7)
        later = a_taking(a_charge(NOON, "later"), version=8)
        pages.index(ACCOUNT, pages.put(ACCOUNT, [taken, later]))
        head = a_head(tail=[taken])

        assert list(pages.in_order_of_charge(head, NOVEMBER)) == [taken]

    def test_only_pages_of_the_period(self, pages: Pages) -> None:
        """A page belongs to every period it charges, and to no other."""
        october = a_taking(a_charge(NOON, "october", OCTOBER))
        both = a_taking(a_charge(NOON, "one", OCTOBER), a_charge(NOON, "two"), version=3)
        for taking in (october, both):
            pages.index(ACCOUNT, pages.put(ACCOUNT, [taking]))
        names = pages.put(ACCOUNT, [replace(october, version=4)])

        def versions(period: Period) -> list[int]:
            return [taking.version for taking in pages.in_order_of_charge(a_head(names), period)]

        assert versions(OCTOBER) == [2, 3, 4]
        assert versions(NOVEMBER) == [3]
        assert versions(Period(2026, 12)) == []


def _sizes(store: MemoryStore, names: Sequence[PageName]) -> list[list[int]]:
    """Return for each page how many events of each taking it holds."""
    return [[len(taking.charges) for taking in _page(store, name)] for name in names]


def _page(store: MemoryStore, name: PageName) -> tuple[Taking, ...]:
    item = store.get(Table.PAGES, keys.page(ACCOUNT, name.id))
    assert item is not None
    return decode_takings(item.body or b"", ACCOUNT, deflated=True)


def _many(count: int, step: Instant, start: Instant = NOON) -> list[Charge]:
    return [a_charge(start + number * step, f"e-{number}") for number in range(count)]


class TestPagination:
    """What goes onto one page."""

    def test_small_takings_share_a_page(self, store: MemoryStore, pages: Pages) -> None:
        """The events of a tail and a small batch are one page, whatever time they span."""
        takings = [a_taking(*_many(3, DAY)), a_taking(*_many(5, HOUR)), a_taking(*_many(SMALL_PAGE, HOUR))]
        names = pages.put(ACCOUNT, takings)

        assert _sizes(store, names) == [[3, 5, SMALL_PAGE]]
        assert _page(store, names[0]) == tuple(takings)

    def test_a_large_taking_has_pages_of_its_own(self, store: MemoryStore, pages: Pages) -> None:
        """What was in the tail is not mixed with a large batch, and comes before it."""
        names = pages.put(ACCOUNT, [a_taking(*_many(2, DAY)), a_taking(*_many(SMALL_PAGE + 1, 1), version=3)])

        assert _sizes(store, names) == [[2], [SMALL_PAGE + 1]]

    def test_a_large_page_spans_a_minute(self, store: MemoryStore, pages: Pages) -> None:
        """Events of a minute share a page, those of more time are cut once a page is not small any more."""
        names = pages.put(ACCOUNT, [a_taking(*_many(200, SECOND))])

        assert _sizes(store, names) == [[61], [61], [61], [17]]
        assert [name.spans[0].last - name.spans[0].first for name in names] == [PAGE_SPAN_MAX] * 3 + [16 * SECOND]

    def test_sparse_events(self, store: MemoryStore, pages: Pages) -> None:
        """Where events are far apart a page is as small as one write unit holds."""
        names = pages.put(ACCOUNT, [a_taking(*_many(100, HOUR))])

        assert _sizes(store, names) == [[SMALL_PAGE], [SMALL_PAGE], [4]]
        assert [len(name.spans) for name in names] == [SMALL_PAGE, SMALL_PAGE, 4]

    def test_names(self, pages: Pages) -> None:
        """A name says of which commit its page is, and what it spans in each hour."""
        takings = [
            a_taking(a_charge(NOON + 5), a_charge(NOON - 1), version=3, at=NOON),
            a_taking(a_charge(NOON + 9, period=OCTOBER), version=4, at=NOON + 1),
        ]
        (name,) = pages.put(ACCOUNT, takings)

        assert (name.at, name.version, name.periods) == (NOON + 1, 4, (OCTOBER, NOVEMBER))
        assert [(span.first, span.last) for span in name.spans] == [(NOON - 1, NOON - 1), (NOON + 5, NOON + 9)]

    def test_pages_of_one_commit_sort_as_they_were_taken(self, pages: Pages) -> None:
        """Read in the order of charging, the pages of one large batch are in the order of its events."""
        charges = _many(400, SECOND)
        pages.index(ACCOUNT, pages.put(ACCOUNT, [a_taking(*charges)]))
        takings = list(pages.in_order_of_charge(a_head(), NOVEMBER))

        assert len(takings) == 7
        assert [charge for taking in takings for charge in taking.charges] == charges

    @pytest.mark.parametrize("letter", ["x", "é", "€", "😀"])
    def test_the_longest_texts(self, store: MemoryStore, pages: Pages, letter: str) -> None:
        """A thousand events with the longest ids and fields that are allowed make pages of at most 300 KB."""
        random = Random(5)

        def text(bytes_max: int) -> str:
            letters = bytes_max // len(letter.encode())
            return "".join(chr(ord(letter) + random.randrange(64) - 32) for _ in range(letters))

        charges = [
            a_charge(
                NOON + number,
                text(128),
                source=text(256),
                interaction_id=text(128),
                direction=text(64),
                resolution=text(64),
                country_code=text(64),
                category=text(64),
                type=text(64),
            )
            for number in range(1_000)
        ]
        names = pages.put(ACCOUNT, [a_taking(*charges)])
        largest = max(item_bytes(item) for item in _items(store, names))

        assert largest <= PAGE_BYTES_MAX
        assert [charge for name in names for taking in _page(store, name) for charge in taking.charges] == charges

    def test_short_ids_and_long_fields(self, store: MemoryStore, pages: Pages) -> None:
        """Fields count for the size of a page even where ids are short."""
        random = Random(6)

        def text(length: int) -> str:
            return "".join(chr(random.randrange(128)) for _ in range(length))

        charges = [
            a_charge(
                NOON + number,
                str(number),
                direction=text(64),
                resolution=text(64),
                country_code=text(64),
                category=text(64),
                type=text(64),
            )
            for number in range(1_000)
        ]
        names = pages.put(ACCOUNT, [a_taking(*charges)])

        assert max(item_bytes(item) for item in _items(store, names)) <= PAGE_BYTES_MAX


def _items(store: MemoryStore, names: Sequence[PageName]) -> list[Item]:
    return store.get_many(Table.PAGES, [keys.page(ACCOUNT, name.id) for name in names])


def _realistic_charges(count: int) -> list[Charge]:
    """Return calls and messages as a contact centre has them: UUIDs, three events an interaction, a dozen shapes."""
    random = Random(1)
    charges = []
    time = NOON
    interaction = ""
    for number in range(count):
        time += random.randrange(1, 20) * 1_000
        if number % 3 == 0:
            interaction = str(UUID(int=random.getrandbits(128)))
        is_call = random.random() < 0.6
        event = UsageEvent(
            ACCOUNT,
            "/voice/eu-west-1",
            str(UUID(int=random.getrandbits(128))),
            time,
            "call" if is_call else "message",
            Decimal(random.randrange(1, 600) if is_call else 1),
            direction=random.choice(["inbound", "outbound"]),
            resolution=random.choice(["answered", "missed"]),
            number=random.choice([None, "1206", "447", "4420"]),
            interaction_id=interaction,
        )
        rate = replace(RATE, row=0 if is_call else 1)
        amount = event.quantity * RATE.price_per_increment
        payments = (Payment("recharge-2026-11-01", amount),)
        charges.append(Charge(event, NOVEMBER, False, rate, event.quantity, ZERO, amount, payments))  # noqa: FBT003
    return charges


@pytest.mark.parametrize(("count", "bytes_max"), [(8, 60), (100, 32), (1_000, 27)])
def test_bytes_of_an_event(count: int, bytes_max: int) -> None:
    """An event with a UUID, a third of an interaction's UUID beside it, takes little more than those bytes."""
    written = encode_takings([a_taking(*_realistic_charges(count))], deflate=True)

    assert len(written) / count <= bytes_max


def test_a_small_page_is_few_write_units() -> None:
    """As many events as make a small page fit two units, half of them one."""
    sizes = []
    for count in (SMALL_PAGE // 2, SMALL_PAGE):
        body = encode_takings([a_taking(*_realistic_charges(count))], deflate=True)
        sizes.append(item_bytes(Item(*keys.page(ACCOUNT, bytes(16)), body, expires=NOON // SECOND)))

    assert [-(-size // 1024) for size in sizes] == [1, 2]
