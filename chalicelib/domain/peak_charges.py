"""Taking samples of a daily peak, charging the peak on the 28th, and replacing it where a later sample outdoes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from chalicelib.domain.charges import Charge, Role, billed_units, price
from chalicelib.domain.credit import Grant, Payment, pay, paying_grants, replace_remaining
from chalicelib.domain.money import ZERO, exact
from chalicelib.domain.state import AccountState, ProductUsage
from chalicelib.domain.storage_peak import Peak, peak_due_at, window_period


if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

    from chalicelib.domain.instants import Instant
    from chalicelib.domain.periods import Period
    from chalicelib.domain.rate_card import Rate
    from chalicelib.domain.usage_events import UsageEvent


@exact
def take_sample(
    state: AccountState, event: UsageEvent, rate: Rate, pool: str, at: Instant
) -> tuple[AccountState, list[Charge]]:
    """
    Take a sample at the instant *at*; what is due by then is carried out already.

    After the invoice it charges nothing and is late; between the 28th and the invoice it may replace the peak's charge.
    """
    state = replace(state, at=at, is_used=True)
    calendar = state.account.calendar
    period = window_period(calendar, event.time)
    if period <= state.invoiced_through:
        return state, [_sample(event, state.oldest_open, rate, is_late=True)]
    sample = _sample(event, period, rate, is_late=False)
    before = state.usage_of(period).peaks.get(event.resource)
    state = apply_peak_charge(state, sample, pool)
    if at < peak_due_at(calendar, period) or (before is not None and not before.is_outdone_by(sample)):
        return state, [sample]
    charges = [sample]
    if before is not None:
        charges.append(replace(before.charge, role=Role.REVERSAL))
    charges.append(_peak_charge(state, sample, pool, at, before.charge.payments if before is not None else ()))
    for charge in charges[1:]:
        state = apply_peak_charge(state, charge, pool)
    return state, charges


@exact
def charge_peak(state: AccountState, period: Period, resource: str, at: Instant) -> tuple[AccountState, Charge]:
    """Charge the peak of *period*, which is due at *at*."""
    peak = state.usage_of(period).peaks[resource]
    charge = _peak_charge(state, peak.charge, peak.pool, at)
    return apply_peak_charge(state, charge, peak.pool), charge


@exact
def apply_peak_charge(state: AccountState, charge: Charge, pool: str) -> AccountState:
    """Return *state* with a sample, a peak or a reversal taken as it was made."""
    if charge.is_late:
        return state
    usage = state.usage_of(charge.period)
    resource = charge.event.resource
    before = usage.peaks.get(resource)
    peaks = dict(usage.peaks)
    products = dict(usage.products)
    last_event_at = max(charge.event.time, usage.last_event_at or charge.event.time)
    if charge.role is Role.SAMPLE:
        if before is None or (not before.is_charged and before.is_outdone_by(charge)):
            peaks[resource] = Peak(charge, pool)
    elif charge.role is Role.PEAK:
        peaks[resource] = Peak(charge, pool, _paying(state.grants, charge))
        products[resource] = _usage(charge, pool)
        state = replace(state, grants=_taken(state.grants, charge.payments))
    elif before is not None:
        products.pop(resource, None)
        state = replace(state, grants=_given_back(state.grants, before))
    return state.with_usage(charge.period, replace(usage, products=products, peaks=peaks, last_event_at=last_event_at))


def _sample(event: UsageEvent, period: Period, rate: Rate, *, is_late: bool) -> Charge:
    return Charge(event, period, is_late, rate, ZERO, ZERO, ZERO, (), Role.SAMPLE)


def _peak_charge(
    state: AccountState, sample: Charge, pool: str, at: Instant, paid_before: tuple[Payment, ...] = ()
) -> Charge:
    """Return what *sample* costs as the month's peak; what was *paid_before* for another stays paid for it."""
    event, rate, period = sample.event, sample.rate, sample.period
    billed = billed_units(event.quantity, rate.increment)
    free = min(billed, state.account.included_units(event.resource))
    amount = price(rate, billed, free)
    kept = pay(amount, ((payment.grant, payment.amount) for payment in paid_before))
    rest = amount - sum((payment.amount for payment in kept), ZERO)
    end = state.account.calendar.end_of(period)
    grants = paying_grants(state.grants, pool, at, end)
    payments = _merged((*kept, *pay(rest, ((grant.id, grant.remaining) for grant in grants))))
    return Charge(event, period, sample.is_late, rate, billed, free, amount, payments, Role.PEAK)


def _merged(payments: Iterable[Payment]) -> tuple[Payment, ...]:
    """Add up what each grant paid."""
    amounts: dict[str, Decimal] = {}
    for payment in payments:
        amounts[payment.grant] = amounts.get(payment.grant, ZERO) + payment.amount
    return tuple(Payment(grant, amount) for grant, amount in amounts.items())


def _usage(charge: Charge, pool: str) -> ProductUsage:
    return ProductUsage(pool, charge.event.quantity, charge.billed, charge.free, charge.amount, charge.credits)


def _paying(grants: Iterable[Grant], charge: Charge) -> tuple[Grant, ...]:
    paying = {payment.grant for payment in charge.payments}
    return tuple(grant for grant in grants if grant.id in paying)


def _taken(grants: tuple[Grant, ...], payments: Iterable[Payment]) -> tuple[Grant, ...]:
    paid = {payment.grant: payment.amount for payment in payments}
    remaining = {grant.id: grant.remaining - paid[grant.id] for grant in grants if grant.id in paid}
    return replace_remaining(grants, remaining)


def _given_back(grants: tuple[Grant, ...], peak: Peak) -> tuple[Grant, ...]:
    """Return the grants with what they paid for *peak*; those that were used up are there again, before the others."""
    paid = {payment.grant: payment.amount for payment in _merged(peak.charge.payments)}
    there = {grant.id for grant in grants}
    gone = {grant.id: _revived(grant) for grant in peak.paid_by if grant.id not in there}
    return tuple(
        replace(grant, remaining=grant.remaining + paid.get(grant.id, ZERO)) for grant in (*gone.values(), *grants)
    )


def _revived(grant: Grant) -> Grant:
    return replace(grant, remaining=ZERO, revivals=grant.revivals + 1)
