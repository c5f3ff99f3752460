"""Reading the rows of an uploaded rate card: everything that is wrong is found in one pass, line by line."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Final, NamedTuple

from chalicelib.domain.money import NotADecimalError, parse_money, parse_quantity
from chalicelib.domain.rate_card import RateRow, find_ties


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_RESOURCE: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PREFIX: Final = re.compile(r"\+?[0-9]{1,15}")
_SEPARATOR: Final = ";"


class Line(NamedTuple):
    """
    One row as it was sent: where it stands (`/rows/0`, `line 2`) and its cells by column.

    *fault* says why its cells could not be told apart, where they could not.
    """

    pointer: str
    label: str
    cells: Mapping[str, str]
    fault: str | None = None


class LineFault(NamedTuple):
    """One thing wrong with a card: an RFC 6901 pointer and a sentence that names the line."""

    pointer: str
    detail: str


class InvalidRateCardError(ValueError):
    """The card is refused as a whole; *faults* names every faulty line."""

    def __init__(self, faults: Sequence[LineFault]) -> None:
        """Keep the faults."""
        super().__init__(f"{len(faults)} faults")
        self.faults = tuple(faults)


def read_rows(lines: Sequence[Line], currency: str | None) -> tuple[RateRow, ...]:
    """
    Read the rows of a card in *currency*; None takes that of the first line.

    Raises:
        InvalidRateCardError: for a card without rows, a cell that cannot be read, another currency than the card's, a
            price or increment that is no (positive) decimal, or two rows that could tie.
    """
    if not lines:
        raise InvalidRateCardError([LineFault("/rows", "the card has no rows")])
    currencies = (line.cells.get("Currency", "").strip() for line in lines)
    currency = currency or next(filter(None, currencies), "")
    faults = [LineFault(line.pointer, f"{line.label}: {line.fault}") for line in lines if line.fault is not None]
    whole = [line for line in lines if line.fault is None]
    readers = [_LineReader(line) for line in whole]
    rows = [reader.row(currency) for reader in readers]
    for reader in readers:
        faults += reader.faults
    for earlier, later in find_ties(rows):
        faults.append(LineFault(whole[later].pointer, f"{whole[later].label}: could tie with {whole[earlier].label}"))
    if faults:
        raise InvalidRateCardError(faults)
    return tuple(rows)


class _LineReader:
    """Reads the cells of one line and notes what is wrong with them."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self.faults: list[LineFault] = []

    def row(self, currency: str) -> RateRow:
        return RateRow(
            resource=self._resource(),
            description=self._text("Description") or "",
            direction=self._text("Direction"),
            type=self._text("Type"),
            resolutions=self._values("Resolutions"),
            country_code=self._text("Country code"),
            category=self._text("Category"),
            prefixes=self._prefixes(),
            price_per_increment=self._decimal("Price per increment", parse_money),
            increment=self._increment(),
            unit_of_measure=self._text("Unit of measure") or "",
            currency=self._currency(currency),
        )

    def _text(self, column: str) -> str | None:
        return self._line.cells.get(column, "").strip() or None

    def _values(self, column: str) -> tuple[str, ...]:
        cell = self._text(column) or ""
        return tuple(dict.fromkeys(value.strip() for value in cell.split(_SEPARATOR) if value.strip()))

    def _resource(self) -> str:
        resource = self._text("Resource") or ""
        if not _RESOURCE.fullmatch(resource):
            self._fault("Resource", "must name a product")
        return resource

    def _prefixes(self) -> tuple[str, ...]:
        prefixes = self._values("Prefixes")
        if not all(_PREFIX.fullmatch(prefix) for prefix in prefixes):
            self._fault("Prefixes", "must be leading digits of E.164 numbers")
        return tuple(dict.fromkeys(prefix.lstrip("+") for prefix in prefixes))

    def _decimal(self, column: str, parse: Callable[[str], Decimal]) -> Decimal:
        try:
            return parse(self._text(column) or "")
        except NotADecimalError as error:
            self._fault(column, str(error))
            return Decimal(0)

    def _increment(self) -> Decimal:
        known = len(self.faults)
        increment = self._decimal("Increment", parse_quantity)
        if not increment and len(self.faults) == known:
            self._fault("Increment", "must be above zero")
        return increment

    def _currency(self, expected: str) -> str:
        currency = self._text("Currency") or ""
        if not currency:
            self._fault("Currency", "must name the card's currency")
        elif currency != expected:
            self._fault("Currency", f"the card is in {expected}, not {currency}")
        return currency

    def _fault(self, column: str, detail: str) -> None:
        member = column.lower().replace(" ", "_")
        self.faults.append(LineFault(f"{self._line.pointer}/{member}", f"{self._line.label}: {column} {detail}"))
