"""The ledger: credit that arrives, credit that expires, and the balance before and after."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from chalicelib.domain.ledger import EntryKind, LedgerEntry, Settled, book_grant, expire_grant, pool_balance
from chalicelib.domain.periods import Period
from chalicelib.domain.products import SHARED_POOL
from tests.unit.domain.builders import a_grant, a_state, an_account, at, left_of, used


NOVEMBER = Period(2026, 11)
NOW = "2026-11-10T12:00:00Z"


def test_balance() -> None:
    """A balance is the credit that counts less what is to be invoiced, red below zero."""
    state = a_state(
        a_grant("a", "10"),
        a_grant("b", "5.5"),
        a_grant("own", "3", pool="virtual_agent"),
        periods={"2026-11": {"call": used("20", paid="4"), "message": used("1"), "number": used("9", pool="number")}},
    )

    # credit 10 + 5.5, to be invoiced (20 - 4) + 1
    assert Decimal("-1.5") == pool_balance(state, SHARED_POOL, NOVEMBER, at(NOW))
    assert Decimal(3) == pool_balance(state, "virtual_agent", NOVEMBER, at(NOW))
    assert Decimal(-9) == pool_balance(state, "number", NOVEMBER, at(NOW))
    assert Decimal(0) == pool_balance(state, "call", NOVEMBER, at(NOW))


def test_what_counts_for_a_balance() -> None:
    """Credit counts that is in force and took effect before the end of the period."""
    state = a_state(
        a_grant("counts", "1"),
        a_grant("expired", "2", expires=NOW),
        a_grant("to come", "4", effective="2026-11-11T00:00:00Z"),
        a_grant("of November", "8", effective="2026-11-01T00:00:00Z"),
        invoiced_through="2026-09",
    )

    assert Decimal(9) == pool_balance(state, SHARED_POOL, NOVEMBER, at(NOW))
    assert Decimal(0) == pool_balance(state, SHARED_POOL, Period(2026, 10), at(NOW))


def test_credit_that_finds_nothing_open() -> None:
    """Credit is kept whole where nothing of its pool is to be invoiced."""
    grant = a_grant("g", "10", effective=NOW)

    state, settled = book_grant(a_state(periods={"2026-11": {"call": used("5", paid="5")}}), grant)

    assert (grant,) == state.grants
    assert settled == ()
    assert state.is_used


@pytest.mark.parametrize(
    ("amount", "settled", "left"),
    [
        # open are call 3, email 2, message 4
        ("2", [("call", "2")], {}),
        ("3", [("call", "3")], {}),
        ("6", [("call", "3"), ("email", "2"), ("message", "1")], {}),
        ("9", [("call", "3"), ("email", "2"), ("message", "4")], {}),
        ("9.5", [("call", "3"), ("email", "2"), ("message", "4")], {"g": Decimal("0.5")}),
    ],
)
def test_credit_pays_what_is_open(amount: str, settled: list[tuple[str, str]], left: dict[str, Decimal]) -> None:
    """Credit first pays what is to be invoiced of its pool, products in the order of their codes."""
    before = {"message": used("5", paid="1"), "email": used("2"), "call": used("3"), "chat": used("7", paid="7")}
    state = a_state(periods={"2026-11": before})

    state, paid = book_grant(state, a_grant("g", amount, effective=NOW))

    assert tuple(Settled(resource, Decimal(part)) for resource, part in settled) == paid
    assert left == left_of(state.grants)
    # 9 were open
    assert max(9 - Decimal(amount), Decimal(0)) == state.usage_of(NOVEMBER).to_be_invoiced(SHARED_POOL)


def test_amounts_stay() -> None:
    """Arriving credit changes who pays, not what was used or what it costs."""
    state, _ = book_grant(a_state(periods={"2026-11": {"call": used("5", paid="1")}}), a_grant("g", "3", effective=NOW))

    assert state.usage_of(NOVEMBER).products == {"call": used("5", paid="4")}


def test_other_pools_stay() -> None:
    """Credit pays for its own pool alone."""
    before = {"call": used("5"), "virtual_agent": used("5", pool="virtual_agent")}

    state, settled = book_grant(
        a_state(periods={"2026-11": before}), a_grant("g", "8", pool="virtual_agent", effective=NOW)
    )

    assert (Settled("virtual_agent", Decimal(5)),) == settled
    assert Decimal(5) == state.usage_of(NOVEMBER).to_be_invoiced(SHARED_POOL)
    assert {"g": Decimal(3)} == left_of(state.grants)


@pytest.mark.parametrize(
    ("timezone", "effective", "month"),
    [
        ("UTC", "2026-10-31T23:59:59.999999Z", "2026-10"),
        ("UTC", "2026-11-01T00:00:00Z", "2026-11"),
        ("America/New_York", "2026-11-01T03:59:59Z", "2026-10"),
        ("Pacific/Kiritimati", "2026-10-31T10:00:00Z", "2026-11"),
    ],
)
def test_credit_pays_in_the_month_of_its_effect(timezone: str, effective: str, month: str) -> None:
    """While October awaits its invoice, credit of November pays for November."""
    state = a_state(
        account=an_account(timezone),
        periods={"2026-10": {"call": used("5")}, "2026-11": {"call": used("5")}},
        invoiced_through="2026-09",
    )

    state, _ = book_grant(state, a_grant("g", "2", effective=effective))

    left_open = {str(period): usage.to_be_invoiced(SHARED_POOL) for period, usage in state.periods.items()}
    assert {"2026-10": Decimal(5), "2026-11": Decimal(5)} | {month: Decimal(3)} == left_open


@pytest.mark.parametrize("amount", ["4", "9", "20"])
def test_the_balance_moves_by_the_amount(amount: str) -> None:
    """Whatever it pays on arrival, credit lifts the balance by its amount."""
    before = a_state(a_grant("other", "1"), periods={"2026-11": {"call": used("5"), "message": used("4")}})

    after, _ = book_grant(before, a_grant("g", amount, effective=NOW))

    # 1 - 9
    assert Decimal(-8) == pool_balance(before, SHARED_POOL, NOVEMBER, at(NOW))
    assert Decimal(amount) - 8 == pool_balance(after, SHARED_POOL, NOVEMBER, at(NOW))


def test_booking_is_exact() -> None:
    """A tiny remainder of a huge grant is kept."""
    huge = "1000000000000000000000000"
    state = a_state(periods={"2026-11": {"call": used(huge)}})

    state, _ = book_grant(state, a_grant("g", f"{huge}.000000000001", effective=NOW))

    assert {"g": Decimal("0.000000000001")} == left_of(state.grants)


def test_expiry() -> None:
    """What is left of a grant goes at its expiry, in the balance of the month in which that is."""
    grant = a_grant("g", "2.5", expires="2026-11-10T00:00:00Z")
    state = a_state(a_grant("other", "1"), grant, periods={"2026-11": {"call": used("3")}})

    state, entry = expire_grant(state, grant, at(NOW))

    # 1 + 2.5 - 3 before, 1 - 3 after
    assert entry == LedgerEntry(
        id=entry.id,
        at=at("2026-11-10T00:00:00Z"),
        recorded_at=at(NOW),
        kind=EntryKind.EXPIRY,
        pool=SHARED_POOL,
        amount=Decimal("-2.5"),
        balance_before=Decimal("0.5"),
        cause=entry.cause,
        actor=entry.actor,
        period=NOVEMBER,
        expires_on=date(2026, 11, 9),
        grant="g",
    )
    assert Decimal(-2) == entry.balance_after
    assert {"other": Decimal(1)} == left_of(state.grants)


def test_the_last_day_of_credit_is_local() -> None:
    """An expiry names the last day included, as the account's calendar has it."""
    grant = a_grant("g", "1", expires="2026-11-30T10:00:00Z")  # 1 December 0:00 on Kiritimati
    state = a_state(grant, account=an_account("Pacific/Kiritimati"))

    _, entry = expire_grant(state, grant, at("2026-11-30T10:00:00Z"))

    assert date(2026, 11, 30) == entry.expires_on


def test_expiries_have_stable_names() -> None:
    """Recording an expiry again yields an entry of the same name, another grant's has another."""
    one, other = a_grant("a", "1", expires=NOW), a_grant("b", "1", expires=NOW)
    state = a_state(one, other)

    names = [expire_grant(state, grant, at(NOW))[1].id for grant in (one, one, other)]

    assert names[0] == names[1]
    assert names[0] != names[2]


def test_what_never_expires_cannot() -> None:
    """Expiring a grant without expiry is a mistake."""
    grant = a_grant("g", "1")

    with pytest.raises(ValueError, match="never expires"):
        expire_grant(a_state(grant), grant, at(NOW))


def test_the_balance_after_is_exact() -> None:
    """Amount is after less before, to the last digit."""
    entry = LedgerEntry(
        id="e",
        at=0,
        recorded_at=0,
        kind=EntryKind.GRANT,
        pool=SHARED_POOL,
        amount=Decimal(1000000000000000000000000),
        balance_before=Decimal("0.000000000001"),
        cause="c",
        actor="a",
        period=NOVEMBER,
    )

    assert Decimal("1000000000000000000000000.000000000001") == entry.balance_after
