"""Committed credit as administrators agree it and customers see it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.client import assert_problem, event, expect
from tests.e2e.conftest import SETTINGS


if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.client import Answer, Client
    from tests.e2e.server import Server

SHARED = "contact_center_services"
MONTHLY = {"amount": "1000", "frequency": "monthly", "starts_on": "2021-01-31"}
SIMPLE = {**SETTINGS, "rate_card": "simple"}


def put(client: Client, account: str, pool: str = SHARED, token: str | None = "", **terms: Any) -> Answer:
    """Put a commitment of 1000 a month from 31 January 2021."""
    return client.ask("PUT", f"/v1/accounts/{account}/commitments/{pool}", {**MONTHLY, **terms}, token=token)


def delete(client: Client, account: str, pool: str = SHARED, token: str | None = "") -> Answer:
    """Delete a commitment."""
    return client.ask("DELETE", f"/v1/accounts/{account}/commitments/{pool}", token=token)


def void(client: Client, account: str, grant: str, token: str | None = "") -> Answer:
    """Void a grant."""
    return client.ask("POST", f"/v1/accounts/{account}/credits/grants/{grant}/void", token=token)


def shown(client: Client, account: str) -> tuple[Any, Any]:
    """Return what the tab says of the commitment in the shared pool."""
    shared = client.usage(account)[SHARED]
    return shared["committed_credit"], shared["committed_credit_period"]


def told(client: Client, account: str, **query: str) -> list[tuple[str, str, str, str]]:
    """Return the ledger, oldest first."""
    return [
        (entry["kind"], entry["at"], entry["balance_before"], entry["balance_after"])
        for entry in reversed(client.ledger(account, **query))
    ]


def test_a_commitment_in_the_tab(client: Client, account: str) -> None:
    """The tab shows no commitment, then the running one with its days, then none again."""
    nothing = ({"status": "not_purchased"}, None)
    active = {"status": "active", "amount": "1000.00", "frequency": "monthly"}
    assert shown(client, account) == nothing

    # the clock stands at 22:00 on 31 January 2021
    assert put(client, account, starts_on="2021-02-15").status == 200
    assert shown(client, account) == (active, {"last_recharge_on": None, "next_recharge_on": "2021-02-15"})
    assert client.ledger(account) == []
    assert put(client, account).status == 200
    assert shown(client, account) == (active, {"last_recharge_on": "2021-01-31", "next_recharge_on": "2021-02-28"})
    assert client.balances(account)[SHARED] == {
        "balance": "1000.00",
        "credits": {"committed": "1000.00", "purchased": "0.00", "promotional": "0.00"},
        "to_be_invoiced": "0.00",
    }
    (entry,) = client.ledger(account, kind="recharge")
    assert entry == {
        **entry,
        "at": "2021-01-31T00:00:00Z",
        "recorded_at": "2021-01-31T22:00:00Z",
        "pool": SHARED,
        "amount": "1000.00",
        "balance_before": "0.00",
        "balance_after": "1000.00",
        "expires_on": None,
    }
    assert put(client, account).status == 200
    assert client.ledger(account) == [entry]
    assert delete(client, account).status in {200, 204}
    assert shown(client, account) == nothing
    assert client.balance(account) == "1000.00"


@pytest.mark.parametrize("frequency", ["monthly", "quarterly", "semiannual", "annual"])
def test_frequencies(client: Client, account: str, frequency: str) -> None:
    """Each frequency has its next day, clamped to the month's end."""
    following = {
        "monthly": "2021-02-28",
        "quarterly": "2021-04-30",
        "semiannual": "2021-07-31",
        "annual": "2022-01-31",
    }
    expect(200, put(client, account, frequency=frequency, amount="0.5"))

    credit, days = shown(client, account)
    assert credit == {"status": "active", "amount": "0.50", "frequency": frequency}
    assert days == {"last_recharge_on": "2021-01-31", "next_recharge_on": following[frequency]}


def test_products_in_the_tab(client: Client, name: str) -> None:
    """A product of the shared pool has no commitment of its own; one sold apart has one to buy."""
    client.put_account(name, SIMPLE)
    client.take(
        event(name, "c", "2021-01-31T21:00:00Z"),
        event(name, "v", "2021-01-31T21:00:00Z", "10", "virtual_agent"),
    )
    expect(200, put(client, name))

    assert client.product(name)["committed_credit"] == {"status": "not_available"}
    assert client.product(name)["committed_credit_period"] is None
    row = client.product(name, "virtual_agent")
    assert (row["committed_credit"], row["committed_credit_period"]) == ({"status": "not_purchased"}, None)

    expect(200, put(client, name, "virtual_agent", amount="8"))
    row = client.product(name, "virtual_agent")
    assert row["committed_credit"] == {"status": "active", "amount": "8.00", "frequency": "monthly"}
    assert row["committed_credit_period"] == {"last_recharge_on": "2021-01-31", "next_recharge_on": "2021-02-28"}
    # 10 sessions at 0.50 are paid by the 8.00 that came; the call at 0.06 by the shared pool's
    assert (row["credits_applied"], row["to_be_invoiced"], row["balance"]) == ("5.00", "0.00", "3.00")
    assert client.balance(name) == "999.94"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"amount": "0"}, "/amount"),
        ({"amount": "-1"}, "/amount"),
        ({"amount": "1e3"}, "/amount"),
        ({"amount": "1,000"}, "/amount"),
        ({"amount": "0.0000000000001"}, "/amount"),
        ({"starts_on": "2021-02-30"}, "/starts_on"),
        ({"starts_on": "2021-01-31T00:00:00Z"}, "/starts_on"),
        ({"ends_on": "31.12.2021"}, "/ends_on"),
        ({"ends_on": "2021-01-30"}, "/ends_on"),
        ({"frequency": "weekly"}, "/frequency"),
        ({"amount": 1000}, "/amount"),
        ({"rollover": "no"}, "/rollover"),
        ({"ends_on": 20211231}, "/ends_on"),
    ],
)
def test_bad_terms(client: Client, account: str, body: dict[str, Any], pointer: str) -> None:
    """Terms that cannot be are refused, and what is wrong is named."""
    answer = put(client, account, **body)

    assert_problem(answer, 422, "invalid_request")
    assert [fault["pointer"] for fault in answer.json["errors"]] == [pointer]
    assert shown(client, account) == ({"status": "not_purchased"}, None)


@pytest.mark.parametrize(
    "terms",
    [{"ends_on": "9999-12-31"}, {"starts_on": "9999-12-31"}, {"starts_on": "0001-01-01"}, {"amount": "999999999999"}],
)
def test_extreme_terms(client: Client, account: str, terms: dict[str, Any]) -> None:
    """Terms at the ends of the calendar and of money are taken or refused, and the account goes on."""
    assert put(client, account, **terms).status in {200, 422}
    assert client.usage(account)["period"]["id"] == "2021-01"
    assert delete(client, account).status in {200, 204, 404}


def test_an_end_that_is_over(client: Client, account: str) -> None:
    """An end in the past is refused, or ends the commitment without going behind what it takes back."""
    expect(200, put(client, account, starts_on="2020-12-31"))
    (recharge,) = client.ledger(account)

    answer = put(client, account, starts_on="2020-12-31", ends_on="2021-01-15")

    assert answer.status in {200, 422}
    expiries = client.ledger(account, kind="expiry")
    assert all(entry["at"] >= recharge["at"] for entry in expiries)
    assert [(entry["balance_before"], entry["balance_after"]) for entry in expiries] in ([], [("1000.00", "0.00")])


@pytest.mark.parametrize("pool", ["call", "screen_recording_storage", "nothing"])
def test_pools_without_commitment(client: Client, account: str, pool: str) -> None:
    """Credit cannot be committed in a pool that is none, or that takes no commitment."""
    assert_problem(put(client, account, pool), 422, "unknown_pool")


def test_who_may_commit(server: Server, client: Client, account: str, name: str) -> None:
    """Commitments and voids are the administrator's; unknown accounts and grants are not found."""
    reader = server.token_for("usage:read", "credits:write", account=account)
    grant = client.grant(account, "5", "key")["id"]

    for answer in (
        put(client, account, token=reader),
        delete(client, account, token=reader),
        void(client, account, grant, token=reader),
    ):
        assert_problem(answer, 403, "insufficient_scope")
    assert_problem(put(client, f"{name}-not", token=reader), 404, "not_found")
    assert_problem(put(client, f"{name}-not"), 404, "not_found")
    assert_problem(delete(client, f"{name}-not"), 404, "not_found")
    assert_problem(delete(client, account), 404, "not_found")
    assert_problem(void(client, account, "01ARZ3NDEKTSV4RRFFQ69G5FAV"), 404, "not_found")
    assert client.balance(account) == "5.00"


def test_void(client: Client, name: str) -> None:
    """A void takes back what is left of a promotional grant, once, and of no other credit."""
    client.put_account(name, SIMPLE)
    grant = client.grant(name, "100", "key", expires_on="2021-03-31")["id"]
    # 40 minutes at 0.06
    client.take(event(name, "c", "2021-01-31T21:00:00Z", "2400"))

    answer = expect(200, void(client, name, grant)).json

    assert answer == {
        **answer,
        "id": grant,
        "pool": SHARED,
        "amount": "100.00",
        "remaining": "0.00",
        "expires_on": "2021-03-31",
    }
    assert expect(200, void(client, name, grant)).json == answer
    assert client.balance(name) == "0.00"
    (entry,) = client.ledger(name, kind="void")
    assert (entry["amount"], entry["balance_before"], entry["balance_after"]) == ("-97.60", "97.60", "0.00")
    expect(200, put(client, name))
    committed = client.ledger(name, kind="recharge")[0]["id"]
    assert void(client, name, committed).status in {404, 409}
    assert client.balance(name) == "1000.00"


def test_puts_at_once(client: Client, account: str) -> None:
    """However many put the same commitment at once, it recharges once."""
    answers: list[Answer] = []
    threads = [threading.Thread(target=lambda: answers.append(put(client, account))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {answer.status for answer in answers} == {200}
    assert [entry["amount"] for entry in client.ledger(account)] == ["1000.00"]


def test_a_quarter_of_commitments(start_server: Callable[..., Server]) -> None:
    """Recharges come on their days in each zone, pay for their own month, and end as agreed."""
    server = start_server("2021-01-31T12:00:00Z")
    client = server.client
    client.put_account("west", {**SIMPLE, "timezone": "Pacific/Pago_Pago"})
    client.put_account("mid", SIMPLE)
    # it is 1:00 on 31 January in Pago Pago
    expect(200, put(client, "west", amount="10"))
    expect(200, put(client, "mid", amount="10", starts_on="2021-02-01", rollover=False))
    expect(200, put(client, "mid", "virtual_agent", amount="10", starts_on="2021-02-28", ends_on="2021-03-31"))
    client.take(event("mid", "january", "2021-01-31T11:00:00Z", "6000"))
    assert (told(client, "west"), told(client, "mid")) == ([("recharge", "2021-01-31T11:00:00Z", "0.00", "10.00")], [])

    # ten minutes into February, while January awaits its invoice
    client.move_clock("2021-02-01T00:10:00Z")
    tab = client.usage("mid")
    assert (tab["period"]["id"], tab["period"]["status"]) == ("2021-01", "closing")
    assert (tab[SHARED]["balance"], tab[SHARED]["credits"]["committed"]) == ("-6.00", "0.00")
    client.take(
        event("mid", "late", "2021-01-31T23:59:59Z", "1000"), event("mid", "february", "2021-02-01T00:05:00Z", "3000")
    )
    client.move_clock("2021-02-01T02:00:00Z")
    # 100 and 17 minutes at 0.06
    assert client.invoice("mid", "2021-01")["total"] == "7.02"
    # 10.00 less 50 minutes
    assert client.balance("mid") == "7.00"

    runs = client.move_clock("2021-03-31T12:00:00Z")

    # in the west on 28 February and 31 March; on 1 March, 28 February and 28 March
    assert sum(run["done"] for run in runs if run["job"] == "recharge-commitments") == 5
    assert told(client, "west")[1:] == [
        ("recharge", "2021-02-28T11:00:00Z", "10.00", "20.00"),
        ("recharge", "2021-03-31T11:00:00Z", "20.00", "30.00"),
    ]
    assert told(client, "mid", pool=SHARED) == [
        ("recharge", "2021-02-01T00:00:00Z", "0.00", "10.00"),
        ("invoice", "2021-02-01T01:00:00Z", "-7.02", "0.00"),
        ("expiry", "2021-03-01T00:00:00Z", "7.00", "0.00"),
        ("recharge", "2021-03-01T00:00:00Z", "0.00", "10.00"),
    ]
    expect(200, put(client, "mid", amount="41", starts_on="2021-02-01", rollover=False))
    # 31 March is the last of the 31 days of its term: 31 * 1 / 31
    assert told(client, "mid", pool=SHARED)[-1] == ("recharge", "2021-03-31T12:00:00Z", "10.00", "11.00")
    assert delete(client, "mid").status in {200, 204}
    assert client.balances("mid")["virtual_agent"]["balance"] == "20.00"

    client.move_clock("2021-04-01T02:00:00Z")

    assert client.balance("mid") == "0.00"
    assert shown(client, "mid") == ({"status": "not_purchased"}, None)
    expired = client.ledger("mid", kind="expiry", **{"from": "2021-04-01"})
    assert {entry["expires_on"] for entry in expired} == {"2021-03-31"}
    # 10 and 1 of the deleted commitment, and twice 10 of the one that ended
    assert sorted(entry["amount"] for entry in expired) == ["-1.00", "-10.00", "-10.00", "-10.00"]
    for account in ("west", "mid"):
        audit = server.audit(account)
        assert audit.returncode == 0, audit
