"""What follows from a change: the warning, the payment of auto recharge, and by which balance both are judged."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from chalicelib.domain.auto_recharge import AutoRecharge, InFlight
from chalicelib.domain.card_payments import CardPayment, PaymentKind, PaymentStatus, fail, succeed
from chalicelib.domain.consequences import Consequences, draw_consequences, expected_credit, warnings_shown
from chalicelib.domain.low_credit import ExpectedCredit
from chalicelib.domain.periods import Period
from chalicelib.domain.recharge import delete_commitment, put_commitment
from tests.unit.domain.builders import (
    a_commitment,
    a_grant,
    a_rate,
    a_state,
    an_account,
    an_auto_recharge,
    an_event,
    at,
    by_card,
    charge,
    used,
)


if TYPE_CHECKING:
    from chalicelib.domain.state import AccountState

OCTOBER, NOVEMBER = Period(2026, 10), Period(2026, 11)
NOON = "2026-11-10T12:00:00Z"
JUST_AFTER_OCTOBER = "2026-11-01T00:30:00Z"
ONE = a_rate("0.01", "0.01")


def use(
    state: AccountState, quantity: str, time: str = "2026-11-10T11:00:00Z", now: str = NOON, resource: str = "call"
) -> Consequences:
    """Return what follows from a use at 1 a unit."""
    after, charges = charge(state, (an_event(quantity, time, resource), ONE), now=now)
    return draw_consequences(state, after, charges, (), "p-1")


def without_charge(state: AccountState, now: str = NOON) -> Consequences:
    """Return what follows from a change of another kind."""
    return draw_consequences(state, replace(state, at=at(now)), (), (), "p-1")


def committed(state: AccountState) -> AccountState:
    """Return the state with a commitment of 1000 a month."""
    return state.with_commitment(a_commitment())


def recharging(state: AccountState, auto: AutoRecharge | None = None) -> AccountState:
    """Return the state with auto recharge: below 10 by 50, unless *auto* is another."""
    return replace(state, auto_recharge=auto or an_auto_recharge())


def names(follows: Consequences) -> list[str]:
    """Return the names of the notifications, in order."""
    return [told.name for told in follows.notifications]


def amount_of(follows: Consequences) -> Decimal | None:
    """Return the amount of the payment that is asked for."""
    return None if follows.payment is None else follows.payment.amount


def test_the_payment_that_is_asked_for() -> None:
    """A charge that leaves the balance below the threshold asks for one payment, and it is in flight from then on."""
    state = recharging(a_state(a_grant("g", "20.20"), account=by_card()))

    # 20.20 - 450 = -429.80; 439.80 are missing: 9 * 50
    follows = use(state, "450")

    assert follows.payment == CardPayment(
        id="p-1",
        account="acme",
        kind=PaymentKind.AUTO_RECHARGE,
        amount=Decimal(450),
        currency="EUR",
        actor="schedule:auto-recharge",
        requested_at=at(NOON),
        next_try_at=at(NOON),
    )
    assert follows.payment.status is PaymentStatus.PENDING
    assert follows.state.auto_recharge.in_flight == InFlight("p-1", Decimal(450), NOVEMBER)
    assert Decimal(450) == follows.state.auto_recharge.spent_in(NOVEMBER)
    assert follows.notifications == ()


@pytest.mark.parametrize(("quantity", "payment"), [("89.99", None), ("90", None), ("90.01", "50")])
def test_the_threshold(quantity: str, payment: str | None) -> None:
    """A balance that comes down to the threshold asks for nothing, a cent below for one amount."""
    state = recharging(a_state(a_grant("g", "100"), account=by_card()))

    assert (None if payment is None else Decimal(payment)) == amount_of(use(state, quantity))


def test_a_change_without_a_charge() -> None:
    """Whatever change leaves the balance below the threshold asks for a payment."""
    state = recharging(a_state(a_grant("g", "5"), account=by_card()))

    assert amount_of(without_charge(state)) == Decimal(50)


def test_while_a_payment_is_in_flight() -> None:
    """While a payment is in flight further charges ask for nothing."""
    first = use(recharging(a_state(account=by_card())), "5")
    assert amount_of(first) == Decimal(50)

    second = use(first.state, "500")

    assert second.payment is None
    assert second.state.auto_recharge == first.state.auto_recharge


def test_accounts_that_pay_by_invoice() -> None:
    """An account that pays by invoice makes no payment, even if auto recharge were on."""
    assert use(recharging(a_state(account=an_account())), "500").payment is None


@pytest.mark.parametrize("off", [AutoRecharge(), an_auto_recharge().switched_off(), an_auto_recharge(failures=3)])
def test_switched_off(off: AutoRecharge) -> None:
    """Auto recharge that was never on, that a person or that failures switched off pays nothing."""
    off = replace(off, is_enabled=False)

    assert use(recharging(a_state(account=by_card()), off), "500").payment is None


def test_the_shared_pool_alone() -> None:
    """What a product with a pool of its own costs lowers no balance that auto recharge minds."""
    state = recharging(a_state(a_grant("g", "100"), account=by_card()))

    assert use(state, "500", resource="virtual_agent").payment is None


def test_after_a_decline() -> None:
    """After a decline charges ask for nothing for an hour; then the first change of any kind does."""
    asked = use(recharging(a_state(account=by_card())), "5")
    assert asked.payment is not None
    state = fail(asked.state, asked.payment, "card_declined", at(NOON)).state

    assert use(state, "5", now="2026-11-10T12:59:59.999999Z").payment is None
    # 0 - 5 = -5
    assert amount_of(without_charge(state, "2026-11-10T13:00:00Z")) == Decimal(50)


def test_a_wait_that_is_over() -> None:
    """A wait that is over is forgotten even if nothing is to be paid, so that nothing is due any longer."""
    auto = replace(an_auto_recharge(failures=1), retry_at=at(NOON))
    state = recharging(a_state(a_grant("g", "100"), account=by_card()), auto)

    assert without_charge(state, "2026-11-10T11:59:59Z").state.auto_recharge == auto
    after = without_charge(state)

    assert after.payment is None
    assert after.state.auto_recharge == replace(auto, retry_at=None)
    by_invoice = without_charge(replace(state, account=an_account()))
    assert by_invoice.state.auto_recharge.next_try_at is None


def test_october_awaits_its_invoice() -> None:
    """What is to be invoiced for October does not make November's balance fall below the threshold."""
    periods = {"2026-10": {"call": used("500")}, "2026-11": {"call": used("3", paid="3")}}
    state = recharging(
        a_state(
            a_grant("g", "20"),
            account=by_card(),
            periods=periods,
            invoiced_through="2026-09",
            now="2026-11-01T00:20:00Z",
        )
    )

    assert without_charge(state, JUST_AFTER_OCTOBER).payment is None
    # a late hour of October takes nothing from November where credit took effect in November
    assert use(state, "30", "2026-10-31T23:59:00Z", JUST_AFTER_OCTOBER).payment is None
    # 20 - 12 = 8
    assert amount_of(use(state, "12", "2026-11-01T00:10:00Z", JUST_AFTER_OCTOBER)) == Decimal(50)


def test_october_burns_what_november_counts_on() -> None:
    """A late hour of October that older credit pays lowers the balance of November, too."""
    old = a_grant("g", "20", effective="2026-10-01T00:00:00Z")
    state = recharging(a_state(old, account=by_card(), invoiced_through="2026-09"))

    # 20 - 10 = 10 is the threshold; 20 - 11 = 9
    assert use(state, "10", "2026-10-31T23:59:00Z", JUST_AFTER_OCTOBER).payment is None
    follows = use(state, "11", "2026-10-31T23:59:00Z", JUST_AFTER_OCTOBER)

    assert amount_of(follows) == Decimal(50)
    # it counts for the month in which it is asked for
    assert follows.state.auto_recharge.month == NOVEMBER


def test_the_limit_is_of_the_accounts_month() -> None:
    """Which month a payment counts for is judged in the account's zone."""
    account = by_card(an_account("America/New_York"))
    spent = replace(an_auto_recharge(limit="50"), month=OCTOBER, month_spent=Decimal(50))
    state = recharging(a_state(account=account, invoiced_through="2026-09"), spent)

    assert use(state, "5", "2026-10-31T12:00:00Z", "2026-11-01T03:59:59Z").payment is None
    assert amount_of(use(state, "5", "2026-11-01T04:00:00Z", "2026-11-01T04:00:00Z")) == Decimal(50)


def test_the_warning_is_judged_before_auto_recharge() -> None:
    """A charge warns by the balance it leaves and asks for the payment as well, the warning first."""
    state = recharging(committed(a_state(a_grant("g", "110"), account=by_card())))

    # 110 - 101 = 9 is below 5 % of 1000 and below the threshold of 10
    follows = use(state, "101")

    (told,) = follows.notifications
    assert (told.name, told.data["level"], told.data["balance"]) == ("credit.low", 5, "9.00")
    assert amount_of(follows) == Decimal(50)
    assert warnings_shown(follows.state, at(NOON)) == [5]


def test_the_warning_ends_with_the_credit() -> None:
    """Credit that arrives takes the warning away; a charge that crosses the level again raises another."""
    warned = use(recharging(committed(a_state(a_grant("g", "110"), account=by_card()))), "101")
    assert warned.payment is not None
    state = succeed(warned.state, warned.payment, at("2026-11-10T12:00:01Z")).state
    assert warnings_shown(state, at("2026-11-10T12:00:01Z")) == []

    # 9 + 50 - 9 = 50 is 5 %
    again = use(state, "9", now="2026-11-10T12:00:02Z")

    assert names(again) == ["credit.low"]
    assert again.notifications[0].id != warned.notifications[0].id


def test_warnings_follow_from_charges_alone() -> None:
    """A change that charges nothing raises no warning, however little credit is left."""
    state = committed(a_state(a_grant("g", "1"), account=by_card()))

    assert without_charge(state).notifications == ()
    assert without_charge(state).state.warnings == state.warnings


def test_any_charge_judges() -> None:
    """A charge that costs the shared pool nothing judges its balance, too: a level crossed before it is raised."""
    state = committed(a_state(a_grant("g", "100"), account=by_card()))

    assert names(use(state, "0")) == ["credit.low"]
    assert names(use(state, "5", resource="virtual_agent")) == ["credit.low"]


def test_one_charge_after_the_other() -> None:
    """From 200 down to 40 of 1000 the levels are raised one by one, each at the charge that reaches it."""
    state = committed(a_state(a_grant("g", "200"), account=by_card()))
    levels = []
    # 200 -> 151 -> 150 -> 149 -> 101 -> 100 -> 50 -> 40
    for quantity in ("49", "1", "1", "48", "1", "50", "10"):
        follows = use(state, quantity)
        levels.append([told.data["level"] for told in follows.notifications])
        state = follows.state

    assert levels == [[], [15], [], [], [10], [5], []]


def test_one_charge_of_a_request_for_all() -> None:
    """A request of many events is judged once, by the balance it leaves."""
    state = committed(a_state(a_grant("g", "200"), account=by_card()))
    after, charges = charge(state, *((an_event("10", name=f"e-{number}"), ONE) for number in range(12)))

    follows = draw_consequences(state, after, charges, (), "p-1")

    # 200 - 120 = 80: 15 % and 10 % are crossed
    assert [told.data["level"] for told in follows.notifications] == [10]


def test_overdrawn_by_invoice() -> None:
    """By invoice the warning comes when the balance is red by more than 85 % of the commitment per month."""
    state = committed(a_state(a_grant("g", "100"), account=an_account()))

    # 100 - 950 = -850, and one more
    state = use(state, "950").state
    assert state.warnings.raised == ()
    follows = use(state, "1")

    assert [(told.data["level"], told.data["balance"]) for told in follows.notifications] == [(85, "-851.00")]
    assert follows.payment is None


def test_warnings_go_by_the_calendar_month() -> None:
    """While October awaits its invoice the warning goes by November's balance."""
    periods = {"2026-10": {"call": used("5000")}}
    old = a_grant("g", "200", effective="2026-10-01T00:00:00Z")
    state = committed(a_state(old, account=by_card(), periods=periods, invoiced_through="2026-09"))

    assert names(use(state, "49", "2026-10-31T23:59:00Z", JUST_AFTER_OCTOBER)) == []
    (told,) = use(state, "50", "2026-10-31T23:59:00Z", JUST_AFTER_OCTOBER).notifications
    assert (told.data["level"], told.data["period"], told.data["balance"]) == (15, "2026-11", "150.00")


def test_shown_while_true() -> None:
    """A warning shows in its month while its level is crossed, whatever the changes between."""
    warned = use(committed(a_state(a_grant("g", "200"), account=by_card())), "50").state
    assert warnings_shown(warned, at(NOON)) == [15]

    richer = replace(warned, grants=(*warned.grants, a_grant("h", "0.01")))
    assert warnings_shown(richer, at(NOON)) == []
    assert warnings_shown(warned, at("2026-12-01T00:00:00Z")) == []


def test_without_a_commitment() -> None:
    """Without a commitment in the shared pool there is nothing to measure by, and no warning."""
    state = a_state(a_grant("g", "1"), account=by_card())
    elsewhere = state.with_commitment(a_commitment(pool="virtual_agent"))

    assert (names(use(state, "1")), names(use(elsewhere, "1"))) == ([], [])
    assert expected_credit(elsewhere, at(NOON)) is None


def test_a_commitment_not_begun() -> None:
    """A commitment stands for credit from its first recharge on."""
    waiting = replace(a_commitment(), last_recharge_on=None, granted=Decimal(0))
    state = a_state(a_grant("g", "1"), account=by_card()).with_commitment(waiting)

    assert expected_credit(state, at(NOON)) is None
    assert names(use(state, "1")) == []


@pytest.mark.parametrize(
    ("timezone", "now", "is_measured"),
    [
        ("UTC", "2026-11-20T23:59:59.999999Z", True),
        ("UTC", "2026-11-21T00:00:00Z", False),
        ("America/New_York", "2026-11-21T04:59:59Z", True),
        ("Pacific/Kiritimati", "2026-11-20T10:00:00Z", False),
    ],
)
def test_a_commitment_that_is_over(timezone: str, now: str, is_measured: bool) -> None:  # noqa: FBT001 - a column
    """A commitment stands for credit through its last day in the account's zone."""
    ending = a_commitment(ends_on=date(2026, 11, 20))
    state = a_state(account=by_card(an_account(timezone))).with_commitment(ending)

    assert (expected_credit(state, at(now)) is not None) == is_measured


def test_a_deleted_commitment() -> None:
    """A commitment that was deleted stands for no credit to come; a warning it raised no longer shows."""
    warned = use(committed(a_state(a_grant("g", "60"), account=by_card())), "10").state
    assert warnings_shown(warned, at(NOON)) == [5]

    deleted = delete_commitment(warned, "contact_center_services", at(NOON))

    assert (expected_credit(deleted, at(NOON)), warnings_shown(deleted, at(NOON))) == (None, [])


def test_a_changed_commitment() -> None:
    """A raise counts from the day it is made, a lower amount from the next recharge."""
    state = committed(a_state(account=by_card()))
    terms = a_commitment().terms

    raised, _ = put_commitment(state, "contact_center_services", replace(terms, amount=Decimal(1500)), at(NOON), "a")
    lowered, _ = put_commitment(state, "contact_center_services", replace(terms, amount=Decimal(500)), at(NOON), "a")

    assert expected_credit(raised, at(NOON)) == ExpectedCredit(Decimal(1500), 1)
    assert expected_credit(lowered, at(NOON)) == ExpectedCredit(Decimal(1000), 1)


def test_a_quarterly_commitment() -> None:
    """A quarter's commitment is measured by the month."""
    state = a_state(a_grant("g", "60"), account=by_card()).with_commitment(a_commitment("1000", "quarterly"))

    # 15 % of 333.33... is 50
    assert names(use(state, "9.99")) == []
    (told,) = use(state, "10").notifications
    assert (told.data["commitment"], told.data["commitment_months"]) == ("1000.00", 3)
