"""An account's head, readable: for operators, never for customers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalicelib.domain.due import next_due_at
from chalicelib.domain.instants import format_instant
from chalicelib.domain.money import format_decimal
from chalicelib.storage.takings import events_in


if TYPE_CHECKING:
    from chalicelib.domain.credit import Grant
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
