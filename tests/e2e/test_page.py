"""What needs no token: the page, its files and the health of the service."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.e2e.client import assert_problem, expect
from tests.e2e.samples import SETTINGS
from tests.e2e.server import Server
from tests.stores import DynamoDBLocal


if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.client import Client


def test_the_page_runs_nothing_from_elsewhere(client: Client) -> None:
    """The page comes with a policy that lets in scripts and styles of its own address alone."""
    answer = expect(200, client.ask("GET", "/", token=None))

    policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert policy["default-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "<script>" not in answer.text
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", answer.text)


def test_every_file_that_the_page_names_is_served(client: Client) -> None:
    """Scripts, styles and pictures, and what scripts import, are there with their types."""
    types = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
    waiting = set(re.findall(r"console/([\w.-]+)", client.ask("GET", "/").text))
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        answer = expect(200, client.ask("GET", f"/console/{name}", token=None))
        assert answer.headers["Content-Type"].startswith(types[name.rpartition(".")[2]])
        assert "Content-Security-Policy" in answer.headers
        seen.add(name)
        if name.endswith(".js"):
            waiting |= set(re.findall(r"""from "\./([\w.-]+)";""", answer.text)) - seen
    assert {"main.js", "console.css"} <= seen


def test_the_page_announces_its_modules_at_once(client: Client) -> None:
    """No module waits for another to ask for it: the answer with the page names them all, and they are there."""
    links = client.ask("GET", "/", token=None).headers["Link"].split(", ")
    names = [re.fullmatch(r"<console/([\w-]+\.js)>; rel=modulepreload", link) for link in links]

    assert {"main.js", "purchase.js"} <= {name[1] for name in names if name}
    for name in names:
        assert name
        expect(200, client.ask("GET", f"/console/{name[1]}", token=None))


@pytest.mark.parametrize("name", ["nothing.js", "..%2Fapp.py", "%2e%2e", "index.html%00.js", "__init__.py"])
def test_nothing_but_the_pages_files_is_served(client: Client, name: str) -> None:
    """No name leads out of the page's folder."""
    assert_problem(client.ask("GET", f"/console/{name}", token=None), 404, "not_found")


def test_head_answers_like_get_without_a_body(client: Client, account: str) -> None:
    """Every GET can be asked for its headers alone."""
    for path in ("/", "/health", "/console/main.js", f"/v1/accounts/{account}/usage", "/v1/accounts/nobody"):
        head, get = client.ask("HEAD", path), client.ask("GET", path)
        assert (head.status, head.body) == (get.status, b"")
        for header in ("Content-Type", "Content-Length"):
            assert head.headers[header] == get.headers[header]


def test_health_tells_of_the_store(home: Path, tmp_path: Path) -> None:
    """With its store gone the service is unavailable and busy, never wrong; back with the store, it is well."""
    with (
        DynamoDBLocal(tmp_path) as store,
        Server(home, "--no-demo", "--store", store.endpoint, is_measured=True) as server,
    ):
        client = server.client
        assert expect(200, client.ask("GET", "/health", token=None)).json == {"status": "ok", "store": "ok"}
        store.kill()

        health = client.ask("GET", "/health", token=None)
        assert (health.status, health.json["store"]) == (503, "unavailable")
        for method, path, body in (("GET", "/v1/products", None), ("PUT", "/v1/accounts/acme", SETTINGS)):
            answer = client.ask(method, path, body)
            assert_problem(answer, 503, "busy")
            assert int(answer.headers["Retry-After"]) > 0
        assert client.ask("GET", "/", token=None).status == 200

        store.start()
        assert expect(200, client.ask("GET", "/health", token=None)).json == {"status": "ok", "store": "ok"}
        assert client.get("/v1/products")["items"]
