"""The tab, the balances and the invoices of an account."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from chalice.app import Blueprint, Response
from msgspec import Raw, json

from chalicelib.api.calls import ANY_CONTENT, Call, answering, ok
from chalicelib.api.parameters import page_of, read_cursor, read_instant, read_limit, read_period
from chalicelib.api.revalidation import ok_unless_known
from chalicelib.domain.accounts import PaymentType
from chalicelib.domain.figures import FreeUnitFigures, PeakFigures, PoolFigures, ProductFigures, line_total
from chalicelib.domain.instants import format_instant
from chalicelib.domain.money import EXACT, format_decimal, format_money
from chalicelib.domain.periods import calendar
from chalicelib.domain.products import SHARED_POOL


if TYPE_CHECKING:
    from chalicelib.domain.invoice import Invoice
    from chalicelib.services.show_usage import ShownWarning, Tab


_PRODUCTS_REMEMBERED: Final = 2048
"""Rows of the tab that are not written again as long as their figures stay: a few megabytes."""

routes = Blueprint(__name__)


@routes.route("/v1/accounts/{account}/usage", methods=["GET"], content_types=ANY_CONTENT)
@answering(routes)
def get_usage(call: Call, account: str) -> Response:
    """Show the Usage tab."""
    call.require_for_account("usage:read", account)
    period = read_period(call.query["period"]) if "period" in call.query else None
    return ok_unless_known(call, _show_tab(call.services.usage.tab(account, period)))


@routes.route("/v1/accounts/{account}/balances", methods=["GET"], content_types=ANY_CONTENT)
@answering(routes)
def get_balances(call: Call, account: str) -> Response:
    """Show the balance of every pool."""
    call.require_for_account("usage:read", account)
    if "at" in call.query:
        pools, currency = call.services.past_balances.balances(account, read_instant("/at", call.query["at"]))
    else:
        tab = call.services.usage.tab(account)
        pools, currency = tab.figures.pools, tab.currency
    return ok_unless_known(call, {"balances": [{"pool": pool.pool, **_show_pool(pool, currency)} for pool in pools]})


@routes.route("/v1/accounts/{account}/warnings/{warning}/dismiss", methods=["POST"], content_types=ANY_CONTENT)
@answering(routes)
def post_dismiss(call: Call, account: str, warning: str) -> Response:
    """Take a warning off the tab."""
    call.require_for_account("usage:read", account)
    call.services.warnings.dismiss(account, warning)
    return ok({"id": warning, "dismissed": True})


@routes.route("/v1/accounts/{account}/invoices", methods=["GET"], content_types=ANY_CONTENT)
@answering(routes)
def list_invoices(call: Call, account: str) -> Response:
    """List the invoices, newest first."""
    call.require_for_account("usage:read", account)
    call.services.accounts.get(account)
    limit, before = read_limit(call.query), read_cursor(call.query, "invoice#", account)
    return ok_unless_known(
        call, page_of(call.services.records.invoices(account, before), limit, _show_invoice, account)
    )


@routes.route("/v1/accounts/{account}/invoices/upcoming", methods=["GET"], content_types=ANY_CONTENT)
@answering(routes)
def get_upcoming_invoice(call: Call, account: str) -> Response:
    """Show the next invoice as it would be now."""
    call.require_for_account("usage:read", account)
    return ok({**_show_invoice(call.services.usage.upcoming_invoice(account)), "status": "upcoming"})


@routes.route("/v1/accounts/{account}/invoices/{period}", methods=["GET"], content_types=ANY_CONTENT)
@answering(routes)
def get_invoice(call: Call, account: str, period: str) -> Response:
    """Show the invoice of a month."""
    call.require_for_account("usage:read", account)
    return ok_unless_known(call, _show_invoice(call.services.usage.invoice(account, read_period(period))))


def _show_tab(tab: Tab) -> dict[str, Any]:
    figures = tab.figures
    zone = calendar(tab.timezone)
    pools = {pool.pool: pool for pool in figures.pools}
    shared = pools[SHARED_POOL]
    pays_by_card = tab.payment is PaymentType.CREDIT_CARD
    return {
        "account": {
            "id": tab.account,
            "name": tab.account_name,
            "currency": tab.currency,
            "timezone": tab.timezone,
            "payment_method": tab.payment.value,
        },
        "period": {
            "id": str(figures.period),
            "starts_at": format_instant(zone.start_of(figures.period)),
            "ends_at": format_instant(zone.end_of(figures.period)),
            "status": tab.status.value,
        },
        "as_of": format_instant(tab.as_of),
        "last_event_at": None if figures.last_event_at is None else format_instant(figures.last_event_at),
        SHARED_POOL: {
            **_show_pool(shared, tab.currency),
            **_show_committed_credit(shared, tab.currency, is_available=True),
            "manage_credits": {
                "one_time_purchase": pays_by_card,
                "auto_recharge": {"available": pays_by_card, "enabled": tab.has_auto_recharge},
            },
            "warnings": [_show_warning(warning, tab) for warning in tab.warnings],
        },
        "products": [
            _show_product(product, None if product.pool == SHARED_POOL else pools[product.pool], tab.currency)
            for product in figures.products
        ],
    }


def _show_warning(warning: ShownWarning, tab: Tab) -> dict[str, Any]:
    monthly = f"{format_money(warning.expected.per_month(tab.currency), tab.currency)} {tab.currency}"
    crossed = "at or below" if tab.payment is PaymentType.CREDIT_CARD else "overdrawn by more than"
    message = f"The balance is {crossed} {warning.level} % of the expected monthly credit of {monthly}."
    return {"id": warning.id, "level": warning.level, "message": message}


def _show_pool(pool: PoolFigures, currency: str) -> dict[str, Any]:
    return {
        "balance": format_money(pool.balance, currency),
        "credits": {
            "committed": format_money(pool.committed, currency),
            "purchased": format_money(pool.purchased, currency),
            "promotional": format_money(pool.promotional, currency),
        },
        "to_be_invoiced": format_money(pool.to_be_invoiced, currency),
    }


@lru_cache(maxsize=_PRODUCTS_REMEMBERED)
def _show_product(product: ProductFigures, own_pool: PoolFigures | None, currency: str) -> Raw:
    """Return the row of a product, which draws on the shared pool or one of its own, as JSON."""
    to_be_invoiced = product.to_be_invoiced
    peak = {} if product.peak is None else {"peak": _show_peak(product.peak)}
    row = {
        "resource": product.resource,
        "name": product.name,
        "unit": product.unit,
        "display": {"unit": product.display.unit, "divisor": format_decimal(product.display.divisor)},
        "quantity": format_decimal(product.quantity),
        "billed_quantity": format_decimal(product.billed),
        "free_units": None if product.free_units is None else _show_free_units(product.free_units),
        "amount": format_money(product.amount, currency),
        "credits_applied": format_money(product.credits, currency),
        "to_be_invoiced": format_money(to_be_invoiced, currency),
        "balance": format_money(EXACT.minus(to_be_invoiced) if own_pool is None else own_pool.balance, currency),
        "included_in": SHARED_POOL if own_pool is None else None,
        **_show_committed_credit(own_pool, currency, is_available=product.commit_available),
        **peak,
    }
    return Raw(json.encode(row))


def _show_peak(peak: PeakFigures) -> dict[str, str]:
    return {"on": peak.on.isoformat(), "quantity": format_decimal(peak.quantity)}


def _show_committed_credit(pool: PoolFigures | None, currency: str, *, is_available: bool) -> dict[str, Any]:
    if pool is None or not is_available:
        return {"committed_credit": {"status": "not_available"}, "committed_credit_period": None}
    commitment = pool.commitment
    if commitment is None:
        return {"committed_credit": {"status": "not_purchased"}, "committed_credit_period": None}
    last, following = commitment.last_recharge_on, commitment.next_recharge_on
    return {
        "committed_credit": {
            "status": "active",
            "amount": format_money(commitment.amount, currency),
            "frequency": commitment.frequency.value,
        },
        "committed_credit_period": {
            "last_recharge_on": None if last is None else last.isoformat(),
            "next_recharge_on": None if following is None else following.isoformat(),
        },
    }


def _show_free_units(free_units: FreeUnitFigures) -> dict[str, str]:
    return {
        "included": format_decimal(free_units.included),
        "used": format_decimal(free_units.used),
        "remaining": format_decimal(free_units.remaining),
    }


def _show_invoice(invoice: Invoice) -> dict[str, Any]:
    return {
        "id": invoice.id,
        "period": str(invoice.period),
        "status": "issued",
        "issued_at": format_instant(invoice.issued_at),
        "currency": invoice.currency,
        "total": format_money(invoice.total, invoice.currency),
        "lines": [_show_line(product, invoice.currency) for product in invoice.figures.products],
    }


def _show_line(product: ProductFigures, currency: str) -> dict[str, str]:
    free = Decimal(0) if product.free_units is None else product.free_units.used
    return {
        "resource": product.resource,
        "name": product.name,
        "quantity": format_decimal(product.quantity),
        "billed_quantity": format_decimal(product.billed),
        "free_units_used": format_decimal(free),
        "amount": format_money(product.amount, currency),
        "credits_applied": format_money(product.credits, currency),
        "to_be_invoiced": format_money(product.to_be_invoiced, currency),
        "total": format_money(line_total(product, currency), currency),
    }
