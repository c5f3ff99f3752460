"""What is known of an account: the periods that are open and their usage."""

from __future__ import annotations

from decimal import Decimal

import pytest

from chalicelib.domain.periods import Period
from chalicelib.domain.products import SHARED_POOL
from chalicelib.domain.state import PeriodUsage
from tests.unit.domain.builders import a_state, an_account, at, used


@pytest.mark.parametrize(
    ("now", "invoiced_through", "current"),
    [
        ("2026-11-10T12:00:00Z", "2026-10", "2026-11"),
        # October awaits its invoice
        ("2026-11-01T00:30:00Z", "2026-09", "2026-11"),
        # the account was moved to a zone where it still is the month before its first
        ("2026-10-31T23:30:00Z", "2026-10", "2026-11"),
    ],
)
def test_the_current_period_is_never_invoiced(now: str, invoiced_through: str, current: str) -> None:
    """The calendar month is the current period, but none before the oldest that is open."""
    state = a_state(now=now, invoiced_through=invoiced_through)

    assert Period.parse(current) == state.current_period(at(now))


def test_the_current_period_is_local() -> None:
    """The calendar month is that of the account's zone."""
    state = a_state(account=an_account("America/New_York"), invoiced_through="2026-09")

    assert Period(2026, 10) == state.current_period(at("2026-11-01T03:59:59Z"))
    assert Period(2026, 11) == state.current_period(at("2026-11-01T04:00:00Z"))


def test_usage_by_pool() -> None:
    """The products of a pool come in the order of their codes, with what is to be invoiced of them."""
    usage = PeriodUsage(
        {
            "message": used("4", paid="1"),
            "virtual_agent": used("7", pool="virtual_agent"),
            "call": used("2.5"),
        }
    )

    assert [resource for resource, _ in usage.of_pool(SHARED_POOL)] == ["call", "message"]
    # 2.5 - 0 + 4 - 1
    assert Decimal("5.5") == usage.to_be_invoiced(SHARED_POOL)
    assert Decimal(7) == usage.to_be_invoiced("virtual_agent")
    assert Decimal(0) == usage.to_be_invoiced("screen_recording_storage")


def test_a_month_without_usage() -> None:
    """A period in which nothing happened has no products and no last event."""
    usage = a_state().usage_of(Period(2026, 11))

    assert (usage.products, usage.last_event_at) == ({}, None)


def test_other_periods_stay() -> None:
    """Changing the usage of one period leaves the others and the old state as they were."""
    state = a_state(periods={"2026-10": {"call": used("1")}}, invoiced_through="2026-09")

    changed = state.with_usage(Period(2026, 11), PeriodUsage({"call": used("2")}))

    assert Decimal(1) == changed.usage_of(Period(2026, 10)).to_be_invoiced(SHARED_POOL)
    assert Decimal(2) == changed.usage_of(Period(2026, 11)).to_be_invoiced(SHARED_POOL)
    assert Decimal(0) == state.usage_of(Period(2026, 11)).to_be_invoiced(SHARED_POOL)


def test_sums_are_exact() -> None:
    """What is to be invoiced keeps digits that 28 figures would not hold."""
    usage = PeriodUsage({"call": used("1000000000000000000000"), "message": used("0.000000000001")})

    assert Decimal("1000000000000000000000.000000000001") == usage.to_be_invoiced(SHARED_POOL)
