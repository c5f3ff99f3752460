"""
Rate, free units, credit, to be invoiced: small tables worked out by hand.

By the card `simple` a minute of calls, or any part of it, costs 0.06, a message 0.0075, three seconds of transcription
1, and a session of the virtual agent 0.5, from a pool of its own.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.client import event, expect
from tests.e2e.samples import CARD_HEADER, SETTINGS, SIMPLE_CARD


if TYPE_CHECKING:
    from tests.e2e.client import Client

SIMPLE = {**SETTINGS, "rate_card": "simple"}
TIME = "2021-01-20T11:00:00Z"


def included(quantity: str, per: str = "account", resource: str = "call") -> dict[str, Any]:
    """Build the settings of an account with free units of one product."""
    return {**SIMPLE, "free_units": {resource: {"quantity": quantity, "per": per}}}


def figures(row: dict[str, Any]) -> tuple[str, ...]:
    """Return a row's quantity, billed and free units, amount, credit applied and what is to be invoiced."""
    free = row["free_units"]["used"] if row["free_units"] else None
    return row["quantity"], row["billed_quantity"], free, row["amount"], row["credits_applied"], row["to_be_invoiced"]


class TestFreeUnits:
    """What a month includes covers billed units first."""

    def test_free_units_per_agent_are_multiplied_by_agents(self, client: Client, name: str) -> None:
        """Three agents with 100 seconds each have 300, used up in whole increments."""
        client.put_account(name, {**included("100", "agent"), "agents": 3})

        client.take(event(name, "1", TIME, "200"))  # billed 240 of 300
        assert figures(client.product(name)) == ("200", "240", "240", "0.00", "0.00", "0.00")
        client.take(event(name, "2", TIME, "61"))  # billed 120, 60 free, 60 charged
        assert figures(client.product(name)) == ("261", "360", "300", "0.06", "0.00", "0.06")
        assert client.product(name)["free_units"] == {"included": "300", "used": "300", "remaining": "0"}

    def test_a_partly_covered_event_pays_for_the_rest(self, client: Client, name: str) -> None:
        """Of 120 billed seconds 100 are free, and 20 of 60 cost a third of 0.06."""
        client.put_account(name, included("100"))

        client.take(event(name, "1", TIME, "90"))
        assert figures(client.product(name)) == ("90", "120", "100", "0.02", "0.00", "0.02")

    @pytest.mark.parametrize(
        ("free", "amount"), [("1", "0.666666666667"), ("2", "0.333333333333"), ("0.5", "0.833333333333")]
    )
    def test_an_endless_division_is_rounded_to_twelve_decimals(
        self, client: Client, name: str, free: str, amount: str
    ) -> None:
        """What is left of three seconds for 1 is a periodic decimal: half-up at the twelfth."""
        client.put_account(name, included(free, resource="transcription"))

        client.take(event(name, "1", TIME, "3", "transcription"))
        row = client.product(name, "transcription")
        assert (row["amount"], row["to_be_invoiced"], row["balance"]) == (amount, amount, f"-{amount}")

    def test_within_a_request_time_decides_what_is_free(self, client: Client, name: str) -> None:
        """Of two calls in one batch the earlier takes the free units, wherever it stands."""
        client.put_rate_card(
            name, "2020-01-01", f"{CARD_HEADER}\ncall,A,,a,,,,,1,60,second,EUR\ncall,B,,b,,,,,2,60,second,EUR\n"
        )
        client.put_account(name, {**included("60"), "rate_card": name})
        later = event(name, "1", "2021-01-20T11:00:01Z", "60", type="a")
        earlier = event(name, "2", "2021-01-20T11:00:00Z", "60", type="b")

        client.take(later, earlier)
        assert client.product(name)["amount"] == "1.00"

    def test_of_events_at_one_instant_the_first_in_the_request_is_free(self, client: Client, name: str) -> None:
        """At equal times the index decides."""
        client.put_rate_card(
            name, "2020-01-01", f"{CARD_HEADER}\ncall,A,,a,,,,,1,60,second,EUR\ncall,B,,b,,,,,2,60,second,EUR\n"
        )
        client.put_account(name, {**included("60"), "rate_card": name})

        client.take(event(name, "1", TIME, "60", type="b"), event(name, "2", TIME, "60", type="a"))
        assert client.product(name)["amount"] == "1.00"

    def test_a_change_applies_at_once_and_re_rates_nothing(self, client: Client, name: str) -> None:
        """More free units cover what comes, fewer leave none, and what was charged stays charged."""
        client.put_account(name, included("60"))
        client.take(event(name, "1", TIME, "120"))
        assert figures(client.product(name)) == ("120", "120", "60", "0.06", "0.00", "0.06")

        client.put_account(name, included("150"))
        assert client.product(name)["free_units"] == {"included": "150", "used": "60", "remaining": "90"}
        assert client.product(name)["amount"] == "0.06"
        client.take(event(name, "2", TIME, "120"))  # 90 free, 30 charged: 0.03
        assert figures(client.product(name)) == ("240", "240", "150", "0.09", "0.00", "0.09")

        client.put_account(name, included("100"))
        assert client.product(name)["free_units"] == {"included": "100", "used": "150", "remaining": "0"}
        client.put_account(name, SIMPLE)
        client.take(event(name, "3", TIME, "60"))
        assert figures(client.product(name))[1:4] == ("300", "150", "0.15")

    def test_more_agents_have_more_free_units_at_once(self, client: Client, name: str) -> None:
        """The number of agents counts from the moment it changes."""
        client.put_account(name, {**included("60", "agent"), "agents": 1})
        client.take(event(name, "1", TIME, "60"))
        client.put_account(name, {**included("60", "agent"), "agents": 2})

        assert client.product(name)["free_units"] == {"included": "120", "used": "60", "remaining": "60"}
        client.put_account(name, {**included("60", "agent"), "agents": 0})
        assert client.product(name)["free_units"] == {"included": "0", "used": "60", "remaining": "0"}

    def test_free_units_cover_one_product_alone(self, client: Client, name: str) -> None:
        """Free calls make no messages free."""
        client.put_account(name, included("1000"))

        client.take(event(name, "1", TIME, "2", "message"), event(name, "2", TIME, "60"))
        assert client.product(name, "message")["free_units"] is None
        assert client.product(name, "message")["amount"] == "0.015"
        assert client.product(name, "call")["amount"] == "0.00"

    def test_usage_of_nothing_is_usage(self, client: Client, name: str) -> None:
        """An event of quantity 0 lists the product and costs nothing."""
        client.put_account(name, SIMPLE)
        assert client.usage(name)["products"] == []

        client.take(event(name, "1", TIME, "0"))
        assert figures(client.product(name)) == ("0", "0", None, "0.00", "0.00", "0.00")
        assert client.product(name)["balance"] == "0.00"


class TestCredit:
    """What credit pays, and what it leaves."""

    def test_credit_is_black_and_debt_is_red(self, client: Client, name: str) -> None:
        """A balance falls through zero: credit first, then to be invoiced."""
        client.put_account(name, SIMPLE)
        client.grant(name, "0.1", "k")
        seen = []
        for number in ("1", "2", "3"):
            client.take(event(name, number, TIME, "60"))
            row, pool = client.product(name), client.balances(name)["contact_center_services"]
            seen.append((pool["balance"], pool["credits"]["promotional"], pool["to_be_invoiced"], row["balance"]))

        assert seen == [
            ("0.04", "0.04", "0.00", "0.00"),
            ("-0.02", "0.00", "0.02", "-0.02"),
            ("-0.08", "0.00", "0.08", "-0.08"),
        ]
        assert figures(client.product(name)) == ("180", "180", None, "0.18", "0.10", "0.08")

    def test_credit_that_comes_late_pays_what_is_open(self, client: Client, name: str) -> None:
        """A grant pays the month's products in the order of their codes, and keeps the rest."""
        client.put_account(name, SIMPLE)
        client.take(event(name, "1", TIME, "40", "message"), event(name, "2", TIME, "300"))  # 0.30 each

        first = client.grant(name, "0.5", "a")
        paid = {resource: client.product(name, resource)["credits_applied"] for resource in ("call", "message")}
        assert (first["amount"], first["remaining"]) == ("0.50", "0.00")
        assert paid == {"call": "0.30", "message": "0.20"}
        assert client.balance(name) == "-0.10"

        second = client.grant(name, "0.5", "b")
        assert second["remaining"] == "0.40"
        assert client.balance(name) == "0.40"
        amounts = [(entry["amount"], entry["balance_before"], entry["balance_after"]) for entry in client.ledger(name)]
        assert amounts == [("0.50", "-0.10", "0.40"), ("0.50", "-0.60", "-0.10")]

    def test_a_pool_pays_for_its_own_products(self, client: Client, name: str) -> None:
        """Shared credit does not pay a product sold apart, nor the other way round."""
        client.put_account(name, SIMPLE)
        client.grant(name, "1", "shared")
        client.take(event(name, "1", TIME, "1", "virtual_agent"), event(name, "2", TIME, "60"))
        assert client.balances(name)["virtual_agent"]["balance"] == "-0.50"
        assert client.balance(name) == "0.94"

        client.grant(name, "2", "own", pool="virtual_agent")
        client.take(event(name, "3", TIME, "2", "virtual_agent"))
        row = client.product(name, "virtual_agent")
        assert (row["amount"], row["credits_applied"], row["to_be_invoiced"]) == ("1.50", "1.50", "0.00")
        assert (row["balance"], row["included_in"]) == ("0.50", None)
        assert row["committed_credit"] == {"status": "not_purchased"}
        assert client.product(name)["included_in"] == "contact_center_services"
        assert client.product(name)["committed_credit"] == {"status": "not_available"}
        assert client.balance(name) == "0.94"

    def test_a_pool_with_credit_shows_before_its_product_is_used(self, client: Client, name: str) -> None:
        """Balances list the shared pool always, and others once there is something in them."""
        client.put_account(name, SIMPLE)
        assert list(client.balances(name)) == ["contact_center_services"]

        client.grant(name, "2", "k", pool="virtual_agent")
        assert client.balances(name)["virtual_agent"]["balance"] == "2.00"
        assert client.usage(name)["products"] == []

    def test_always_amount_is_credit_and_debt(self, client: Client, name: str) -> None:
        """Whatever happened: billed = free + charged, and amount = credit applied + to be invoiced."""
        client.put_account(name, included("200"))
        client.grant(name, "0.05", "a")
        client.take(*(event(name, str(number), TIME, "50") for number in range(9)))
        client.grant(name, "0.03", "b")

        # 540 billed, 200 free, 340 charged at 0.001 each.
        assert figures(client.product(name)) == ("450", "540", "200", "0.34", "0.08", "0.26")
        assert client.balance(name) == "-0.26"


class TestExactness:
    """No digit is lost, at either end."""

    @pytest.mark.parametrize(
        ("price", "increment", "quantity"),
        [
            ("999999999999.999999999999", "0.000000001", "999999999999.999999999"),
            ("999999999999", "1", "999999999999"),
            ("0.000000000001", "1", "999999999999"),
        ],
    )
    def test_the_largest_figures_are_exact(
        self, client: Client, name: str, price: str, increment: str, quantity: str
    ) -> None:
        """The most digits that usage and prices can have, taken twice and once more, lose none."""
        client.put_rate_card(name, "2020-01-01", f"{CARD_HEADER}\ncall,Calls,,,,,,,{price},{increment},second,EUR\n")
        client.put_account(name, {**SIMPLE, "rate_card": name})

        client.take(event(name, "1", TIME, quantity), event(name, "2", TIME, quantity))
        client.take(event(name, "3", TIME, increment))
        total = 2 * Fraction(quantity) + Fraction(increment)
        row = client.product(name)
        assert (Fraction(row["quantity"]), Fraction(row["billed_quantity"])) == (total, total)
        assert Fraction(row["amount"]) == total / Fraction(increment) * Fraction(price)
        assert client.balance(name) == f"-{row['amount']}"

    def test_the_smallest_figures_are_exact(self, client: Client, name: str) -> None:
        """The twelfth decimal counts, a thousand times over."""
        client.put_rate_card(
            name, "2020-01-01", f"{CARD_HEADER}\ncall,Calls,,,,,,,0.000000000001,0.000000001,second,EUR\n"
        )
        client.put_account(name, {**SIMPLE, "rate_card": name})

        client.take(*(event(name, str(number), TIME, "0.000000003") for number in range(1000)))
        assert client.product(name)["quantity"] == "0.000003"
        assert client.product(name)["amount"] == "0.000000003"

    @pytest.mark.parametrize(
        ("currency", "amount", "total", "nothing"),
        [("JPY", "1.5", "2", "0"), ("KWD", "1.500", "1.500", "0.000"), ("USD", "1.50", "1.50", "0.00")],
    )
    def test_money_has_the_decimals_of_its_currency(  # noqa: PLR0913 - a table
        self, client: Client, name: str, currency: str, amount: str, total: str, nothing: str
    ) -> None:
        """Amounts show at least the minor unit, and an invoice is rounded to it."""
        client.put_rate_card(name, "2020-01-01", f"{CARD_HEADER}\ncall,Calls,,,,,,,1.5,60,second,{currency}\n")
        client.put_account(name, {**SIMPLE, "rate_card": name, "currency": currency})
        client.take(event(name, "1", TIME, "60"))

        row, invoice = client.product(name), client.get(f"/v1/accounts/{name}/invoices/upcoming")
        assert (row["amount"], row["credits_applied"]) == (amount, nothing)
        assert (invoice["total"], invoice["lines"][0]["to_be_invoiced"]) == (total, amount)

    def test_an_invoice_rounds_every_line_half_up(self, client: Client, name: str) -> None:
        """0.005 and 0.005 are 0.01 each and 0.02 together; 0.0049 is nothing."""
        rows = (
            "call,Calls,,,,,,,0.005,60,second,EUR\n"
            "message,Messages,,,,,,,0.005,1,message,EUR\n"
            "number,Numbers,,,,,,,0.0049,1,number,EUR\n"
        )
        client.put_rate_card(name, "2020-01-01", f"{CARD_HEADER}\n{rows}")
        client.put_account(name, {**SIMPLE, "rate_card": name})
        client.take(*(event(name, resource, TIME, "1", resource) for resource in ("number", "message", "call")))

        invoice = client.get(f"/v1/accounts/{name}/invoices/upcoming")
        lines = [(line["resource"], line["to_be_invoiced"], line["total"]) for line in invoice["lines"]]
        assert lines == [("call", "0.005", "0.01"), ("message", "0.005", "0.01"), ("number", "0.0049", "0.00")]
        assert invoice["total"] == "0.02"
        assert client.balance(name) == "-0.0149"


class TestIdentity:
    """When an event is the same event, and when it contradicts itself."""

    @pytest.mark.parametrize(
        "time",
        [
            "2021-01-20T11:00:00Z",
            "2021-01-20t11:00:00z",
            "2021-01-20T11:00:00.000000Z",
            "2021-01-20T11:00:00.0000009Z",
            "2021-01-20T12:00:00+01:00",
            "2021-01-20T06:30:00-04:30",
            "2021-01-20T11:00:00-00:00",
            "2021-01-21T00:45:00+13:45",
        ],
    )
    def test_an_instant_is_one_whatever_the_offset(self, client: Client, name: str, time: str) -> None:
        """The same instant in another notation is the same event."""
        client.put_account(name, SIMPLE)
        client.take(event(name, "1", TIME))

        assert client.post([event(name, "1", time)])["duplicates"] == 1
        assert client.product(name)["quantity"] == "60"

    def test_another_microsecond_is_another_event(self, client: Client, name: str) -> None:
        """One id at two instants counts twice."""
        client.put_account(name, SIMPLE)

        client.take(event(name, "1", TIME), event(name, "1", "2021-01-20T11:00:00.000001Z"))
        assert client.product(name)["quantity"] == "120"

    def test_another_source_or_account_is_another_event(self, client: Client, name: str) -> None:
        """Ids are those of their source, and accounts share nothing."""
        client.put_account(name, SIMPLE)
        client.put_account(f"{name}-b", SIMPLE)

        client.take(event(name, "1", TIME), event(name, "1", TIME, source="/other"), event(f"{name}-b", "1", TIME))
        assert client.product(name)["quantity"] == "120"
        assert client.product(f"{name}-b")["quantity"] == "60"

    @pytest.mark.parametrize(
        "change",
        [
            {"quantity": "95.0"},
            {"quantity": "0095"},
            {"quantity": "95.000000000"},
            {"number": "12065550100"},
            {"number": "+12065559999"},
            {"interaction_id": "i-2"},
            {"category": ""},
        ],
        ids=str,
    )
    def test_what_means_the_same_is_a_duplicate(self, client: Client, account: str, change: dict[str, str]) -> None:
        """Quantities compare by value, numbers as far as they are kept, and the interaction is not compared."""
        fields = {"direction": "outbound", "country_code": "US", "number": "+12065550100", "interaction_id": "i-1"}
        client.take(event(account, "1", TIME, "95", **fields))
        before = client.usage(account)

        counts = client.post([event(account, "1", TIME, **{"quantity": "95", **fields, **change})])
        assert (counts["accepted"], counts["duplicates"], counts["rejected"]) == (0, 1, 0)
        assert client.usage(account) == before

    @pytest.mark.parametrize(
        "change",
        [
            {"quantity": "95.000000001"},
            {"quantity": "0"},
            {"resource": "message", "type": "sms"},
            {"direction": "inbound"},
            {"resolution": "busy"},
            {"country_code": "CA"},
            {"category": "mobile"},
            {"type": "byoc"},
            {"number": "+14065550100"},
            {"number": ""},
        ],
        ids=str,
    )
    def test_what_means_something_else_is_a_conflict(
        self, client: Client, account: str, change: dict[str, str]
    ) -> None:
        """The first stands; another resource, quantity or matching field under its identity is refused."""
        rows = "call,C,,,,,,49151,1,60,second,EUR\ncall,C,,,,,,,1,60,second,EUR\nmessage,M,,,,,,,1,1,m,EUR\n"
        client.put_rate_card(account, "2020-01-01", f"{CARD_HEADER}\n{rows}")
        client.put_account(account, {**SETTINGS, "rate_card": account})
        fields = {"direction": "outbound", "country_code": "US", "number": "+12065550100"}
        client.take(event(account, "1", TIME, "95", **fields))
        before = client.usage(account)

        counts = client.post([event(account, "1", TIME, **{"quantity": "95", **fields, **change})])
        (result,) = counts["results"]
        assert (result["status"], result["code"]) == ("rejected", "conflict")
        assert client.usage(account) == before

    def test_within_a_batch_the_first_wins(self, client: Client, name: str) -> None:
        """Of two contradicting events in one request the one that stands first counts, whatever their order in time."""
        client.put_account(name, SIMPLE)
        batch = [event(name, "1", TIME, "60"), event(name, "1", TIME, "61"), event(name, "1", TIME, "60.0")]

        counts = client.post(batch)
        assert [(result["index"], result["code"]) for result in counts["results"]] == [
            (1, "conflict"),
            (2, "duplicate"),
        ]
        assert client.product(name)["quantity"] == "60"

    def test_a_rejected_event_leaves_its_identity_free(self, client: Client, name: str) -> None:
        """What was not taken may be sent again, corrected."""
        client.put_account(name, SIMPLE)
        for wrong in (
            event(name, "1", TIME, "1", "chat"),
            event(name, "1", TIME, "-1"),
            event(name, "1", TIME, "1", "x"),
        ):
            assert client.post([wrong])["rejected"] == 1

        client.take(event(name, "1", TIME, "60"))
        assert client.product(name)["quantity"] == "60"

    def test_an_event_known_already_needs_no_rate(self, client: Client, name: str) -> None:
        """A repeat is a duplicate even where the card of today has no row for it."""
        client.put_account(name, SIMPLE)
        client.take(event(name, "1", TIME, "60"))
        client.put_rate_card(name, "2020-01-01", f"{CARD_HEADER}\nmessage,Messages,,,,,,,1,1,message,EUR\n")
        client.put_account(name, {**SIMPLE, "rate_card": name})

        assert client.post([event(name, "1", TIME, "60")])["duplicates"] == 1
        assert client.post([event(name, "2", TIME, "60")])["results"][0]["code"] == "no_rate"

    def test_a_short_number_is_known_again(self, client: Client, name: str) -> None:
        """A number of which nothing may be kept is a number still."""
        client.put_account(name, SIMPLE)
        client.take(event(name, "1", TIME, "60", number="112"))

        assert client.post([event(name, "1", TIME, "60", number="112")])["duplicates"] == 1


class TestRateCards:
    """Which price counts when."""

    def test_a_version_counts_from_midnight_of_its_date_in_the_accounts_zone(self, client: Client, name: str) -> None:
        """In New York the 10th begins at 05:00 UTC; in UTC at midnight."""
        client.put_rate_card(name, "2020-01-01", SIMPLE_CARD)
        client.put_rate_card(name, "2021-01-10", SIMPLE_CARD.replace("0.06", "0.6"))
        expected = {"UTC": ["0.06", "0.60", "0.60"], "America/New_York": ["0.06", "0.06", "0.60"]}
        for zone, amounts in expected.items():
            account = f"{name}-{zone[:3]}"
            client.put_account(account, {**SIMPLE, "rate_card": name, "timezone": zone})
            seen = []
            for time in ("2021-01-09T23:59:59.999999Z", "2021-01-10T00:00:00Z", "2021-01-10T05:00:00Z"):
                before = client.usage(account)["contact_center_services"]["balance"]
                client.take(event(account, time, time))
                seen.append(f"{Decimal(before) - Decimal(client.balance(account)):.2f}")
            assert seen == amounts

    def test_a_replaced_version_re_rates_nothing(self, client: Client, name: str) -> None:
        """Events keep the price they were taken at; what comes pays the new one, back-dated or not."""
        client.put_rate_card(name, "2020-01-01", SIMPLE_CARD)
        client.put_account(name, {**SIMPLE, "rate_card": name})
        client.take(event(name, "1", TIME))
        assert client.product(name)["amount"] == "0.06"

        client.put_rate_card(name, "2020-01-01", SIMPLE_CARD.replace("0.06", "1"))
        assert client.product(name)["amount"] == "0.06"
        client.take(event(name, "2", TIME))
        assert client.product(name)["amount"] == "1.06"
        client.put_rate_card(name, "2021-01-15", SIMPLE_CARD.replace("0.06", "2"))
        client.take(event(name, "3", TIME), event(name, "4", "2021-01-14T11:00:00Z"))
        assert client.product(name)["amount"] == "4.06"
        assert client.post([event(name, "1", TIME)])["duplicates"] == 1

    def test_an_account_pays_by_the_card_it_has_when_the_event_is_taken(self, client: Client, name: str) -> None:
        """Another card counts from the moment the account gets it."""
        client.put_rate_card(name, "2020-01-01", SIMPLE_CARD.replace("0.06", "1"))
        client.put_account(name, SIMPLE)
        client.take(event(name, "1", TIME))
        client.put_account(name, {**SIMPLE, "rate_card": name})

        client.take(event(name, "2", TIME))
        assert client.product(name)["amount"] == "1.06"

    def test_before_the_first_version_there_is_no_rate(self, client: Client, name: str) -> None:
        """An event older than the card cannot be priced."""
        client.put_rate_card(name, "2021-01-20", SIMPLE_CARD)
        client.put_account(name, {**SIMPLE, "rate_card": name})

        (result,) = client.post([event(name, "1", "2021-01-19T23:59:59Z")])["results"]
        assert result["code"] == "no_rate"
        client.take(event(name, "1", "2021-01-20T00:00:00Z"))

    @pytest.mark.parametrize("timezone", ["UTC", "Asia/Tokyo", "America/New_York"])
    @pytest.mark.parametrize(("first", "later"), [("0001-01-01", "9999-12-31"), ("1900-01-01", "2100-01-01")])
    def test_a_version_may_be_effective_on_any_day(
        self, client: Client, name: str, timezone: str, first: str, later: str
    ) -> None:
        """A card that is in force "since ever" prices events in every zone, and can be downloaded."""
        client.put_rate_card(name, first, SIMPLE_CARD)
        client.put_rate_card(name, later, SIMPLE_CARD.replace("0.06", "1"))
        client.put_account(name, {**SIMPLE, "rate_card": name, "timezone": timezone})

        client.take(event(name, "1", TIME))
        assert client.product(name)["amount"] == "0.06"
        expect(200, client.ask("GET", f"/v1/accounts/{name}/rate-card"))

    @pytest.mark.parametrize(
        ("fields", "price"),
        [
            ({"direction": "inbound"}, "1"),
            ({"direction": "inbound", "country_code": "FR", "category": "local"}, "1"),
            ({"direction": "inbound", "country_code": "DE"}, "2"),
            ({"direction": "inbound", "country_code": "DE", "category": "local"}, "2"),
            ({"direction": "inbound", "country_code": "DE", "category": "tollfree"}, "3"),
            ({"direction": "inbound", "category": "tollfree"}, "1"),
            ({"direction": "outbound", "country_code": "US", "number": "+12065550100"}, "4"),
            ({"direction": "outbound", "country_code": "DE", "number": "+49301234567"}, "5"),
            ({"direction": "outbound", "country_code": "DE", "number": "491511234567"}, "6"),
            ({"direction": "outbound", "number": "+4915112345678"}, "6"),
            ({"direction": "outbound", "country_code": "FR", "number": "+4915212345678"}, "7"),
            ({"direction": "outbound", "country_code": "DE"}, "5"),
            ({"direction": "outbound", "country_code": "DE", "number": "+49"}, "5"),
            ({"direction": "internal"}, None),
            ({}, None),
        ],
        ids=str,
    )
    def test_the_narrowest_row_wins(self, client: Client, name: str, fields: dict[str, str], price: str | None) -> None:
        """Longest prefix, then country, then category; each falls back to the wider row."""
        rows = (
            "call,Inbound,inbound,,,,,,1,60,second,EUR\n"
            "call,Inbound DE,inbound,,,DE,,,2,60,second,EUR\n"
            "call,Inbound DE toll-free,inbound,,,DE,tollfree,,3,60,second,EUR\n"
            "call,Outbound,outbound,,,,,,4,60,second,EUR\n"
            "call,Outbound DE,outbound,,,DE,,,5,60,second,EUR\n"
            "call,Outbound mobile,outbound,,,,,+4915;4916,6,60,second,EUR\n"
            "call,Outbound one net,outbound,,,,,49152,7,60,second,EUR\n"
        )
        client.put_rate_card(name, "2020-01-01", f"{CARD_HEADER}\n{rows}")
        client.put_account(name, {**SIMPLE, "rate_card": name})

        counts = client.post([event(name, "1", TIME, **fields)])
        if price is None:
            assert counts["results"][0]["code"] == "no_rate"
        else:
            assert client.product(name)["amount"] == f"{price}.00"

    def test_the_download_is_the_card_in_force(self, client: Client, name: str) -> None:
        """The prices of a day come as JSON, or as a CSV that spreadsheets read as UTF-8 and that can be put again."""
        client.put_rate_card(name, "2020-01-01", SIMPLE_CARD)
        client.put_rate_card(name, "2021-02-01", SIMPLE_CARD.replace("0.06", "0.07"))
        client.put_account(name, {**SIMPLE, "rate_card": name})
        path = f"/v1/accounts/{name}/rate-card"

        today, later = client.ask("GET", path), client.ask("GET", path, query={"on": "2021-02-01"})
        assert today.headers["Content-Type"].startswith("text/csv")
        assert today.headers["Content-Disposition"].startswith("attachment")
        assert today.text.replace("\r\n", "\n") == f"\ufeff{SIMPLE_CARD}"
        assert later.text.replace("\r\n", "\n") == f"\ufeff{SIMPLE_CARD}".replace("0.06", "0.07")
        client.put_rate_card(name, "2020-01-01", today.text)
        as_json = expect(200, client.ask("GET", path, headers={"Accept": "application/json"})).json
        assert as_json["rows"][0]["price_per_increment"] == "0.06"

    def test_cells_that_a_spreadsheet_would_run_are_made_harmless(self, client: Client, name: str) -> None:
        """A description that begins like a formula does not reach the customer's spreadsheet as one."""
        row = 'call,"=HYPERLINK(""http://x"")",,,,,,,1,60,second,EUR'
        client.put_rate_card(name, "2020-01-01", f"{CARD_HEADER}\n{row}\n")
        client.put_account(name, {**SIMPLE, "rate_card": name})

        text = client.ask("GET", f"/v1/accounts/{name}/rate-card").text
        assert "\"'=HYPERLINK" in text


class TestRows:
    """The rows of the tab, seen again after whatever changes them."""

    def test_credit_of_the_pool_and_what_is_included(self, client: Client, name: str) -> None:
        """The row of an account shows its own credit and free units at once, also where its usage stays as it was."""
        other = f"{name}-other"
        for account in (name, other):
            client.put_account(account, included("10", resource="virtual_agent"))
            client.take(event(account, "1", TIME, "12", "virtual_agent"))

        before = client.product(name, "virtual_agent")
        assert (before["balance"], before["free_units"]["remaining"]) == ("-1.00", "0")
        client.grant(name, "3", "first", pool="virtual_agent")
        assert (paid := client.product(name, "virtual_agent"))["balance"] == "2.00"
        assert paid["credits_applied"] == "1.00"
        client.grant(name, "4", "second", pool="virtual_agent")
        assert client.product(name, "virtual_agent") == {**paid, "balance": "6.00"}
        client.put_account(name, included("15", resource="virtual_agent"))
        free = {"included": "15", "used": "10", "remaining": "5"}
        assert client.product(name, "virtual_agent") == {**paid, "balance": "6.00", "free_units": free}
        assert client.product(other, "virtual_agent") == before
