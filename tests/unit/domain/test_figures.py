"""The figures of a period, as the tab and the invoice show them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from chalicelib.domain.credit import GrantKind
from chalicelib.domain.figures import FreeUnitFigures, PoolFigures, figures_of, line_total
from chalicelib.domain.periods import Period
from chalicelib.domain.products import DEFAULT_CATALOGUE, SHARED_POOL, Display
from chalicelib.domain.state import ProductUsage
from tests.unit.domain.builders import a_grant, a_state, an_account, at, used


OCTOBER, NOVEMBER = Period(2026, 10), Period(2026, 11)
NOW = at("2026-11-10T12:00:00Z")


def test_a_product() -> None:
    """A product's row has its names from the catalogue and its sums from the state."""
    usage = ProductUsage(SHARED_POOL, Decimal(71234), Decimal(72000), Decimal(60000), Decimal("187.60"), Decimal("7.6"))
    state = a_state(account=an_account(per_account={"call": "60000"}), periods={"2026-11": {"call": usage}})

    (call,) = figures_of(state, NOVEMBER, DEFAULT_CATALOGUE, NOW).products

    assert ("call", "Calls", "second", Display("minute", Decimal(60)), SHARED_POOL) == (
        call.resource,
        call.name,
        call.unit,
        call.display,
        call.pool,
    )
    assert (Decimal(71234), Decimal(72000)) == (call.quantity, call.billed)
    # 187.60 - 7.6
    assert (Decimal("187.60"), Decimal("7.6"), Decimal(180)) == (call.amount, call.credits, call.to_be_invoiced)


@pytest.mark.parametrize(
    ("included", "free", "remaining"),
    [("100", "0", "100"), ("100", "40", "60"), ("100", "100", "0"), ("30", "40", "0")],
)
def test_free_units(included: str, free: str, remaining: str) -> None:
    """Free units show what the month includes now, what is used of it, and what is left, never below zero."""
    state = a_state(
        account=an_account(per_account={"call": included}), periods={"2026-11": {"call": used("1", free=free)}}
    )

    (call,) = figures_of(state, NOVEMBER, DEFAULT_CATALOGUE, NOW).products

    assert FreeUnitFigures(Decimal(included), Decimal(free)) == call.free_units
    assert Decimal(remaining) == call.free_units.remaining


def test_no_free_units() -> None:
    """A product without free units has no figures of them."""
    state = a_state(
        account=an_account(per_account={"message": "5"}, agents=0, per_agent={"call": "5"}),
        periods={"2026-11": {"call": used("1")}},
    )

    (call,) = figures_of(state, NOVEMBER, DEFAULT_CATALOGUE, NOW).products

    assert call.free_units is None


def test_order() -> None:
    """Products and pools come in the order of their codes, the shared pool first."""
    usages = {
        "virtual_agent": used("1", pool="virtual_agent"),
        "message": used("1"),
        "call": used("1"),
        "screen_recording_storage": used("1", pool="screen_recording_storage"),
    }

    figures = figures_of(a_state(periods={"2026-11": usages}), NOVEMBER, DEFAULT_CATALOGUE, NOW)

    assert [product.resource for product in figures.products] == [
        "call",
        "message",
        "screen_recording_storage",
        "virtual_agent",
    ]
    assert [pool.pool for pool in figures.pools] == [SHARED_POOL, "screen_recording_storage", "virtual_agent"]


def test_nothing_used() -> None:
    """Without usage and credit there are no products, and the shared pool stands at zero."""
    figures = figures_of(a_state(), NOVEMBER, DEFAULT_CATALOGUE, NOW)

    assert (figures.products, figures.last_event_at, figures.period) == ((), None, NOVEMBER)
    assert (PoolFigures(SHARED_POOL, *[Decimal(0)] * 4),) == figures.pools
    assert Decimal(0) == figures.pool(SHARED_POOL).balance


def test_pools() -> None:
    """A pool shows its credit by kind, what is to be invoiced, and the balance of both."""
    state = a_state(
        a_grant("a", "10", GrantKind.COMMITTED),
        a_grant("b", "4", GrantKind.PURCHASED),
        a_grant("c", "2", GrantKind.PROMOTIONAL),
        a_grant("d", "1", GrantKind.PROMOTIONAL),
        a_grant("own", "5", GrantKind.PURCHASED, pool="virtual_agent"),
        periods={"2026-11": {"call": used("9", paid="2"), "message": used("0.5")}},
    )

    figures = figures_of(state, NOVEMBER, DEFAULT_CATALOGUE, NOW)

    shared = figures.pool(SHARED_POOL)
    assert (Decimal(10), Decimal(4), Decimal(3)) == (shared.committed, shared.purchased, shared.promotional)
    # 10 + 4 + 3 = 17; 9 - 2 + 0.5 = 7.5
    assert (Decimal(17), Decimal("7.5"), Decimal("9.5")) == (shared.credit, shared.to_be_invoiced, shared.balance)
    # a pool with credit is shown before its product is used
    assert Decimal(5) == figures.pool("virtual_agent").balance


def test_red() -> None:
    """A balance below zero is what the next invoice will ask for."""
    figures = figures_of(a_state(periods={"2026-11": {"call": used("9.25")}}), NOVEMBER, DEFAULT_CATALOGUE, NOW)

    assert Decimal("-9.25") == figures.pool(SHARED_POOL).balance


def test_a_month_that_awaits_its_invoice() -> None:
    """A month that is over shows the credit that counts for it: its own, in force when its invoice is due."""
    state = a_state(
        a_grant("of November", "1", effective="2026-11-01T00:00:00Z"),
        a_grant("of October", "2", effective="2026-10-31T23:59:59Z"),
        a_grant("to the end of October", "4", effective="2026-10-01T00:00:00Z", expires="2026-11-01T00:00:00Z"),
        a_grant("to 5 November", "8", effective="2026-10-01T00:00:00Z", expires="2026-11-06T00:00:00Z"),
        periods={"2026-10": {"call": used("3")}},
        invoiced_through="2026-09",
    )

    def credit(moment: str) -> Decimal:
        return figures_of(state, OCTOBER, DEFAULT_CATALOGUE, at(moment)).pool(SHARED_POOL).credit

    # 2 + 4 + 8, less 4 at midnight; what expires after the invoice was due counts in it, however late it is issued
    assert Decimal(14) == credit("2026-10-31T23:59:59.999999Z")
    assert Decimal(10) == credit("2026-11-01T00:00:00Z")
    assert Decimal(10) == credit("2026-11-10T12:00:00Z")


def test_months_are_apart() -> None:
    """A month shows its own usage alone."""
    usages = {"2026-10": {"call": used("3")}, "2026-11": {"message": used("5")}}
    state = a_state(periods=usages, invoiced_through="2026-09")

    shown = [
        [product.resource for product in figures_of(state, period, DEFAULT_CATALOGUE, NOW).products]
        for period in (OCTOBER, NOVEMBER, NOVEMBER.next)
    ]

    assert shown == [["call"], ["message"], []]


@pytest.mark.parametrize(
    ("open_amount", "currency", "total"),
    [("0.005", "EUR", "0.01"), ("0.0049", "EUR", "0.00"), ("2.5", "JPY", "3"), ("1.2345", "KWD", "1.235")],
)
def test_a_line_is_rounded_half_up(open_amount: str, currency: str, total: str) -> None:
    """A line asks for what is to be invoiced, half-up to the minor unit."""
    state = a_state(periods={"2026-11": {"call": used(open_amount)}})

    (call,) = figures_of(state, NOVEMBER, DEFAULT_CATALOGUE, NOW).products

    assert total == str(line_total(call, currency))


def test_figures_are_exact() -> None:
    """A balance keeps digits that 28 figures would not hold."""
    huge = "1000000000000000000000000"
    state = a_state(a_grant("g", huge), periods={"2026-11": {"call": used("0.000000000001")}})

    figures = figures_of(state, NOVEMBER, DEFAULT_CATALOGUE, NOW)

    assert Decimal("999999999999999999999999.999999999999") == figures.pool(SHARED_POOL).balance
