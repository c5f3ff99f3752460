"""What holds for every account, whatever happens to it."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.credit import total_credit
from chalicelib.domain.due import carry_out_due, close_due_at
from chalicelib.domain.figures import line_total
from chalicelib.domain.instants import DAY, MINUTE, Instant, to_datetime
from chalicelib.domain.invoice import close_oldest_period
from chalicelib.domain.ledger import book_grant, pool_balance
from chalicelib.domain.money import format_decimal
from chalicelib.domain.periods import Period
from chalicelib.domain.products import DEFAULT_CATALOGUE
from chalicelib.domain.state import ProductUsage
from chalicelib.domain.waterfall import charge_events
from tests.oracle import decimals
from tests.unit.domain.histories import (
    POOLS,
    Credit,
    Happening,
    Life,
    Reckoning,
    Use,
    batches,
    credits_,
    grant_of,
    histories,
    price_all,
    zones,
)


if TYPE_CHECKING:
    from random import Random

    from chalicelib.domain.state import AccountState

modest = settings(deadline=None, max_examples=50)
thorough = settings(deadline=None, max_examples=150)


@thorough
@given(zones, histories)
def test_every_history_adds_up_to_the_same_as_elsewhere(timezone: str, history: list[Happening]) -> None:
    """Charges, payments, settlements, credit and invoices are those of an independent calculation."""
    life, reckoning = Life(timezone).live(history), Reckoning(timezone).live(history)

    assert [
        (each.row, each.month, each.is_late, each.billed, each.free, each.amount, each.payments)
        for each in reckoning.charges
    ] == [
        (
            each.rate.row,
            str(each.period),
            each.is_late,
            each.billed,
            each.free,
            each.amount,
            [(payment.grant, payment.amount) for payment in each.payments],
        )
        for each in life.charges
    ]
    assert reckoning.settled == life.settled
    assert reckoning.account.months() == life.months()
    period = life.state.current_period(life.now)
    for pool in POOLS:
        balance = pool_balance(life.state, pool, period, life.now)
        credit = balance + life.state.usage_of(period).to_be_invoiced(pool)
        assert reckoning.account.credit(pool, str(period), to_datetime(life.now)) == format_decimal(credit, 2)


@thorough
@given(zones, histories)
def test_nothing_is_created_or_lost(timezone: str, history: list[Happening]) -> None:
    """Credit granted is credit left, expired or paid; what credit and invoices cover is what events cost."""
    life = Life(timezone).live(history)
    lines = [line for month in life.figures() for line in month.products]

    paid = sum(each.credits for each in life.charges) + sum(amount for _, amount in life.settled)

    assert life.granted == total_credit(life.state.grants) + life.expired + paid
    assert paid == sum(line.credits for line in lines)
    assert sum(each.amount for each in life.charges) == sum(line.credits + line.to_be_invoiced for line in lines)


@thorough
@given(zones, histories)
def test_every_month_adds_up(timezone: str, history: list[Happening]) -> None:
    """Billed units are free or charged; an amount is paid or to be invoiced; no more is free than included."""
    for month in Life(timezone).live(history).figures():
        for line in month.products:
            free = line.free_units.used if line.free_units else Decimal(0)
            assert line.quantity <= line.billed
            assert free <= min(line.billed, line.free_units.included if line.free_units else Decimal(0))
            assert 0 <= line.credits <= line.amount
            if line.resource == "message":
                # a message costs 1, so that the amount counts the charged ones
                assert line.billed == free + line.amount


@modest
@given(histories, batches)
def test_every_charge_adds_up(history: list[Happening], batch: list[Use]) -> None:
    """An event pays for the units that are not free; credit pays no more than it costs."""
    life = Life("UTC").live(history)

    _, charges = charge_events(life.state, price_all(batch, life.now), DEFAULT_CATALOGUE, life.now)

    for each in charges:
        increments = Fraction(each.billed - each.free) / Fraction(each.rate.increment)
        cost = decimals.exact_or_12_decimals(increments * Fraction(each.rate.price_per_increment))
        assert Decimal(0) <= each.free <= each.billed
        assert cost == Fraction(each.amount)
        assert each.credits <= each.amount
        assert all(payment.amount > 0 for payment in each.payments)


@modest
@given(histories, batches)
def test_sums_grow_by_what_is_charged(history: list[Happening], batch: list[Use]) -> None:
    """Every figure of a product and month grows by those of its events, and no other does."""
    life = Life("UTC").live(history)

    state, charges = charge_events(life.state, price_all(batch, life.now), DEFAULT_CATALOGUE, life.now)

    for period in {*life.state.periods, *state.periods}:
        before, after = life.state.usage_of(period).products, state.usage_of(period).products
        for resource, usage in after.items():
            old = before.get(resource, ProductUsage(usage.pool))
            own = [each for each in charges if (each.period, each.event.resource) == (period, resource)]
            assert usage == ProductUsage(
                old.pool,
                old.quantity + sum(each.event.quantity for each in own),
                old.billed + sum(each.billed for each in own),
                old.free + sum(each.free for each in own),
                old.amount + sum(each.amount for each in own),
                old.credits + sum(each.credits for each in own),
            )


@modest
@given(histories, batches, st.integers(0, 6))
def test_two_parts_equal_one(history: list[Happening], batch: list[Use], place: int) -> None:
    """Charging a request equals charging its beginning and then its end at the same instant."""
    life = Life("Europe/Lisbon").live(history)
    priced = sorted(price_all(batch, life.now), key=lambda each: each.event.time)

    whole, charges = charge_events(life.state, priced, DEFAULT_CATALOGUE, life.now)
    half, first = charge_events(life.state, priced[:place], DEFAULT_CATALOGUE, life.now)
    parts, second = charge_events(half, priced[place:], DEFAULT_CATALOGUE, life.now)

    assert whole == parts
    assert charges == first + second


@modest
@given(histories, batches, st.randoms(use_true_random=False))
def test_the_order_of_a_request_does_not_matter(history: list[Happening], batch: list[Use], random: Random) -> None:
    """Events of different times are charged alike however a request lists them."""
    life = Life("UTC").live(history)
    priced = price_all(list({use.seconds_ago: use for use in batch}.values()), life.now)
    shuffled = random.sample(priced, len(priced))

    assert charge_events(life.state, priced, DEFAULT_CATALOGUE, life.now) == charge_events(
        life.state, shuffled, DEFAULT_CATALOGUE, life.now
    )


def balances(state: AccountState, now: Instant) -> list[Decimal]:
    """Return the balance of each pool in the calendar month."""
    return [pool_balance(state, pool, state.current_period(now), now) for pool in POOLS]


@modest
@given(histories, batches)
def test_use_lowers_the_balance(history: list[Happening], batch: list[Use]) -> None:
    """Use of the current month lowers a pool's balance by its amount, whoever pays."""
    life = Life("UTC").live(history)
    current = [use._replace(seconds_ago=0) for use in batch]

    state, charges = charge_events(life.state, price_all(current, life.now), DEFAULT_CATALOGUE, life.now)

    costs = [
        sum(each.amount for each in charges if DEFAULT_CATALOGUE[each.event.resource].pool == pool) for pool in POOLS
    ]
    assert [balance - cost for balance, cost in zip(balances(life.state, life.now), costs, strict=True)] == balances(
        state, life.now
    )


@modest
@given(histories, credits_)
def test_credit_lifts_the_balance(history: list[Happening], credit: Credit) -> None:
    """Credit lifts the balance of its pool by its amount, whatever it pays on arrival."""
    life = Life("UTC").live(history)

    state, _ = book_grant(life.state, grant_of(credit, "new", "UTC", life.now))

    amounts = [credit.amount if credit.pool == pool else Decimal(0) for pool in POOLS]
    assert [balance + part for balance, part in zip(balances(life.state, life.now), amounts, strict=True)] == balances(
        state, life.now
    )


@modest
@given(histories, st.lists(st.integers(0, 60 * DAY // MINUTE), min_size=2, max_size=4))
def test_two_runs_equal_one(history: list[Happening], minutes: list[int]) -> None:
    """Carrying out what is due in several steps, some of them again, equals carrying it out in one."""
    life = Life("Africa/Cairo").live(history)
    steps = sorted(life.now + minute * MINUTE for minute in minutes)

    once, entries = carry_out_due(life.state, steps[-1], steps[-1])
    state, many = life.state, []
    for step in (*steps, *steps):
        state, some = carry_out_due(state, step, steps[-1])
        many += some

    assert once == state
    assert list(entries) == many


@modest
@given(histories, st.integers(0, 60 * DAY // MINUTE))
def test_a_late_close_changes_no_invoice(history: list[Happening], minutes: int) -> None:
    """However late a quiet account is closed, its invoice, its ledger and its credit are the same."""
    life = Life("America/Havana").live(history)
    due = close_due_at(life.state, life.state.oldest_open)
    late = due + minutes * MINUTE

    def close(now: Instant) -> tuple[object, ...]:
        state, entries = carry_out_due(life.state, now, now)
        closed = close_oldest_period(state, DEFAULT_CATALOGUE, now)
        after, later_entries = carry_out_due(closed.state, late, late)
        movements = [
            (entry.id, entry.at, entry.amount, entry.balance_before)
            for entry in (*entries, *closed.entries, *later_entries)
        ]
        return closed.invoice.figures, closed.invoice.total, movements, after.grants, after.periods

    assert close(due) == close(late)


@modest
@given(histories)
def test_invoices(history: list[Happening]) -> None:
    """Month after month is invoiced for the sum of its lines, each within half a cent of what is to be invoiced."""
    life = Life("Asia/Kolkata").live(history)
    life.wait(70 * DAY // MINUTE)

    first = Period(2026, 10).ordinal
    assert [Period.from_ordinal(first + index) for index in range(len(life.invoices))] == [
        invoice.period for invoice in life.invoices
    ]
    for invoice in life.invoices:
        lines = [line_total(product, "EUR") for product in invoice.figures.products]
        assert invoice.total == sum(lines)
        for product, line in zip(invoice.figures.products, lines, strict=True):
            assert abs(line - product.to_be_invoiced) <= Decimal("0.005")
