"""What headers do for a client: answers it has already, requests it has left, other origins, ids of requests."""

from __future__ import annotations

import http.client
import json
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from app import app
from chalicelib.api.tokens import KeySource, TokenVerifier
from chalicelib.domain.products import SHARED_POOL
from chalicelib.local.server import BODY_BYTES_MAX, LocalServer
from chalicelib.local.signing_key import SigningKey
from chalicelib.services.grant_credit import GrantRequest
from chalicelib.settings import Settings
from tests.unit.services.world import World


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CONSOLE = "https://console.example"
USAGE = "/v1/accounts/acme/usage"


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
    """The account of a world behind HTTP."""

    def __init__(self, url: str, key: SigningKey, world: World) -> None:
        self.url = url
        self.key = key
        self.world = world
        self.token = self.token_of()

    def token_of(self, subject: str = "local", account: str | None = None) -> str:
        """Return a token of a subject."""
        return self.key.issue_token(["usage:read", "events:write"], subject=subject, account_id=account)

    def ask(self, method: str, path: str, token: str | None = "", **headers: str) -> Answer:
        """Send a request; an underscore in a header's name stands for a hyphen."""
        connection = http.client.HTTPConnection("127.0.0.1", urlsplit(self.url).port, timeout=30)
        token = self.token if token == "" else token
        sent = {} if token is None else {"Authorization": f"Bearer {token}"}
        try:
            connection.request(method, path, headers=sent | {k.replace("_", "-"): v for k, v in headers.items()})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def get(self, path: str = USAGE, **headers: str) -> Answer:
        """Send a GET."""
        return self.ask("GET", path, **headers)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[Settings], Web]]:
    """Give a function that puts the account of a world behind a server with some settings."""
    servers = []

    def start(settings: Settings) -> Web:
        world = World()
        key = SigningKey.load_or_create(tmp_path)
        app.use(world.services, TokenVerifier(KeySource.from_jwks(key.jwks())), settings)
        servers.append(LocalServer(app, cross_origin=app.cross_origin).start())
        return Web(servers[-1].url, key, world)

    yield start
    for server in servers:
        server.stop()
    app._handed_over = None


@pytest.fixture
def web(serve: Callable[[Settings], Web]) -> Web:
    """Give the account behind a server that lets a console in."""
    return serve(Settings(console_origins=(CONSOLE, "http://localhost:5173")))


class TestRevalidation:
    """Answers that the caller has already."""

    def test_the_same_tab_is_not_sent_again(self, web: Web) -> None:
        """As long as nothing else moves the tab is not sent again; a header tells up to when it is true."""
        web.world.use("5")
        first = web.get()
        assert first.headers["ETag"].startswith('W/"')
        assert first.headers["X-As-Of"] == first.json["as_of"] == "2026-11-10T12:00:00Z"

        web.world.at("2026-11-10T13:00:00Z")
        again = web.get(If_None_Match=first.headers["ETag"])
        assert (again.status, again.body) == (304, b"")
        assert again.headers["X-As-Of"] == "2026-11-10T13:00:00Z"
        for name in ("ETag", "Cache-Control", "Vary"):
            assert again.headers[name] == first.headers[name]
        assert first.headers["Cache-Control"] == "private, no-cache"

    def test_whatever_shows_makes_another_tab(self, web: Web) -> None:
        """Usage and credit change the tab's tag; so do credit that expires and a month that begins, by themselves."""
        expiring = GrantRequest(SHARED_POOL, Decimal(9), date(2026, 11, 20), "gift")
        changes: tuple[Callable[[], object], ...] = (
            lambda: web.world.use("5"),
            lambda: web.world.services.granting.grant("acme", expiring, "gift-1", "admin-7"),
            lambda: web.world.at("2026-11-21T00:00:00Z"),
            lambda: web.world.at("2026-12-01T00:00:00Z"),
        )
        tag = web.get().headers["ETag"]
        for change in changes:
            change()
            answer = web.get(If_None_Match=tag)
            assert answer.status == 200
            tag = answer.headers["ETag"]

    @pytest.mark.parametrize("sent", ["{tag}", "*", '"x", {tag}', 'W/"x",{tag} , "y"', "{strong}"])
    def test_how_a_known_answer_is_named(self, web: Web, sent: str) -> None:
        """The tag counts alone, in a list, as a strong one; an asterisk stands for any."""
        tag = web.get().headers["ETag"]

        assert web.get(If_None_Match=sent.format(tag=tag, strong=tag.removeprefix("W/"))).status == 304

    @pytest.mark.parametrize("sent", ["", '"x"', "W/", "x", '"*"', "{bare}"])
    def test_what_names_no_known_answer(self, web: Web, sent: str) -> None:
        """Another tag, or none, gets the whole answer."""
        bare = web.get().headers["ETag"].removeprefix("W/").strip('"')

        assert web.get(If_None_Match=sent.format(bare=bare)).status == 200

    def test_other_answers_have_tags_too(self, web: Web) -> None:
        """Balances, invoices, the series and past months need not be sent twice either."""
        web.world.use("5")
        web.world.at("2026-12-05T00:00:00Z").services.jobs.run("issue-invoices")
        for path in ("balances", "invoices", "invoices/2026-11", "usage/series?period=2026-11", "usage?period=2026-11"):
            address = f"/v1/accounts/acme/{path}"
            answer = web.get(address)
            assert answer.status == 200
            assert web.get(address, If_None_Match=answer.headers["ETag"]).status == 304

    def test_who_may_not_see_learns_nothing(self, web: Web) -> None:
        """A tag opens no door: without a token, or with another customer's, the answer is the same as ever."""
        tag = web.get().headers["ETag"]

        assert web.ask("GET", USAGE, token=None, If_None_Match=tag).status == 401
        assert web.ask("GET", USAGE, token=web.token_of(account="other"), If_None_Match="*").status == 404


class TestRateLimit:
    """How many requests a client may make."""

    def test_every_answer_tells_what_is_left(self, web: Web) -> None:
        """Answers and problems alike tell what is left to a caller whose token counts, and nothing to others."""
        for path, status in ((USAGE, 200), ("/v1/accounts/nobody/usage", 404), ("/v1/products", 403)):
            answer = web.get(path)
            assert answer.status == status
            assert answer.headers["RateLimit-Policy"] == '"requests";q=2000;w=2'
            assert answer.headers["RateLimit"].startswith('"requests";r=19')
        for answer in (web.ask("GET", USAGE, token=None), web.get("/health")):
            assert "RateLimit" not in answer.headers

    def test_beyond_the_limit(self, serve: Callable[[Settings], Web]) -> None:
        """A client that asks for too much has to wait; all users of a customer are one client, and others go on."""
        web = serve(Settings(requests_per_second=1))
        users = [web.token_of(subject, "acme") for subject in ("ann", "bob", "ann", "bob", "ann", "bob")]
        answers = [web.ask("GET", USAGE, token=token) for token in users]

        refused = answers[-1]
        assert (answers[0].status, refused.status, refused.json["code"]) == (200, 429, "too_many_requests")
        assert refused.headers["Content-Type"] == "application/problem+json"
        assert refused.headers["Retry-After"] == "1"
        assert refused.headers["RateLimit"] == '"requests";r=0;t=2'
        assert web.ask("GET", USAGE, token=web.token_of("acme")).status == 200


class TestCrossOrigin:
    """Pages of other origins."""

    def test_every_path_takes_a_preflight(self, web: Web) -> None:
        """A console's browser learns of every path which methods and headers it takes, without a token."""
        for path, methods in app.routes.items():
            answer = web.ask("OPTIONS", path, token=None, Origin=CONSOLE, Access_Control_Request_Method="GET")
            assert (answer.status, answer.body) == (204, b"")
            assert answer.headers["Access-Control-Allow-Origin"] == CONSOLE
            assert set(answer.headers["Access-Control-Allow-Methods"].split(", ")) == set(methods)
            assert {"Authorization", "Idempotency-Key"} <= set(
                answer.headers["Access-Control-Allow-Headers"].split(", ")
            )
            assert int(answer.headers["Access-Control-Max-Age"]) > 0
            assert answer.headers["X-Request-Id"]
            assert "Access-Control-Allow-Credentials" not in answer.headers

    @pytest.mark.parametrize("origin", [CONSOLE, "http://localhost:5173"])
    def test_answers_and_problems_can_be_read(self, web: Web, origin: str) -> None:
        """Whatever the answer, whoever gives it, the console's page may read it and the headers it needs."""
        too_large = str(BODY_BYTES_MAX + 1)
        answers = {
            200: web.get(Origin=origin),
            304: web.get(Origin=origin, If_None_Match="*"),
            401: web.ask("GET", USAGE, token=None, Origin=origin),
            403: web.get("/v1/products", Origin=origin),
            404: web.get("/nowhere", Origin=origin),
            405: web.ask("PATCH", USAGE, Origin=origin),
            400: web.ask("POST", "/v1/events", Origin=origin),
            413: web.ask("POST", "/v1/events", Origin=origin, Content_Length=too_large),
        }
        for status, answer in answers.items():
            assert answer.status == status
            assert answer.headers.get_all("Access-Control-Allow-Origin") == [origin]
            assert "Origin" in answer.headers["Vary"]
            exposed = set(answer.headers["Access-Control-Expose-Headers"].split(", "))
            assert {"ETag", "RateLimit", "Retry-After", "X-As-Of", "X-Request-Id"} <= exposed

    @pytest.mark.parametrize(
        "origin", ["https://evil.example", "null", CONSOLE + ".evil.example", CONSOLE.upper(), "*"]
    )
    def test_other_origins_get_nothing(self, web: Web, origin: str) -> None:
        """A page of another origin is told nothing, and no cache gives it what was meant for the console."""
        for answer in (
            web.get(Origin=origin),
            web.ask("OPTIONS", USAGE, Origin=origin),
            web.get("/nowhere", Origin=origin),
        ):
            assert not [name for name in answer.headers if name.lower().startswith("access-control")]
            assert "Origin" in answer.headers["Vary"]

    def test_without_a_console_elsewhere(self, serve: Callable[[Settings], Web]) -> None:
        """As long as no origin is configured nobody is let in, and answers do not vary with it."""
        answer = serve(Settings()).get("/health", Origin=CONSOLE)

        assert answer.status == 200
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert "Vary" not in answer.headers


def test_every_answer_has_a_request_id(web: Web) -> None:
    """Whoever gives an answer, it has an id, and no two have the same."""
    answers = [
        web.get(),
        web.get(If_None_Match="*"),
        web.get("/health"),
        web.get("/nowhere"),
        web.ask("OPTIONS", USAGE),
        web.ask("PATCH", USAGE),
        web.ask("GET", USAGE, token=None),
        web.ask("POST", "/v1/events", Content_Length=str(BODY_BYTES_MAX + 1)),
        web.ask("POST", "/v1/events", Content_Length="x"),
    ]

    assert all(answer.headers["X-Request-Id"] for answer in answers)
    assert len({answer.headers["X-Request-Id"] for answer in answers}) == len(answers)
