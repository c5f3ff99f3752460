"""Putting and reading products and rate cards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from chalicelib.domain.money import minor_digits
from chalicelib.domain.products import SHARED_POOL, Product
from chalicelib.domain.rate_card import Revision
from chalicelib.domain.rate_card_upload import InvalidRateCardError, Line, read_rows
from chalicelib.services.errors import BusyError, Fault, RefusedError
from chalicelib.storage.catalogue import (
    CardEntry,
    Catalogue,
    ProductEntry,
    RevisionEntry,
    write_card,
    write_product,
)
from chalicelib.storage.items import (
    ConditionFailedError,
    ContentionError,
    ItemStore,
    OutcomeUnknownError,
    Put,
)


if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from chalicelib.domain.rate_card import RateRow
    from chalicelib.services.clocks import Clock

_TRIES_MAX: Final = 10


class CatalogueManagement:
    """What administrators do to products and rate cards."""

    def __init__(self, store: ItemStore, catalogue: Catalogue, clock: Clock) -> None:
        """Manage the *catalogue* kept in *store*."""
        self._store = store
        self._catalogue = catalogue
        self._clock = clock

    def products(self) -> list[Product]:
        """Return all products in the order of their resource codes."""
        entries = self._catalogue.products(fresh=True)
        return [entries[resource].product for resource in sorted(entries)]

    def put_product(self, product: Product) -> Product:
        """
        Create or replace a product.

        Raises:
            RefusedError: `product_in_use` for another pool, meter or unit once anyone used the product, or
                `invalid_request` for the name of the shared pool.
            BusyError: where others keep changing it.
        """
        if product.resource == SHARED_POOL:
            detail = f"{SHARED_POOL} is the name of the shared pool"
            raise RefusedError("invalid_request", detail, (Fault("", detail),))
        for _ in range(_TRIES_MAX):
            entry = self._catalogue.products(fresh=True).get(product.resource, ProductEntry(product))
            if entry.is_used and not product.is_metered_like(entry.product):
                raise RefusedError("product_in_use", "pool, meter and unit are fixed once there is usage")
            if self._wrote(write_product(replace(entry, product=product))):
                self._catalogue.forget()
                return product
        message = f"product {product.resource} is too busy"
        raise BusyError(message)

    def put_rate_card(self, card: str, effective_from: date, lines: Sequence[Line]) -> RevisionEntry:
        """
        Put a version of a rate card, new or in the place of one of the same date; the rows of both are kept.

        Raises:
            RefusedError: `invalid_rate_card` naming every faulty line, or `fixed_by_usage` where all lines are in one
                other currency than that of a card in use.
            BusyError: where others keep changing it.
        """
        for _ in range(_TRIES_MAX):
            entry = self._catalogue.card(card)
            rows = _read(lines, entry)
            entry = entry or CardEntry(card, rows[0].currency)
            _check_currency(rows[0].currency)
            revision = self._keep(card, effective_from, entry, rows)
            if self._wrote(write_card(replace(entry, revisions=(*entry.revisions, revision)))):
                return revision
        message = f"rate card {card} is too busy"
        raise BusyError(message)

    def _keep(self, card: str, effective_from: date, entry: CardEntry, rows: Sequence[RateRow]) -> RevisionEntry:
        """Keep the rows under a number that no other revision of that date has or ever had."""
        number = entry.next_number(effective_from)
        while not self._catalogue.keep_rows(card, Revision(effective_from, number), rows):
            number += 1
        return RevisionEntry(effective_from, number, self._clock.now(), len(rows))

    def rate_card_on(self, card: str, day: date) -> tuple[Revision, Sequence[RateRow]]:
        """
        Return the revision of a card in force on *day*, and its rows.

        Raises:
            RefusedError: `not_found` where there is no card or no version on that day.
        """
        entry = self._catalogue.card(card)
        in_force = [] if entry is None else [revision for revision in entry.latest() if revision.effective_from <= day]
        if not in_force:
            raise RefusedError("not_found", f"no version of rate card {card!r} is in force on {day}")
        revision = max(in_force)
        return revision, self._catalogue.table(card, revision).rows

    def _wrote(self, put: Put) -> bool:
        try:
            self._store.put(put.table, put.item, put.condition)
        except (ConditionFailedError, ContentionError, OutcomeUnknownError):
            return False
        return True


def _read(lines: Sequence[Line], entry: CardEntry | None) -> Sequence[RateRow]:
    try:
        return read_rows(lines, None if entry is None else entry.currency)
    except InvalidRateCardError as error:
        faults = tuple(Fault(*fault) for fault in error.faults)
        if entry is not None and entry.is_used and _is_in_one_other_currency(lines, entry.currency):
            raise RefusedError("fixed_by_usage", f"the card is in {entry.currency} and in use", faults) from error
        raise RefusedError("invalid_rate_card", "the rate card is refused as a whole", faults) from error


def _is_in_one_other_currency(lines: Sequence[Line], currency: str) -> bool:
    currencies = {line.cells.get("Currency", "").strip() for line in lines}
    return len(currencies) == 1 and not currencies & {currency, ""}


def _check_currency(currency: str) -> None:
    if minor_digits(currency) is None:
        detail = f"{currency!r} is not a currency of ISO 4217"
        raise RefusedError("invalid_rate_card", detail, (Fault("/rows/0/currency", detail),))
