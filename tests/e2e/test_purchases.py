"""Credit bought by card: what is answered, what is booked, and that nobody pays twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.client import assert_problem, event, expect
from tests.e2e.samples import NOW, SIMPLE, SIMPLE_CARD, pays_by_card


if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.client import Answer, Client
    from tests.e2e.server import Server

SHARED = "contact_center_services"
POSTERS = 20


@pytest.fixture
def buyer(client: Client, name: str) -> str:
    """Give an account whose card is good."""
    client.put_account(name, pays_by_card())
    return name


def purchase(client: Client, account: str, purchase_id: str) -> Any:
    """Return a purchase."""
    return client.get(f"/v1/accounts/{account}/credits/purchases/{purchase_id}")


def assert_nothing_was_bought(client: Client, account: str) -> None:
    """Check that there is neither credit nor an entry of the ledger."""
    assert client.balance(account) == "0.00"
    assert client.ledger(account) == []


def test_a_purchase(server: Server, client: Client, buyer: str) -> None:
    """What is paid is in the pool at once and for ever, and in the ledger."""
    answer = expect(201, client.buy(buyer, "100", "k"))

    bought = answer.json
    assert bought == {"id": bought["id"], "amount": "100.00", "status": "succeeded", "balance": "100.00"}
    assert answer.headers["Content-Type"] == "application/json"
    assert purchase(client, buyer, bought["id"]) == bought
    assert client.balances(buyer)[SHARED] == {
        "balance": "100.00",
        "credits": {"committed": "0.00", "purchased": "100.00", "promotional": "0.00"},
        "to_be_invoiced": "0.00",
    }
    (entry,) = client.ledger(buyer)
    assert entry == {
        **entry,
        "at": NOW,
        "recorded_at": NOW,
        "kind": "purchase",
        "pool": SHARED,
        "amount": "100.00",
        "balance_before": "0.00",
        "balance_after": "100.00",
        "expires_on": None,
    }
    assert client.ledger(buyer, kind="purchase") == [entry]
    assert server.audit(buyer).returncode == 0


def test_a_purchase_pays_what_is_open(server: Server, client: Client, buyer: str) -> None:
    """Credit that is bought pays first what this month is to be invoiced, in the order of resource codes."""
    # 2,000 minutes at 0.06 and 8,000 messages at 0.0075
    client.take(
        event(buyer, "m", "2021-01-31T20:00:00Z", "8000", "message"),
        event(buyer, "c", "2021-01-31T21:00:00Z", "120000"),
    )
    assert client.balance(buyer) == "-180.00"

    assert expect(201, client.buy(buyer, "150.50", "k")).json["balance"] == "-29.50"
    shown = {
        row["resource"]: (row["credits_applied"], row["to_be_invoiced"]) for row in client.usage(buyer)["products"]
    }
    assert shown == {"call": ("120.00", "0.00"), "message": ("30.50", "29.50")}
    assert client.balances(buyer)[SHARED]["credits"]["purchased"] == "0.00"
    assert expect(201, client.buy(buyer, "100", "other")).json["balance"] == "70.50"
    assert server.audit(buyer).returncode == 0


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": ""}, {"Idempotency-Key": "  "}])
def test_a_purchase_needs_a_key(client: Client, buyer: str, headers: dict[str, str]) -> None:
    """Without an idempotency key nothing is bought, however the request looks otherwise."""
    path = f"/v1/accounts/{buyer}/credits/purchases"

    for amount in ("100", "1"):
        answer = client.ask("POST", path, {"amount": amount}, headers=headers)
        assert_problem(answer, 400, "idempotency_key_required")
    assert_nothing_was_bought(client, buyer)


@pytest.mark.parametrize("amount", ["99.99", "0", "0.00", "1"])
def test_a_purchase_below_the_minimum(client: Client, buyer: str, amount: str) -> None:
    """Less than 100 is refused."""
    answer = client.buy(buyer, amount, "k")

    assert_problem(answer, 422, "below_minimum")
    assert [fault["pointer"] for fault in answer.json["errors"]] == ["/amount"]
    assert_nothing_was_bought(client, buyer)


@pytest.mark.parametrize(
    "amount",
    [
        "1e2", "100.001", "100.000", 100, 100.5, "-5", "-100", "abc", "", " 100", "100 ", "+100", "1,000", "100,00",
        "1_000", "0x64", "100.", ".5", "NaN", "Infinity", "\uff11\uff10\uff10", "1000000000000", None, True, ["100"],
        {"value": "100"},
    ],
)  # fmt: skip
def test_an_amount_that_cannot_be_paid(client: Client, buyer: str, amount: object) -> None:
    """What is not a plain decimal of minor units is refused, and the key of such a request stays free."""
    answer = client.buy(buyer, amount, "k")

    assert_problem(answer, 422, "invalid_amount")
    assert [fault["pointer"] for fault in answer.json["errors"]] == ["/amount"]
    assert_nothing_was_bought(client, buyer)
    assert expect(201, client.buy(buyer, "100", "k")).json["amount"] == "100.00"


def test_a_currency_without_minor_units(client: Client, name: str) -> None:
    """Yen are paid whole."""
    client.put_rate_card(name, "2020-01-01", SIMPLE_CARD.replace("EUR", "JPY"))
    client.put_account(name, {**pays_by_card(), "currency": "JPY", "rate_card": name})

    assert_problem(client.buy(name, "100.5", "k"), 422, "invalid_amount")
    assert_problem(client.buy(name, "99", "k"), 422, "below_minimum")
    bought = expect(201, client.buy(name, "100", "k")).json
    assert (bought["amount"], bought["balance"]) == ("100", "100")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "invalid_request"),
        ({"amount": "100", "pool": "virtual_agent"}, 422, "invalid_request"),
        ([], 422, "invalid_request"),
        ('{"amount": ', 400, "malformed_body"),
        (b"\xff", 400, "malformed_body"),
        ("", 400, "malformed_body"),
    ],
)
def test_bodies_that_buy_nothing(client: Client, buyer: str, body: object, status: int, code: str) -> None:
    """A body of another shape is refused, and what is no JSON is malformed."""
    path = f"/v1/accounts/{buyer}/credits/purchases"

    assert_problem(client.ask("POST", path, body, headers={"Idempotency-Key": "k"}), status, code)
    assert_nothing_was_bought(client, buyer)


def test_only_cards_buy(client: Client, name: str) -> None:
    """An account that pays by invoice cannot buy, which is told once the amount is in order, and binds no key."""
    client.put_account(name, SIMPLE)

    assert_problem(client.buy(name, "100", "k"), 409, "payment_method_not_card")
    assert_problem(client.buy(name, "99", "k"), 422, "below_minimum")
    assert_problem(client.buy(name, "1e2", "k"), 422, "invalid_amount")
    assert client.usage(name)[SHARED]["manage_credits"]["one_time_purchase"] is False
    assert_nothing_was_bought(client, name)
    client.put_account(name, pays_by_card())
    assert client.usage(name)[SHARED]["manage_credits"]["one_time_purchase"] is True
    bought = expect(201, client.buy(name, "150", "k")).json
    client.put_account(name, SIMPLE)
    assert expect(201, client.buy(name, "150", "k")).json == bought


def test_a_key_stands_for_one_body(client: Client, buyer: str) -> None:
    """A key gives the first answer again, refuses another amount, and means nothing elsewhere."""
    client.put_account(f"{buyer}-other", pays_by_card())
    bought = expect(201, client.buy(buyer, "100", "k")).json
    client.grant(buyer, "1", "k")

    assert expect(201, client.buy(buyer, "100", "k")).json == bought
    assert_problem(client.buy(buyer, "200", "k"), 409, "idempotency_key_reused")
    assert expect(201, client.buy(f"{buyer}-other", "200", "k")).json["amount"] == "200.00"
    assert expect(201, client.buy(buyer, "100", "K")).json["id"] != bought["id"]
    assert [entry["kind"] for entry in client.ledger(buyer)] == ["purchase", "grant", "purchase"]
    assert client.balance(buyer) == "201.00"


def test_a_declined_card(server: Server, client: Client, name: str) -> None:
    """A card that is declined buys nothing; the same key goes on saying so, another one may try again."""
    client.put_account(name, pays_by_card("tok_declined"))

    assert_problem(client.buy(name, "100", "k"), 402, "card_declined")
    assert_nothing_was_bought(client, name)
    client.put_account(name, pays_by_card())
    assert_problem(client.buy(name, "100", "k"), 402, "card_declined")
    assert_problem(client.buy(name, "101", "k"), 409, "idempotency_key_reused")
    assert_nothing_was_bought(client, name)
    expect(201, client.buy(name, "100", "again"))
    assert client.balance(name) == "100.00"
    assert server.audit(name).returncode == 0


def test_an_outcome_not_known_yet(server: Server, client: Client, name: str) -> None:
    """Where the gateway's answer is lost the purchase is pending, until it is settled once."""
    client.put_account(name, pays_by_card("tok_error"))

    pending = expect(202, client.buy(name, "100", "k")).json
    assert (pending["amount"], pending["status"]) == ("100.00", "pending")
    assert expect(202, client.buy(name, "100", "k")).json == pending
    assert purchase(client, name, pending["id"]) == pending
    assert_problem(client.buy(name, "200", "k"), 409, "idempotency_key_reused")
    assert_nothing_was_bought(client, name)

    assert client.run_job("settle-payments")["done"] >= 1
    settled = {"id": pending["id"], "amount": "100.00", "status": "succeeded", "balance": "100.00"}
    assert purchase(client, name, pending["id"]) == settled
    assert expect(201, client.buy(name, "100", "k")).json == settled
    client.run_job("settle-payments")
    assert [entry["kind"] for entry in client.ledger(name)] == ["purchase"]
    assert server.audit(name).returncode == 0


def test_the_clock_settles_what_is_pending(start_server: Callable[..., Server]) -> None:
    """A purchase whose outcome is not known is settled by the schedule within a quarter of an hour."""
    client = start_server("2021-01-31T12:00:00Z").client
    client.put_account("acme", pays_by_card("tok_error"))
    pending = expect(202, client.buy("acme", "100", "k")).json

    runs = client.move_clock("2021-01-31T12:15:00Z")

    assert [(run["done"], run["failed"], run["left"]) for run in runs if run["job"] == "settle-payments"] == [(1, 0, 0)]
    assert purchase(client, "acme", pending["id"])["status"] == "succeeded"
    (entry,) = client.ledger("acme")
    assert (entry["at"], entry["amount"]) == ("2021-01-31T12:15:00Z", "100.00")


def test_a_purchase_while_a_month_awaits_its_invoice(start_server: Callable[..., Server]) -> None:
    """Bought on the 1st, credit is of the new month, which the answer speaks of, and pays nothing of the old one."""
    client = start_server("2021-01-31T23:50:00Z").client
    client.put_account("acme", pays_by_card())
    client.take(event("acme", "c", "2021-01-31T23:00:00Z", "6000"))
    client.move_clock("2021-02-01T00:30:00Z")

    assert expect(201, client.buy("acme", "100", "k")).json["balance"] == "100.00"
    assert (client.usage("acme")["period"]["status"], client.balance("acme")) == ("closing", "-6.00")
    assert client.usage("acme", "2021-02")[SHARED]["balance"] == "100.00"
    client.move_clock("2021-02-01T01:00:00Z")
    assert client.invoice("acme", "2021-01")["total"] == "6.00"
    assert client.balance("acme") == "100.00"


def test_purchases_that_are_not_there(client: Client, buyer: str) -> None:
    """Another account's purchase, a payment that is none, and any made-up name are not found."""
    client.put_account(f"{buyer}-other", pays_by_card())
    bought = expect(201, client.buy(buyer, "100", "k")).json["id"]
    expect(200, client.put_auto_recharge(buyer, threshold="50", amount="10"))
    client.take(event(buyer, "c", "2021-01-31T21:00:00Z", "54000"))
    recharged = client.ledger(buyer, kind="auto_recharge")[0]["cause"]
    grant = client.grant(buyer, "1", "k")["id"]

    for purchase_id in (recharged, grant, "none", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "%2e%2e", "a" * 300):
        answer = client.ask("GET", f"/v1/accounts/{buyer}/credits/purchases/{purchase_id}")
        assert_problem(answer, 404, "not_found")
    for account in (f"{buyer}-other", "nobody"):
        answer = client.ask("GET", f"/v1/accounts/{account}/credits/purchases/{bought}")
        assert_problem(answer, 404, "not_found")
    assert_problem(client.buy("nobody", "100", "k"), 404, "not_found")


@pytest.mark.parametrize(("token", "status"), [("tok_ok", 201), ("tok_declined", 402), ("tok_error", 202)])
def test_one_key_buys_once_however_many_ask_at_once(
    start_server: Callable[..., Server], token: str, status: int
) -> None:
    """Of twenty equal posts at once nineteen wait for the first, whose answer all get, and one payment is made."""
    server = start_server(NOW, USAGE_TAB_SANDBOX_LATENCY_MS="150")
    client = server.client
    client.put_account("acme", pays_by_card(token))

    def ask(_: int) -> Answer:
        return client.buy("acme", "100", "k")

    with ThreadPoolExecutor(POSTERS) as pool:
        answers = list(pool.map(ask, range(POSTERS)))
        assert {answer.status for answer in answers} == {status}
        assert all(answer.json == answers[0].json for answer in answers)
        client.run_job("settle-payments")
        again = list(pool.map(ask, range(POSTERS)))
    assert all(answer.text == again[0].text for answer in again)
    assert {answer.status for answer in again} == {402 if status == 402 else 201}
    assert [entry["amount"] for entry in client.ledger("acme")] == ([] if status == 402 else ["100.00"])
    assert server.audit("acme").returncode == 0


def test_purchases_and_usage_at_once_lose_no_cent(server: Server, client: Client, buyer: str) -> None:
    """Credit bought while usage burns it down is all there in the end."""
    events = [event(buyer, f"e{number}", "2021-01-31T21:00:00Z", "60000") for number in range(30)]

    with ThreadPoolExecutor(8) as pool:
        bought = [pool.submit(client.buy, buyer, "100", f"k{number}") for number in range(5)]
        posted = [pool.submit(client.post, [one]) for one in events]
        assert {future.result().status for future in bought} == {201}
        assert sum(future.result()["accepted"] for future in posted) == 30
    # 30 times 1,000 minutes at 0.06, of which 500.00 is paid
    assert client.balance(buyer) == "-1300.00"
    assert client.product(buyer)["credits_applied"] == "500.00"
    assert server.audit(buyer).returncode == 0
