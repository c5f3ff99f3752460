"""Usage per hour, day or month: what the chart beside the tab draws."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from chalicelib.domain.products import Product
from chalicelib.domain.series import Bucket, Granularity, bucket_starts
from chalicelib.services.read_months import Month


if TYPE_CHECKING:
    from chalicelib.domain.periods import Period
    from chalicelib.services.read_months import ReadingMonths
    from chalicelib.storage.rollups import Rollups


class ProductSeries(Struct, frozen=True):
    """The buckets of a product, in the order of time."""

    product: Product
    buckets: tuple[Bucket, ...]


class Series(Struct, frozen=True):
    """The series of every product that the tab of *month* lists, in the order of their resource codes."""

    month: Month
    granularity: Granularity
    products: tuple[ProductSeries, ...]


class ShowingSeries:
    """Tells how usage is spread over a month."""

    def __init__(self, months: ReadingMonths, rollups: Rollups) -> None:
        """Add up what *months* hold, with the help of *rollups*."""
        self._months = months
        self._rollups = rollups

    def series(self, account: str, period: Period | None, granularity: Granularity) -> Series:
        """
        Return the series of *period*, None for the one that the tab shows, up to the present bucket.

        Raises:
            RefusedError: `not_found` for an unknown account, a period before it or one in the future, `gone` for one
                whose usage is not kept any more.
        """
        month = self._months.open(account, period)
        # An event may be minutes ahead of the clock, in the bucket after the present one.
        until = max(month.at, month.figures.last_event_at or month.at)
        starts = bucket_starts(month.calendar, month.period, granularity, until)
        usage = self._rollups.hourly_usage(month.head, month.period)
        for charge in month.due_charges:
            usage.add_charge(charge, month.at)
        resources = [product.resource for product in month.figures.products]
        products = self._months.products(resources)
        shown = tuple(ProductSeries(products[resource], usage.buckets(resource, starts)) for resource in resources)
        return Series(month, granularity, shown)
