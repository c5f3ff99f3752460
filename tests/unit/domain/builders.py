"""Short ways to write accounts, events, rates and grants down."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from chalicelib.domain.accounts import Account, FreeUnits, PaymentMethod, PaymentType, Per
from chalicelib.domain.auto_recharge import AutoRecharge, InFlight, RechargeRule
from chalicelib.domain.commitments import Commitment, Frequency, Terms
from chalicelib.domain.credit import Grant, GrantKind
from chalicelib.domain.instants import Instant, parse_instant
from chalicelib.domain.money import format_decimal
from chalicelib.domain.periods import Period
from chalicelib.domain.products import DEFAULT_CATALOGUE, SHARED_POOL
from chalicelib.domain.rate_card import Rate, Revision
from chalicelib.domain.state import AccountState, PeriodUsage, ProductUsage
from chalicelib.domain.usage_events import UsageEvent
from chalicelib.domain.waterfall import Charge, PricedEvent, charge_events


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

REVISION: Final = Revision(date(2026, 1, 1), 1)


def at(text: str) -> Instant:
    """Return the instant of an RFC 3339 time."""
    return parse_instant(text)


def an_account(
    timezone: str = "UTC",
    currency: str = "EUR",
    agents: int = 0,
    per_account: Mapping[str, str] | None = None,
    per_agent: Mapping[str, str] | None = None,
) -> Account:
    """Return the account `acme` with the free units named."""
    free_units = {resource: FreeUnits(Decimal(units), Per.ACCOUNT) for resource, units in (per_account or {}).items()}
    free_units |= {resource: FreeUnits(Decimal(units), Per.AGENT) for resource, units in (per_agent or {}).items()}
    return Account(
        id="acme",
        name="Acme",
        currency=currency,
        timezone=timezone,
        payment_method=PaymentMethod(PaymentType.INVOICE),
        rate_card="standard",
        agents=agents,
        free_units=free_units,
    )


def by_card(account: Account | None = None) -> Account:
    """Return an account that pays by card."""
    return replace(account or an_account(), payment_method=PaymentMethod(PaymentType.CREDIT_CARD, "tok_ok"))


def a_state(
    *grants: Grant,
    account: Account | None = None,
    now: str = "2026-11-10T12:00:00Z",
    invoiced_through: str = "2026-10",
    periods: Mapping[str, Mapping[str, ProductUsage]] | None = None,
) -> AccountState:
    """Return an account that has November 2026 open and nothing used."""
    return AccountState(
        account=account or an_account(),
        at=at(now),
        invoiced_through=Period.parse(invoiced_through),
        periods={Period.parse(period): PeriodUsage(usages) for period, usages in (periods or {}).items()},
        grants=grants,
    )


def used(amount: str, paid: str = "0", pool: str = SHARED_POOL, free: str = "0") -> ProductUsage:
    """Return usage at 1 a unit: what is to be invoiced is *amount* less *paid*."""
    billed = Decimal(amount) + Decimal(free)
    return ProductUsage(pool, billed, billed, Decimal(free), Decimal(amount), Decimal(paid))


def a_grant(  # noqa: PLR0913 - all that a grant is made of
    name: str,
    remaining: str,
    kind: GrantKind = GrantKind.COMMITTED,
    *,
    effective: str = "2026-11-01T00:00:00Z",
    expires: str | None = None,
    pool: str = SHARED_POOL,
) -> Grant:
    """Return credit in force from 1 November 2026, in the shared pool."""
    expires_at = None if expires is None else at(expires)
    return Grant(name, pool, kind, Decimal(remaining), at(effective), expires_at)


def an_event(
    quantity: str = "1", time: str = "2026-11-10T11:00:00Z", resource: str = "call", name: str = "e-1", **fields: str
) -> UsageEvent:
    """Return a use of a product; *fields* are those that rate rows match on."""
    return UsageEvent("acme", "/voice", name, at(time), resource, Decimal(quantity), **fields)


def a_rate(price: str, increment: str = "1") -> Rate:
    """Return a rate of so much money for each increment."""
    return Rate("standard", REVISION, 0, Decimal(price), Decimal(increment))


def charge(
    state: AccountState, *priced: tuple[UsageEvent, Rate], now: str = "2026-11-10T12:00:00Z"
) -> tuple[AccountState, list[Charge]]:
    """Take events in one request."""
    return charge_events(state, [PricedEvent(*each) for each in priced], DEFAULT_CATALOGUE, at(now))


def paid_by(charged: Charge) -> list[tuple[str, str]]:
    """Return who paid what of a charge."""
    return [(payment.grant, format_decimal(payment.amount)) for payment in charged.payments]


def left_of(grants: Iterable[Grant]) -> dict[str, Decimal]:
    """Return what is left of each grant."""
    return {grant.id: grant.remaining for grant in grants}


def a_rule(threshold: str = "10", amount: str = "50", limit: str | None = None) -> RechargeRule:
    """Return the rule that below 10 multiples of 50 are paid, in a month as many as it takes."""
    return RechargeRule(Decimal(threshold), Decimal(amount), None if limit is None else Decimal(limit))


def an_auto_recharge(
    threshold: str = "10",
    amount: str = "50",
    limit: str | None = None,
    failures: int = 0,
    in_flight: InFlight | None = None,
) -> AutoRecharge:
    """Return auto recharge switched on, of which nothing was spent but what is *in_flight*."""
    auto = AutoRecharge(is_enabled=True, rule=a_rule(threshold, amount, limit), failures=failures)
    return auto if in_flight is None else auto.requested(in_flight)


def a_commitment(
    amount: str = "1000", frequency: str = "monthly", ends_on: date | None = None, pool: str = SHARED_POOL
) -> Commitment:
    """Return a commitment that recharged on 1 November 2026."""
    first = date(2026, 11, 1)
    terms = Terms(Decimal(amount), Frequency(frequency), first, ends_on)
    return Commitment(pool, terms, not_before=first, last_recharge_on=first, granted=terms.amount)
