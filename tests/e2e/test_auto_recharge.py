"""Auto recharge as customers switch it on, and what it buys by itself."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.client import assert_problem, event, expect
from tests.e2e.samples import SIMPLE, pays_by_card


if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.client import Client
    from tests.e2e.server import Server

SHARED = "contact_center_services"
NOON = "2021-01-31T12:00:00Z"
OFF = {
    "enabled": False,
    "threshold": None,
    "amount": None,
    "monthly_limit": None,
    "status": "off",
    "failures": 0,
    "spent_this_month": "0.00",
}


@pytest.fixture
def customer(client: Client, name: str) -> str:
    """Give an account that pays by card and has 100.00 of credit."""
    client.put_account(name, pays_by_card())
    client.grant(name, "100", "opening")
    return name


@pytest.fixture
def clocked(start_server: Callable[..., Server]) -> Server:
    """Give a server of the test's own, at noon of the last day of January."""
    return start_server(NOON)


def spend(client: Client, account: str, minutes: int, event_id: str, time: str = "2021-01-31T11:00:00Z") -> None:
    """Take calls at 0.06 a minute."""
    client.take(event(account, event_id, time, str(60 * minutes)))


def in_tab(client: Client, account: str) -> Any:
    """Return what the tab says of auto recharge."""
    return client.usage(account)[SHARED]["manage_credits"]["auto_recharge"]


def recharges(client: Client, account: str) -> list[str]:
    """Return the amounts that auto recharge bought, oldest first."""
    return [entry["amount"] for entry in reversed(client.ledger(account, kind="auto_recharge"))]


def standing(client: Client, account: str) -> tuple[bool, str, int]:
    """Return whether auto recharge works, and its failures."""
    auto = client.auto_recharge(account)
    return auto["enabled"], auto["status"], auto["failures"]


def test_never_configured(client: Client, name: str) -> None:
    """Before anybody set it, auto recharge is off, for accounts that could have it and those that could not."""
    for settings, available in ((SIMPLE, False), (pays_by_card(), True)):
        client.put_account(name, settings)
        assert client.auto_recharge(name) == OFF
        assert in_tab(client, name) == {"available": available, "enabled": False}
    assert_problem(client.ask("GET", "/v1/accounts/nobody/auto-recharge"), 404, "not_found")
    assert_problem(client.put_auto_recharge("nobody", threshold="1", amount="1"), 404, "not_found")


def test_switching_on_and_off(client: Client, customer: str) -> None:
    """It can be switched on only above the threshold; the answer, the next one and the tab say the same."""
    for threshold in ("100.00", "100.01", "5000"):
        answer = client.put_auto_recharge(customer, threshold=threshold, amount="100")
        assert_problem(answer, 409, "threshold_not_below_balance")
    assert client.auto_recharge(customer) == OFF

    active = {
        "enabled": True,
        "threshold": "99.99",
        "amount": "100.00",
        "monthly_limit": "500.00",
        "status": "active",
        "failures": 0,
        "spent_this_month": "0.00",
    }
    for _ in range(2):
        put = client.put_auto_recharge(customer, threshold="99.99", amount="100", monthly_limit="500")
        assert expect(200, put).json == active
    assert client.auto_recharge(customer) == active
    assert in_tab(client, customer) == {"available": True, "enabled": True}
    without = expect(200, client.put_auto_recharge(customer, threshold="50", amount="20")).json
    assert without == {**active, "threshold": "50.00", "amount": "20.00", "monthly_limit": None}
    off = expect(200, client.put_auto_recharge(customer, enabled=False)).json
    assert (off["enabled"], off["status"]) == (False, "off")
    assert in_tab(client, customer) == {"available": True, "enabled": False}
    spend(client, customer, 1000, "c")
    assert recharges(client, customer) == []
    assert client.balance(customer) == "40.00"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, None),
        ({"enabled": "yes", "threshold": "50", "amount": "100"}, "/enabled"),
        ({"enabled": True, "amount": "100"}, "/threshold"),
        ({"enabled": True, "threshold": "50"}, "/amount"),
        ({"enabled": True, "threshold": "50", "amount": "0"}, "/amount"),
        ({"enabled": True, "threshold": "50", "amount": "-1"}, "/amount"),
        ({"enabled": True, "threshold": "50", "amount": "1e2"}, "/amount"),
        ({"enabled": True, "threshold": "50", "amount": "0.001"}, "/amount"),
        ({"enabled": True, "threshold": 50, "amount": "100"}, "/threshold"),
        ({"enabled": True, "threshold": "abc", "amount": "100"}, "/threshold"),
        ({"enabled": True, "threshold": "50", "amount": 100}, "/amount"),
        ({"enabled": True, "threshold": "50", "amount": "100", "monthly_limit": "many"}, "/monthly_limit"),
        ({"enabled": True, "threshold": "50", "amount": "100", "monthly_limit": 500}, "/monthly_limit"),
        ({"enabled": False, "monthly_limit": "many"}, "/monthly_limit"),
        ({"enabled": False, "threshold": "50", "amount": 100}, "/amount"),
        ({"enabled": False, "amount": "-1"}, "/amount"),
        ({"enabled": True, "threshold": "50", "amount": "100", "limit": "500"}, None),
        ([], None),
    ],
)
def test_rules_that_cannot_be(client: Client, customer: str, body: object, pointer: str | None) -> None:
    """A rule that is incomplete or no plain decimals of minor units is refused and changes nothing."""
    answer = client.ask("PUT", f"/v1/accounts/{customer}/auto-recharge", body)

    assert answer.code in {"invalid_request", "invalid_amount"}
    assert_problem(answer, 422, answer.code)
    if pointer is not None:
        assert [fault["pointer"] for fault in answer.json["errors"]] == [pointer]
    assert client.auto_recharge(customer) == OFF


def test_only_cards_recharge(client: Client, customer: str) -> None:
    """An account that pays by invoice cannot switch it on, and a change to invoice switches it off for good."""
    expect(200, client.put_auto_recharge(customer, threshold="50", amount="100"))
    client.put_account(customer, SIMPLE)

    assert standing(client, customer) == (False, "off", 0)
    assert in_tab(client, customer) == {"available": False, "enabled": False}
    assert_problem(client.put_auto_recharge(customer, threshold="50", amount="100"), 409, "payment_method_not_card")
    spend(client, customer, 1000, "c")
    client.put_account(customer, pays_by_card())
    spend(client, customer, 1, "d")
    assert standing(client, customer) == (False, "off", 0)
    assert recharges(client, customer) == []
    assert client.balance(customer) == "39.94"


def test_the_smallest_multiple_that_will_do(server: Server, client: Client, customer: str) -> None:
    """At the threshold nothing is bought; from -429.80, in steps of 50, it takes 450 to be above it again."""
    expect(200, client.put_auto_recharge(customer, threshold="19.90", amount="50"))
    spend(client, customer, 1335, "to-the-threshold")
    assert (client.balance(customer), recharges(client, customer)) == ("19.90", [])

    spend(client, customer, 7495, "far-below")
    (entry,) = client.ledger(customer, kind="auto_recharge")
    assert (entry["amount"], entry["balance_before"], entry["balance_after"]) == ("450.00", "-429.80", "20.20")
    assert (entry["pool"], entry["expires_on"]) == (SHARED, None)
    assert client.balances(customer)[SHARED] == {
        "balance": "20.20",
        "credits": {"committed": "0.00", "purchased": "20.20", "promotional": "0.00"},
        "to_be_invoiced": "0.00",
    }
    assert client.auto_recharge(customer)["spent_this_month"] == "450.00"
    assert server.audit(customer).returncode == 0


def test_a_batch_is_one_change(client: Client, customer: str) -> None:
    """However many events of a batch go below the threshold, one payment is made, for all of them."""
    expect(200, client.put_auto_recharge(customer, threshold="50", amount="10"))
    client.take(*(event(customer, f"c{number}", "2021-01-31T11:00:00Z", "6000") for number in range(30)))

    # 30 times 100 minutes: 180.00 of 100.00, and 130.00 to be at 50 again
    assert recharges(client, customer) == ["130.00"]
    assert client.balance(customer) == "50.00"


def test_usage_at_once_is_paid_once(server: Server, client: Client, customer: str) -> None:
    """While many post at once, every gap is paid once: credit is never more than a step above the threshold."""
    expect(200, client.put_auto_recharge(customer, threshold="50", amount="10"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: spend(client, customer, 100, f"c{number}"), range(30)))
    # what a payment in flight left over, the next change after it makes up for
    spend(client, customer, 0, "last")
    bought = sum(Decimal(amount) for amount in recharges(client, customer))
    assert Decimal(client.balance(customer)) == 100 + bought - 180
    assert Decimal(50) <= Decimal(client.balance(customer)) < Decimal(60)
    assert Decimal(client.auto_recharge(customer)["spent_this_month"]) == bought
    assert server.audit(customer).returncode == 0


def test_three_declines(clocked: Server) -> None:
    """A declined payment is tried again an hour later each time, and after the third only a person switches it on."""
    client = clocked.client
    client.put_account("acme", pays_by_card("tok_declined"))
    client.grant("acme", "100", "opening")
    expect(200, client.put_auto_recharge("acme", threshold="50", amount="100"))

    spend(client, "acme", 1000, "first")
    assert standing(client, "acme") == (True, "active", 1)
    spend(client, "acme", 1, "within-the-hour")
    client.move_clock("2021-01-31T12:45:00Z")
    assert standing(client, "acme") == (True, "active", 1)
    client.move_clock("2021-01-31T13:00:00Z")
    assert standing(client, "acme") == (True, "active", 2)
    assert client.auto_recharge("acme")["spent_this_month"] == "0.00"
    runs = client.move_clock("2021-01-31T14:00:00Z")
    assert [run["done"] for run in runs if run["job"] == "settle-payments" and run["done"]] == [1]
    assert standing(client, "acme") == (False, "disabled_after_failures", 3)
    assert in_tab(client, "acme") == {"available": True, "enabled": False}

    client.put_account("acme", pays_by_card())
    client.move_clock("2021-01-31T20:00:00Z")
    spend(client, "acme", 100, "still-off", "2021-01-31T19:00:00Z")
    # 100.00 less 1,101 minutes
    assert client.balance("acme") == "33.94"
    assert expect(201, client.buy("acme", "100", "k")).json["balance"] == "133.94"
    spend(client, "acme", 2000, "after-a-purchase", "2021-01-31T19:00:00Z")
    assert standing(client, "acme") == (False, "disabled_after_failures", 3)
    assert (client.balance("acme"), recharges(client, "acme")) == ("13.94", [])

    again = {"threshold": "50", "amount": "100"}
    assert_problem(client.put_auto_recharge("acme", **again), 409, "threshold_not_below_balance")
    client.grant("acme", "50", "more")
    assert expect(200, client.put_auto_recharge("acme", **again)).json["status"] == "active"
    assert standing(client, "acme") == (True, "active", 0)
    spend(client, "acme", 300, "on-again", "2021-01-31T19:00:00Z")
    assert (client.balance("acme"), recharges(client, "acme")) == ("145.94", ["100.00"])
    assert clocked.audit("acme").returncode == 0


def test_a_success_resets_the_count(clocked: Server) -> None:
    """With a better card the next try succeeds, and the failures before it are forgotten."""
    client = clocked.client
    client.put_account("acme", pays_by_card("tok_declined"))
    client.grant("acme", "100", "opening")
    expect(200, client.put_auto_recharge("acme", threshold="50", amount="100"))
    spend(client, "acme", 1000, "first")
    client.put_account("acme", pays_by_card())
    assert (standing(client, "acme"), recharges(client, "acme")) == ((True, "active", 1), [])

    client.move_clock("2021-01-31T13:00:00Z")

    assert standing(client, "acme") == (True, "active", 0)
    (entry,) = client.ledger("acme", kind="auto_recharge")
    assert (entry["at"], entry["balance_before"], entry["balance_after"]) == ("2021-01-31T13:00:00Z", "40.00", "140.00")
    assert client.auto_recharge("acme")["spent_this_month"] == "100.00"


def test_an_outcome_not_known_yet(clocked: Server) -> None:
    """A lost answer is no failure: the payment counts for the month, stays the only one, and is settled by itself."""
    client = clocked.client
    client.put_account("acme", pays_by_card("tok_error"))
    client.grant("acme", "100", "opening")
    expect(200, client.put_auto_recharge("acme", threshold="50", amount="100"))

    spend(client, "acme", 1000, "first")
    spend(client, "acme", 1000, "second")
    assert standing(client, "acme") == (True, "active", 0)
    assert client.auto_recharge("acme")["spent_this_month"] == "100.00"
    assert (client.balance("acme"), recharges(client, "acme")) == ("-20.00", [])

    client.move_clock("2021-01-31T12:15:00Z")
    assert recharges(client, "acme") == ["100.00"]
    assert client.balance("acme") == "80.00"
    assert standing(client, "acme") == (True, "active", 0)
    assert client.auto_recharge("acme")["spent_this_month"] == "100.00"
    assert clocked.audit("acme").returncode == 0


def test_the_monthly_limit(clocked: Server) -> None:
    """The month's limit allows the largest multiple that fits; purchases do not count; a new month begins at zero."""
    client = clocked.client
    client.put_account("acme", pays_by_card())
    client.grant("acme", "100", "opening")
    expect(200, client.put_auto_recharge("acme", threshold="50", amount="100", monthly_limit="250"))

    # to be at 50 again from -200.00 takes 300: the limit allows 200
    spend(client, "acme", 5000, "c")
    assert (client.balance("acme"), recharges(client, "acme")) == ("0.00", ["200.00"])
    assert expect(201, client.buy("acme", "100", "k")).json["balance"] == "100.00"
    spend(client, "acme", 2000, "d")
    assert (client.balance("acme"), recharges(client, "acme")) == ("-20.00", ["200.00"])
    assert client.auto_recharge("acme")["spent_this_month"] == "200.00"

    client.move_clock("2021-02-01T00:45:00Z")
    assert client.auto_recharge("acme")["spent_this_month"] == "0.00"
    spend(client, "acme", 50, "february", "2021-02-01T00:30:00Z")
    # to be at 50 again from February's -3.00 takes 100; none of it pays for January
    assert client.auto_recharge("acme")["spent_this_month"] == "100.00"
    assert client.balance("acme") == "-20.00"
    client.move_clock("2021-02-01T01:00:00Z")
    assert client.invoice("acme", "2021-01")["total"] == "20.00"
    assert client.balance("acme") == "97.00"
    assert recharges(client, "acme") == ["200.00", "100.00"]
    assert clocked.audit("acme").returncode == 0
