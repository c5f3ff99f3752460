"""A browser, a server, and accounts with known numbers to look at."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from tests.browser.samples import NOW, fill, launch, put_catalogue
from tests.e2e.server import Server


SECONDS_MAX = 15
_numbers = itertools.count(1)

expect.set_options(timeout=SECONDS_MAX * 1000)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a server whose clock stands still."""
    home = tmp_path_factory.mktemp("home")
    with Server(home, "--no-demo", "--test-clock", NOW, is_measured=True) as server:
        put_catalogue(server.client)
        yield server
        assert server.failures == []


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start the machine's Chromium, one for each test process."""
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture
def account(server: Server) -> str:
    """Give an account that pays by card, with credit and usage."""
    name = f"b{next(_numbers)}"
    fill(server.client, name)
    return name


@pytest.fixture
def open_page(server: Server, browser: Browser, account: str) -> Iterator[Callable[..., Page]]:
    """
    Give a function that opens the page of the account, by default for a reader in the United States.

    It takes what a browser context takes, `of` for another account, `token` for another token, `at` for another server
    and `routes` for requests to be answered by functions. A page that raised an error of its own fails the test.
    """
    contexts = []
    raised: list[str] = []

    def open_(
        of: str = account,
        token: str = "",
        at: Server = server,
        routes: Mapping[str, Callable[[Route], None]] | None = None,
        **options: Any,
    ) -> Page:
        context = browser.new_context(**{"locale": "en-US", "reduced_motion": "reduce", **options})
        contexts.append(context)
        context.set_default_timeout(SECONDS_MAX * 1000)
        page = context.new_page()
        page.on("pageerror", lambda error: raised.append(str(error)))
        for pattern, answer in (routes or {}).items():
            page.route(pattern, answer)
        page.goto(f"{at.url}/#token={token or at.token}&account={of}")
        return page

    yield open_
    for context in contexts:
        context.close()
    assert raised == []


@pytest.fixture
def page(open_page: Callable[..., Page]) -> Page:
    """Open the page of the account."""
    return open_page()
