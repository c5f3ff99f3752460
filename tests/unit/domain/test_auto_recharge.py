"""Auto recharge: what is paid when, how much of it, and what declines do."""

from __future__ import annotations

from decimal import Decimal

import pytest

from chalicelib.domain.auto_recharge import NEVER_CONFIGURED, AutoRecharge, AutoRechargeStatus, InFlight
from chalicelib.domain.instants import HOUR, MINUTE, Instant
from chalicelib.domain.periods import Period
from tests.unit.domain.builders import a_rule, an_auto_recharge, at


OCTOBER, NOVEMBER, DECEMBER = Period(2026, 10), Period(2026, 11), Period(2026, 12)
NOW = at("2026-11-10T12:00:00Z")


def due(auto: AutoRecharge, balance: str, now: Instant = NOW, month: Period = NOVEMBER) -> Decimal | None:
    """Return the payment that a balance asks for."""
    return auto.payment_due(Decimal(balance), month, now)


def paying(auto: AutoRecharge, amount: str, month: Period = NOVEMBER) -> AutoRecharge:
    """Return it with a payment in flight."""
    return auto.requested(InFlight("p-1", Decimal(amount), month))


def paid(auto: AutoRecharge, amount: str, month: Period = NOVEMBER) -> AutoRecharge:
    """Return it once a payment succeeded."""
    return paying(auto, amount, month).succeeded()


def declined(auto: AutoRecharge, times: int = 1, now: Instant = NOW) -> AutoRecharge:
    """Return it once payments were declined, one every hour, the last at *now*."""
    for hours_before in reversed(range(times)):
        auto = paying(auto, "50").declined(now - hours_before * HOUR)
    return auto


@pytest.mark.parametrize(
    ("balance", "payment"),
    [
        # 439.80 are missing, 8 * 50 = 400 < 439.80 <= 9 * 50
        ("-429.80", "450"),
        ("9.99", "50"),
        ("9.999999999999", "50"),
        ("0", "50"),
        # 50 are missing: one amount lifts it to the threshold, and that will do
        ("-40", "50"),
        ("-40.000000000001", "100"),
        ("-39.999999999999", "50"),
        ("-490", "500"),
        # 10 ** 12 + 9 are missing: 2 * 10 ** 10 times 50, and 9 more
        ("-999999999999", "1000000000050"),
    ],
)
def test_the_smallest_multiple(balance: str, payment: str) -> None:
    """Below the threshold the smallest multiple of the amount is paid that lifts the balance to it or above."""
    assert Decimal(payment) == due(an_auto_recharge(), balance)


@pytest.mark.parametrize("balance", ["10", "10.00", "10.000000000001", "5000"])
def test_nothing_at_the_threshold(balance: str) -> None:
    """At the threshold and above nothing is paid."""
    assert due(an_auto_recharge(), balance) is None


def test_multiples_of_an_uneven_amount() -> None:
    """Amounts with cents multiply exactly."""
    # 100 - 0.01 = 99.99 are missing: 3 * 33.33 = 99.99, and a trillionth less takes a fourth
    auto = an_auto_recharge(threshold="100", amount="33.33")

    assert Decimal("99.99") == due(auto, "0.01")
    assert Decimal("133.32") == due(auto, "0.009999999999")


@pytest.mark.parametrize(
    ("limit", "payment"),
    [
        # 450 are wanted
        ("1000", "450"),
        ("450", "450"),
        ("449.99", "400"),
        ("449", "400"),
        ("99", "50"),
        ("50", "50"),
        ("49.99", None),
        ("0", None),
    ],
)
def test_the_limit_of_a_month(limit: str, payment: str | None) -> None:
    """Where the limit stops the payment, the largest multiple is paid that it allows, or nothing."""
    expected = None if payment is None else Decimal(payment)

    assert expected == due(an_auto_recharge(limit=limit), "-429.80")


def test_a_limit_over_many_payments() -> None:
    """However often the balance falls, a month's payments stay within the limit."""
    auto = an_auto_recharge(amount="30", limit="100")
    payments = []
    for _ in range(10):
        amount = due(auto, "5")
        if amount is not None:
            payments.append(amount)
            auto = paid(auto, str(amount))

    # 4 * 30 were too much
    assert payments == [Decimal(30)] * 3
    assert Decimal(90) == auto.spent_in(NOVEMBER)


def test_a_limit_partly_spent() -> None:
    """What was spent before leaves less for the next payment of the month."""
    auto = paid(an_auto_recharge(limit="300"), "150")

    # 439.80 are missing, 150 are left: 3 * 50
    assert Decimal(150) == due(auto, "-429.80")
    assert due(paid(auto, "150"), "-429.80") is None


def test_pending_payments_count() -> None:
    """A payment counts for the limit from the moment it is asked for, and once only."""
    auto = paying(an_auto_recharge(limit="100"), "100")

    assert Decimal(100) == auto.spent_in(NOVEMBER)
    assert Decimal(100) == auto.succeeded().spent_in(NOVEMBER)


def test_declined_payments_do_not_count() -> None:
    """The limit gets back what was declined, and nothing more."""
    auto = paid(an_auto_recharge(limit="150"), "50")

    auto = paying(auto, "100").declined(NOW)

    assert Decimal(50) == auto.spent_in(NOVEMBER)
    assert Decimal(100) == due(auto, "-429.80", NOW + HOUR)


def test_every_month_has_its_limit() -> None:
    """What was spent in a month leaves the next month's limit alone."""
    auto = paid(an_auto_recharge(limit="100"), "100")

    assert due(auto, "5") is None
    assert Decimal(50) == due(auto, "5", at("2026-12-01T00:00:00Z"), DECEMBER)
    assert (Decimal(100), Decimal(0)) == (auto.spent_in(NOVEMBER), auto.spent_in(DECEMBER))
    assert Decimal(50) == paid(auto, "50", DECEMBER).spent_in(DECEMBER)


def test_declined_in_the_next_month() -> None:
    """A payment that counted for last month gives nothing back to this one."""
    auto = paying(paid(an_auto_recharge(limit="100"), "50", OCTOBER), "50", OCTOBER)

    auto = auto.declined(at("2026-11-01T00:10:00Z"))

    assert (Decimal(50), Decimal(0)) == (auto.spent_in(OCTOBER), auto.spent_in(NOVEMBER))
    # 439.80 are missing, and all of November's 100 are left
    assert Decimal(100) == due(auto, "-429.80", at("2026-11-01T01:10:00Z"))


def test_a_payment_counts_for_the_month_in_which_it_was_asked_for() -> None:
    """An outcome that is known only next month leaves that month's limit whole."""
    auto = paying(an_auto_recharge(limit="100"), "100", OCTOBER).succeeded()

    assert (Decimal(100), Decimal(0)) == (auto.spent_in(OCTOBER), auto.spent_in(NOVEMBER))


def test_one_in_flight() -> None:
    """While a payment's outcome is not known, however long, no other is made."""
    auto = paying(an_auto_recharge(), "50")

    assert due(auto, "-1000") is None
    assert due(auto, "-1000", NOW + 1000 * HOUR, DECEMBER) is None
    assert auto.next_try_at is None
    assert Decimal(50) == due(auto.succeeded(), "-40")


def test_an_unknown_outcome_is_no_failure() -> None:
    """A payment in flight counts no failure, starts no wait and switches nothing off."""
    auto = paying(declined(an_auto_recharge(), times=2), "50")

    assert (auto.failures, auto.status) == (2, AutoRechargeStatus.ACTIVE)
    assert paying(an_auto_recharge(), "50").failures == 0


@pytest.mark.parametrize(
    ("waited", "payment"), [(0, None), (59 * MINUTE, None), (HOUR - 1, None), (HOUR, "50"), (9 * HOUR, "50")]
)
def test_an_hour_after_a_decline(waited: Instant, payment: str | None) -> None:
    """After a decline the next payment waits an hour."""
    auto = declined(an_auto_recharge())

    assert (None if payment is None else Decimal(payment)) == due(auto, "5", NOW + waited)
    assert auto.next_try_at == NOW + HOUR


def test_a_wait_that_is_over() -> None:
    """A wait is forgotten at its end, not before."""
    auto = declined(an_auto_recharge())

    assert auto.waited(NOW + HOUR - 1) is auto
    assert auto.waited(NOW + HOUR).next_try_at is None
    assert auto.waited(NOW + HOUR).failures == 1


def test_three_declines_in_a_row() -> None:
    """The third decline in a row switches it off."""
    statuses = [declined(an_auto_recharge(), times).status.value for times in range(4)]

    assert statuses == ["active", "active", "active", "disabled_after_failures"]
    auto = declined(an_auto_recharge(), 3)
    assert (auto.is_enabled, auto.failures, auto.next_try_at) == (False, 3, None)
    assert due(auto, "-1000", NOW + 1000 * HOUR) is None


def test_a_success_starts_the_count_again() -> None:
    """Two declines, a success and two more declines leave it on; the third of them switches it off."""
    auto = paid(declined(an_auto_recharge(), 2), "50")
    assert (auto.failures, auto.next_try_at) == (0, None)

    auto = declined(auto, 2)

    assert (auto.failures, auto.status) == (2, AutoRechargeStatus.ACTIVE)
    assert declined(auto).status is AutoRechargeStatus.DISABLED_AFTER_FAILURES


def test_a_person_switches_it_on_again() -> None:
    """Switched on by a person after failures, it counts them from none; the hour after the last decline still holds."""
    auto = declined(an_auto_recharge(), 3).switched_on(a_rule("20", "100"))

    assert (auto.status, auto.failures) == (AutoRechargeStatus.ACTIVE, 0)
    assert due(auto, "5", NOW + HOUR - 1) is None
    assert Decimal(100) == due(auto, "5", NOW + HOUR)


def test_another_rule_is_no_new_start() -> None:
    """Changing the rule of auto recharge that is on keeps its failures, its wait, its payment and what was spent."""
    before = paying(declined(paid(an_auto_recharge(limit="500"), "100"), 2), "50")

    after = before.switched_on(a_rule("20", "200", "300"))

    assert after.rule == a_rule("20", "200", "300")
    assert (after.failures, after.in_flight, after.retry_at) == (2, before.in_flight, before.retry_at)
    assert Decimal(150) == after.spent_in(NOVEMBER)


def test_switched_off() -> None:
    """Switched off it pays nothing, knows its rule and what was spent, and forgets failures."""
    auto = declined(paid(an_auto_recharge(limit="500"), "100"), 2).switched_off()

    assert (auto.status, auto.failures, auto.next_try_at) == (AutoRechargeStatus.OFF, 0, None)
    assert auto.rule == a_rule(limit="500")
    assert Decimal(100) == auto.spent_in(NOVEMBER)
    assert due(auto, "-1000", NOW + 1000 * HOUR) is None


def test_switched_off_under_another_rule() -> None:
    """Switching off may bring a rule to remember."""
    assert an_auto_recharge().switched_off(a_rule("7", "70")).rule == a_rule("7", "70")


def test_switched_off_after_failures() -> None:
    """Once a person has switched it off, it is no longer failures that keep it off."""
    assert declined(an_auto_recharge(), 3).switched_off().status is AutoRechargeStatus.OFF


def test_switching_off_and_on_leaves_the_payment_in_flight() -> None:
    """A payment in flight goes on being the only one, whatever a person switches meanwhile."""
    auto = paying(an_auto_recharge(limit="100"), "50").switched_off().switched_on(a_rule(limit="100"))

    assert due(auto, "5") is None
    assert Decimal(50) == auto.spent_in(NOVEMBER)


def test_declined_once_it_was_switched_off() -> None:
    """A decline after switching off is no failure and is given back; switched on again, it still waits the hour."""
    auto = paying(an_auto_recharge(), "50").switched_off().declined(NOW)

    assert (auto.status, auto.failures, auto.in_flight) == (AutoRechargeStatus.OFF, 0, None)
    assert Decimal(0) == auto.spent_in(NOVEMBER)
    again = auto.switched_on(a_rule())
    assert (due(again, "5", NOW + HOUR - 1), due(again, "5", NOW + HOUR)) == (None, Decimal(50))


def test_succeeded_once_it_was_switched_off() -> None:
    """A success that comes after switching off leaves it off, and what was spent counts."""
    auto = paying(an_auto_recharge(), "50").switched_off().succeeded()

    assert (auto.status, auto.in_flight) == (AutoRechargeStatus.OFF, None)
    assert Decimal(50) == auto.spent_in(NOVEMBER)


def test_never_configured() -> None:
    """Before anyone sets it, it is off, without a rule, and pays nothing."""
    assert (NEVER_CONFIGURED.status, NEVER_CONFIGURED.rule) == (AutoRechargeStatus.OFF, None)
    assert due(NEVER_CONFIGURED, "-1000") is None
    assert Decimal(0) == NEVER_CONFIGURED.spent_in(NOVEMBER)


def test_the_words_for_its_status() -> None:
    """The status has the API's words."""
    assert [status.value for status in AutoRechargeStatus] == ["off", "active", "disabled_after_failures"]
