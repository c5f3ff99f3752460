"""The rate cards of a simulated fleet: the demo's prices in several currencies, dearer from the middle of the year."""

from __future__ import annotations

import csv
from decimal import Decimal
from typing import TYPE_CHECKING, Final, NamedTuple

from chalicelib.domain.money import format_decimal, round_to_minor
from chalicelib.domain.rate_card_upload import Line
from chalicelib.local.demo import RATE_CARD_FILE


if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date
    from random import Random


class Currency(NamedTuple):
    """A currency of the fleet, and how many of it a price of 1 in the demo's rate card stands for."""

    code: str
    factor: Decimal

    @property
    def card(self) -> str:
        """Name the rate card of accounts in this currency."""
        return f"fleet-{self.code.lower()}"

    def amount(self, luck: Random, low: Decimal, high: Decimal) -> Decimal:
        """Draw an amount of whole minor units, more than nothing, *low* and *high* being in the demo's prices."""
        thousandths = luck.randint(int(low * 1000), int(high * 1000))
        drawn = round_to_minor(Decimal(thousandths) / 1000 * self.factor, self.code)
        return max(drawn, round_to_minor(Decimal(1), self.code))


CURRENCIES: Final = (
    Currency("USD", Decimal(1)),
    Currency("JPY", Decimal(150)),
    Currency("EUR", Decimal("0.9")),
    Currency("KWD", Decimal("0.305")),
)
"""With two, no and three digits in their minor units."""


class CardVersion(NamedTuple):
    """A version of a rate card, to be put in force on a day."""

    card: str
    effective_from: date
    lines: tuple[Line, ...]


def card_version(currency: Currency, effective_from: date, percent: int = 100) -> CardVersion:
    """Return the demo's rate card in *currency*, at so many *percent* of its prices."""
    factor = currency.factor * percent / 100
    with RATE_CARD_FILE.open(encoding="utf-8", newline="") as file:
        rows = [_priced(row, currency, factor) for row in csv.DictReader(file)]
    lines = tuple(Line(f"/rows/{index}", f"row {index + 1}", row) for index, row in enumerate(rows))
    return CardVersion(currency.card, effective_from, lines)


def _priced(row: Mapping[str, str], currency: Currency, factor: Decimal) -> dict[str, str]:
    price = format_decimal(Decimal(row["Price per increment"]) * factor)
    return {**row, "Price per increment": price, "Currency": currency.code}
