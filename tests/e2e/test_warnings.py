"""Low-credit warnings as customers see them in the tab, and dismiss them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.client import assert_problem, event, expect
from tests.e2e.samples import SIMPLE, pays_by_card


if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.client import Answer, Client
    from tests.e2e.server import Server

SHARED = "contact_center_services"
ELEVEN = "2021-01-31T11:00:00Z"
SECONDS_MAX = 10
"""What a line of the log may take to be read."""


@pytest.fixture
def by_card(client: Client, name: str) -> str:
    """Give an account that pays by card and has 1000.00 of an expected 1000.00 a month."""
    client.put_account(name, pays_by_card())
    commit_credit(client, name)
    return name


@pytest.fixture
def by_invoice(client: Client, name: str) -> str:
    """Give an account that pays by invoice and has 3000.00 of an expected 1000.00 a month."""
    client.put_account(name, SIMPLE)
    commit_credit(client, name, amount="3000", frequency="quarterly")
    return name


def commit_credit(client: Client, account: str, **terms: str) -> None:
    """Put a commitment that recharges today."""
    body = {"amount": "1000", "frequency": "monthly", "starts_on": "2021-01-31", **terms}
    expect(200, client.ask("PUT", f"/v1/accounts/{account}/commitments/{SHARED}", body))


def spend(client: Client, account: str, minutes: int, event_id: str, at: str = ELEVEN) -> None:
    """Take calls at 0.06 a minute."""
    client.take(event(account, event_id, at, str(60 * minutes)))


def warnings(client: Client, account: str, period: str | None = None) -> list[Any]:
    """Return the warnings in the tab."""
    shown: list[Any] = client.usage(account, period)[SHARED]["warnings"]
    return shown


def levels(client: Client, account: str) -> list[int]:
    """Return the levels of the warnings in the tab."""
    return [warning["level"] for warning in warnings(client, account)]


def dismiss(client: Client, account: str, warning: str) -> Answer:
    """Ask for a warning to be taken off the tab."""
    return client.ask("POST", f"/v1/accounts/{account}/warnings/{warning}/dismiss")


def test_levels_by_card(client: Client, by_card: str) -> None:
    """By card the warnings come at 15, 10 and 5 per cent of what is expected a month, each reached exactly."""
    seen = []
    # 1000.00 less 849.96, 850.02, 899.94, 900.00, 949.98, 950.04 and 1500.00
    for number, minutes in enumerate((14166, 1, 832, 1, 833, 1, 9166)):
        spend(client, by_card, minutes, f"c{number}")
        seen.append((client.balance(by_card), levels(client, by_card)))

    assert seen == [
        ("150.04", []),
        ("149.98", [15]),
        ("100.06", [15]),
        ("100.00", [15, 10]),
        ("50.02", [15, 10]),
        ("49.96", [15, 10, 5]),
        ("-500.00", [15, 10, 5]),
    ]
    shown = warnings(client, by_card)
    assert len({warning["id"] for warning in shown}) == 3
    for warning in shown:
        assert set(warning) == {"id", "level", "message"}
        assert f"{warning['level']} %" in warning["message"]


def test_levels_by_invoice(client: Client, by_invoice: str) -> None:
    """By invoice they come when more than 85, 90 and 95 per cent of the expected month is overdrawn."""
    seen = []
    # transcription costs 1.00 for 3 seconds, and 50 minutes of calls cost 3.00
    for number, (seconds, minutes) in enumerate(((11550, 0), (0, 1), (141, 49), (0, 1), (141, 49), (0, 1))):
        client.take(event(by_invoice, f"t{number}", ELEVEN, str(seconds), "transcription"))
        spend(client, by_invoice, minutes, f"c{number}")
        seen.append((client.balance(by_invoice), levels(client, by_invoice)))

    assert seen == [
        ("-850.00", []),
        ("-850.06", [85]),
        ("-900.00", [85]),
        ("-900.06", [85, 90]),
        ("-950.00", [85, 90]),
        ("-950.06", [85, 90, 95]),
    ]
    assert all(f"{warning['level']} %" in warning["message"] for warning in warnings(client, by_invoice))


def test_only_the_severest(client: Client, by_card: str) -> None:
    """Of levels crossed by one request the severest is raised alone, and the lesser ones not afterwards."""
    spend(client, by_card, 15100, "c")

    assert (client.balance(by_card), levels(client, by_card)) == ("94.00", [10])
    spend(client, by_card, 1, "d")
    assert levels(client, by_card) == [10]
    spend(client, by_card, 1000, "e")
    assert levels(client, by_card) == [10, 5]


def test_dismissing(client: Client, by_card: str) -> None:
    """A dismissed warning is gone for good; severer ones still come; doing it again changes nothing."""
    spend(client, by_card, 14200, "c")
    (warning,) = warnings(client, by_card)

    for _ in range(2):
        assert dismiss(client, by_card, warning["id"]).status in {200, 204}
        assert warnings(client, by_card) == []
    spend(client, by_card, 1, "d")
    assert warnings(client, by_card) == []
    spend(client, by_card, 800, "e")
    assert levels(client, by_card) == [10]


def test_warnings_that_are_not_there(client: Client, by_card: str) -> None:
    """A made-up warning and that of another account are not found, and nothing is dismissed."""
    other = f"{by_card}-other"
    client.put_account(other, pays_by_card())
    spend(client, by_card, 14200, "c")
    (warning,) = warnings(client, by_card)

    for account, name in ((other, warning["id"]), (by_card, "none"), (by_card, "%2e"), ("nobody", warning["id"])):
        assert_problem(dismiss(client, account, name), 404, "not_found")
    assert warnings(client, by_card) == [warning]


@pytest.mark.parametrize("is_bought", [True, False])
def test_any_credit_rearms(client: Client, by_card: str, *, is_bought: bool) -> None:
    """Once credit came the warnings are gone, dismissed or not, and come anew, under other names."""
    spend(client, by_card, 14200, "c")
    (first,) = warnings(client, by_card)
    dismiss(client, by_card, first["id"])
    spend(client, by_card, 800, "d")
    assert levels(client, by_card) == [10]

    if is_bought:
        expect(201, client.buy(by_card, "100", "k"))
    else:
        client.grant(by_card, "100", "k")
    assert (client.balance(by_card), warnings(client, by_card)) == ("200.00", [])
    # from 200.00 to 140.00 and 80.00
    for number, expected in ((1, [15]), (2, [15, 10])):
        spend(client, by_card, 1000, f"again-{number}")
        assert levels(client, by_card) == expected
    assert first["id"] not in {warning["id"] for warning in warnings(client, by_card)}
    assert_problem(dismiss(client, by_card, first["id"]), 404, "not_found")


def test_credit_that_is_not_enough(client: Client, by_card: str) -> None:
    """Credit takes the warnings away even where it leaves the balance low: the next charge raises them again."""
    spend(client, by_card, 16000, "c")
    assert levels(client, by_card) == [5]

    client.grant(by_card, "0.06", "k")
    assert warnings(client, by_card) == []
    spend(client, by_card, 1, "d")
    assert levels(client, by_card) == [5]


def test_no_longer_true(client: Client, by_card: str) -> None:
    """What the present way of paying would not warn of is not shown."""
    spend(client, by_card, 14200, "c")
    (warning,) = warnings(client, by_card)

    client.put_account(by_card, SIMPLE)
    assert warnings(client, by_card) == []
    client.put_account(by_card, pays_by_card())
    assert warnings(client, by_card) == [warning]


def test_without_commitment(client: Client, name: str) -> None:
    """Where no credit is committed nothing is expected, and nobody is warned; nor for a pool of its own."""
    client.put_account(name, pays_by_card())
    client.grant(name, "100", "k")
    spend(client, name, 3000, "c")
    assert (client.balance(name), warnings(client, name)) == ("-80.00", [])

    own = {"amount": "10", "frequency": "monthly", "starts_on": "2021-01-31"}
    expect(200, client.ask("PUT", f"/v1/accounts/{name}/commitments/virtual_agent", own))
    client.take(event(name, "v", ELEVEN, "100", "virtual_agent"))
    assert warnings(client, name) == []


def test_auto_recharge_comes_after(client: Client, by_card: str) -> None:
    """A charge that auto recharge makes good again leaves nothing to warn of in the tab."""
    expect(200, client.put_auto_recharge(by_card, threshold="200", amount="500"))
    spend(client, by_card, 15000, "c")

    assert (client.balance(by_card), warnings(client, by_card)) == ("600.00", [])


def test_published_in_the_log(server: Server, client: Client, by_card: str) -> None:
    """Without an event bus notifications are lines of the log; of a low balance is told before auto recharge."""
    expect(200, client.put_auto_recharge(by_card, threshold="200", amount="500"))
    spend(client, by_card, 15000, "c")

    names = ("credit.low", "credit.recharged")
    deadline = time.monotonic() + SECONDS_MAX
    told: list[str] = []
    while len(told) < 3 and time.monotonic() < deadline:
        lines = [line for line in list(server.log) if f"{by_card}:" in line]
        told = [name for line in lines for name in names if name in line]
        expect(200, client.ask("GET", "/health"))
    assert told == ["credit.recharged", "credit.low", "credit.recharged"]


def test_a_new_month(start_server: Callable[..., Server]) -> None:
    """Each month warns anew, by its own balance; a past month shows no warnings."""
    client = start_server("2021-01-31T22:00:00Z").client
    client.put_account("acme", pays_by_card())
    # 1,000 a month
    commit_credit(client, "acme", amount="12000", frequency="annual")
    spend(client, "acme", 200000, "c")
    assert (client.balance("acme"), levels(client, "acme")) == ("0.00", [5])
    (january,) = warnings(client, "acme")

    client.move_clock("2021-02-01T12:00:00Z")
    assert client.usage("acme", "2021-01")["period"]["status"] == "invoiced"
    assert warnings(client, "acme", "2021-01") == []
    assert warnings(client, "acme") == []
    spend(client, "acme", 1, "d", "2021-02-01T11:00:00Z")
    (february,) = warnings(client, "acme")
    assert (february["level"], february["id"] != january["id"]) == (5, True)
    assert warnings(client, "acme", "2021-01") == []
    assert dismiss(client, "acme", february["id"]).status in {200, 204}
    assert warnings(client, "acme") == []
