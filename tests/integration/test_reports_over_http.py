"""Reports, series and interactions as a client of the API gets them, from the server of `usage-tab serve`."""

from __future__ import annotations

import csv
import http.client
import io
import json
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from app import app
from chalicelib.api.tokens import KeySource, TokenVerifier
from chalicelib.files.local import LocalReportFiles
from chalicelib.local.server import LocalServer
from chalicelib.local.signing_key import SigningKey
from chalicelib.services.clocks import RealClock
from tests.description import assert_described
from tests.unit.services.story import STORAGE, Story, use


if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        """Return the body read as JSON."""
        return json.loads(self.body)


class Web:
    """The account of a story behind HTTP."""

    def __init__(self, server: LocalServer, token: str, story: Story) -> None:
        self.server = server
        self.token = token
        self.story = story

    def get(self, path: str, *, method: str = "GET", token: str | None = None, **headers: str) -> Answer:
        """Send a request, to the path of an address."""
        parts = urlsplit(path)
        connection = http.client.HTTPConnection("127.0.0.1", urlsplit(self.server.url).port, timeout=30)
        try:
            target = parts.path + (f"?{parts.query}" if parts.query else "")
            sent = {"Authorization": f"Bearer {self.token if token is None else token}", **headers}
            connection.request(method, target, headers=sent)
            response = connection.getresponse()
            answer = Answer(response.status, response.headers, response.read())
        finally:
            connection.close()
        assert_described(method, parts.path, answer.status, answer.headers, answer.body)
        return answer


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    """Give the account on 10 November 2026, behind a server."""
    files = LocalReportFiles(RealClock().now)
    story = Story("America/New_York", files=files)
    story.go_to("2026-11-10T12:00:00Z")
    key = SigningKey.load_or_create(tmp_path)
    app.use(story.services, TokenVerifier(KeySource.from_jwks(key.jwks())))
    with LocalServer(app, files=files) as server:
        yield Web(server, key.issue_token(["usage:read"]), story)
    app._handed_over = None


def assert_problem(answer: Answer, status: int, code: str) -> None:
    """Check that a request was refused as it should be."""
    assert (answer.status, answer.json["code"]) == (status, code)
    assert answer.headers["Content-Type"] == "application/problem+json"


class TestReports:
    """Reports as answers and as files."""

    def test_a_small_report_is_the_answer(self, web: Web) -> None:
        """A report comes as CSV to save, with the byte order mark that spreadsheets look for."""
        web.story.take(use("c", "2026-11-10T11:00:00Z", "121", interaction_id="ï"))

        answer = web.get("/v1/accounts/acme/reports/cost?period=2026-11")
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
        assert answer.headers["Content-Disposition"] == 'attachment; filename="acme-cost-2026-11.csv"'
        assert answer.body.startswith(b"\xef\xbb\xbfInteraction ID,")
        (row,) = csv.DictReader(io.StringIO(answer.body.decode("utf-8-sig"), newline=""))
        assert (row["Interaction ID"], row["Charged amount"]) == ("ï", "0.013333333333")

    def test_a_large_report_is_polled_for(self, web: Web) -> None:
        """Above the limit the answer names a place to poll, which leads to a signed link that needs no token."""
        web.story.take(*(use(f"c{place}", "2026-11-10T11:00:00Z") for place in range(20)))
        reports = web.story.services.reports
        small = web.get("/v1/accounts/acme/reports/transactions").body
        reports.answer_bytes_max = 100

        accepted = web.get("/v1/accounts/acme/reports/transactions")
        assert accepted.status == 202
        assert accepted.json == {"status": "preparing", "poll": accepted.headers["Location"]}
        assert accepted.json["poll"].startswith(
            f"{web.server.url}/v1/accounts/acme/reports/files/transactions-2026-11-"
        )
        reports.wait()
        ready = web.get(accepted.json["poll"])
        assert ready.status == 200
        assert ready.json["status"] == "ready"
        fetched = web.get(ready.json["url"], token="none")
        assert fetched.status == 200
        assert fetched.body == small
        assert fetched.headers["Content-Disposition"] == 'attachment; filename="acme-transactions-2026-11.csv"'
        assert web.get(ready.json["url"], method="HEAD").headers["Content-Length"] == str(len(small))

    def test_while_it_is_prepared_polling_says_so(self, web: Web) -> None:
        """Until the file is there the poll answers 202 and how long to wait."""
        web.story.services.reports.files.announce("acme/cost-2026-11-1-0")

        answer = web.get("/v1/accounts/acme/reports/files/cost-2026-11-1-0")
        assert (answer.status, answer.json["status"]) == (202, "preparing")
        assert int(answer.headers["Retry-After"]) > 0

    def test_a_link_that_is_none_is_refused(self, web: Web) -> None:
        """A file is behind its signed link alone."""
        for query in ("", "?token=", "?token=a.b", "?other=1"):
            assert web.get(f"/files{query}").status == 403
        assert web.get("/files?token=x", method="POST").status == 405

    @pytest.mark.parametrize(
        ("path", "status", "code"),
        [
            ("reports/cost?period=2026-13", 422, "invalid_period"),
            ("reports/cost?period=2026-12", 404, "not_found"),
            ("reports/cost?period=2026-09", 404, "not_found"),
            ("reports/files/cost-2026-11-9-0", 404, "not_found"),
            ("reports/files/..%2Fx", 404, "not_found"),
            ("usage/series?granularity=week", 422, "invalid_request"),
            ("usage/series?period=2026-09", 404, "not_found"),
            ("usage/fax/events", 404, "not_found"),
            ("usage/call/events?limit=0", 422, "invalid_request"),
            ("usage/call/events?cursor=x", 400, "invalid_cursor"),
            ("usage/call/events?period=2026-12", 404, "not_found"),
        ],
    )
    def test_what_cannot_be_is_refused(self, web: Web, path: str, status: int, code: str) -> None:
        """Months, products, cursors and files that are none are told apart."""
        assert_problem(web.get(f"/v1/accounts/acme/{path}"), status, code)


class TestInteractions:
    """The list of interactions."""

    def test_an_interaction_is_explained(self, web: Web) -> None:
        """Of 126 s billed 100 are free; 26 cost 0.0065, of which 0.005 is paid."""
        grant = web.story.grant("0.005")
        call = use("c", "2026-11-10T11:00:00Z", "121", number="12065550100", direction="outbound", interaction_id="i-1")
        web.story.take(call)

        answer = web.get("/v1/accounts/acme/usage/call/events?period=2026-11").json
        assert answer == {
            "items": [
                {
                    "id": "c",
                    "source": "/voice",
                    "kind": "event",
                    "time": "2026-11-10T11:00:00Z",
                    "taken_at": "2026-11-10T12:00:00Z",
                    "late": False,
                    "interaction_id": "i-1",
                    "direction": "outbound",
                    "resolution": None,
                    "country_code": None,
                    "number": "1206****",
                    "category": None,
                    "type": None,
                    "quantity": "121",
                    "billed_quantity": "126",
                    "rate": {
                        "rate_card": "standard",
                        "effective_from": "2026-01-01",
                        "revision": 1,
                        "row": 2,
                        "description": "Calls to Seattle",
                        "price_per_increment": "0.0015",
                        "increment": "6",
                        "unit_of_measure": "",
                    },
                    "increments": "21",
                    "free_units": "100",
                    "amount": "0.0065",
                    "credits": [{"grant": grant, "amount": "0.005"}],
                    "to_be_invoiced": "0.0015",
                }
            ],
            "cursor": None,
        }

    def test_a_storage_product_shows_what_became_of_its_peak(self, web: Web) -> None:
        """A reversal is below zero, a sample costs nothing."""
        web.story.take(use("s", "2026-11-09T11:00:00Z", "12", STORAGE))
        web.story.go_to("2026-11-28T12:00:00Z")
        web.story.take(use("t", "2026-11-20T11:00:00Z", "22", STORAGE))

        items = web.get(f"/v1/accounts/acme/usage/{STORAGE}/events").json["items"]
        assert [
            (item["id"], item["kind"], item["billed_quantity"], item["free_units"], item["amount"]) for item in items
        ] == [
            ("t", "peak", "22", "2", "2.00"),
            ("s", "reversal", "-12", "-2", "-1.00"),
            ("t", "sample", "0", "0", "0.00"),
            ("s", "peak", "12", "2", "1.00"),
            ("s", "sample", "0", "0", "0.00"),
        ]

    def test_a_cursor_goes_on(self, web: Web) -> None:
        """Pages follow each other, and a cursor is of its list alone."""
        web.story.take(*(use(f"c{place}", f"2026-11-10T11:00:0{place}Z") for place in range(5)))

        first = web.get("/v1/accounts/acme/usage/call/events?limit=2").json
        second = web.get(f"/v1/accounts/acme/usage/call/events?limit=2&cursor={first['cursor']}").json
        third = web.get(f"/v1/accounts/acme/usage/call/events?limit=2&cursor={second['cursor']}").json
        assert [[item["id"] for item in page["items"]] for page in (first, second, third)] == [
            ["c4", "c3"],
            ["c2", "c1"],
            ["c0"],
        ]
        assert third["cursor"] is None
        other = web.get(f"/v1/accounts/acme/usage/message/events?cursor={first['cursor']}")
        assert_problem(other, 400, "invalid_cursor")
        another_month = web.get(f"/v1/accounts/acme/usage/call/events?period=2026-10&cursor={first['cursor']}")
        assert_problem(another_month, 400, "invalid_cursor")


class TestSeries:
    """Usage over time."""

    def test_the_hours_of_the_day_on_which_clocks_change(self, web: Web) -> None:
        """On 1 November 2026 the hour from 1 to 2 comes twice in New York, and each is a bucket of its own."""
        web.story.take(*(use(f"c{hour}", f"2026-11-01T{hour:02d}:30:00Z", "90", "virtual_agent") for hour in (5, 6, 7)))

        answer = web.get("/v1/accounts/acme/usage/series?granularity=hour&period=2026-11").json
        (product,) = answer["products"]
        assert (answer["timezone"], product["resource"]) == ("America/New_York", "virtual_agent")
        assert product["buckets"][:5] == [
            {"bucket": "2026-11-01T04:00:00Z", "quantity": "0", "amount": "0.00"},
            {"bucket": "2026-11-01T05:00:00Z", "quantity": "90", "amount": "56.25"},
            {"bucket": "2026-11-01T06:00:00Z", "quantity": "90", "amount": "56.25"},
            {"bucket": "2026-11-01T07:00:00Z", "quantity": "90", "amount": "56.25"},
            {"bucket": "2026-11-01T08:00:00Z", "quantity": "0", "amount": "0.00"},
        ]

    def test_days_and_months_have_their_names(self, web: Web) -> None:
        """A day is a date of the account's zone, a month its period; days are the default and end with today."""
        web.story.take(use("c", "2026-11-02T04:30:00Z", "90", "virtual_agent"))

        days = web.get("/v1/accounts/acme/usage/series").json["products"][0]["buckets"]
        assert days[0] == {"bucket": "2026-11-01", "quantity": "90", "amount": "56.25"}
        assert days[-1]["bucket"] == "2026-11-10"
        months = web.get("/v1/accounts/acme/usage/series?granularity=month").json["products"][0]["buckets"]
        assert months == [{"bucket": "2026-11", "quantity": "90", "amount": "56.25"}]
