"""Usage per hour, day or month."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from chalice.app import Blueprint, Response

from chalicelib.api.calls import ANY_CONTENT, Call, answering
from chalicelib.api.parameters import read_period
from chalicelib.api.problems import invalid
from chalicelib.api.revalidation import ok_unless_known
from chalicelib.domain.instants import format_instant
from chalicelib.domain.money import format_decimal, format_money
from chalicelib.domain.series import Bucket, Granularity


if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.domain.instants import Instant
    from chalicelib.services.usage_series import Series


routes = Blueprint(__name__)

_GRANULARITIES: Final = tuple(granularity.value for granularity in Granularity)


@routes.route("/v1/accounts/{account}/usage/series", methods=["GET"], content_types=ANY_CONTENT)
@answering(routes)
def get_series(call: Call, account: str) -> Response:
    """Show what each product used and cost per hour, day or month."""
    call.require_for_account("usage:read", account)
    period = read_period(call.query["period"]) if "period" in call.query else None
    granularity = _read_granularity(call.query.get("granularity", Granularity.DAY.value))
    return ok_unless_known(call, _show(call.services.series.series(account, period, granularity)))


def _read_granularity(text: str) -> Granularity:
    if text not in _GRANULARITIES:
        raise invalid("/granularity", f"must be one of {', '.join(_GRANULARITIES)}")
    return Granularity(text)


def _show(series: Series) -> dict[str, Any]:
    month = series.month
    name = _namer(series)
    return {
        "period": str(month.period),
        "granularity": series.granularity.value,
        "timezone": month.head.state.account.timezone,
        "currency": month.currency,
        "as_of": format_instant(month.at),
        "products": [
            {
                "resource": shown.product.resource,
                "name": shown.product.name,
                "unit": shown.product.unit,
                "buckets": [_show_bucket(bucket, name(bucket.starts_at), month.currency) for bucket in shown.buckets],
            }
            for shown in series.products
        ],
    }


def _show_bucket(bucket: Bucket, name: str, currency: str) -> dict[str, str]:
    return {
        "bucket": name,
        "quantity": format_decimal(bucket.quantity),
        "amount": format_money(bucket.amount, currency),
    }


def _namer(series: Series) -> Callable[[Instant], str]:
    """Return what names a bucket by its first instant: that instant for an hour, else the day or the month."""
    month = series.month
    if series.granularity is Granularity.HOUR:
        return format_instant
    if series.granularity is Granularity.DAY:
        return lambda start: month.calendar.date_of(start).isoformat()
    return lambda _: str(month.period)
