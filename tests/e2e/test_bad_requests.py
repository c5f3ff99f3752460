"""What the other routes refuse: each with its status and code, and without a trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.client import assert_problem, event, expect
from tests.e2e.samples import CARD_HEADER, SETTINGS, SIMPLE_CARD


if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.client import Client

TIME = "2021-01-20T11:00:00Z"
INBOUND = {"direction": "inbound", "resolution": "answered"}


@pytest.fixture
def used(client: Client, account: str) -> Iterator[str]:
    """Give an account with usage and credit, of which nothing may have moved when the test ends."""
    client.grant(account, "5", key="first")
    client.take(event(account, "first", TIME, "6000", **INBOUND))
    before = snapshot(client, account)
    yield account
    assert snapshot(client, account) == before


def snapshot(client: Client, account: str) -> Any:
    """Return all that is to be seen of an account."""
    settings = client.get(f"/v1/accounts/{account}")
    return settings, client.usage(account), client.balances(account), client.ledger(account)


class TestAccounts:
    """`PUT /v1/accounts/{a}`."""

    @pytest.mark.parametrize(
        ("changes", "code", "pointer"),
        [
            ({"currency": "EURO"}, "unknown_currency", "/currency"),
            ({"currency": "eur"}, "unknown_currency", "/currency"),
            ({"currency": "XXX"}, "unknown_currency", "/currency"),
            ({"currency": "USD"}, "currency_mismatch", "/currency"),
            ({"timezone": "Europe/Atlantis"}, "unknown_timezone", "/timezone"),
            ({"timezone": "../../etc/passwd"}, "unknown_timezone", "/timezone"),
            ({"timezone": "+01:00"}, "unknown_timezone", "/timezone"),
            ({"timezone": ""}, "unknown_timezone", "/timezone"),
            ({"rate_card": "none"}, "unknown_rate_card", "/rate_card"),
            (
                {"free_units": {"telepathy": {"quantity": "1", "per": "agent"}}},
                "unknown_resource",
                "/free_units/telepathy",
            ),
            (
                {"free_units": {"call": {"quantity": "-1", "per": "agent"}}},
                "invalid_request",
                "/free_units/call/quantity",
            ),
            ({"free_units": {"call": {"quantity": 1, "per": "agent"}}}, "invalid_request", "/free_units/call/quantity"),
            ({"free_units": {"call": {"quantity": "1", "per": "team"}}}, "invalid_request", "/free_units/call/per"),
            ({"free_units": []}, "invalid_request", "/free_units"),
            ({"agents": -1}, "invalid_request", "/agents"),
            ({"agents": 1.5}, "invalid_request", "/agents"),
            ({"agents": "10"}, "invalid_request", "/agents"),
            ({"name": ""}, "invalid_request", "/name"),
            ({"name": None}, "invalid_request", "/name"),
            ({"payment_method": {"type": "credit_card"}}, "invalid_request", "/payment_method"),
            ({"nickname": "A"}, "invalid_request", "/nickname"),
            ({"payment_method": {"type": "barter"}}, "invalid_request", "/payment_method"),
            ({"payment_method": "invoice"}, "invalid_request", "/payment_method"),
        ],
    )
    def test_a_wrong_member_is_named(
        self, client: Client, used: str, changes: dict[str, Any], code: str, pointer: str
    ) -> None:
        """A member that cannot be is refused with a pointer to it, whether or not the account exists."""
        for account in (used, f"{used}-new"):
            answer = client.ask("PUT", f"/v1/accounts/{account}", {**SETTINGS, **changes})
            assert_problem(answer, 422, code)
            (fault,) = answer.json["errors"]
            assert fault["pointer"].startswith(pointer)
            assert "[" not in fault["pointer"]
        assert_problem(client.ask("GET", f"/v1/accounts/{used}-new"), 404, "not_found")

    @pytest.mark.parametrize("member", sorted(SETTINGS))
    def test_a_missing_member_is_named(self, client: Client, used: str, member: str) -> None:
        """PUT replaces the whole, so all that has no default must be there."""
        settings = {name: value for name, value in SETTINGS.items() if name != member}

        answer = client.ask("PUT", f"/v1/accounts/{used}", settings)
        assert_problem(answer, 422, "invalid_request")
        assert member in answer.json["detail"]
        assert [fault["pointer"] for fault in answer.json["errors"]] == [f"/{member}"]

    @pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"agents": NaN}'])
    def test_what_is_no_json_is_refused(self, client: Client, used: str, body: bytes) -> None:
        """A body that cannot be read changes nothing."""
        assert_problem(client.ask("PUT", f"/v1/accounts/{used}", body), 400, "malformed_body")

    @pytest.mark.parametrize("account", ["a" * 65, "a.b", "a%20b", "%C3%A9", "a%2Fb"])
    def test_an_id_of_other_characters_is_refused(self, client: Client, account: str) -> None:
        """Ids are 1 to 64 letters, digits, `_` and `-`."""
        assert_problem(client.ask("PUT", f"/v1/accounts/{account}", SETTINGS), 422, "invalid_request")
        assert_problem(client.ask("GET", f"/v1/accounts/{account}/usage"), 404, "not_found")

    @pytest.mark.parametrize("change", [{"timezone": "Asia/Tokyo"}, {"currency": "USD", "rate_card": "dollars"}])
    def test_what_usage_fixed_cannot_change(self, client: Client, used: str, change: dict[str, str]) -> None:
        """Currency and time zone stay once there is usage."""
        client.put_rate_card("dollars", "2020-01-01", SIMPLE_CARD.replace("EUR", "USD"))

        assert_problem(client.ask("PUT", f"/v1/accounts/{used}", {**SETTINGS, **change}), 409, "fixed_by_usage")

    def test_nothing_is_fixed_before_there_is_usage(self, client: Client, account: str) -> None:
        """Currency, time zone and card of an unused account can be replaced."""
        client.put_rate_card("dollars", "2020-01-01", SIMPLE_CARD.replace("EUR", "USD"))
        settings = {**SETTINGS, "currency": "USD", "rate_card": "dollars", "timezone": "America/New_York"}

        client.put_account(account, settings)
        assert client.usage(account)["account"]["currency"] == "USD"

    def test_the_card_token_is_never_shown(self, client: Client, name: str) -> None:
        """An account that pays by card shows how it pays, not with what."""
        settings = {**SETTINGS, "payment_method": {"type": "credit_card", "token": "tok_secret"}}

        answer = expect(200, client.ask("PUT", f"/v1/accounts/{name}", settings))
        shown = expect(200, client.ask("GET", f"/v1/accounts/{name}"))
        assert answer.json["payment_method"] == shown.json["payment_method"] == {"type": "credit_card"}
        for seen in (answer, shown, client.ask("GET", f"/v1/accounts/{name}/usage")):
            assert "tok_secret" not in seen.text


class TestProducts:
    """`PUT /v1/products/{resource}`."""

    @pytest.mark.parametrize(
        "change", [{"unit": "minute"}, {"pool": "own"}, {"meter": "daily_peak"}], ids=lambda change: next(iter(change))
    )
    def test_a_used_product_keeps_pool_meter_and_unit(self, client: Client, used: str, change: dict[str, str]) -> None:
        """What its usage means cannot change under a product."""
        assert used
        product = {"name": "Calls", "unit": "second", "display": {"unit": "minute", "divisor": "60"}, "meter": "sum"}

        assert_problem(client.ask("PUT", "/v1/products/call", {**product, **change}), 409, "product_in_use")

    def test_an_unused_product_may_change(self, client: Client, name: str) -> None:
        """Until anyone uses a product all of it can be replaced."""
        product = {
            "name": "Faxes",
            "unit": "page",
            "display": {"unit": "ream", "divisor": "500"},
            "pool": "contact_center_services",
            "commit_available": False,
            "meter": "sum",
        }
        for change in ({}, {"unit": "sheet", "pool": "own", "commit_available": True, "meter": "daily_peak"}):
            answer = client.ask("PUT", f"/v1/products/{name}", {**product, **change})
            assert expect(200, answer).json == {"resource": name, **product, **change}
        listed = client.get("/v1/products", limit="200")["items"]
        assert [item for item in listed if item["resource"] == name] == [answer.json]

    @pytest.mark.parametrize(
        "change",
        [
            {"name": ""},
            {"unit": None},
            {"pool": "shared"},
            {"meter": "max"},
            {"commit_available": "yes"},
            {"display": {"unit": "minute", "divisor": "0"}},
            {"display": {"unit": "minute", "divisor": "-1"}},
            {"display": {"unit": "minute", "divisor": 60}},
            {"display": {"unit": "minute"}},
        ],
    )
    def test_a_wrong_member_is_refused(self, client: Client, name: str, change: dict[str, Any]) -> None:
        """A product that cannot be is not made."""
        body = {"name": "Faxes", "unit": "page", **change}

        assert_problem(client.ask("PUT", f"/v1/products/{name}", body), 422, "invalid_request")
        assert name not in [item["resource"] for item in client.get("/v1/products", limit="200")["items"]]

    @pytest.mark.parametrize("resource", ["contact_center_services", "a.b", "x" * 65])
    def test_a_name_that_no_product_can_have_is_refused(self, client: Client, resource: str) -> None:
        """A product cannot be named like the shared pool, or with other characters than an id."""
        answer = client.ask("PUT", f"/v1/products/{resource}", {"name": "X", "unit": "x"})
        assert_problem(answer, 422, "invalid_request")


ROW = {
    "Resource": "call",
    "Description": "Calls",
    "Direction": "inbound",
    "Type": "",
    "Resolutions": "answered;missed",
    "Country code": "",
    "Category": "",
    "Prefixes": "",
    "Price per increment": "0.01",
    "Increment": "60",
    "Unit of measure": "second",
    "Currency": "EUR",
}
FAULTY_ROWS = [
    {"Resource": ""},
    {"Resource": "not a name"},
    {"Prefixes": "49x"},
    {"Prefixes": "1234567890123456"},
    {"Price per increment": ""},
    {"Price per increment": "-0.01"},
    {"Price per increment": "cheap"},
    {"Price per increment": "1e-2"},
    {"Price per increment": "0.0000000000001"},
    {"Increment": ""},
    {"Increment": "0"},
    {"Increment": "0.000"},
    {"Increment": "-60"},
    {"Increment": "NaN"},
    {"Currency": ""},
    {"Currency": "USD"},
]


class TestRateCards:
    """`PUT /v1/rate-cards/{card}/versions/{date}`."""

    @pytest.mark.parametrize("change", FAULTY_ROWS, ids=str)
    @pytest.mark.parametrize("form", ["csv", "json"])
    def test_a_faulty_row_is_named(self, client: Client, used: str, form: str, change: dict[str, str]) -> None:
        """One wrong cell refuses the card, and the answer says in which row it stands."""
        assert used
        rows = [{**ROW, "Resource": "message"}, {**ROW, **change}]

        answer = put_rows(client, "standard", rows, form)
        assert_problem(answer, 422, "invalid_rate_card")
        (fault,) = answer.json["errors"]
        assert fault["pointer"].startswith("/rows/1")
        assert ("line 3" if form == "csv" else "row 2") in fault["detail"]

    @pytest.mark.parametrize("form", ["csv", "json"])
    def test_every_faulty_row_is_named_at_once(self, client: Client, used: str, form: str) -> None:
        """Of a card with many faults all are named, and the version in force stays."""
        rows = [ROW, *({**ROW, "Direction": f"d{number}", **change} for number, change in enumerate(FAULTY_ROWS))]
        before = client.ask("GET", f"/v1/accounts/{used}/rate-card").body

        answer = put_rows(client, "standard", rows, form)
        assert_problem(answer, 422, "invalid_rate_card")
        named = {fault["pointer"].split("/")[2] for fault in answer.json["errors"]}
        assert named == {str(number) for number in range(1, len(FAULTY_ROWS) + 1)}
        assert client.ask("GET", f"/v1/accounts/{used}/rate-card").body == before
        other = f"{used}-other"
        client.put_account(other, SETTINGS)
        client.take(event(other, "1", TIME, "6000", **INBOUND))
        assert client.product(other)["amount"] == "1.50"

    @pytest.mark.parametrize(
        ("one", "other", "ties"),
        [
            ({}, {}, True),
            ({"Resolutions": "answered;busy"}, {"Resolutions": "missed;busy"}, True),
            ({"Resolutions": "answered"}, {"Resolutions": "missed"}, False),
            ({"Resolutions": "answered"}, {"Resolutions": ""}, False),
            ({"Prefixes": "49;4915"}, {"Prefixes": "33;+4915"}, True),
            ({"Prefixes": "49"}, {"Prefixes": "491"}, False),
            ({"Country code": "DE"}, {"Country code": "FR"}, False),
            ({"Country code": "DE"}, {"Category": "mobile"}, False),
            ({"Direction": "outbound"}, {"Type": "byoc", "Direction": "outbound"}, False),
        ],
    )
    def test_rows_that_could_tie_are_refused(
        self, client: Client, name: str, one: dict[str, str], other: dict[str, str], *, ties: bool
    ) -> None:
        """Two rows of which one event could match both equally narrowly are not let in; all others are."""
        answer = put_rows(client, name, [{**ROW, **one}, {**ROW, **other}], "csv")

        if ties:
            assert_problem(answer, 422, "invalid_rate_card")
            (fault,) = answer.json["errors"]
            assert "line 2" in fault["detail"]
            assert "line 3" in fault["detail"]
        else:
            expect(200, answer)

    @pytest.mark.parametrize(
        ("text", "named"),
        [
            (SIMPLE_CARD.replace(",Prefixes,", ","), "Prefixes"),
            (SIMPLE_CARD.replace(",Prefixes,", ",Prefix,"), "Prefix"),
            (SIMPLE_CARD.replace("Type,", "Direction,"), "Direction"),
            (CARD_HEADER + ",Note\ncall,,,,,,,,1,1,second,EUR,x\n", "Note"),
            (CARD_HEADER + "\ncall,,,,1,1,second,EUR\n", "line 2"),
            (CARD_HEADER + "\n", "row"),
            ("", ""),
        ],
    )
    def test_a_table_of_another_form_is_refused(self, client: Client, name: str, text: str, named: str) -> None:
        """Unknown, missing and repeated columns, short lines and a card without rows are refused by name."""
        path = f"/v1/rate-cards/{name}/versions/2021-01-01"

        answer = client.ask("PUT", path, text, headers={"Content-Type": "text/csv"})
        assert_problem(answer, 422, "invalid_rate_card")
        assert any(named in fault["detail"] for fault in answer.json["errors"])

    @pytest.mark.parametrize(
        "row",
        [
            {**ROW, "Price per increment": 0.01},
            {**ROW, "Increment": 60},
            {**ROW, "Surcharge": "1"},
            {**ROW, "Prefixes": {"49": True}},
            {key: value for key, value in ROW.items() if key != "Currency"},
            "call",
            None,
        ],
        ids=lambda row: str(row)[:30],
    )
    def test_a_json_row_of_another_form_is_refused(self, client: Client, name: str, row: object) -> None:
        """JSON numbers, unknown members and rows that are no objects are refused."""
        assert_problem(put_rows(client, name, [row], "json"), 422, "invalid_rate_card")  # type: ignore[list-item]

    def test_the_members_of_json_rows_have_the_columns_names(self, client: Client, name: str) -> None:
        """A card in JSON means the same as in CSV, and lists may be lists."""
        row: dict[str, Any] = {title.lower().replace(" ", "_"): cell or None for title, cell in ROW.items()}
        row["resolutions"] = ["answered", "missed"]
        path = f"/v1/rate-cards/{name}/versions/2021-01-01"

        for body in ([row], {"rows": [row]}):
            expect(200, client.ask("PUT", path, body))
        client.put_account(name, {**SETTINGS, "rate_card": name})
        client.take(event(name, "1", TIME, "61", direction="inbound", resolution="missed"))
        assert client.product(name)["amount"] == "0.02"

    @pytest.mark.parametrize("day", ["2021-02-30", "2021-1-1", "today", "2021-01-01T00:00:00Z"])
    def test_a_version_is_named_by_a_date(self, client: Client, name: str, day: str) -> None:
        """What a version is effective from is a day of the calendar."""
        answer = client.ask("PUT", f"/v1/rate-cards/{name}/versions/{day}", SIMPLE_CARD)
        assert_problem(answer, 422, "invalid_request")

    def test_a_currency_that_does_not_exist_is_refused(self, client: Client, name: str) -> None:
        """A card needs a currency of ISO 4217."""
        answer = put_rows(client, name, [{**ROW, "Currency": "EUX"}], "csv")
        assert_problem(answer, 422, "invalid_rate_card")

    def test_the_currency_of_a_used_card_is_fixed(self, client: Client, used: str) -> None:
        """Once there is usage a card stays in its currency."""
        assert used
        answer = put_rows(client, "standard", [{**ROW, "Currency": "USD"}], "csv")
        assert_problem(answer, 409, "fixed_by_usage")


def put_rows(client: Client, card: str, rows: list[dict[str, str]], form: str) -> Any:
    """Put a version of a card as CSV or as JSON."""
    path = f"/v1/rate-cards/{card}/versions/2021-01-01"
    if form == "json":
        return client.ask("PUT", path, rows)
    lines = [",".join(row.values()) for row in rows]
    return client.ask("PUT", path, "\n".join([CARD_HEADER, *lines]), headers={"Content-Type": "text/csv"})


class TestGrants:
    """`POST /v1/accounts/{a}/credits/grants`."""

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"pool": "call"}, "unknown_pool"),
            ({"pool": "telepathy"}, "unknown_pool"),
            ({"pool": ""}, "unknown_pool"),
            ({"pool": None}, "invalid_request"),
            ({"amount": "0"}, "invalid_request"),
            ({"amount": "0.00"}, "invalid_request"),
            ({"amount": "-1"}, "invalid_request"),
            ({"amount": "0.0000000000001"}, "invalid_request"),
            ({"amount": "1e2"}, "invalid_request"),
            ({"amount": "ten"}, "invalid_request"),
            ({"amount": ""}, "invalid_request"),
            ({"amount": 10}, "invalid_request"),
            ({"amount": 10.5}, "invalid_request"),
            ({"amount": "1" * 400}, "invalid_request"),
            ({"expires_on": "2021-01-30"}, "invalid_request"),
            ({"expires_on": "2021-02-30"}, "invalid_request"),
            ({"expires_on": "soon"}, "invalid_request"),
            ({"expires_on": 20210228}, "invalid_request"),
            ({"reason": 5}, "invalid_request"),
            ({"amuont": "5"}, "invalid_request"),
        ],
    )
    def test_a_wrong_member_is_refused_and_binds_no_key(
        self, client: Client, account: str, change: dict[str, Any], code: str
    ) -> None:
        """Nothing is granted, and the key of the refused request is free for a right one."""
        path, headers = f"/v1/accounts/{account}/credits/grants", {"Idempotency-Key": "k"}
        body = {"pool": "contact_center_services", "amount": "10"}

        assert_problem(client.ask("POST", path, {**body, **change}, headers=headers), 422, code)
        assert client.ledger(account) == []
        expect(201, client.ask("POST", path, body, headers=headers))
        assert client.balance(account) == "10.00"

    @pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": ""}, {"Idempotency-Key": "  "}])
    def test_a_grant_without_a_key_is_refused(self, client: Client, used: str, headers: dict[str, str]) -> None:
        """What cannot be known again is not done."""
        body = {"pool": "contact_center_services", "amount": "10"}

        answer = client.ask("POST", f"/v1/accounts/{used}/credits/grants", body, headers=headers)
        assert_problem(answer, 400, "idempotency_key_required")

    def test_a_key_stands_for_one_request(self, client: Client, account: str) -> None:
        """The same request gets its first answer again, another is refused, another account's key is another."""
        first = client.grant(account, "10", "k", reason="welcome")
        client.take(event(account, "1", TIME, "6000", **INBOUND))
        other = f"{account}-other"
        client.put_account(other, SETTINGS)

        assert client.grant(account, "10", "k", reason="welcome") == first
        for members in ({"amount": "11", "reason": "welcome"}, {"amount": "10", "reason": "thanks"}):
            answer = client.ask(
                "POST",
                f"/v1/accounts/{account}/credits/grants",
                {"pool": "contact_center_services", **members},
                headers={"Idempotency-Key": "k"},
            )
            assert_problem(answer, 409, "idempotency_key_reused")
        assert client.grant(other, "11", "k")["id"] != first["id"]
        assert client.balance(account) == "8.50"
        assert len(client.ledger(account)) == 1

    def test_a_grant_may_have_twelve_decimals(self, client: Client, account: str) -> None:
        """Grants are as exact as prices."""
        grant = client.grant(account, "0.000000000001", "k", expires_on="2021-01-31")

        assert grant == {**grant, "amount": "0.000000000001", "remaining": "0.000000000001", "expires_on": "2021-01-31"}
        assert client.balance(account) == "0.000000000001"

    @pytest.mark.parametrize("timezone", ["UTC", "Asia/Tokyo", "America/New_York"])
    def test_credit_may_last_until_the_last_day_there_is(self, client: Client, name: str, timezone: str) -> None:
        """`9999-12-31`, which many systems write for "never", is a day like any other."""
        client.put_account(name, {**SETTINGS, "timezone": timezone})

        grant = client.grant(name, "10", "k", expires_on="9999-12-31")
        assert grant["expires_on"] == "9999-12-31"
        assert client.balance(name) == "10.00"


class TestReading:
    """Query parameters of GET."""

    @pytest.mark.parametrize("period", ["", "2021", "2021-13", "2021-00", "2021-1", "0000-01", "January", "2021-01-01"])
    def test_what_is_no_month_is_refused(self, client: Client, used: str, period: str) -> None:
        """A period is a month of the calendar."""
        answer = client.ask("GET", f"/v1/accounts/{used}/usage", query={"period": period})
        assert_problem(answer, 422, "invalid_period")
        if period:
            assert_problem(client.ask("GET", f"/v1/accounts/{used}/invoices/{period}"), 422, "invalid_period")

    @pytest.mark.parametrize("period", ["0001-01", "2020-12", "2021-02", "9999-12"])
    def test_a_month_that_the_account_does_not_have_is_not_found(self, client: Client, used: str, period: str) -> None:
        """Months before the account and in the future have no figures."""
        answer = client.ask("GET", f"/v1/accounts/{used}/usage", query={"period": period})
        assert_problem(answer, 404, "not_found")

    @pytest.mark.parametrize("period", ["2020-12", "2021-01", "2021-02"])
    def test_an_invoice_not_issued_is_not_found(self, client: Client, used: str, period: str) -> None:
        """Only months that are over and closed have an invoice."""
        assert_problem(client.ask("GET", f"/v1/accounts/{used}/invoices/{period}"), 404, "not_found")

    @pytest.mark.parametrize("path", ["ledger", "invoices"])
    @pytest.mark.parametrize("cursor", ["", "x", "!!!", "\u00e9", "b" * 2000, "cHJvZHVjdCNjYWxs"])
    def test_a_cursor_of_no_list_is_refused(self, client: Client, used: str, path: str, cursor: str) -> None:
        """A cursor that this kind of list did not hand out is told apart."""
        answer = client.ask("GET", f"/v1/accounts/{used}/{path}", query={"cursor": cursor})
        assert_problem(answer, 400, "invalid_cursor")

    def test_a_cursor_of_another_list_is_refused(self, client: Client, used: str) -> None:
        """A cursor goes on in the list that handed it out: of the same account, with the same filters."""
        account = f"{used}-other"
        client.put_account(account, SETTINGS)
        for key in ("first", "second"):
            client.grant(account, "1", key)
        query = {"limit": "1", "kind": "grant", "from": "2021-01-01"}
        query["cursor"] = client.get(f"/v1/accounts/{account}/ledger", **query)["cursor"]
        assert len(client.ledger(account, **{**query, "limit": "5"})) == 1

        assert_problem(client.ask("GET", f"/v1/accounts/{used}/ledger", query=query), 400, "invalid_cursor")
        for name, value in (("kind", "void"), ("from", "2021-01-02"), ("to", "2021-02-01"), ("pool", "call")):
            answer = client.ask("GET", f"/v1/accounts/{account}/ledger", query={**query, name: value})
            assert_problem(answer, 400, "invalid_cursor")

    @pytest.mark.parametrize("path", ["ledger", "invoices"])
    @pytest.mark.parametrize("limit", ["", "0", "201", "-1", "1.5", "ten", "9" * 30])
    def test_a_limit_out_of_range_is_refused(self, client: Client, used: str, path: str, limit: str) -> None:
        """Lists show 1 to 200 items at once."""
        answer = client.ask("GET", f"/v1/accounts/{used}/{path}", query={"limit": limit})
        assert_problem(answer, 422, "invalid_request")

    @pytest.mark.parametrize(
        "query", [{"kind": "gift"}, {"from": "soon"}, {"to": "2021-02-30"}, {"from": "2021-01-01T00:00:00"}]
    )
    def test_a_filter_of_the_ledger_that_cannot_be_is_refused(
        self, client: Client, used: str, query: dict[str, str]
    ) -> None:
        """Unknown kinds and times that are none are named."""
        assert_problem(client.ask("GET", f"/v1/accounts/{used}/ledger", query=query), 422, "invalid_request")

    @pytest.mark.parametrize("timezone", ["UTC", "Asia/Tokyo", "America/New_York"])
    def test_the_ledger_of_all_days_is_the_whole_ledger(self, client: Client, name: str, timezone: str) -> None:
        """The first and the last day there is bound nothing."""
        client.put_account(name, {**SETTINGS, "timezone": timezone})
        client.grant(name, "10", "k")

        whole = client.ledger(name)
        assert len(whole) == 1
        assert client.ledger(name, **{"from": "0001-01-01", "to": "9999-12-31"}) == whole

    @pytest.mark.parametrize(("day", "code"), [("soon", "invalid_request"), ("2021-02-30", "invalid_request")])
    def test_prices_on_no_day_are_refused(self, client: Client, used: str, day: str, code: str) -> None:
        """`on` is a date."""
        answer = client.ask("GET", f"/v1/accounts/{used}/rate-card", query={"on": day})
        assert_problem(answer, 422, code)

    def test_prices_before_the_first_version_are_not_found(self, client: Client, used: str) -> None:
        """Before its first version a card has no prices."""
        answer = client.ask("GET", f"/v1/accounts/{used}/rate-card", query={"on": "2019-12-31"})
        assert_problem(answer, 404, "not_found")

    @pytest.mark.parametrize(
        "path",
        ["", "/usage", "/balances", "/invoices", "/invoices/upcoming", "/invoices/2021-01", "/ledger", "/rate-card"],
    )
    def test_an_account_that_does_not_exist_is_not_found(self, client: Client, path: str) -> None:
        """There is nothing to read of an unknown account."""
        assert_problem(client.ask("GET", f"/v1/accounts/nobody{path}"), 404, "not_found")

    @pytest.mark.parametrize("path", ["/v2", "/v1/accounts", "/v1/accounts/a/b/c", "/usage"])
    def test_a_path_that_does_not_exist_is_not_found(self, client: Client, path: str) -> None:
        """Unknown paths are answered like everything else."""
        assert_problem(client.ask("GET", path), 404, "not_found")

    def test_a_method_that_a_path_does_not_take_is_refused(self, client: Client, used: str) -> None:
        """Nothing is deleted by asking for it."""
        assert_problem(client.ask("DELETE", f"/v1/accounts/{used}"), 405, "method_not_allowed")


class TestJobsAndClock:
    """`/v1/jobs` and `/v1/test-clock`."""

    def test_an_unknown_job_is_not_found(self, client: Client) -> None:
        """Only jobs that there are can run."""
        assert_problem(client.ask("POST", "/v1/jobs/tea-break/runs"), 404, "not_found")

    @pytest.mark.parametrize("at", ["2021-01-31T22:00:00.000001Z", "2999-01-01T00:00:00Z", "2021-01-31T22:00:00", 5])
    def test_a_job_runs_as_of_no_later_than_now(self, client: Client, used: str, at: object) -> None:
        """The future is not yet due, and a time needs an offset."""
        assert used
        assert_problem(client.ask("POST", "/v1/jobs/issue-invoices/runs", {"at": at}), 422, "invalid_request")

    def test_the_clock_does_not_go_backwards(self, client: Client) -> None:
        """Time that has passed stays past."""
        answer = client.ask("PUT", "/v1/test-clock", {"now": "2021-01-31T21:59:59.999999Z"})
        assert_problem(answer, 409, "clock_backwards")
        assert client.get("/v1/test-clock") == {"now": "2021-01-31T22:00:00Z"}

    @pytest.mark.parametrize(
        ("body", "status", "code"),
        [
            ({"now": "2021-02-01T00:00:00"}, 422, "invalid_request"),
            ({"now": "tomorrow"}, 422, "invalid_request"),
            ({"now": 1612137600}, 422, "invalid_request"),
            ({}, 422, "invalid_request"),
            (b"{", 400, "malformed_body"),
        ],
    )
    def test_a_time_that_is_none_does_not_move_the_clock(
        self, client: Client, body: object, status: int, code: str
    ) -> None:
        """The clock needs an instant to be moved to."""
        assert_problem(client.ask("PUT", "/v1/test-clock", body), status, code)
        assert client.get("/v1/test-clock") == {"now": "2021-01-31T22:00:00Z"}


def test_every_answer_carries_a_request_id(client: Client, account: str) -> None:
    """The caller's own id comes back; without one, each answer has another."""
    own = client.ask("GET", f"/v1/accounts/{account}", headers={"X-Request-Id": "trace-7"})
    ids = {client.ask("GET", path).headers["X-Request-Id"] for path in ("/health", "/nope", "/v1/jobs", "/")}

    assert own.headers["X-Request-Id"] == "trace-7"
    assert len(ids) == 4
