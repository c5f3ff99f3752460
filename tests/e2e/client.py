"""An HTTP client that speaks to the service as a customer's programs do, and knows no more of it than is described."""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlencode

import urllib3

from tests.description import assert_described, assert_taken_as_described


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from types import TracebackType

BAD_REQUEST: Final = 400
SECONDS_MAX: Final = 60
CONNECTIONS_MAX: Final = 32
PROBLEM: Final = "application/problem+json"
BATCH: Final = "application/cloudevents-batch+json"


class Answer:
    """What the service answered."""

    def __init__(self, response: urllib3.BaseHTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.data

    @cached_property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    @property
    def code(self) -> str | None:
        """The problem's code, None where the answer is no problem."""
        return self.json["code"] if self.headers.get("Content-Type") == PROBLEM else None

    def __repr__(self) -> str:
        """Show what a failed test has to tell."""
        return f"<{self.status} {self.body[:2000]!r}>"


class Client:
    """Sends requests to *url*, with *token* unless told otherwise."""

    def __init__(self, url: str, token: str | None) -> None:
        self.url = url
        self.token = token
        self._pool = urllib3.PoolManager(maxsize=CONNECTIONS_MAX, retries=False, timeout=SECONDS_MAX)

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections."""
        self._pool.clear()

    def ask(  # noqa: PLR0913 - what a request is made of
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        token: str | None = "",
    ) -> Answer:
        """
        Send a request: bytes and text as they are, anything else as JSON.

        *token* stands in for the client's own; None sends none. Whatever is answered must be described.
        """
        sent = {"Content-Type": "application/json"} if body is not None else {}
        token = self.token if token == "" else token
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        sent |= headers or {}
        target = f"{self.url}{path}" + (f"?{urlencode(query)}" if query else "")
        raw = body if isinstance(body, bytes | str | None) else json.dumps(body)
        answer = Answer(self._pool.request(method, target, body=raw, headers=sent))
        assert_described(method, path, answer.status, answer.headers, answer.body)
        if answer.status < BAD_REQUEST:
            assert_taken_as_described(method, path, sent, raw.encode() if isinstance(raw, str) else raw or b"")
        return answer

    def get(self, path: str, *, token: str | None = "", **query: str) -> Any:
        """Return the JSON at *path*."""
        return expect(200, self.ask("GET", path, query=query, token=token)).json

    def put_account(self, account: str, settings: Mapping[str, Any]) -> None:
        """Create or replace an account."""
        expect(200, self.ask("PUT", f"/v1/accounts/{account}", settings))

    def put_rate_card(self, card: str, effective_from: str, rows: str) -> None:
        """Put a version of a rate card as CSV."""
        path = f"/v1/rate-cards/{card}/versions/{effective_from}"
        expect(200, self.ask("PUT", path, rows, headers={"Content-Type": "text/csv"}))

    def post(self, events: Sequence[Mapping[str, Any]], token: str | None = "") -> Any:
        """Post a batch of events and return what became of it."""
        return expect(200, self.ask("POST", "/v1/events", events, headers={"Content-Type": BATCH}, token=token)).json

    def take(self, *events: Mapping[str, Any]) -> None:
        """Post events that are all new and in order."""
        counts = self.post(events)
        assert counts == {"accepted": len(events), "duplicates": 0, "rejected": 0, "results": []}

    def usage(self, account: str, period: str | None = None) -> Any:
        """Return the tab."""
        return self.get(f"/v1/accounts/{account}/usage", **({"period": period} if period else {}))

    def product(self, account: str, resource: str = "call", period: str | None = None) -> Any:
        """Return the row of a product in the tab."""
        (row,) = (row for row in self.usage(account, period)["products"] if row["resource"] == resource)
        return row

    def balances(self, account: str) -> Any:
        """Return the balances by pool."""
        balances = self.get(f"/v1/accounts/{account}/balances")["balances"]
        return {balance.pop("pool"): balance for balance in balances}

    def balance(self, account: str, pool: str = "contact_center_services") -> str:
        """Return the balance of a pool."""
        balance: str = self.balances(account)[pool]["balance"]
        return balance

    def invoice(self, account: str, period: str) -> Any:
        """Return an issued invoice."""
        return self.get(f"/v1/accounts/{account}/invoices/{period}")

    def ledger(self, account: str, **query: str) -> list[Any]:
        """Return the entries of the ledger, newest first."""
        items: list[Any] = self.get(f"/v1/accounts/{account}/ledger", **query)["items"]
        return items

    def grant(self, account: str, amount: str, key: str, **members: str) -> Any:
        """Grant promotional credit."""
        body = {"pool": "contact_center_services", "amount": amount, **members}
        path = f"/v1/accounts/{account}/credits/grants"
        return expect(201, self.ask("POST", path, body, headers={"Idempotency-Key": key})).json

    def buy(self, account: str, amount: object, key: str, token: str | None = "") -> Answer:
        """Ask for a purchase of credit."""
        path = f"/v1/accounts/{account}/credits/purchases"
        return self.ask("POST", path, {"amount": amount}, headers={"Idempotency-Key": key}, token=token)

    def put_auto_recharge(self, account: str, **members: object) -> Answer:
        """Ask for auto recharge to be switched on, unless *members* say otherwise."""
        return self.ask("PUT", f"/v1/accounts/{account}/auto-recharge", {"enabled": True, **members})

    def auto_recharge(self, account: str) -> Any:
        """Return auto recharge as it stands."""
        return self.get(f"/v1/accounts/{account}/auto-recharge")

    def run_job(self, job: str) -> Any:
        """Run a job now and return what it did."""
        return expect(200, self.ask("POST", f"/v1/jobs/{job}/runs")).json

    def move_clock(self, now: str) -> Any:
        """Move the test clock and return the jobs that ran."""
        return expect(200, self.ask("PUT", "/v1/test-clock", {"now": now})).json["jobs"]


def expect(status: int, answer: Answer) -> Answer:
    """Return the *answer*, which must have this *status*."""
    assert answer.status == status, answer
    return answer


def assert_problem(answer: Answer, status: int, code: str) -> None:
    """Check that the answer is a problem of this *status* and *code*, complete as RFC 9457 and the API have it."""
    assert (answer.status, answer.headers.get("Content-Type")) == (status, PROBLEM), answer
    problem = answer.json
    assert (problem["status"], problem["code"]) == (status, code)
    for member in ("type", "title", "detail"):
        assert isinstance(problem[member], str), member
        assert problem[member], member
    assert answer.headers["X-Request-Id"]
    for fault in problem.get("errors", ()):
        assert set(fault) == {"pointer", "detail"}
        assert fault["pointer"] == "" or fault["pointer"].startswith("/")


def event(
    account: str, event_id: str, time: str, quantity: str = "60", resource: str = "call", **data: str
) -> dict[str, Any]:
    """Build a CloudEvent; *data* are the fields that rate rows match on, and `source`."""
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": data.pop("source", "/voice"),
        "type": resource,
        "subject": account,
        "time": time,
        "data": {"quantity": quantity, **data},
    }


def batches(events: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    """Cut *events* into batches."""
    return (events[start : start + size] for start in range(0, len(events), size))
