"""
Rollups: what stretches of a month's pages come to, hour by hour, so that nobody adds up the same pages twice.

The pages of a period, in the order of their entries in the index by charge, never change and only grow at the end. A
rollup adds up those behind one entry, or from the first on, up to another. Readers write it on their way, once the
pages behind the last rollup hold `EVENTS_MIN` events, and at the end of an invoiced month; nothing depends on it. One
counts only where it begins where the one before ended, so that whatever several readers write, and whichever of their
writes got lost, no page is counted twice or left out. It vanishes when its pages do.

The partition key names account and period, the sort key is the index entry of the last page. The body:

    byte 0       format, 1
    the rest     a zlib stream, which ends with a checksum, of a MessagePack array:

    0  behind    the index entry behind which the stretch begins, a space for that from the first page on
    1  hours     CRC-32 of the first instants of the month's hours, as MessagePack: the rules of a time zone may change
    2  products  {resource: [[place of an hour in the month, ...], [quantity, ...], [amount, ...]]}

Decimals are as in takings.
"""

from __future__ import annotations

import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from chalicelib.domain.series import HourlyUsage, hours_of
from chalicelib.storage import keys
from chalicelib.storage.formats import UnknownFormatError, require_format
from chalicelib.storage.items import Item, StoreError, Table
from chalicelib.storage.pages import end_of_pages
from chalicelib.storage.takings import pack_decimal, unpack_decimal


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from chalicelib.domain.instants import Instant
    from chalicelib.domain.periods import Period
    from chalicelib.storage.heads import Head
    from chalicelib.storage.items import ItemStore
    from chalicelib.storage.pages import Pages, ReadPage
    from chalicelib.storage.takings import Taking


FORMAT: Final = 1
EVENTS_MIN: Final = 2048
"""A rollup of so many events is some hundred bytes to a kilobyte, and their pages take one reader a moment."""

_AT_ONCE: Final = 25


class _Packed(Struct, frozen=True, array_like=True):
    """What a rollup holds."""

    behind: str
    hours: int
    products: dict[str, tuple[list[int], list[int | str], list[int | str]]]


class Stretch:
    """Adjoining pages of a period while they are added up: those behind the index entry *behind* up to *end*."""

    def __init__(self, behind: str, period: Period, hours: Sequence[Instant]) -> None:
        """Begin without pages."""
        self.behind = self.end = behind
        self.events = 0
        self.expires: int | None = None
        self.usage = HourlyUsage(hours)
        self._period = period

    def add(self, page: ReadPage) -> None:
        """Add the page that comes next."""
        self.end = page.entry
        self.events += _count(self.usage, page.takings, self._period)
        self.expires = max(self.expires or 0, page.expires or 0) or None


class Rollups:
    """The rollups of all accounts; each is of *events_min* events or, where that was the last, a few more."""

    def __init__(self, store: ItemStore, pages: Pages, events_min: int = EVENTS_MIN) -> None:
        """Keep sums of *pages* in *store*."""
        self._store = store
        self._pages = pages
        self._events_min = events_min

    def hourly_usage(self, head: Head, period: Period) -> HourlyUsage:
        """Return what was charged in *period* as of *head*, and keep for the next reader what had to be added up."""
        account = head.state.account.id
        hours = hours_of(head.state.account.calendar, period)
        usage = HourlyUsage(hours)
        end = self._add_kept(usage, head, period, hours)
        fresh: list[Item] = []
        for stretch in self._stretches(head, period, end, hours):
            usage.add_all(stretch.usage)
            if stretch.events >= self._events_min or _has_all_pages(head, period):
                fresh.append(encode_rollup(account, period, hours, stretch))
            if len(fresh) == _AT_ONCE:
                self._keep(fresh)
                fresh = []
        self._keep(fresh)
        _count(usage, head.tail, period)
        return usage

    def _add_kept(self, usage: HourlyUsage, head: Head, period: Period, hours: Sequence[Instant]) -> str:
        """Add up the rollups as of *head* and return the index entry of the last page that they count."""
        end = keys.FIRST
        checksum = _checksum(hours)
        partition = keys.rollups(head.state.account.id, period)
        for item in self._store.query(Table.PAGES, partition, keys.FIRST, end_of_pages(head)):
            packed = _read(item)
            if packed is not None and (packed.behind, packed.hours) == (end, checksum):
                for resource, columns in packed.products.items():
                    for hour, quantity, amount in zip(*columns, strict=True):
                        usage.add(resource, hour, unpack_decimal(quantity), unpack_decimal(amount))
                end = item.sk
        return end

    def _stretches(self, head: Head, period: Period, end: str, hours: Sequence[Instant]) -> Iterator[Stretch]:
        stretch = Stretch(end, period, hours)
        for page in self._pages.behind(head, period, end):
            stretch.add(page)
            if stretch.events >= self._events_min:
                yield stretch
                stretch = Stretch(stretch.end, period, hours)
        if stretch.events:
            yield stretch

    def _keep(self, rollups: Iterable[Item]) -> None:
        # The answer does not need them: whoever comes next adds the pages up again.
        with suppress(StoreError):
            self._store.put_many(Table.PAGES, rollups)


def encode_rollup(account: str, period: Period, hours: Sequence[Instant], stretch: Stretch) -> Item:
    """Write the rollup of *stretch*."""
    products: dict[str, tuple[list[int], list[int | str], list[int | str]]] = {}
    for resource, hour, quantity, amount in stretch.usage.sums():
        places, quantities, amounts = products.setdefault(resource, ([], [], []))
        places.append(hour)
        quantities.append(pack_decimal(quantity))
        amounts.append(pack_decimal(amount))
    packed = msgspec.msgpack.encode(_Packed(stretch.behind, _checksum(hours), products))
    body = bytes([FORMAT]) + zlib.compress(packed, level=9)
    return Item(keys.rollups(account, period), stretch.end, body=body, expires=stretch.expires)


def _read(item: Item) -> _Packed | None:
    """Return what a rollup holds, None where it cannot be read or is of another format."""
    try:
        require_format(item.body, FORMAT, "rollup")
        return msgspec.msgpack.decode(zlib.decompress((item.body or b"")[1:]), type=_Packed)
    except (UnknownFormatError, zlib.error, msgspec.DecodeError):
        return None


def _checksum(hours: Sequence[Instant]) -> int:
    return zlib.crc32(msgspec.msgpack.encode(hours))


def _count(usage: HourlyUsage, takings: Iterable[Taking], period: Period) -> int:
    """Add the charges of *period* to *usage* and return how many there are."""
    count = 0
    for taking in takings:
        for charge in taking.charges:
            if charge.period == period:
                usage.add_charge(charge, taking.at)
                count += 1
    return count


def _has_all_pages(head: Head, period: Period) -> bool:
    """Tell whether no page of *period* is to come: it is invoiced, and none of its events waits in the tail."""
    is_invoiced = period <= head.state.invoiced_through
    return is_invoiced and not any(charge.period == period for taking in head.tail for charge in taking.charges)
