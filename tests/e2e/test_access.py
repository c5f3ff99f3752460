"""Who may do what: every route with no token, a wrong one, and those of customers and operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from app import app
from tests.e2e.client import assert_problem, event
from tests.e2e.samples import SIMPLE_CARD, pays_by_card
from tests.e2e.server import Server


if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.client import Client

SCOPES = ("usage:read", "credits:write", "events:write", "admin")
GRANT = {"pool": "contact_center_services", "amount": "1"}
COMMITMENT = {"amount": "1", "frequency": "annual", "starts_on": "2099-01-01"}
SETTINGS = pays_by_card()


class Route(NamedTuple):
    """
    A route, the scope it needs, a request for it and the status it answers to who may send it.

    `{account}` in the path is one account's own; 404 is for a thing that this account does not have.
    """

    method: str
    path: str
    scope: str
    body: Any = None
    status: int = 200
    pool: str = "contact_center_services"
    resource: str = "fax"

    @property
    def is_of_an_account(self) -> bool:
        """Tell whether the route belongs to one account."""
        return "{account}" in self.path

    def path_for(self, account: str) -> str:
        """Fill in the path."""
        return self.path.format(account=account, pool=self.pool, resource=self.resource, **NAMES)


ROUTES = (
    Route("GET", "/v1/accounts/{account}/usage", "usage:read"),
    Route("GET", "/v1/accounts/{account}/balances", "usage:read"),
    Route("GET", "/v1/accounts/{account}/usage/series", "usage:read"),
    Route("GET", "/v1/accounts/{account}/usage/{resource}/events", "usage:read", resource="call"),
    Route("GET", "/v1/accounts/{account}/reports/cost", "usage:read"),
    Route("GET", "/v1/accounts/{account}/reports/transactions", "usage:read"),
    Route("GET", "/v1/accounts/{account}/reports/files/{file}", "usage:read", status=404),
    Route("GET", "/v1/accounts/{account}/invoices", "usage:read"),
    Route("GET", "/v1/accounts/{account}/invoices/upcoming", "usage:read"),
    Route("GET", "/v1/accounts/{account}/invoices/{period}", "usage:read", status=404),
    Route("GET", "/v1/accounts/{account}/ledger", "usage:read"),
    Route("GET", "/v1/accounts/{account}/rate-card", "usage:read"),
    Route("POST", "/v1/events", "events:write", event("nobody", "1", "2021-01-20T11:00:00Z")),
    Route("PUT", "/v1/accounts/{account}", "admin", SETTINGS),
    Route("GET", "/v1/accounts/{account}", "admin"),
    Route("POST", "/v1/accounts/{account}/credits/grants", "admin", GRANT, 201),
    Route("POST", "/v1/accounts/{account}/credits/grants/{grant}/void", "admin", status=404),
    Route("POST", "/v1/accounts/{account}/credits/purchases", "credits:write", {"amount": "100"}, 201),
    Route("GET", "/v1/accounts/{account}/credits/purchases/{purchase}", "credits:write", status=404),
    Route("GET", "/v1/accounts/{account}/auto-recharge", "credits:write"),
    Route("PUT", "/v1/accounts/{account}/auto-recharge", "credits:write", {"enabled": False}),
    Route("POST", "/v1/accounts/{account}/warnings/{warning}/dismiss", "usage:read", status=404),
    Route("PUT", "/v1/accounts/{account}/commitments/{pool}", "admin", COMMITMENT),
    Route("DELETE", "/v1/accounts/{account}/commitments/{pool}", "admin", status=404, pool="chat"),
    Route("PUT", "/v1/products/{resource}", "admin", {"name": "Faxes", "unit": "page"}),
    Route("GET", "/v1/products", "admin"),
    Route("PUT", "/v1/rate-cards/{card}/versions/{effective_from}", "admin", SIMPLE_CARD),
    Route("GET", "/v1/jobs", "admin"),
    Route("POST", "/v1/jobs/{job}/runs", "admin"),
    Route("GET", "/v1/test-clock", "admin"),
    Route("PUT", "/v1/test-clock", "admin", {"now": "2021-01-31T22:00:00Z"}),
)
PUBLIC = {
    ("GET", "/"),
    ("GET", "/console/{name}"),
    ("GET", "/docs"),
    ("GET", "/docs/style.css"),
    ("GET", "/health"),
    ("GET", "/openapi.json"),
    ("POST", "/v1/webhooks/stripe"),
}
NAMES = {
    "period": "2021-01",
    "grant": "none",
    "purchase": "none",
    "warning": "none",
    "card": "access",
    "effective_from": "2021-01-01",
    "job": "issue-invoices",
    "file": "cost-2021-01-1-0",
}

every_route = pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")


@pytest.fixture(scope="session")
def token_for(server: Server) -> Callable[..., str]:
    """Give a function that returns a token of some scopes, of an account or of none."""
    tokens: dict[tuple[Any, ...], str] = {}

    def token(*scopes: str, account: str | None = None) -> str:
        if (scopes, account) not in tokens:
            tokens[scopes, account] = server.token_for(*scopes, account=account)
        return tokens[scopes, account]

    return token


@pytest.fixture(scope="session")
def customers(server: Server) -> tuple[str, str]:
    """Give two accounts with credit."""
    names = ("customer", "competitor")
    for name in names:
        server.client.put_account(name, SETTINGS)
        server.client.grant(name, "10", "opening")
    return names


def ask(client: Client, route: Route, account: str, token: str | None) -> Any:
    """Send the request of a route for an account."""
    headers = {"Idempotency-Key": "access", "Content-Type": "application/json"}
    if isinstance(route.body, str):
        headers["Content-Type"] = "text/csv"
    return client.ask(route.method, route.path_for(account), route.body, headers=headers, token=token)


def assert_let_in(answer: Any, route: Route) -> None:
    """Check that a request got past the door."""
    assert answer.status == route.status, answer
    assert "there is no account" not in answer.text


def test_every_route_is_in_the_table() -> None:
    """A route that is added needs a line here that says who may use it."""
    routes = {(method, path) for path, methods in app.routes.items() for method in methods if method != "OPTIONS"}

    assert routes == PUBLIC | {(route.method, route.path) for route in ROUTES}


@every_route
@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Bearer garbage", "Bearer a.b.c", "Basic dXNlcjpwYXNz", "bearer\tx"],
)
def test_a_request_without_a_token_is_refused(
    client: Client, customers: tuple[str, str], route: Route, authorization: str | None
) -> None:
    """Without a token that can be trusted nothing is said of whether the account exists."""
    for account in (customers[0], "nobody"):
        headers = {} if authorization is None else {"Authorization": authorization}
        answer = client.ask(route.method, route.path_for(account), route.body, headers=headers, token=None)
        assert_problem(answer, 401, "unauthenticated")
        assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_token_that_another_key_signed_is_refused(client: Client, server: Server, tmp_path: Path) -> None:
    """A token counts only if a key of this service signed it, whatever it claims."""
    foreign = Server(tmp_path).token_for(*SCOPES)
    head, claims, signature = server.token.split(".")

    for token in (foreign, f"{head}.{foreign.split('.')[1]}.{signature}", f"{head}.{claims}."):
        assert_problem(client.ask("GET", "/v1/products", token=token), 401, "unauthenticated")


@every_route
def test_a_token_with_all_other_scopes_is_refused(
    client: Client, customers: tuple[str, str], token_for: Callable[..., str], route: Route
) -> None:
    """No scope stands for another, and `admin` for none."""
    others = [scope for scope in SCOPES if scope != route.scope]

    answer = ask(client, route, customers[0], token_for(*others))
    assert_problem(answer, 403, "insufficient_scope")


@every_route
def test_a_token_with_just_the_scope_will_do(
    client: Client, customers: tuple[str, str], token_for: Callable[..., str], route: Route
) -> None:
    """The one scope that a route names is enough for an operator."""
    assert_let_in(ask(client, route, customers[0], token_for(route.scope)), route)


@every_route
@pytest.mark.parametrize("scopes", [SCOPES, ()], ids=["all scopes", "no scope"])
def test_another_customers_account_does_not_exist(
    client: Client,
    customers: tuple[str, str],
    token_for: Callable[..., str],
    route: Route,
    scopes: tuple[str, ...],
) -> None:
    """A customer's token does not even learn that another account exists; routes of no account are not for it."""
    own, other = customers
    if route.is_of_an_account:
        answer = ask(client, route, other, token_for(*scopes, account=own))
        unknown = ask(client, route, "nobody", token_for(*scopes, account=own))
        assert_problem(answer, 404, "not_found")
        assert answer.text.replace(other, "nobody") == unknown.text
    elif route.scope == "admin":
        assert_problem(ask(client, route, other, token_for(*scopes, account=own)), 403, "insufficient_scope")


@every_route
def test_a_customers_token_reaches_its_own_account(
    client: Client, customers: tuple[str, str], token_for: Callable[..., str], route: Route
) -> None:
    """With the scope a customer's user does for the own account what an operator does."""
    if route.is_of_an_account:
        assert_let_in(ask(client, route, customers[0], token_for(route.scope, account=customers[0])), route)
        others = [scope for scope in SCOPES if scope != route.scope]
        answer = ask(client, route, customers[0], token_for(*others, account=customers[0]))
        assert_problem(answer, 403, "insufficient_scope")


def test_a_customers_events_for_another_account_are_unknown(
    client: Client, customers: tuple[str, str], token_for: Callable[..., str], name: str
) -> None:
    """Of a batch for several accounts a customer's token moves the own one alone."""
    own, other = customers
    before = client.usage(other)
    fields = {"direction": "inbound", "resolution": "answered"}
    batch = [event(account, name, "2021-01-20T11:00:00Z", **fields) for account in (other, own, "nobody")]

    counts = client.post(batch, token_for("events:write", account=own))
    assert (counts["accepted"], counts["rejected"]) == (1, 2)
    seen = [(result["index"], result["code"], result["detail"]) for result in counts["results"]]
    assert [(index, code) for index, code, _ in seen] == [(0, "unknown_account"), (2, "unknown_account")]
    assert seen[0][2] == seen[1][2]
    assert client.usage(other) == before


def test_webhooks_of_another_gateway(client: Client, server: Server) -> None:
    """Where payments go through the sandbox there are no webhooks, with a token or without one."""
    for token in (None, server.token):
        assert_problem(client.ask("POST", "/v1/webhooks/stripe", {}, token=token), 404, "not_found")


def test_the_printed_token_may_do_everything(server: Server, client: Client, customers: tuple[str, str]) -> None:
    """Who starts the server can use all of it at once."""
    for route in ROUTES:
        assert_let_in(ask(client, route, customers[0], server.token), route)


def test_a_content_type_without_content_means_nothing(client: Client, customers: tuple[str, str]) -> None:
    """What is only read answers the same whatever type of content a client says it sends."""
    for route in ROUTES:
        if route.method == "GET":
            answer = client.ask("GET", route.path_for(customers[0]), headers={"Content-Type": "multipart/form-data"})
            assert_let_in(answer, route)
