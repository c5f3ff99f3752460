"""An account's head, readable: for operators, never for customers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalicelib.domain.due import next_due_at
from chalicelib.domain.instants import format_instant
from chalicelib.domain.money import format_decimal
from chalicelib.storage.takings import events_in


if TYPE_CHECKING:
    from datetime import date

    from chalicelib.domain.auto_recharge import AutoRecharge
    from chalicelib.domain.commitments import Commitment, Terms
    from chalicelib.domain.credit import Grant
    from chalicelib.domain.low_credit import Warnings
    from chalicelib.domain.state import PeriodUsage
    from chalicelib.storage.accounts import Accounts
    from chalicelib.storage.heads import Head, PageName
    from chalicelib.storage.takings import Taking


def inspect_account(accounts: Accounts, account: str) -> dict[str, Any] | None:
    """Return what the head of *account* holds, without its card token; None where there is no such account."""
    head = accounts.load(account)
    return None if head is None else _show(head)


def _show(head: Head) -> dict[str, Any]:
    state = head.state
    settings = state.account
    return {
        "account": settings.id,
        "name": settings.name,
        "currency": settings.currency,
        "timezone": settings.timezone,
        "payment_method": settings.payment_method.type.value,
        "rate_card": settings.rate_card,
        "agents": settings.agents,
        "free_units": {
            resource: f"{format_decimal(free.quantity)} per {free.per.value}"
            for resource, free in settings.free_units.items()
        },
        "version": head.version,
        "at": format_instant(state.at),
        "next_due_at": format_instant(next_due_at(state)),
        "invoiced_through": str(state.invoiced_through),
        "periods": {str(period): _show_usage(usage) for period, usage in sorted(state.periods.items())},
        "grants": [_show_grant(grant) for grant in state.grants],
        "commitments": [_show_commitment(commitment) for commitment in state.commitments],
        "auto_recharge": _show_auto_recharge(state.auto_recharge),
        "warnings": _show_warnings(state.warnings),
        "pages_not_indexed": [_show_page(page) for page in head.pages],
        "tail": [_show_taking(taking) for taking in head.tail],
        "tail_events": events_in(head.tail),
    }


def _show_usage(usage: PeriodUsage) -> dict[str, Any]:
    return {
        resource: {
            "pool": product.pool,
            "quantity": format_decimal(product.quantity),
            "billed": format_decimal(product.billed),
            "free": format_decimal(product.free),
            "amount": format_decimal(product.amount),
            "credits": format_decimal(product.credits),
            "to_be_invoiced": format_decimal(product.to_be_invoiced),
        }
        for resource, product in sorted(usage.products.items())
    }


def _show_grant(grant: Grant) -> dict[str, Any]:
    return {
        "id": grant.id,
        "pool": grant.pool,
        "kind": grant.kind.value,
        "remaining": format_decimal(grant.remaining),
        "effective_at": format_instant(grant.effective_at),
        "expires_at": None if grant.expires_at is None else format_instant(grant.expires_at),
    }


def _show_commitment(commitment: Commitment) -> dict[str, Any]:
    return {
        "pool": commitment.pool,
        "terms": _show_terms(commitment.terms),
        "terms_from_the_next_recharge": None if commitment.upcoming is None else _show_terms(commitment.upcoming),
        "last_recharge_on": _show_day(commitment.last_recharge_on),
        "next_recharge_on": _show_day(commitment.next_recharge_on),
        "credit_expires_before": _show_day(commitment.credit_expires_before),
        "granted_in_this_term": format_decimal(commitment.granted),
        "is_deleted": commitment.is_deleted,
    }


def _show_terms(terms: Terms) -> dict[str, Any]:
    return {
        "amount": format_decimal(terms.amount),
        "frequency": terms.frequency.value,
        "starts_on": _show_day(terms.starts_on),
        "ends_on": _show_day(terms.ends_on),
        "rollover": terms.rollover,
    }


def _show_auto_recharge(auto: AutoRecharge) -> dict[str, Any]:
    rule, payment = auto.rule, auto.in_flight
    limit = None if rule is None else rule.monthly_limit
    return {
        "status": auto.status.value,
        "threshold": None if rule is None else format_decimal(rule.threshold),
        "amount": None if rule is None else format_decimal(rule.amount),
        "monthly_limit": None if limit is None else format_decimal(limit),
        "failures": auto.failures,
        "no_payment_before": None if auto.retry_at is None else format_instant(auto.retry_at),
        "in_flight": None if payment is None else f"{payment.payment}: {format_decimal(payment.amount)}",
        "month": None if auto.month is None else str(auto.month),
        "spent_in_month": format_decimal(auto.month_spent),
    }


def _show_warnings(warnings: Warnings) -> list[dict[str, Any]]:
    return [
        {"id": warnings.id_of(one.level), "level": one.level, "is_dismissed": one.is_dismissed}
        for one in warnings.raised
    ]


def _show_day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _show_page(page: PageName) -> dict[str, Any]:
    return {
        "id": page.id.hex(),
        "version": page.version,
        "periods": [str(period) for period in page.periods],
        "spans": [f"{format_instant(span.first)} to {format_instant(span.last)}" for span in page.spans],
    }


def _show_taking(taking: Taking) -> dict[str, Any]:
    return {
        "version": taking.version,
        "at": format_instant(taking.at),
        "events": [
            f"{charge.event.resource} {format_decimal(charge.event.quantity)}: {charge.event.source} {charge.event.id}"
            for charge in taking.charges
        ],
    }
