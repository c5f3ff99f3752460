"""
What time does: months that end, invoices that are issued, events that come late, and credit that expires.

By the card `simple` a minute of calls costs 0.06 and a message 0.0075.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.client import assert_problem, event, expect
from tests.e2e.samples import SETTINGS, SIMPLE_CARD


if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.client import Client
    from tests.e2e.server import Server

SIMPLE = {**SETTINGS, "rate_card": "simple"}


@pytest.fixture
def own(start_server: Callable[..., Server]) -> Callable[..., Client]:
    """Give a function that runs a server of the test's own with the account `acme`, and returns its client."""

    def start(now: str, **settings: Any) -> Client:
        client = start_server(now).client
        client.put_account("acme", {**SIMPLE, **settings})
        return client

    return start


def test_a_month_closes_an_hour_after_it_ends(own: Callable[..., Client]) -> None:
    """Open until midnight, closing for the grace, then invoiced as the tab showed it last."""
    client = own("2021-01-31T23:00:00Z", free_units={"call": {"quantity": "60", "per": "account"}})
    client.take(event("acme", "1", "2021-01-31T22:00:00Z", "180"))  # 60 free, 0.12
    client.move_clock("2021-01-31T23:59:59.999999Z")
    assert client.usage("acme")["period"] == {
        "id": "2021-01",
        "starts_at": "2021-01-01T00:00:00Z",
        "ends_at": "2021-02-01T00:00:00Z",
        "status": "open",
    }

    client.move_clock("2021-02-01T00:00:00Z")
    client.take(event("acme", "2", "2021-01-31T23:59:59.999999Z"), event("acme", "3", "2021-02-01T00:00:00Z", "90"))
    closing, february = client.usage("acme"), client.usage("acme", "2021-02")
    assert (closing["period"]["id"], closing["period"]["status"]) == ("2021-01", "closing")
    assert (february["period"]["id"], february["period"]["status"]) == ("2021-02", "open")
    assert closing["last_event_at"] == "2021-01-31T23:59:59.999999Z"
    assert client.product("acme")["amount"] == "0.18"
    assert client.product("acme", period="2021-02")["free_units"]["used"] == "60"
    assert client.product("acme", period="2021-02")["amount"] == "0.06"
    assert client.balance("acme") == "-0.18"
    upcoming = client.get("/v1/accounts/acme/invoices/upcoming")
    assert (upcoming["period"], upcoming["total"], upcoming["issued_at"]) == ("2021-01", "0.18", "2021-02-01T01:00:00Z")
    assert_problem(client.ask("GET", "/v1/accounts/acme/invoices/2021-01"), 404, "not_found")

    client.move_clock("2021-02-01T00:59:59.999999Z")
    client.take(event("acme", "4", "2021-01-31T23:00:00Z", "60"))
    last = client.usage("acme")
    upcoming = client.get("/v1/accounts/acme/invoices/upcoming")
    client.move_clock("2021-02-01T01:00:00Z")
    invoice = client.invoice("acme", "2021-01")
    assert invoice == {**upcoming, "status": "issued"}
    assert invoice["total"] == "0.24"
    past = client.usage("acme", "2021-01")
    assert past["period"]["status"] == "invoiced"
    for part in ("products", "contact_center_services", "last_event_at"):
        assert past[part] == last[part]
    assert client.usage("acme") == {**february, "as_of": "2021-02-01T01:00:00Z"}
    assert client.balance("acme") == "-0.06"
    (entry,) = client.ledger("acme")
    assert (entry["kind"], entry["amount"], entry["balance_before"], entry["balance_after"]) == (
        "invoice",
        "0.24",
        "-0.24",
        "0.00",
    )
    assert entry["at"] == "2021-02-01T01:00:00Z"


def test_a_late_event_goes_to_the_oldest_open_month(own: Callable[..., Client]) -> None:
    """After its month's invoice an event is charged in the next one, at the price of its own time."""
    client = own("2021-01-31T12:00:00Z", free_units={"call": {"quantity": "60", "per": "account"}})
    client.take(event("acme", "1", "2021-01-31T11:00:00Z", "60"))
    client.put_rate_card("simple", "2021-02-01", SIMPLE_CARD.replace("0.06", "1"))
    client.move_clock("2021-02-01T01:00:00Z")
    issued = client.invoice("acme", "2021-01")

    client.take(event("acme", "late", "2021-01-31T23:00:00Z", "120"))  # 60 free of February's, 0.06
    client.take(event("acme", "new", "2021-02-01T00:30:00Z", "60"))  # 1.00
    tab = client.usage("acme")
    assert (tab["period"]["id"], tab["last_event_at"]) == ("2021-02", "2021-02-01T00:30:00Z")
    assert client.product("acme")["amount"] == "1.06"
    assert client.product("acme")["free_units"]["used"] == "60"
    assert client.invoice("acme", "2021-01") == issued
    assert issued["total"] == "0.00"
    assert client.post([event("acme", "1", "2021-01-31T11:00:00Z", "60")])["duplicates"] == 1
    assert client.post([event("acme", "late", "2021-01-31T23:00:00Z", "120")])["duplicates"] == 1


def test_months_before_the_account_count_as_invoiced(own: Callable[..., Client]) -> None:
    """Usage from before the month in which an account was made is charged in that month."""
    client = own("2021-02-10T12:00:00Z")
    client.take(event("acme", "1", "2021-01-31T23:00:00Z"))

    assert client.product("acme")["quantity"] == "60"
    for period in ("2021-01", "2020-12"):
        assert_problem(client.ask("GET", "/v1/accounts/acme/usage", query={"period": period}), 404, "not_found")
    assert client.get("/v1/accounts/acme/invoices")["items"] == []


def test_usage_starts_from_zero_and_credit_carries_over(own: Callable[..., Client]) -> None:
    """With the month, free units and usage begin anew; what is left of a grant stays."""
    client = own("2021-01-20T12:00:00Z", free_units={"call": {"quantity": "60", "per": "account"}})
    client.grant("acme", "1", "k")
    client.take(event("acme", "1", "2021-01-20T11:00:00Z", "240"))  # 60 free, 0.18
    client.move_clock("2021-02-01T01:00:00Z")

    assert client.usage("acme")["products"] == []
    assert client.balance("acme") == "0.82"
    client.take(event("acme", "2", "2021-02-01T00:30:00Z", "120"))
    assert client.product("acme")["free_units"] == {"included": "60", "used": "60", "remaining": "0"}
    assert client.balance("acme") == "0.76"
    assert client.invoice("acme", "2021-01")["lines"][0]["credits_applied"] == "0.18"
    assert client.invoice("acme", "2021-01")["total"] == "0.00"


def test_every_month_has_one_invoice(own: Callable[..., Client]) -> None:
    """Months without usage are invoiced too, in their turn, however far the clock moves and however often jobs run."""
    client = own("2021-01-20T12:00:00Z")
    client.take(event("acme", "1", "2021-01-20T11:00:00Z"))
    jobs = client.move_clock("2021-04-15T12:00:00Z")
    client.ask("POST", "/v1/jobs/issue-invoices/runs")
    client.ask("POST", "/v1/jobs/issue-invoices/runs", {"at": "2021-02-01T00:00:00Z"})

    invoices = client.get("/v1/accounts/acme/invoices")["items"]
    assert [(invoice["period"], invoice["total"], len(invoice["lines"])) for invoice in invoices] == [
        ("2021-03", "0.00", 0),
        ("2021-02", "0.00", 0),
        ("2021-01", "0.06", 1),
    ]
    assert [invoice["issued_at"] for invoice in invoices] == [f"2021-0{month}-01T01:00:00Z" for month in (4, 3, 2)]
    runs = [run["at"] for run in jobs if run["job"] == "issue-invoices" and run["done"]]
    assert runs == [f"2021-0{month}-01T01:00:00Z" for month in (2, 3, 4)]
    assert [run["at"] for run in jobs] == sorted(run["at"] for run in jobs)


def test_lists_are_paged_newest_first(own: Callable[..., Client]) -> None:
    """Following the cursor shows every item once, in pages of the size asked for."""
    client = own("2021-01-20T12:00:00Z")
    for number in range(5):
        client.grant("acme", f"{number + 1}", str(number))
    client.move_clock("2021-06-01T01:00:00Z")

    for path, whole in (
        ("ledger", client.ledger("acme")),
        ("invoices", client.get("/v1/accounts/acme/invoices")["items"]),
    ):
        assert len(whole) == 5
        seen, query = [], {"limit": "2"}
        sizes = []
        while True:
            page = client.get(f"/v1/accounts/acme/{path}", **query)
            seen += page["items"]
            sizes.append(len(page["items"]))
            if page["cursor"] is None:
                break
            query["cursor"] = page["cursor"]
        assert (seen, sizes) == (whole, [2, 2, 1])
    assert [entry["amount"] for entry in client.ledger("acme")] == ["5.00", "4.00", "3.00", "2.00", "1.00"]


@pytest.mark.parametrize(
    ("timezone", "last_instant", "midnight", "due"),
    [
        ("America/New_York", "2021-02-01T04:59:59Z", "2021-02-01T05:00:00Z", "2021-02-01T06:00:00Z"),
        ("Asia/Kolkata", "2021-01-31T18:29:59Z", "2021-01-31T18:30:00Z", "2021-01-31T19:30:00Z"),
        ("Pacific/Kiritimati", "2021-01-31T09:59:59Z", "2021-01-31T10:00:00Z", "2021-01-31T11:00:00Z"),
        ("Asia/Kathmandu", "2021-01-31T18:14:59Z", "2021-01-31T18:15:00Z", "2021-01-31T19:15:00Z"),
    ],
)
def test_months_are_those_of_the_accounts_zone(
    own: Callable[..., Client], timezone: str, last_instant: str, midnight: str, due: str
) -> None:
    """Midnight, grace and invoice go by the clock on the customer's wall."""
    client = own("2021-01-31T09:00:00Z", timezone=timezone)
    client.move_clock(midnight)
    client.take(event("acme", "1", last_instant, "60"), event("acme", "2", midnight, "120"))

    tab = client.usage("acme")
    assert (tab["period"]["id"], tab["period"]["ends_at"], tab["period"]["status"]) == ("2021-01", midnight, "closing")
    assert client.product("acme", period="2021-01")["quantity"] == "60"
    assert client.product("acme", period="2021-02")["quantity"] == "120"
    client.move_clock(due)
    assert client.invoice("acme", "2021-01")["issued_at"] == due
    assert client.invoice("acme", "2021-01")["total"] == "0.06"
    assert client.usage("acme")["period"]["starts_at"] == midnight


def test_a_month_with_a_change_of_clocks_has_no_gap(own: Callable[..., Client]) -> None:
    """March in New York begins in winter and ends in summer."""
    client = own("2021-03-01T12:00:00Z", timezone="America/New_York")
    period = client.usage("acme")["period"]

    assert (period["starts_at"], period["ends_at"]) == ("2021-03-01T05:00:00Z", "2021-04-01T04:00:00Z")
    client.move_clock("2021-04-01T04:59:59Z")
    assert client.usage("acme")["period"]["status"] == "closing"
    client.move_clock("2021-04-01T05:00:00Z")
    assert client.invoice("acme", "2021-03")["issued_at"] == "2021-04-01T05:00:00Z"


def test_an_account_whose_zone_is_corrected_stays_readable(own: Callable[..., Client]) -> None:
    """An unused account moved to a zone where it is still last month shows a month and counts what comes."""
    client = own("2021-01-31T23:30:00Z", timezone="Asia/Tokyo")
    client.put_account("acme", {**SIMPLE, "timezone": "America/New_York"})

    tab = client.usage("acme")
    assert tab["products"] == []
    assert client.balance("acme") == "0.00"
    client.take(event("acme", "1", "2021-01-31T23:00:00Z"))
    assert client.product("acme")["quantity"] == "60"
    assert client.balance("acme") == "-0.06"


class TestCredit:
    """Grants in time."""

    def test_the_grant_that_expires_soonest_pays_first(self, own: Callable[..., Client]) -> None:
        """Of three grants the one for this week is used up before the one for next, and the one without end last."""
        client = own("2021-01-10T12:00:00Z")
        client.grant("acme", "1", "never")
        client.grant("acme", "0.5", "later", expires_on="2021-01-25")
        client.grant("acme", "0.1", "soon", expires_on="2021-01-15")
        client.take(event("acme", "1", "2021-01-10T11:00:00Z", "300"))  # 0.30: 0.10 of soon, 0.20 of later
        assert client.balance("acme") == "1.30"

        client.move_clock("2021-01-16T00:00:00Z")
        assert client.balance("acme") == "1.30"
        assert client.ledger("acme", kind="expiry") == []
        client.move_clock("2021-01-25T23:59:59.999999Z")
        assert client.balance("acme") == "1.30"
        client.move_clock("2021-01-26T00:00:00Z")
        assert client.balance("acme") == "1.00"
        (expiry,) = client.ledger("acme", kind="expiry")
        assert expiry == {
            **expiry,
            "at": "2021-01-26T00:00:00Z",
            "pool": "contact_center_services",
            "amount": "-0.30",
            "balance_before": "1.30",
            "balance_after": "1.00",
            "expires_on": "2021-01-25",
        }
        client.take(event("acme", "2", "2021-01-25T12:00:00Z", "60"))
        assert client.balance("acme") == "0.94"

    def test_of_grants_that_expire_together_the_oldest_pays_first(self, own: Callable[..., Client]) -> None:
        """The first granted is used up, and the second alone is left to expire."""
        client = own("2021-01-10T12:00:00Z")
        first = client.grant("acme", "0.06", "a", expires_on="2021-01-15")
        client.move_clock("2021-01-10T12:00:01Z")
        second = client.grant("acme", "0.06", "b", expires_on="2021-01-15")
        client.take(event("acme", "1", "2021-01-10T11:00:00Z", "60"))
        client.move_clock("2021-01-16T00:00:00Z")

        (expiry,) = client.ledger("acme", kind="expiry")
        assert (expiry["amount"], expiry["cause"]) == ("-0.06", second["id"])
        assert first["id"] != second["id"]

    def test_the_last_day_is_the_accounts_own(self, own: Callable[..., Client]) -> None:
        """In New York the 15th ends at 05:00 UTC; what is taken then is not paid, whenever it happened."""
        client = own("2021-01-10T12:00:00Z", timezone="America/New_York")
        client.grant("acme", "1", "k", expires_on="2021-01-15")
        client.move_clock("2021-01-16T04:59:59.999999Z")
        client.take(event("acme", "1", "2021-01-16T04:00:00Z"))
        assert client.balance("acme") == "0.94"

        client.move_clock("2021-01-16T05:00:00Z")
        client.take(event("acme", "2", "2021-01-16T04:30:00Z"))
        assert client.product("acme")["credits_applied"] == "0.06"
        assert client.balance("acme") == "-0.06"

    def test_credit_of_the_new_month_never_lowers_the_old_invoice(self, own: Callable[..., Client]) -> None:
        """A grant in the grace pays the new month at once, and the closing one not at all."""
        client = own("2021-01-31T23:00:00Z")
        client.take(event("acme", "1", "2021-01-31T22:00:00Z", "60"))
        client.move_clock("2021-02-01T00:30:00Z")
        client.take(event("acme", "2", "2021-02-01T00:10:00Z", "120"))
        grant = client.grant("acme", "1", "k")

        assert grant["remaining"] == "0.88"
        assert client.balance("acme") == "-0.06"
        assert client.usage("acme")["contact_center_services"]["credits"]["promotional"] == "0.00"
        assert client.usage("acme", "2021-02")["contact_center_services"]["balance"] == "0.88"
        client.take(event("acme", "3", "2021-01-31T23:30:00Z", "60"))
        assert client.balance("acme") == "-0.12"
        client.move_clock("2021-02-01T01:00:00Z")
        assert client.invoice("acme", "2021-01")["total"] == "0.12"
        assert client.balance("acme") == "0.88"

    def test_credit_of_the_old_month_pays_in_the_grace(self, own: Callable[..., Client]) -> None:
        """What is left of January's credit pays January's late events and February's, in the order they are taken."""
        client = own("2021-01-31T23:00:00Z")
        client.grant("acme", "0.1", "k")
        client.move_clock("2021-02-01T00:30:00Z")
        client.take(event("acme", "1", "2021-02-01T00:10:00Z", "60"))
        client.take(event("acme", "2", "2021-01-31T23:59:00Z", "60"))

        assert client.product("acme", period="2021-02")["to_be_invoiced"] == "0.00"
        assert client.product("acme", period="2021-01")["to_be_invoiced"] == "0.02"
        assert client.balance("acme") == "-0.02"

    def test_credit_that_ends_with_the_month_does_not_pay_in_the_grace(self, own: Callable[..., Client]) -> None:
        """Whether a grant is in force is judged when the event is taken."""
        client = own("2021-01-31T23:00:00Z")
        client.grant("acme", "1", "k", expires_on="2021-01-31")
        client.take(event("acme", "1", "2021-01-31T22:00:00Z", "60"))
        client.move_clock("2021-02-01T00:00:00Z")
        client.take(event("acme", "2", "2021-01-31T23:59:00Z", "60"))

        assert client.product("acme")["credits_applied"] == "0.06"
        assert client.balance("acme") == "-0.06"
        client.move_clock("2021-02-01T01:00:00Z")
        assert client.invoice("acme", "2021-01")["total"] == "0.06"
        kinds = [(entry["kind"], entry["amount"], entry["at"]) for entry in client.ledger("acme")]
        assert kinds == [
            ("invoice", "0.06", "2021-02-01T01:00:00Z"),
            ("expiry", "-0.94", "2021-02-01T00:00:00Z"),
            ("grant", "1.00", "2021-01-31T23:00:00Z"),
        ]

    def test_the_ledger_is_filtered(self, own: Callable[..., Client]) -> None:
        """By pool, by kind and by time, days and instants both included."""
        client = own("2021-01-10T12:00:00Z", timezone="America/New_York")
        client.grant("acme", "1", "a")
        client.grant("acme", "2", "b", pool="virtual_agent", expires_on="2021-01-15")
        client.move_clock("2021-01-20T03:00:00Z")
        client.grant("acme", "3", "c", reason="sorry")

        def amounts(**query: str) -> list[str]:
            return [entry["amount"] for entry in client.ledger("acme", **query)]

        assert amounts() == ["3.00", "-2.00", "2.00", "1.00"]
        assert amounts(pool="virtual_agent") == ["-2.00", "2.00"]
        assert amounts(kind="grant") == ["3.00", "2.00", "1.00"]
        assert amounts(kind="expiry", pool="contact_center_services") == []
        assert amounts(**{"from": "2021-01-19"}) == ["3.00"]
        assert amounts(to="2021-01-18") == ["-2.00", "2.00", "1.00"]
        assert amounts(**{"from": "2021-01-16T05:00:00Z", "to": "2021-01-16T05:00:00Z"}) == ["-2.00"]
        assert client.ledger("acme")[0]["cause"] == "sorry"


def test_what_was_invoiced_stays_as_it_was(own: Callable[..., Client]) -> None:
    """Neither a new name nor other free units, prices or products touch an issued invoice."""
    client = own("2021-01-20T12:00:00Z")
    client.take(event("acme", "1", "2021-01-20T11:00:00Z"))
    client.move_clock("2021-02-01T01:00:00Z")
    before = client.invoice("acme", "2021-01"), client.usage("acme", "2021-01")

    client.put_rate_card("simple", "2020-01-01", SIMPLE_CARD.replace("0.06", "1"))
    client.put_account("acme", {**SIMPLE, "name": "New", "free_units": {"call": {"quantity": "60", "per": "account"}}})
    product = {"name": "Telephony", "unit": "second", "display": {"unit": "hour", "divisor": "3600"}}
    expect(200, client.ask("PUT", "/v1/products/call", product))
    assert (client.invoice("acme", "2021-01"), client.usage("acme", "2021-01")) == before
    client.take(event("acme", "2", "2021-02-01T00:30:00Z", "120"))
    assert client.product("acme")["name"] == "Telephony"


def test_a_job_says_when_it_ran_and_runs_next(own: Callable[..., Client]) -> None:
    """Jobs are listed with their last run and the next."""
    client = own("2021-01-20T12:00:00Z")
    before = {job["job"]: job for job in client.get("/v1/jobs")["items"]}
    assert {"issue-invoices", "expire-credit"} <= set(before)

    run = expect(200, client.ask("POST", "/v1/jobs/issue-invoices/runs")).json
    assert run == {"job": "issue-invoices", "at": "2021-01-20T12:00:00Z", "done": 0, "failed": 0, "left": 0}
    after = {job["job"]: job for job in client.get("/v1/jobs")["items"]}
    assert after["issue-invoices"]["last_run"]["at"] == "2021-01-20T12:00:00Z"
    assert "2021-01-20T12:00:00Z" < after["issue-invoices"]["next_run_at"] <= "2021-01-20T13:00:00Z"
