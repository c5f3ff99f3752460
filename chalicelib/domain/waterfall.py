"""
The waterfall: rate, free units, credit, to be invoiced, for one event after the other.

Always, per product: billed = free + charged units, and amount = credits + to be invoiced.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from chalicelib.domain.charges import Charge, Role, billed_units, price
from chalicelib.domain.credit import Payment, pay, paying_grants, replace_remaining
from chalicelib.domain.money import ZERO, exact
from chalicelib.domain.peak_charges import apply_peak_charge, take_sample
from chalicelib.domain.products import Meter
from chalicelib.domain.state import AccountState, ProductUsage


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from decimal import Decimal

    from chalicelib.domain.instants import Instant
    from chalicelib.domain.periods import Period
    from chalicelib.domain.products import Product
    from chalicelib.domain.rate_card import Rate
    from chalicelib.domain.usage_events import UsageEvent


class PricedEvent(NamedTuple):
    """An event, its number cut to what is kept, and the rate in force at its time."""

    event: UsageEvent
    rate: Rate


@exact
def charge_events(
    state: AccountState, priced: Iterable[PricedEvent], products: Mapping[str, Product], at: Instant
) -> tuple[AccountState, list[Charge]]:
    """
    Take *priced* events at the instant *at*, in the order of their times, and return how each was charged.

    A sample of a daily peak that comes when the month's peak is charged already may bring further charges with it.
    """
    in_order = sorted(priced, key=lambda item: item.event.time)
    charges: list[Charge] = []
    for meter, group in groupby(in_order, lambda item: products[item.event.resource].meter):
        if meter is Meter.DAILY_PEAK:
            for event, rate in group:
                state, taken = take_sample(state, event, rate, products[event.resource].pool, at)
                charges += taken
        else:
            till = _Till(state, products, at)
            charges += [till.charge(event, rate) for event, rate in group]
            state = till.close()
    return state, charges


@exact
def replay_charges(
    state: AccountState, charges: Iterable[Charge], products: Mapping[str, Product], at: Instant
) -> AccountState:
    """
    Return *state* once *charges*, in the order in which they were made, have been taken up to the instant *at*.

    Nothing is rated again.
    """
    for is_event, group in groupby(charges, lambda charge: charge.role is Role.EVENT):
        if is_event:
            till = _Till(state, products, at)
            for charge in group:
                till.record(charge)
            state = till.close()
        else:
            for charge in group:
                state = apply_peak_charge(state, charge, products[charge.event.resource].pool)
    return replace(state, at=at)


class _Tally:
    """The usage of one product in one period while a batch is charged."""

    __slots__ = ("amount", "billed", "credits", "free", "included", "pool", "quantity")

    def __init__(self, usage: ProductUsage, included: Decimal) -> None:
        self.pool = usage.pool
        self.quantity = usage.quantity
        self.billed = usage.billed
        self.free = usage.free
        self.amount = usage.amount
        self.credits = usage.credits
        self.included = included

    def take_free(self, billed: Decimal) -> Decimal:
        left = self.included - self.free
        return min(billed, left) if left > 0 else ZERO

    def usage(self) -> ProductUsage:
        return ProductUsage(self.pool, self.quantity, self.billed, self.free, self.amount, self.credits)


class _Till:
    """The running figures of one batch; nothing of it outlives `charge_events`."""

    def __init__(self, state: AccountState, products: Mapping[str, Product], at: Instant) -> None:
        self._state = state
        self._products = products
        self._at = at
        self._calendar = state.account.calendar
        self._tallies: dict[tuple[Period, str], _Tally] = {}
        self._last_event_at: dict[Period, Instant] = {}
        self._remaining = {grant.id: grant.remaining for grant in state.grants}
        self._paying: dict[tuple[Period, str], list[str]] = {}

    def charge(self, event: UsageEvent, rate: Rate) -> Charge:
        own_period = self._calendar.period_of(event.time)
        period = max(own_period, self._state.oldest_open)
        tally = self._tally(period, event.resource)
        billed = billed_units(event.quantity, rate.increment)
        free = tally.take_free(billed)
        amount = price(rate, billed, free)
        payments = self._payments(amount, period, tally.pool) if amount else ()
        charge = Charge(event, period, period != own_period, rate, billed, free, amount, payments)
        self.record(charge)
        return charge

    def record(self, charge: Charge) -> None:
        """Add *charge* to the figures."""
        event, period = charge.event, charge.period
        tally = self._tally(period, event.resource)
        tally.quantity += event.quantity
        tally.billed += charge.billed
        tally.free += charge.free
        tally.amount += charge.amount
        for payment in charge.payments:
            tally.credits += payment.amount
            self._remaining[payment.grant] -= payment.amount
        self._last_event_at[period] = max(event.time, self._last_event_at.get(period, event.time))

    def close(self) -> AccountState:
        """Return the state after all charges."""
        periods = dict(self._state.periods)
        for (period, resource), tally in self._tallies.items():
            before = self._state.usage_of(period)
            products = periods.setdefault(period, before).products
            last_event_at = max(self._last_event_at[period], before.last_event_at or self._last_event_at[period])
            usage = {**products, resource: tally.usage()}
            periods[period] = replace(before, products=usage, last_event_at=last_event_at)
        grants = replace_remaining(self._state.grants, self._remaining)
        return replace(self._state, at=self._at, periods=periods, grants=grants, is_used=True)

    def _tally(self, period: Period, resource: str) -> _Tally:
        tally = self._tallies.get((period, resource))
        if tally is None:
            usage = self._state.usage_of(period).products.get(resource)
            if usage is None:
                usage = ProductUsage(self._products[resource].pool)
            tally = _Tally(usage, self._state.account.included_units(resource))
            self._tallies[period, resource] = tally
        return tally

    def _payments(self, amount: Decimal, period: Period, pool: str) -> tuple[Payment, ...]:
        grants = self._paying_grants(period, pool)
        return pay(amount, ((grant, self._remaining[grant]) for grant in grants))

    def _paying_grants(self, period: Period, pool: str) -> list[str]:
        grants = self._paying.get((period, pool))
        if grants is None:
            end = self._calendar.end_of(period)
            grants = [grant.id for grant in paying_grants(self._state.grants, pool, self._at, end)]
            self._paying[period, pool] = grants
        return grants
