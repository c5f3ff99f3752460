"""Accounts and the free units they include."""

from __future__ import annotations

from decimal import Decimal

import pytest

from chalicelib.domain.accounts import PaymentMethod, PaymentType
from tests.unit.domain.builders import an_account


@pytest.mark.parametrize(
    ("resource", "included"),
    [
        ("call", "1000"),
        # 12 agents * 2.5
        ("transcription", "30"),
        ("message", "0"),
    ],
)
def test_included_units(resource: str, included: str) -> None:
    """Free units are included for the account or for each agent; none where none are agreed."""
    account = an_account(agents=12, per_account={"call": "1000"}, per_agent={"transcription": "2.5"})

    assert Decimal(included) == account.included_units(resource)


def test_no_agents() -> None:
    """Units per agent are none without agents."""
    assert Decimal(0) == an_account(agents=0, per_agent={"call": "1000"}).included_units("call")


def test_included_units_are_exact() -> None:
    """No digit of a quantity is lost when it is multiplied."""
    account = an_account(agents=1_000_000_001, per_agent={"call": "123456789012.123456789"})

    # 123456789012.123456789 * 1000000000 + 123456789012.123456789
    assert Decimal("123456789135580245801.123456789") == account.included_units("call")


def test_the_calendar_of_the_zone() -> None:
    """An account's months are those of its zone."""
    account = an_account("Pacific/Kiritimati")

    assert str(account.calendar.period_of(1_793_440_800_000_000)) == "2026-11"  # 2026-10-31T10:00:00Z


def test_the_card_is_a_secret() -> None:
    """What stands for the card is never printed."""
    method = PaymentMethod(PaymentType.CREDIT_CARD, "tok_4711")

    assert "4711" not in repr(method)
    assert "4711" not in f"{method} {[method]}"
