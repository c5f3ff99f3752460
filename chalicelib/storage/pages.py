"""
Event pages: immutable items of many charged events, the index that names them, and looking recorded events up.

A page is put before the head that names it is committed; a page that no committed head ever named counts for nothing,
is never read and vanishes by its time to live. Index entries are copied from committed heads only. There are two:

    by event time   pk account and UTC day, sk the last event's time and the page, `first` the first event's time;
                    one for every UTC hour a page touches
    by charge       pk account and period, sk the head's clock and version and the page; one for every period

A page holds at most 300 KB, and one of more than `SMALL_PAGE` events spans about a minute at the most, so that looking
up a repeated event reads few pages.
"""

from __future__ import annotations

import secrets
from bisect import bisect_left
from collections import defaultdict
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec import Struct

from chalicelib.domain.instants import DAY, HOUR, MINUTE, SECOND, Instant
from chalicelib.domain.periods import Period
from chalicelib.domain.usage_events import Identity, UsageEvent
from chalicelib.storage import keys
from chalicelib.storage.heads import Head, PageName, Span
from chalicelib.storage.items import Item, ItemStore, Table
from chalicelib.storage.takings import Taking, decode_takings, encode_takings


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from chalicelib.domain.charges import Charge


SMALL_PAGE: Final = 48
"""Events that fit about one write unit; a page of no more may span any time."""
PAGE_SPAN_MAX: Final = MINUTE
PAGE_BYTES_MAX: Final = 200_000
"""Length of the texts of a page's events, which leaves room below 300 KB for the rest."""

PAGES_AT_ONCE_MAX: Final = 16
"""Pages fetched together while a month is read: few enough to be held in memory, 300 KB each at the most."""

_ENTRIES_AT_ONCE: Final = 100
_EVENT_BYTES: Final = 40
_PART_BYTES: Final = 2
_RANDOM_BYTES: Final = 14


class LostPageError(Exception):
    """A page that counts is not in the store: its events cannot be told from new ones, so none are taken."""


class Position(NamedTuple):
    """
    Where a charge stands in the order of charging: positions sort as charges do, and never change.

    *at* and *version* are those of its taking, *part* is which of the pages that a large taking was cut into, *place*
    counts from 0 in that. A taking that moves from the tail of a head into a page is of one part, so it is part 0.
    """

    at: Instant
    version: int
    part: int
    place: int


class Recorded(Struct, frozen=True):
    """An event that was taken before, and the request that brought it."""

    event: UsageEvent
    nonce: bytes


class ListedPage(Struct, frozen=True):
    """
    A page by its entries in the order of charging: in the index of *periods*, or named by the head itself.

    Where it *is_named*, its entries in the indexes may not be written yet.
    """

    id: bytes
    at: Instant
    version: int
    periods: tuple[Period, ...]
    is_named: bool


class ReadPage(Struct, frozen=True):
    """A page that was read: its *entry* in the index by charge, when it *expires* and what it holds."""

    entry: str
    expires: int | None
    takings: tuple[Taking, ...]


class Pages:
    """
    The pages of all accounts.

    *clock* is the real one, for the time to live; *retention* is how long usage is kept.
    """

    def __init__(self, store: ItemStore, clock: Callable[[], Instant], retention: Instant) -> None:
        """Keep pages in *store*."""
        self._store = store
        self._clock = clock
        self._retention = retention

    def kept_since(self, now: Instant) -> Instant:
        """Return since when, by the service's clock, all usage is kept."""
        return now - self._retention

    def put(self, account: str, takings: Sequence[Taking]) -> tuple[PageName, ...]:
        """Write *takings* as pages and return their names, by which a head can make them count."""
        expires = (self._clock() + self._retention) // SECOND
        names = []
        items = []
        for sequence, page in enumerate(_paginate(takings)):
            page_id = sequence.to_bytes(_PART_BYTES, "big") + secrets.token_bytes(_RANDOM_BYTES)
            key = keys.page(account, page_id)
            items.append(Item(key.pk, key.sk, body=encode_takings(page, deflate=True), expires=expires))
            names.append(name_page(page_id, page))
        self._store.put_many(Table.PAGES, items)
        return tuple(names)

    def index(self, account: str, names: Iterable[PageName]) -> None:
        """Write the index entries of pages that a committed head names; writing them again changes nothing."""
        expires = (self._clock() + self._retention) // SECOND
        entries = [entry for name in names for entry in _index_entries(account, name, expires)]
        if entries:
            self._store.put_many(Table.PAGES, entries)

    def lookup(self, head: Head) -> Lookup:
        """Return a search among the recorded events of the account of *head*."""
        return Lookup(self._store, head)

    def in_order_of_charge(self, head: Head, period: Period) -> Iterator[Taking]:
        """
        Yield the takings with events charged in *period*, in the order in which they were taken.

        They are those as of *head*: what was taken since, or moved from its tail into a page, is passed over.
        """
        for page in self.behind(head, period):
            yield from page.takings
        yield from head.tail

    def behind(self, head: Head, period: Period, entry: str = keys.FIRST) -> Iterator[ReadPage]:
        """
        Yield the pages with events charged in *period* as of *head*, in the order of charging, from behind *entry*.

        They never change, and what comes after *head* comes behind them all.
        """
        yield from self._fetched(head.state.account.id, self._entries_forwards(head, period, entry))

    def newest_first(
        self, head: Head, period: Period, before: Position | None = None
    ) -> Iterator[tuple[Position, Charge]]:
        """
        Yield the charges in pages and takings of *period* as of *head*, the last first, from behind *before*.

        Among them are charges of other periods that were taken in between. What comes after *head* never moves what
        lies behind a position, so that a list goes on where it ended however much is taken meanwhile.
        """
        for taking in reversed(head.tail):
            yield from _backwards(taking, 0, before)
        for page in self._fetched(head.state.account.id, self._entries_backwards(head, period, before)):
            part = int.from_bytes(keys.page_of(page.entry)[:_PART_BYTES], "big")
            for taking in reversed(page.takings):
                yield from _backwards(taking, part, before)

    def taken_between(self, snapshot: Head, head: Head, until: Instant, last: Period) -> Iterator[Taking]:
        """
        Yield what was taken after *snapshot* and up to the instant *until*, in no particular order.

        *head* is that of now, *last* the latest month an event taken by *until* can be charged in.
        """
        seen: set[str] = set()
        versions = range(snapshot.version + 1, first_version_beyond_pages(head))
        period = snapshot.state.oldest_open
        while period <= last:
            for page in self.behind(head, period, keys.fixed_width(snapshot.state.at)):
                if page.takings[0].at > until:
                    break
                if page.entry not in seen:
                    seen.add(page.entry)
                    yield from (taking for taking in page.takings if taking.version in versions and taking.at <= until)
            period = period.next
        yield from (taking for taking in head.tail if taking.version > snapshot.version and taking.at <= until)

    def listed(self, opening: Head, head: Head, last: Period) -> list[ListedPage]:
        """
        Return the pages of what was taken after *opening*, in the order of charging.

        They are those that count as of *head*, and perhaps later ones; *last* is the latest month charged by then.
        """
        account = head.state.account.id
        named = {name.id: name for name in head.pages}
        periods: dict[tuple[Instant, int, bytes], list[Period]] = defaultdict(list)
        period = opening.state.oldest_open
        while period <= last:
            lower = keys.fixed_width(opening.state.at)
            for entry in self._store.query(Table.PAGES, keys.pages_by_charge(account, period), lower, keys.LAST):
                at, version, page_id = entry.sk.split("#")
                periods[int(at), int(version), bytes.fromhex(page_id)].append(period)
            period = period.next
        places = {*periods, *((name.at, name.version, name.id) for name in head.pages)}
        return [
            ListedPage(page_id, at, version, tuple(periods[at, version, page_id]), is_named=page_id in named)
            for at, version, page_id in sorted(places)
        ]

    def listed_by_time(self, account: str, day: int) -> Iterator[tuple[bytes, Span]]:
        """Yield the pages with events on a UTC *day*, counted from the epoch, and the spans of these events."""
        for entry in self._store.query(Table.PAGES, keys.pages_by_time(account, day), keys.FIRST, keys.LAST):
            last, _, page_id = entry.sk.partition("#")
            yield bytes.fromhex(page_id), Span(entry.first or 0, int(last))

    def read(self, account: str, page_id: bytes) -> tuple[Taking, ...] | None:
        """Return the takings of a page, None where it is not there."""
        item = self._store.get(Table.PAGES, keys.page(account, page_id))
        return None if item is None else decode_takings(item.body or b"", account, deflated=True)

    def _entries_forwards(self, head: Head, period: Period, behind: str) -> Iterator[str]:
        """Yield the index entries of the pages of *period* as of *head*, in the order of charging, behind one."""
        named = _entries_of_named(head, period)
        # The index may lack any of the pages that the head names, all of which come after those it does not name.
        end = named[0] if named else end_of_pages(head)
        partition = keys.pages_by_charge(head.state.account.id, period)
        found = self._store.query(Table.PAGES, partition, behind, end)
        yield from (item.sk for item in found if behind < item.sk < end)
        yield from (entry for entry in named if entry > behind)

    def _entries_backwards(self, head: Head, period: Period, before: Position | None) -> Iterator[str]:
        """Yield the index entries of the pages of *period* as of *head*, the last first, from that of *before* on."""
        partition = keys.pages_by_charge(head.state.account.id, period)
        upper = end_of_pages(head) if before is None else self._first_entry_from(partition, before)
        named = _entries_of_named(head, period)
        yield from (entry for entry in reversed(named) if entry <= upper)
        end = named[0] if named else end_of_pages(head)
        found = self._store.query(
            Table.PAGES, partition, keys.FIRST, min(upper, end), newest_first=True, page_size=_ENTRIES_AT_ONCE
        )
        yield from (item.sk for item in found if item.sk < end)

    def _first_entry_from(self, partition: str, position: Position) -> str:
        """Return the sort key of the page that holds *position*: the first whose last taking is not before it."""
        lower = keys.pages_by_charge_from(position.at, position.version, position.part)
        entries = self._store.query(Table.PAGES, partition, lower, keys.LAST, page_size=1)
        return next((entry.sk for entry in entries), keys.LAST)

    def _fetched(self, account: str, entries: Iterator[str]) -> Iterator[ReadPage]:
        """Yield pages in the order of their *entries* in the index; more at once the further the reader goes."""
        at_once = 1
        while some := list(islice(entries, at_once)):
            wanted = {entry: keys.page(account, keys.page_of(entry)) for entry in some}
            items = {item.key: item for item in self._store.get_many(Table.PAGES, wanted.values())}
            for entry, key in wanted.items():
                if key not in items:
                    message = f"page {keys.page_of(entry).hex()} of account {account}"
                    raise LostPageError(message)
                item = items.pop(key)
                yield ReadPage(entry, item.expires, decode_takings(item.body or b"", account, deflated=True))
            at_once = min(2 * at_once, PAGES_AT_ONCE_MAX)


class Lookup:
    """Finds recorded events by identity for one account; what it has read it keeps over lost races."""

    def __init__(self, store: ItemStore, head: Head) -> None:
        """Search in *store*, in the light of *head*."""
        self._store = store
        self._account = head.state.account.id
        self._pages: dict[bytes, tuple[Taking, ...]] = {}

    def find(self, head: Head, events: Iterable[UsageEvent]) -> dict[Identity, Recorded]:
        """Return those of *events* that are recorded as of *head*: in its tail, its named pages or the index."""
        wanted = {event.identity for event in events}
        times = sorted({time for _, _, time in wanted})
        names = {name.id for name in head.pages if _any_within(times, name.spans)}
        for run in _hour_runs(times):
            names.update(self._indexed(run))
        self._fetch(names)
        found = {}
        for taking in (*(taking for name in names for taking in self._pages[name]), *head.tail):
            for charge in taking.charges:
                identity = charge.event.identity
                if identity in wanted and charge.is_taken_event:
                    found[identity] = Recorded(charge.event, taking.nonce)
        return found

    def _indexed(self, times: Sequence[Instant]) -> Iterator[bytes]:
        lower = keys.page_by_time(self._account, times[0], b"")
        upper = f"{keys.fixed_width(keys.end_of_hour(times[-1]))}#{keys.LAST}"
        for entry in self._store.query(Table.PAGES, lower.pk, lower.sk, upper):
            last, _, page_id = entry.sk.partition("#")
            if _any_within(times, [Span(entry.first or 0, int(last))]):
                yield bytes.fromhex(page_id)

    def _fetch(self, names: Iterable[bytes]) -> None:
        missing = {keys.page(self._account, name): name for name in names if name not in self._pages}
        if not missing:
            return
        for item in self._store.get_many(Table.PAGES, missing):
            takings = decode_takings(item.body or b"", self._account, deflated=True)
            self._pages[missing.pop(item.key)] = takings
        if missing:
            message = f"pages {[name.hex() for name in missing.values()]} of account {self._account}"
            raise LostPageError(message)


def first_version_beyond_pages(head: Head) -> int:
    """Return the first version whose events, as of *head*, are not in pages: its tail's, else that after its own."""
    return head.tail[0].version if head.tail else head.version + 1


def end_of_pages(head: Head) -> str:
    """Return what sorts after the index entries by charge of all pages as of *head*, and before any to come."""
    return keys.pages_by_charge_from(head.state.at, head.version + 1, 0)


def _entries_of_named(head: Head, period: Period) -> list[str]:
    """Return the index entries, written or not, of the pages of *period* that the head itself names."""
    account = head.state.account.id
    return sorted(
        keys.page_by_charge(account, period, name.at, name.version, name.id).sk
        for name in head.pages
        if period in name.periods
    )


def _backwards(taking: Taking, part: int, before: Position | None) -> Iterator[tuple[Position, Charge]]:
    for place in reversed(range(len(taking.charges))):
        position = Position(taking.at, taking.version, part, place)
        if before is None or position < before:
            yield position, taking.charges[place]


def _any_within(times: Sequence[Instant], spans: Iterable[Span]) -> bool:
    """Tell whether one of the sorted *times* lies in one of *spans*."""
    for span in spans:
        position = bisect_left(times, span.first)
        if position < len(times) and times[position] <= span.last:
            return True
    return False


def _hour_runs(times: Sequence[Instant]) -> list[list[Instant]]:
    """Group sorted *times* into runs of adjoining UTC hours of one day: what one range query can read."""
    runs: list[list[Instant]] = []
    for time in times:
        last = runs[-1][-1] if runs else None
        if last is not None and time // HOUR - last // HOUR <= 1 and time // DAY == last // DAY:
            runs[-1].append(time)
        else:
            runs.append([time])
    return runs


def _paginate(takings: Sequence[Taking]) -> Iterator[list[Taking]]:
    """Cut *takings* into pages; takings that come before a large one get a page of their own."""
    small = [taking for taking in takings if len(taking.charges) <= SMALL_PAGE]
    if small:
        yield small
    for taking in takings:
        if len(taking.charges) > SMALL_PAGE:
            for charges in _cut(taking.charges):
                yield [Taking(taking.nonce, taking.version, taking.at, charges)]


def _cut(charges: Sequence[Charge]) -> Iterator[tuple[Charge, ...]]:
    page: list[Charge] = []
    size = 0
    for charge in charges:
        event = charge.event
        too_wide = len(page) >= SMALL_PAGE and event.time - page[0].event.time > PAGE_SPAN_MAX
        if too_wide or size > PAGE_BYTES_MAX:
            yield tuple(page)
            page, size = [], 0
        page.append(charge)
        size += _EVENT_BYTES + 4 * (len(event.id) + len(event.interaction_id or "") + len(event.source))
    yield tuple(page)


def name_page(page_id: bytes, page: Sequence[Taking]) -> PageName:
    """Return the name of a page: what heads and index entries say of its takings."""
    last_in_hour: dict[int, Instant] = {}
    first_in_hour: dict[int, Instant] = {}
    periods = set()
    for taking in page:
        for charge in taking.charges:
            time = charge.event.time
            hour = time // HOUR
            first_in_hour[hour] = min(time, first_in_hour.get(hour, time))
            last_in_hour[hour] = max(time, last_in_hour.get(hour, time))
            periods.add(charge.period)
    spans = tuple(Span(first_in_hour[hour], last_in_hour[hour]) for hour in sorted(first_in_hour))
    return PageName(page_id, page[-1].at, page[-1].version, tuple(sorted(periods)), spans)


def _index_entries(account: str, name: PageName, expires: int) -> Iterator[Item]:
    for span in name.spans:
        key = keys.page_by_time(account, span.last, name.id)
        yield Item(key.pk, key.sk, first=span.first, expires=expires)
    for period in name.periods:
        key = keys.page_by_charge(account, period, name.at, name.version, name.id)
        yield Item(key.pk, key.sk, expires=expires)
