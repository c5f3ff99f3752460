"""
The storage peak as a customer sees it: samples by HTTP, the tab on the 27th and the 28th, the invoice.

A gigabyte costs 0.25; of cold storage ten cost 0.5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.client import assert_problem, event, expect
from tests.e2e.samples import CARD_HEADER, SETTINGS


if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.client import Client
    from tests.e2e.server import Server

STORAGE = "screen_recording_storage"
CARD = f"""{CARD_HEADER}
{STORAGE},Storage,,,,,,,0.25,1,gigabyte,EUR
{STORAGE},Cold storage,,cold,,,,,0.5,10,gigabyte,EUR
call,Calls,,,,,,,0.06,60,second,EUR
"""
JOB = "compute-storage-peaks"


@pytest.fixture
def own(start_server: Callable[..., Server]) -> Callable[..., Client]:
    """Give a function that runs a server of the test's own with the account `acme`, and returns its client."""

    def start(now: str, **settings: Any) -> Client:
        client = start_server(now).client
        client.put_rate_card("storage", "2020-01-01", CARD)
        client.put_account("acme", {**SETTINGS, "rate_card": "storage", **settings})
        return client

    return start


def sample(event_id: str, time: str, quantity: str, **data: str) -> dict[str, Any]:
    """Build a sample of the account's storage."""
    return event("acme", event_id, time, quantity, STORAGE, **data)


def test_a_month_of_storage(own: Callable[..., Client]) -> None:
    """From the first sample to the invoice: not shown, shown, replaced, issued, and then of no effect."""
    client = own("2021-01-26T12:00:00Z", free_units={STORAGE: {"quantity": "100", "per": "account"}})
    client.take(
        sample("1", "2021-01-14T08:00:00Z", "512.5"),
        sample("2", "2021-01-14T20:00:00Z", "500"),
        sample("3", "2021-01-20T08:00:00Z", "512.5"),
        event("acme", "call", "2021-01-26T11:00:00Z", "60"),
    )
    client.move_clock("2021-01-27T23:59:59.999999Z")
    assert [row["resource"] for row in client.usage("acme")["products"]] == ["call"]

    client.move_clock("2021-01-28T00:00:00Z")
    row = client.product("acme", STORAGE)
    # 513 billed, 100 free, 413 at 0.25
    assert row == {
        "resource": STORAGE,
        "name": "Screen recording storage",
        "unit": "gigabyte",
        "display": {"unit": "gigabyte", "divisor": "1"},
        "quantity": "512.5",
        "billed_quantity": "513",
        "free_units": {"included": "100", "used": "100", "remaining": "0"},
        "amount": "103.25",
        "credits_applied": "0.00",
        "to_be_invoiced": "103.25",
        "balance": "-103.25",
        "included_in": None,
        "committed_credit": {"status": "not_available"},
        "committed_credit_period": None,
        "peak": {"on": "2021-01-14", "quantity": "512.5"},
    }
    assert "peak" not in client.product("acme")

    client.move_clock("2021-01-31T12:00:00Z")
    client.take(sample("late", "2021-01-27T23:59:59.999999Z", "600"), sample("next", "2021-01-28T00:00:00Z", "700"))
    row = client.product("acme", STORAGE)
    assert (row["peak"], row["amount"]) == ({"on": "2021-01-27", "quantity": "600"}, "125.00")
    client.move_clock("2021-02-01T00:59:59Z")
    last = client.product("acme", STORAGE)

    client.move_clock("2021-02-01T01:00:00Z")
    invoice = client.invoice("acme", "2021-01")
    line = next(line for line in invoice["lines"] if line["resource"] == STORAGE)
    assert (line["quantity"], line["billed_quantity"], line["free_units_used"]) == ("600", "600", "100")
    assert (line["total"], invoice["total"]) == ("125.00", "125.06")
    assert client.product("acme", STORAGE, "2021-01") == last
    client.take(sample("too late", "2021-01-27T00:00:00Z", "9000"))
    assert client.post([sample("too late", "2021-01-27T00:00:00Z", "9000")])["duplicates"] == 1
    assert client.post([sample("late", "2021-01-27T23:59:59.999999Z", "600")])["duplicates"] == 1
    assert client.usage("acme")["products"] == []
    client.move_clock("2021-02-28T00:00:00Z")
    assert client.product("acme", STORAGE)["peak"] == {"on": "2021-01-28", "quantity": "700"}
    assert client.invoice("acme", "2021-01") == invoice


def test_the_job(own: Callable[..., Client]) -> None:
    """It is listed with its runs, runs when told to, and finds nothing the second time."""
    client = own("2021-01-26T12:00:00Z")
    client.take(sample("1", "2021-01-14T08:00:00Z", "4"))

    (job,) = (job for job in client.get("/v1/jobs")["items"] if job["job"] == JOB)
    assert job["next_run_at"] == "2021-01-26T12:15:00Z"
    runs = client.move_clock("2021-01-28T00:00:00Z")
    assert [(run["at"], run["done"], run["failed"], run["left"]) for run in runs if run["job"] == JOB][-1] == (
        "2021-01-28T00:00:00Z",
        1,
        0,
        0,
    )
    again = expect(200, client.ask("POST", f"/v1/jobs/{JOB}/runs", {})).json
    assert (again["job"], again["done"]) == (JOB, 0)
    later = client.ask("POST", f"/v1/jobs/{JOB}/runs", {"at": "2021-01-28T00:00:01Z"})
    assert later.status == 422
    assert client.product("acme", STORAGE)["amount"] == "1.00"


def test_credit_of_the_own_pool(own: Callable[..., Client]) -> None:
    """Credit of the product's pool pays on the 28th; what a cheaper peak gives back is there again."""
    client = own("2021-01-26T12:00:00Z")
    client.grant("acme", "3", "k", pool=STORAGE)
    client.grant("acme", "50", "l")
    client.take(sample("1", "2021-01-20T08:00:00Z", "20"))

    client.move_clock("2021-01-28T00:00:00Z")
    assert client.balances("acme")[STORAGE] == {
        "balance": "-2.00",
        "credits": {"committed": "0.00", "purchased": "0.00", "promotional": "0.00"},
        "to_be_invoiced": "2.00",
    }
    # as high and earlier: two times ten at 0.5
    client.take(sample("2", "2021-01-19T08:00:00Z", "20", type="cold"))
    assert client.balance("acme", STORAGE) == "2.00"
    assert client.balance("acme") == "50.00"


def test_the_meter_of_a_product(own: Callable[..., Client]) -> None:
    """A product metered by daily peaks may be included in the shared pool, until somebody uses it."""
    client = own("2021-01-29T12:00:00Z")
    settings = {"name": "Storage", "unit": "gigabyte", "pool": "contact_center_services", "meter": "daily_peak"}
    expect(200, client.ask("PUT", f"/v1/products/{STORAGE}", settings))
    client.grant("acme", "1", "k")
    client.take(sample("1", "2021-01-27T08:00:00Z", "8"), event("acme", "call", "2021-01-28T00:00:00Z", "60"))

    row = client.product("acme", STORAGE)
    assert (row["included_in"], row["credits_applied"], row["balance"]) == ("contact_center_services", "1.00", "-1.00")
    assert row["peak"] == {"on": "2021-01-27", "quantity": "8"}
    assert client.balance("acme") == "-1.06"
    refused = client.ask("PUT", f"/v1/products/{STORAGE}", {**settings, "meter": "sum"})
    assert_problem(refused, 409, "product_in_use")


def test_a_peak_of_zero(own: Callable[..., Client]) -> None:
    """Nothing stored is a row without costs, and a line of the invoice."""
    client = own("2021-01-26T12:00:00Z", timezone="Asia/Kolkata")
    client.take(sample("1", "2021-01-14T18:30:00Z", "0"))

    client.move_clock("2021-01-27T18:30:00Z")
    row = client.product("acme", STORAGE)
    assert (row["quantity"], row["amount"], row["balance"]) == ("0", "0.00", "0.00")
    assert row["peak"] == {"on": "2021-01-15", "quantity": "0"}
    client.move_clock("2021-01-31T19:30:00Z")
    invoice = client.invoice("acme", "2021-01")
    assert (invoice["total"], [line["resource"] for line in invoice["lines"]]) == ("0.00", [STORAGE])
