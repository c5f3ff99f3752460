"""What operators are shown of an account."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Final

import pytest

from chalicelib.domain.commitments import Frequency
from chalicelib.domain.products import SHARED_POOL
from chalicelib.services.inspect_account import inspect_account
from tests.unit.services.histories import ACCOUNT, History


NOTHING: Final = {
    "status": "off",
    "threshold": None,
    "amount": None,
    "monthly_limit": None,
    "failures": 0,
    "no_payment_before": None,
    "in_flight": None,
    "month": None,
    "spent_in_month": "0",
}


@pytest.fixture
def history() -> History:
    """Give an account that pays with a card that is always declined."""
    history = History(0)
    history.put_account("tok_declined")
    return history


def test_nobody(history: History) -> None:
    """There is nothing to show of an account that does not exist."""
    assert inspect_account(history.services.heads, "nobody") is None


def test_a_new_account(history: History) -> None:
    """Of an account to which nothing happened there is little to show."""
    shown = inspect_account(history.services.heads, ACCOUNT) or {}

    assert (shown["commitments"], shown["auto_recharge"], shown["warnings"]) == ([], NOTHING, [])


def test_commitments(history: History) -> None:
    """Terms now and from the next recharge, the recharges around today, and when the credit ends."""
    history.commit("60", rollover=False)
    history.commit("50", Frequency.QUARTERLY, ends=200, rollover=False)

    (shown,) = (inspect_account(history.services.heads, ACCOUNT) or {})["commitments"]
    assert shown == {
        "pool": SHARED_POOL,
        "terms": {
            "amount": "60",
            "frequency": "monthly",
            "starts_on": "2026-10-20",
            "ends_on": "2027-05-08",
            "rollover": False,
        },
        "terms_from_the_next_recharge": {
            "amount": "50",
            "frequency": "quarterly",
            "starts_on": "2026-10-20",
            "ends_on": "2027-05-08",
            "rollover": False,
        },
        "last_recharge_on": "2026-10-20",
        # The first day of the new terms, quarters counted from 20 October, once the running month is over.
        "next_recharge_on": "2027-01-20",
        "credit_expires_before": "2027-01-20",
        "granted_in_this_term": "60",
        "is_deleted": False,
    }


def test_auto_recharge_and_warnings_without_secrets(history: History) -> None:
    """The rule, the failures and the wait, the warnings raised, and nowhere the card."""
    history.commit("60")
    history.recharge_below("20", "50", "400")
    history.take(*(history.event(history.clock.now(), "message", Decimal(1000)) for _ in range(8)))

    shown = inspect_account(history.services.heads, ACCOUNT) or {}
    assert shown["auto_recharge"] == {
        "status": "active",
        "threshold": "20",
        "amount": "50",
        "monthly_limit": "400",
        "failures": 1,
        "no_payment_before": "2026-10-20T10:00:00Z",
        "in_flight": None,
        "month": "2026-10",
        "spent_in_month": "0",
    }
    # 60 - 0.0075 x (8000 - 40.5 free) = 0.30375, which is less than 5 per cent of 60.
    assert shown["warnings"] == [{"id": "credit-low-2026-10-5-1", "level": 5, "is_dismissed": False}]
    assert "tok_declined" not in json.dumps(shown)


def test_a_payment_in_flight(history: History) -> None:
    """A payment whose outcome is open is named with its amount."""
    history.put_account("tok_error")
    history.grant("25")
    history.recharge_below("20", "50")
    history.take(history.event(history.clock.now(), "message", Decimal(2000)))

    shown = (inspect_account(history.services.heads, ACCOUNT) or {})["auto_recharge"]
    payment, amount = shown["in_flight"].split(": ")
    assert (amount, shown["spent_in_month"], len(payment)) == ("50", "50", 26)
