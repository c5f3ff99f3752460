"""
Rate cards: price rows, the checks an upload must pass, and the narrowest match.

A card has versions, each in force from 00:00 of its date in the account's zone until the next one's. A version
that is put again is a new revision of it: the rows of every revision are kept, and charges name the revision.
"""

from __future__ import annotations

from bisect import bisect_right
from decimal import Decimal
from itertools import product as combinations
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec import Struct


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import date

    from chalicelib.domain.instants import Instant
    from chalicelib.domain.periods import Calendar
    from chalicelib.domain.usage_events import UsageEvent


COLUMNS: Final = (
    "Resource",
    "Description",
    "Direction",
    "Type",
    "Resolutions",
    "Country code",
    "Category",
    "Prefixes",
    "Price per increment",
    "Increment",
    "Unit of measure",
    "Currency",
)
"""The columns of a card's CSV, in order; their JSON names are in lower case with underscores."""

_MATCHES_CACHED_MAX: Final = 20_000


class RateRow(Struct, frozen=True):
    """One price: *price_per_increment* money for each *increment* of the product's unit, where all cells match."""

    resource: str
    description: str
    direction: str | None
    type: str | None
    resolutions: tuple[str, ...]
    country_code: str | None
    category: str | None
    prefixes: tuple[str, ...]
    price_per_increment: Decimal
    increment: Decimal
    unit_of_measure: str
    currency: str


class Revision(NamedTuple):
    """Names one text of a card: the date it is effective from and the how-manieth put for that date it was."""

    effective_from: date
    number: int


class Rate(Struct, frozen=True):
    """The row that prices an event, as a charge remembers it: which card, revision and row, and its price."""

    card: str
    revision: Revision
    row: int
    price_per_increment: Decimal
    increment: Decimal


class _Cells(NamedTuple):
    """The values of a row to match on, narrowest first; None matches anything."""

    prefix: str | None
    country_code: str | None
    category: str | None
    resolution: str | None
    type: str | None
    direction: str | None


def _cells_of(row: RateRow) -> Iterator[_Cells]:
    for prefix, resolution in combinations(row.prefixes or (None,), row.resolutions or (None,)):
        yield _Cells(prefix, row.country_code, row.category, resolution, row.type, row.direction)


def find_ties(rows: Sequence[RateRow]) -> list[tuple[int, int]]:
    """Return the pairs of rows (earlier, later) that some event would match equally narrowly."""
    first_by_cells: dict[tuple[str, _Cells], int] = {}
    ties: dict[tuple[int, int], None] = {}
    for index, row in enumerate(rows):
        for cells in _cells_of(row):
            first = first_by_cells.setdefault((row.resource, cells), index)
            if first != index:
                ties[first, index] = None
    return list(ties)


class _Narrowness(NamedTuple):
    """Which cells are filled; sorts so that the narrowest rows come first."""

    prefix_digits: int
    filled: tuple[bool, ...]


class RateTable:
    """The rows of one revision of a card, arranged to find the narrowest match."""

    def __init__(self, card: str, revision: Revision, rows: Sequence[RateRow]) -> None:
        """Arrange *rows*, among which no two tie."""
        self.rows = tuple(rows)
        self._rates: dict[str, dict[_Cells, Rate]] = {}
        self._narrowness: dict[str, list[_Narrowness]] = {}
        self._matches: dict[tuple[object, ...], Rate | None] = {}
        narrowness: dict[str, set[_Narrowness]] = {}
        for index, row in enumerate(rows):
            rate = Rate(card, revision, index, row.price_per_increment, row.increment)
            for cells in _cells_of(row):
                self._rates.setdefault(row.resource, {})[cells] = rate
                filled = tuple(cell is not None for cell in cells[1:])
                narrowness.setdefault(row.resource, set()).add(_Narrowness(len(cells.prefix or ""), filled))
        for resource, kinds in narrowness.items():
            self._narrowness[resource] = sorted(kinds, reverse=True)

    def rated_digits(self, resource: str) -> int:
        """Return how many leading digits of a number may decide the rate of *resource*."""
        kinds = self._narrowness.get(resource)
        return kinds[0].prefix_digits if kinds else 0

    def match(self, event: UsageEvent) -> Rate | None:
        """Return the rate of the row that matches *event* most narrowly, None where no row does."""
        number = (event.number or "")[: self.rated_digits(event.resource)]
        key = (
            event.resource,
            number,
            event.country_code,
            event.category,
            event.resolution,
            event.type,
            event.direction,
        )
        try:
            return self._matches[key]
        except KeyError:
            if len(self._matches) >= _MATCHES_CACHED_MAX:
                self._matches.clear()
            rate = self._matches[key] = self._find(event, number)
            return rate

    def _find(self, event: UsageEvent, number: str) -> Rate | None:
        rates = self._rates.get(event.resource, {})
        values = (event.country_code, event.category, event.resolution, event.type, event.direction)
        for prefix_digits, filled in self._narrowness.get(event.resource, ()):
            if prefix_digits > len(number) or not _are_given(filled, values):
                continue
            cells = (value if is_filled else None for value, is_filled in zip(values, filled, strict=True))
            rate = rates.get(_Cells(number[:prefix_digits] or None, *cells))
            if rate is not None:
                return rate
        return None


def _are_given(filled: Iterable[bool], values: Iterable[str | None]) -> bool:
    return all(value is not None for value, is_filled in zip(values, filled, strict=True) if is_filled)


class Versions:
    """The versions of a card as an account in one zone sees them: which revision is in force at which instant."""

    def __init__(self, revisions: Iterable[Revision], calendar: Calendar) -> None:
        """Arrange *revisions*, one for each date, by the instants they take effect in the zone of *calendar*."""
        self._revisions = sorted(revisions)
        self._effective_at = [calendar.start_of_day(revision.effective_from) for revision in self._revisions]

    def in_force(self, instant: Instant) -> Revision | None:
        """Return the revision in force at *instant*, None before the first."""
        position = bisect_right(self._effective_at, instant)
        return self._revisions[position - 1] if position else None
