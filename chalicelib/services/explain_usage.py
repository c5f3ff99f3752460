"""From a product's row on the tab to its interactions: how each was charged, and who paid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from chalicelib.domain.charges import Charge
from chalicelib.domain.instants import Instant
from chalicelib.domain.periods import Period
from chalicelib.domain.rate_card import RateRow
from chalicelib.services.errors import RefusedError
from chalicelib.storage.pages import Position


if TYPE_CHECKING:
    from chalicelib.services.read_months import ReadingMonths
    from chalicelib.storage.catalogue import Catalogue

CHARGES_LOOKED_AT_MAX: Final = 100_000
"""Charges of all products that one page of a list looks through for those of its own."""


class Explained(Struct, frozen=True):
    """A charge made at *taken_at* by the rate card's row *rate_row*."""

    charge: Charge
    taken_at: Instant
    rate_row: RateRow


class Explanations(Struct, frozen=True):
    """Some charges of *period*, the last first; *rest* is the position behind which the others follow, if any."""

    items: tuple[Explained, ...]
    rest: Position | None
    period: Period
    currency: str


class ExplainingUsage:
    """Lists the interactions of a product in a month."""

    def __init__(self, months: ReadingMonths, catalogue: Catalogue) -> None:
        """Explain what *months* hold by the rate cards of *catalogue*."""
        self._months = months
        self._catalogue = catalogue

    def explain(
        self, account: str, resource: str, period: Period | None, limit: int, before: Position | None = None
    ) -> Explanations:
        """
        Return the last *limit* charges of *resource* in *period* behind the position *before*; None is where it shows.

        It stops early, with fewer or none and the position to go on from, where it has looked at very many charges of
        other products.

        Raises:
            RefusedError: `not_found` for an unknown account or product, a period before the account or one in the
                future, `gone` for one whose usage is not kept any more.
        """
        month = self._months.open(account, period)
        if resource not in self._months.products([resource]):
            detail = f"there is no product {resource[:64]!r}"
            raise RefusedError("not_found", detail)
        items: list[Explained] = []
        last: Position | None = None
        rest: Position | None = None
        for looked_at, (position, charge) in enumerate(self._months.newest_first(month, before)):
            is_wanted = charge.event.resource == resource and charge.period == month.period
            if looked_at == CHARGES_LOOKED_AT_MAX or (is_wanted and len(items) == limit):
                rest = last
                break
            if is_wanted:
                items.append(self._explain(charge, position.at))
            last = position
        return Explanations(tuple(items), rest, month.period, month.currency)

    def _explain(self, charge: Charge, taken_at: Instant) -> Explained:
        rate = charge.rate
        return Explained(charge, taken_at, self._catalogue.table(rate.card, rate.revision).rows[rate.row])
