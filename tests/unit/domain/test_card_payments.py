"""Payments by card: the credit that a success books, and what a failure leaves."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from chalicelib.domain.auto_recharge import AutoRecharge, AutoRechargeStatus, InFlight
from chalicelib.domain.card_payments import CardPayment, PaymentKind, PaymentStatus, fail, succeed
from chalicelib.domain.credit import GrantKind
from chalicelib.domain.instants import HOUR
from chalicelib.domain.ledger import EntryKind, LedgerEntry, Settled, pool_balance
from chalicelib.domain.periods import Period
from chalicelib.domain.products import SHARED_POOL
from chalicelib.domain.state import AccountState
from tests.unit.domain.builders import a_grant, a_state, an_account, an_auto_recharge, at, by_card, used


OCTOBER, NOVEMBER = Period(2026, 10), Period(2026, 11)
NOW = at("2026-11-10T12:00:05Z")
PURCHASE, AUTO_RECHARGE = PaymentKind.PURCHASE, PaymentKind.AUTO_RECHARGE


def a_payment(amount: str = "100", kind: PaymentKind = PURCHASE, actor: str = "anna") -> CardPayment:
    """Return a payment asked for some seconds ago, which the gateway knows."""
    asked_at = NOW - 5_000_000
    return CardPayment(
        id="p-1",
        account="acme",
        kind=kind,
        amount=Decimal(amount),
        currency="EUR",
        actor=actor,
        requested_at=asked_at,
        next_try_at=asked_at,
        gateway_id="pi_1",
    )


def in_flight(amount: str = "100", failures: int = 0) -> AutoRecharge:
    """Return auto recharge whose payment is on its way."""
    payment = InFlight("p-1", Decimal(amount), NOVEMBER)
    return an_auto_recharge(threshold="10", amount=amount, failures=failures, in_flight=payment)


def a_card_state(**usage: str) -> AccountState:
    """Return a state in which so much of each product is to be invoiced, and 3 of credit are left in another pool."""
    november = {resource: used(amount) for resource, amount in usage.items()}
    other = a_grant("other", "3", pool="virtual_agent")
    return a_state(other, account=by_card(), periods={"2026-11": november})


def test_a_purchase_succeeds() -> None:
    """Credit is booked as of the success, whole where nothing is open, with a ledger entry."""
    state, payment = a_card_state(), a_payment()

    settlement = succeed(state, payment, NOW)

    (_, grant) = settlement.state.grants
    assert grant == replace(grant, pool=SHARED_POOL, kind=GrantKind.PURCHASED, remaining=Decimal(100), effective_at=NOW)
    assert grant.expires_at is None
    assert settlement.entries == (
        LedgerEntry(
            id="purchase-p-1",
            at=NOW,
            recorded_at=NOW,
            kind=EntryKind.PURCHASE,
            pool=SHARED_POOL,
            amount=Decimal(100),
            balance_before=Decimal(0),
            cause="p-1",
            actor="anna",
            period=NOVEMBER,
            grant=grant.id,
        ),
    )
    assert settlement.payment == replace(
        payment, status=PaymentStatus.SUCCEEDED, settled_at=NOW, balance=Decimal(100), reason=None
    )
    assert (settlement.state.at, settlement.state.is_used) == (NOW, True)
    # what is told follows from the entry
    assert settlement.notifications == ()


def test_a_purchase_pays_what_is_open() -> None:
    """What is to be invoiced is paid first, products by their codes; what is left becomes credit."""
    state = a_card_state(message="25", call="60.5")

    settlement = succeed(state, a_payment(), NOW)

    (entry,) = settlement.entries
    assert entry.settled == (Settled("call", Decimal("60.5")), Settled("message", Decimal(25)))
    # -60.5 - 25 = -85.5, and 100 more
    assert (entry.balance_before, entry.balance_after) == (Decimal("-85.5"), Decimal("14.5"))
    assert settlement.payment.balance == Decimal("14.5")
    assert [grant.remaining for grant in settlement.state.grants] == [Decimal(3), Decimal("14.5")]
    assert settlement.state.usage_of(NOVEMBER).products == {
        "call": used("60.5", paid="60.5"),
        "message": used("25", paid="25"),
    }


def test_a_purchase_smaller_than_what_is_open() -> None:
    """Where more is open than was bought, all of it is paid at once and the balance stays red."""
    settlement = succeed(a_card_state(call="60.5", message="80"), a_payment(), NOW)

    (entry,) = settlement.entries
    # 100 - 60.5 = 39.5 for the messages, of which 40.5 are left
    assert entry.settled == (Settled("call", Decimal("60.5")), Settled("message", Decimal("39.5")))
    assert settlement.payment.balance == Decimal("-40.5")
    assert pool_balance(settlement.state, SHARED_POOL, NOVEMBER, NOW) == Decimal("-40.5")
    assert [grant.id for grant in settlement.state.grants] == ["other"]


def test_credit_left_before() -> None:
    """Credit that was left stays and counts for the balance before."""
    state = replace(a_card_state(), grants=(a_grant("old", "7.25"),))

    settlement = succeed(state, a_payment(), NOW)

    assert (settlement.entries[0].balance_before, settlement.payment.balance) == (Decimal("7.25"), Decimal("107.25"))
    assert [grant.remaining for grant in settlement.state.grants] == [Decimal("7.25"), Decimal(100)]


def test_while_last_month_awaits_its_invoice() -> None:
    """A purchase made then pays for the calendar month, and its balance is that month's."""
    state = a_state(
        account=by_card(),
        invoiced_through="2026-09",
        periods={"2026-10": {"call": used("500")}, "2026-11": {"call": used("30")}},
    )
    now = at("2026-11-01T00:30:00Z")

    settlement = succeed(state, a_payment(), now)

    assert (settlement.entries[0].period, settlement.payment.balance) == (NOVEMBER, Decimal(70))
    assert settlement.state.usage_of(OCTOBER).products == {"call": used("500")}
    assert settlement.state.usage_of(NOVEMBER).products == {"call": used("30", paid="30")}


def test_the_month_is_the_accounts() -> None:
    """Which month a purchase pays for is judged in the account's zone."""
    account = by_card(an_account("America/New_York"))
    state = a_state(account=account, invoiced_through="2026-09")

    assert succeed(state, a_payment(), at("2026-11-01T03:59:59Z")).entries[0].period == OCTOBER
    assert succeed(state, a_payment(), at("2026-11-01T04:00:00Z")).entries[0].period == NOVEMBER


def test_a_purchase_leaves_auto_recharge_alone() -> None:
    """A purchase, made or declined, does not switch auto recharge on, settle its payment or count in its month."""
    auto = in_flight(failures=2)
    state = replace(a_card_state(), auto_recharge=auto)

    assert succeed(state, a_payment("777"), NOW).state.auto_recharge == auto
    assert fail(state, a_payment("777"), "card_declined", NOW).state.auto_recharge == auto
    assert succeed(a_card_state(), a_payment(), NOW).state.auto_recharge.status is AutoRechargeStatus.OFF


def test_an_auto_recharge_succeeds() -> None:
    """Its credit has an entry of its own kind, its payment is no longer in flight, and failures are forgotten."""
    state = replace(a_card_state(call="90"), auto_recharge=in_flight(failures=2))

    settlement = succeed(state, a_payment(kind=AUTO_RECHARGE, actor="schedule:auto-recharge"), NOW)

    (entry,) = settlement.entries
    assert (entry.id, entry.kind, entry.actor) == (
        "auto_recharge-p-1",
        EntryKind.AUTO_RECHARGE,
        "schedule:auto-recharge",
    )
    assert settlement.payment.balance == Decimal(10)
    auto = settlement.state.auto_recharge
    assert (auto.in_flight, auto.failures, auto.status) == (None, 0, AutoRechargeStatus.ACTIVE)
    assert Decimal(100) == auto.spent_in(NOVEMBER)


def test_credit_rearms_warnings() -> None:
    """Credit that was bought re-arms the low-credit warnings; a declined payment does not."""
    state = a_card_state()

    assert succeed(state, a_payment(), NOW).state.warnings == state.warnings.rearmed()
    assert fail(state, a_payment(), "card_declined", NOW).state.warnings == state.warnings


def test_a_purchase_fails() -> None:
    """A declined purchase books nothing and tells nobody: whoever asked for it has the answer."""
    state, payment = a_card_state(call="60.5"), a_payment()

    settlement = fail(state, payment, "insufficient_funds", NOW)

    assert settlement.state == replace(state, at=NOW)
    assert settlement.payment == replace(
        payment, status=PaymentStatus.FAILED, settled_at=NOW, reason="insufficient_funds"
    )
    assert (settlement.entries, settlement.notifications) == ((), ())


def test_an_auto_recharge_fails() -> None:
    """A declined auto recharge changes no credit, counts a failure, and tells when the next is tried."""
    state = replace(a_card_state(call="90"), auto_recharge=in_flight())

    settlement = fail(state, a_payment(kind=AUTO_RECHARGE), "insufficient_funds", NOW)

    assert settlement.entries == ()
    assert (settlement.state.grants, settlement.state.periods) == (state.grants, state.periods)
    auto = settlement.state.auto_recharge
    assert (auto.failures, auto.in_flight, auto.next_try_at) == (1, None, NOW + HOUR)
    assert Decimal(0) == auto.spent_in(NOVEMBER)
    (told,) = settlement.notifications
    assert (told.id, told.name, told.at) == ("acme:failed-p-1", "auto_recharge.failed", NOW)
    assert told.data == {
        "account": "acme",
        "payment": "p-1",
        "amount": "100.00",
        "currency": "EUR",
        "reason": "insufficient_funds",
        "failures": 1,
        "next_try_at": "2026-11-10T13:00:05Z",
    }


def test_the_third_failure() -> None:
    """The third failure in a row switches auto recharge off and says so, after it told of the failure."""
    state = replace(a_card_state(), auto_recharge=in_flight(failures=2))

    settlement = fail(state, a_payment(kind=AUTO_RECHARGE), "card_declined", NOW)

    assert settlement.state.auto_recharge.status is AutoRechargeStatus.DISABLED_AFTER_FAILURES
    failed, disabled = settlement.notifications
    assert (failed.name, failed.data["failures"], failed.data["next_try_at"]) == ("auto_recharge.failed", 3, None)
    assert (disabled.id, disabled.name) == ("acme:disabled-p-1", "auto_recharge.disabled")
    assert disabled.data == {"account": "acme", "payment": "p-1", "failures": 3}


def test_declined_once_it_was_switched_off() -> None:
    """A decline that comes after a person switched it off is told, but it is not what switched it off."""
    state = replace(a_card_state(), auto_recharge=in_flight(failures=2).switched_off())

    settlement = fail(state, a_payment(kind=AUTO_RECHARGE), "card_declined", NOW)

    assert settlement.state.auto_recharge.status is AutoRechargeStatus.OFF
    assert [told.name for told in settlement.notifications] == ["auto_recharge.failed"]


@pytest.mark.parametrize(
    ("status", "is_settled"),
    [(PaymentStatus.PENDING, False), (PaymentStatus.SUCCEEDED, True), (PaymentStatus.FAILED, True)],
)
def test_settled(status: PaymentStatus, is_settled: bool) -> None:  # noqa: FBT001 - a column of the table
    """A payment is settled once its outcome is known."""
    assert replace(a_payment(), status=status).is_settled == is_settled
