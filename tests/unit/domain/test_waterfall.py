"""The waterfall: increments, free units, credit, to be invoiced."""

from __future__ import annotations

from decimal import Decimal
from itertools import permutations
from typing import TYPE_CHECKING

import pytest

from chalicelib.domain.credit import GrantKind, Payment
from chalicelib.domain.money import exact
from chalicelib.domain.periods import Period
from chalicelib.domain.products import SHARED_POOL
from chalicelib.domain.state import ProductUsage
from chalicelib.domain.waterfall import Charge, billed_units, price
from tests.unit.domain.builders import (
    a_grant,
    a_rate,
    a_state,
    an_account,
    an_event,
    at,
    charge,
    left_of,
    paid_by,
    used,
)


if TYPE_CHECKING:
    from chalicelib.domain.rate_card import Rate
    from chalicelib.domain.usage_events import UsageEvent

NOVEMBER = Period(2026, 11)
COMMITTED, PROMOTIONAL, PURCHASED = GrantKind.COMMITTED, GrantKind.PROMOTIONAL, GrantKind.PURCHASED


def a_charge(event: UsageEvent, rate: Rate, billed: str, amount: str, payments: tuple[Payment, ...] = ()) -> Charge:
    """Return a charge in November without free units."""
    return Charge(
        event=event,
        period=NOVEMBER,
        is_late=False,
        rate=rate,
        billed=Decimal(billed),
        free=Decimal(0),
        amount=Decimal(amount),
        payments=payments,
    )


@pytest.mark.parametrize(
    ("quantity", "increment", "billed"),
    [
        ("0", "60", "0"),
        ("0.000000001", "60", "60"),
        ("1", "60", "60"),
        ("59.999999999", "60", "60"),
        ("60", "60", "60"),
        ("60.000000001", "60", "120"),
        ("95", "60", "120"),
        ("95", "6", "96"),
        ("95", "1", "95"),
        # 1.5 / 0.4 = 3.75
        ("1.5", "0.4", "1.6"),
        ("1.000000001", "0.000000002", "1.000000002"),
        ("999999999999.999999999", "1", "1000000000000"),
    ],
)
def test_whole_increments(quantity: str, increment: str, billed: str) -> None:
    """A quantity is billed in whole increments, rounded up."""
    assert Decimal(billed) == billed_units(Decimal(quantity), Decimal(increment))


@pytest.mark.parametrize(
    ("rate", "billed", "free", "amount"),
    [
        (a_rate("0.01", "60"), "120", "0", "0.02"),
        (a_rate("0.01", "60"), "120", "120", "0"),
        # 20 of 120 units are charged: 0.03 * 20 / 60
        (a_rate("0.03", "60"), "120", "100", "0.01"),
        # 0.01 * 6 / 7 = 0.008571428571|428...
        (a_rate("0.01", "7"), "7", "1", "0.008571428571"),
        # 0.01 * 5 / 7 = 0.007142857142|857...
        (a_rate("0.01", "7"), "7", "2", "0.007142857143"),
        # a whole number of increments is never endless: 0.01 * 14 / 7
        (a_rate("0.01", "7"), "14", "0", "0.02"),
        # 1e-12 / 1024 = 9.765625e-16: it ends, so that it is not rounded
        (a_rate("0.000000000001", "1024"), "1024", "1023", "0.0000000000000009765625"),
        (a_rate("0", "60"), "120", "0", "0"),
        # one unit of 3 at 1e-12: 0.333e-12 is nothing, two of them are 1e-12
        (a_rate("0.000000000001", "3"), "3", "2", "0"),
        (a_rate("0.000000000001", "3"), "3", "1", "0.000000000001"),
    ],
)
def test_prices(rate: Rate, billed: str, free: str, amount: str) -> None:
    """Just the units beyond the free ones cost: exactly, or half-up to 12 decimals where that is endless."""
    assert Decimal(amount) == price(rate, Decimal(billed), Decimal(free))


def test_the_largest_price() -> None:
    """The most expensive event there can be loses no digit."""
    nines = "999999999999.999999999999"
    state, _ = charge(a_state(), (an_event("999999999999"), a_rate(nines)))

    # (10 ** 12 - 1) * (10 ** 12 - 10 ** -12) = 10 ** 24 - 10 ** 12 - 1 + 10 ** -12
    assert Decimal("999999999998999999999999.000000000001") == state.usage_of(NOVEMBER).to_be_invoiced(SHARED_POOL)


def test_an_event_without_free_units_or_credit() -> None:
    """What nothing covers is to be invoiced."""
    event, rate = an_event("95"), a_rate("0.01", "60")

    state, charges = charge(a_state(), (event, rate))

    # 95 s are 2 increments
    assert charges == [a_charge(event, rate, "120", "0.02")]
    assert state.usage_of(NOVEMBER).products == {
        "call": ProductUsage(SHARED_POOL, Decimal(95), Decimal(120), Decimal(0), Decimal("0.02"), Decimal(0))
    }
    assert state.usage_of(NOVEMBER).last_event_at == event.time
    assert state.at == at("2026-11-10T12:00:00Z")


def test_free_units_first() -> None:
    """Free units cover billed units until they are used up; a partly covered event pays for the rest."""
    state = a_state(account=an_account(per_account={"call": "150"}))
    rate = a_rate("0.03", "60")

    # billed 120, 60, 60; free 120, 30, 0; amounts 0, 0.03 * 30 / 60, 0.03
    state, charges = charge(state, (an_event("95"), rate), (an_event("60"), rate), (an_event("1"), rate))

    assert [(str(each.billed), str(each.free), str(each.amount.normalize())) for each in charges] == [
        ("120", "120", "0"),
        ("60", "30", "0.015"),
        ("60", "0", "0.03"),
    ]
    assert state.usage_of(NOVEMBER).products["call"] == ProductUsage(
        SHARED_POOL, Decimal(156), Decimal(240), Decimal(150), Decimal("0.045"), Decimal(0)
    )


def test_free_units_per_agent() -> None:
    """Units per agent are shared by all agents of the account."""
    state = a_state(account=an_account(agents=3, per_agent={"call": "20"}))

    _, charges = charge(state, (an_event("100"), a_rate("1")))

    # 3 * 20 are free
    assert (Decimal(60), Decimal(40)) == (charges[0].free, charges[0].amount)


def test_free_units_of_another_product() -> None:
    """Free units are those of one product."""
    state = a_state(account=an_account(per_account={"message": "1000"}))

    _, charges = charge(state, (an_event("10"), a_rate("1")))

    assert Decimal(0) == charges[0].free


def test_free_units_cover_what_costs_nothing() -> None:
    """Free units go by units, also where the rate is zero."""
    state = a_state(account=an_account(per_account={"call": "100"}))

    _, charges = charge(state, (an_event("60"), a_rate("0")), (an_event("60"), a_rate("1")))

    # 60 of 100 are gone when the second comes: 60 - 40 are charged
    assert [Decimal(60), Decimal(40)] == [each.free for each in charges]
    assert Decimal(20) == charges[1].amount


def test_every_month_has_its_free_units() -> None:
    """A period begins with all its free units."""
    state = a_state(account=an_account(per_account={"call": "100"}), invoiced_through="2026-09")
    october = an_event("100", "2026-10-31T23:59:59Z")
    november = an_event("100", "2026-11-01T00:00:00Z")

    _, charges = charge(state, (october, a_rate("1")), (november, a_rate("1")), now="2026-11-01T00:30:00Z")

    assert [Decimal(100)] * 2 == [each.free for each in charges]


def test_fewer_free_units_than_are_used() -> None:
    """Where fewer free units are included now than were used, nothing is free and nothing is taken back."""
    account = an_account(per_account={"call": "50"})
    state = a_state(account=account, periods={"2026-11": {"call": used("0", free="80")}})

    state, charges = charge(state, (an_event("10"), a_rate("1")))

    assert (Decimal(0), Decimal(10)) == (charges[0].free, charges[0].amount)
    assert Decimal(80) == state.usage_of(NOVEMBER).products["call"].free


def test_nothing_used() -> None:
    """An event of no quantity is usage, too: it is billed nothing and costs nothing."""
    state, charges = charge(
        a_state(a_grant("g", "5"), account=an_account(per_account={"call": "5"})), (an_event("0"), a_rate("9", "60"))
    )

    assert (Decimal(0), Decimal(0), Decimal(0), ()) == (
        charges[0].billed,
        charges[0].free,
        charges[0].amount,
        charges[0].payments,
    )
    assert list(state.usage_of(NOVEMBER).products) == ["call"]


GRANTS = (
    a_grant("A", "5", PURCHASED),
    a_grant("B", "3", COMMITTED, expires="2026-12-01T00:00:00Z"),
    a_grant("C", "2", PROMOTIONAL, expires="2026-12-01T00:00:00Z"),
    a_grant("D", "1", PURCHASED, expires="2026-11-30T00:00:00Z"),
    a_grant("E", "4", COMMITTED, effective="2026-11-02T00:00:00Z"),
    a_grant("F", "4", COMMITTED),
    a_grant("G", "1", PROMOTIONAL),
)


def test_burn_down() -> None:
    """Credit pays grant by grant in burn order, over one event after the other, until none is left."""
    # the order is D 1, B 3, C 2, F 4, E 4, G 1, A 5: 20 in all
    state, charges = charge(
        a_state(*GRANTS),
        *((an_event(quantity), a_rate("0.5", "0.5")) for quantity in ("0.5", "5", "7", "10")),
    )

    assert [paid_by(each) for each in charges] == [
        [("D", "0.5")],
        [("D", "0.5"), ("B", "3"), ("C", "1.5")],
        # 0.5 + 4 + 2.5
        [("C", "0.5"), ("F", "4"), ("E", "2.5")],
        # 1.5 + 1 + 5 = 7.5 are left
        [("E", "1.5"), ("G", "1"), ("A", "5")],
    ]
    assert state.grants == ()
    # 0.5 + 5 + 7 + 10 - 20
    assert Decimal("2.5") == state.usage_of(NOVEMBER).to_be_invoiced(SHARED_POOL)


def test_what_burn_down_leaves() -> None:
    """Grants that have something left keep it; the order in which they stand is the one they were booked in."""
    state, _ = charge(a_state(*GRANTS), (an_event("12.5"), a_rate("0.5", "0.5")))

    # D 1, B 3, C 2, F 4 and 2.5 of E
    assert {"A": Decimal(5), "E": Decimal("1.5"), "G": Decimal(1)} == left_of(state.grants)
    assert [grant.id for grant in state.grants] == ["A", "E", "G"]


def test_credit_pays_after_free_units() -> None:
    """Credit covers just what free units leave."""
    state = a_state(a_grant("g", "100"), account=an_account(per_account={"call": "90"}))

    state, charges = charge(state, (an_event("95"), a_rate("0.6", "60")))

    # 120 - 90 = 30 units at 0.01
    assert paid_by(charges[0]) == [("g", "0.3")]
    assert {"g": Decimal("99.7")} == left_of(state.grants)
    assert Decimal(0) == state.usage_of(NOVEMBER).to_be_invoiced(SHARED_POOL)


def test_pools_are_apart() -> None:
    """A product sold apart is paid from its own pool, the others from the shared one."""
    state = a_state(a_grant("shared", "10"), a_grant("own", "10", pool="virtual_agent"))
    rate = a_rate("1")

    state, charges = charge(
        state,
        (an_event("4"), rate),
        (an_event("12", resource="virtual_agent"), rate),
        (an_event("5", resource="message"), rate),
    )

    assert [paid_by(each) for each in charges] == [[("shared", "4")], [("own", "10")], [("shared", "5")]]
    assert {"shared": Decimal(1)} == left_of(state.grants)
    assert Decimal(2) == state.usage_of(NOVEMBER).to_be_invoiced("virtual_agent")


def test_credit_of_november_never_lowers_october() -> None:
    """A late hour of October is paid by what took effect in October alone."""
    state = a_state(
        a_grant("October", "3", PURCHASED, effective="2026-10-31T23:59:59Z"),
        a_grant("November", "100", COMMITTED, effective="2026-11-01T00:00:00Z", expires="2026-11-30T00:00:00Z"),
        invoiced_through="2026-09",
    )
    october, november = an_event("5", "2026-10-31T23:00:00Z"), an_event("5", "2026-11-01T00:10:00Z")

    state, charges = charge(state, (october, a_rate("1")), (november, a_rate("1")), now="2026-11-01T00:30:00Z")

    assert [paid_by(each) for each in charges] == [[("October", "3")], [("November", "5")]]
    assert Decimal(2) == state.usage_of(Period(2026, 10)).to_be_invoiced(SHARED_POOL)


@pytest.mark.parametrize(("now", "paid"), [("2026-11-30T23:59:59.999999Z", [("g", "1")]), ("2026-12-01T00:00:00Z", [])])
def test_expired_credit_does_not_pay(now: str, paid: list[tuple[str, str]]) -> None:
    """Whether credit is in force is judged when the event is taken, whether or not its expiry was recorded."""
    state = a_state(a_grant("g", "5", expires="2026-12-01T00:00:00Z"))

    _, charges = charge(state, (an_event("1", "2026-11-30T23:00:00Z"), a_rate("1")), now=now)

    assert paid == paid_by(charges[0])


def test_credit_is_in_force_when_the_event_is_taken() -> None:
    """Credit that came after the use but before its event pays for it."""
    state = a_state(a_grant("g", "5", effective="2026-11-20T00:00:00Z"))
    event = an_event("1", "2026-11-10T00:00:00Z")

    _, before = charge(state, (event, a_rate("1")), now="2026-11-19T23:59:59Z")
    _, after = charge(state, (event, a_rate("1")), now="2026-11-20T00:00:00Z")

    assert (paid_by(before[0]), paid_by(after[0])) == ([], [("g", "1")])


def test_a_late_event() -> None:
    """An event of an invoiced month is charged in the oldest open one, by its free units and credit, and marked."""
    state = a_state(a_grant("November", "5"), account=an_account(per_account={"call": "10"}))
    october, november = an_event("12", "2026-10-20T09:00:00Z"), an_event("3", "2026-11-02T09:00:00Z")

    state, charges = charge(state, (october, a_rate("1")), (november, a_rate("1")))

    # 12 - 10 free, then 3
    assert [(NOVEMBER, True, Decimal(2)), (NOVEMBER, False, Decimal(3))] == [
        (each.period, each.is_late, each.amount) for each in charges
    ]
    assert [paid_by(each) for each in charges] == [[("November", "2")], [("November", "3")]]
    assert list(state.periods) == [NOVEMBER]


def test_an_event_of_a_month_not_yet_invoiced_is_not_late() -> None:
    """However long a close is delayed, events of its month still land in it."""
    state = a_state(invoiced_through="2026-09", now="2026-12-02T00:00:00Z")

    _, charges = charge(state, (an_event(time="2026-10-31T12:00:00Z"), a_rate("1")), now="2026-12-02T00:00:00Z")

    assert (Period(2026, 10), False) == (charges[0].period, charges[0].is_late)


def test_the_oldest_open_month_takes_what_is_late() -> None:
    """Where several months are open, a late event goes to the oldest of them."""
    state = a_state(invoiced_through="2026-09")

    _, charges = charge(state, (an_event(time="2026-09-30T12:00:00Z"), a_rate("1")), now="2026-12-02T00:00:00Z")

    assert (Period(2026, 10), True) == (charges[0].period, charges[0].is_late)


def test_the_month_is_local() -> None:
    """The account's zone decides to which month an event belongs."""
    state = a_state(account=an_account("America/New_York"), invoiced_through="2026-09")

    _, charges = charge(
        state,
        (an_event(time="2026-11-01T03:59:59Z"), a_rate("1")),
        (an_event(time="2026-11-01T04:00:00Z"), a_rate("1")),
    )

    assert [Period(2026, 10), NOVEMBER] == [each.period for each in charges]


def test_one_request_is_charged_by_time_then_index() -> None:
    """However a request is ordered, the earlier event takes free units first; of equal times the first listed."""
    state = a_state(account=an_account(per_account={"call": "10"}))
    rate = a_rate("1")
    early = an_event("10", "2026-11-10T09:00:00Z", name="early")
    first = an_event("1", "2026-11-10T10:00:00Z", name="first")
    second = an_event("2", "2026-11-10T10:00:00Z", name="second")

    for order in permutations([early, first, second]):
        _, charges = charge(state, *((event, rate) for event in order))
        twins = [event.id for event in order if event is not early]

        assert [each.event.id for each in charges] == ["early", *twins]
        assert [Decimal(10), Decimal(0), Decimal(0)] == [each.free for each in charges]


def test_the_last_event_is_the_latest() -> None:
    """A month's last event is the one with the latest time, in whatever order they come."""
    late, early = "2026-11-09T10:00:00Z", "2026-11-08T10:00:00Z"

    state, _ = charge(a_state(), (an_event(time=late), a_rate("1")))
    state, _ = charge(state, (an_event(time=early), a_rate("1")))

    assert at(late) == state.usage_of(NOVEMBER).last_event_at


def test_other_products_and_months_stay() -> None:
    """A charge changes the sums of its own product and month alone."""
    before = {"2026-10": {"call": used("1")}, "2026-11": {"call": used("2"), "message": used("3")}}

    state, _ = charge(a_state(periods=before, invoiced_through="2026-09"), (an_event("4"), a_rate("1")))

    assert state.usage_of(Period(2026, 10)).products == {"call": used("1")}
    assert state.usage_of(NOVEMBER).products == {"call": used("6"), "message": used("3")}


def test_usage_fixes_the_account() -> None:
    """An account is used once an event is taken, even one that costs nothing."""
    before = a_state()

    after, _ = charge(before, (an_event("0"), a_rate("0")))

    assert (before.is_used, after.is_used) == (False, True)


def test_the_state_is_as_of_the_charge() -> None:
    """A charge moves the account's own clock on."""
    state, _ = charge(a_state(now="2026-11-10T12:00:00Z"), (an_event(), a_rate("1")), now="2026-11-10T12:00:05Z")

    assert at("2026-11-10T12:00:05Z") == state.at


def test_sums_are_exact() -> None:
    """Large and small amounts add up without losing a digit."""
    state, _ = charge(
        a_state(),
        (an_event("999999999999"), a_rate("999999999999")),
        (an_event("0.000000001"), a_rate("0.000000000001", "0.000000001")),
    )

    # (10 ** 12 - 1) ** 2 = 10 ** 24 - 2 * 10 ** 12 + 1
    assert Decimal("999999999998000000000001.000000000001") == state.usage_of(NOVEMBER).to_be_invoiced(SHARED_POOL)


def test_what_credit_paid_is_exact() -> None:
    """What several grants paid adds up without losing a digit, whoever asks."""
    payments = (Payment("a", Decimal(10**24)), Payment("b", Decimal("0.000000000001")))
    amount = Decimal("1000000000000000000000000.000000000001")
    charged = a_charge(an_event(), a_rate("1"), "1", str(amount), payments)

    assert amount == charged.credits


def test_prices_are_exact_whoever_asks() -> None:
    """A price depends on its rate and units, not on the precision the caller works with."""
    arguments = a_rate("999999999999.999999999999"), Decimal(999999999999), Decimal(0)

    assert exact(price)(*arguments) == price(*arguments)
