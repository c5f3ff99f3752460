"""Signing in at an OIDC issuer: authorization code with PKCE, against a provider of the tests' own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from tests.browser.oidc_provider import OidcProvider
from tests.browser.samples import NOW, fill, put_catalogue
from tests.browser.test_accessibility import NARROW, expect_accessible, expect_no_sideways_scroll
from tests.e2e.server import Server


ACCOUNT = "acme"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, OidcProvider]]:
    """Run a provider, and a server whose page signs in there."""
    with OidcProvider(tmp_path_factory.mktemp("provider")) as provider:
        options = ("--no-demo", "--test-clock", NOW)
        with Server(
            tmp_path_factory.mktemp("home"), *options, environment=provider.settings, is_measured=True
        ) as server:
            put_catalogue(server.client)
            fill(server.client, ACCOUNT)
            yield server, provider
            assert server.failures == []


@pytest.fixture
def server(running: tuple[Server, OidcProvider]) -> Server:
    """Give the server, to the fixtures that open pages as well."""
    return running[0]


@pytest.fixture
def account() -> str:
    """Give the one account."""
    return ACCOUNT


@pytest.fixture
def provider(running: tuple[Server, OidcProvider]) -> OidcProvider:
    """Give the provider, whose tokens are the account's unless a test says otherwise."""
    running[1].forgive()
    running[1].account = ACCOUNT
    return running[1]


@pytest.fixture
def signed_out(server: Server, provider: OidcProvider, open_page: Callable[..., Page]) -> Page:
    """Open the page without a token."""
    del provider
    page = open_page(viewport=NARROW)
    page.goto("about:blank")
    page.goto(server.url)
    expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()
    return page


def sign_in(page: Page) -> None:
    """Press the button."""
    page.get_by_role("button", name="Sign in").click()


def expect_nothing_stored(page: Page, address: str) -> None:
    """Check that neither the address nor the browser's storage keeps anything of the sign-in."""
    assert page.url == address
    assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]


def test_a_reader_signs_in_and_out_with_the_keyboard(server: Server, provider: OidcProvider, signed_out: Page) -> None:
    """The token's account is shown, at the bare address; signing out ends the session at the issuer, too."""
    expect_accessible(signed_out)
    signed_out.keyboard.press("Tab")
    signed_out.keyboard.press("Tab")
    expect(signed_out.locator(":focus")).to_have_accessible_name("Sign in")
    signed_out.keyboard.press("Enter")

    expect(signed_out.locator(".headline")).to_have_text("$6.70credit left")
    expect_nothing_stored(signed_out, f"{server.url}/")
    expect(signed_out.get_by_role("table", name="Invoices")).to_be_visible()
    expect_accessible(signed_out)
    expect_no_sideways_scroll(signed_out)

    before = len(provider.signed_out)
    with signed_out.expect_response("**/logout?*"):
        signed_out.get_by_role("button", name="Sign out").press("Enter")
    expect(signed_out.get_by_role("heading", name="You are signed out")).to_be_visible()
    expect(signed_out.get_by_role("button", name="Sign in")).to_be_enabled()
    signed_out.wait_for_url(f"{server.url}/")
    assert len(provider.signed_out) == before + 1
    assert "Acme" not in signed_out.content()


def test_the_page_may_ask_the_issuer_alone(server: Server, provider: OidcProvider) -> None:
    """The policy names the issuer's origin, for requests, and nothing else besides the page's own."""
    for path in ("/", "/console/main.js"):
        policy = server.client.ask("GET", path, token=None).headers["Content-Security-Policy"]
        assert policy.endswith(f"; connect-src 'self' {provider.url}")


def test_consent_that_is_denied_is_told(server: Server, provider: OidcProvider, signed_out: Page) -> None:
    """The issuer's words are shown, and the next try can do better."""
    provider.refusal = {"error": "access_denied", "error_description": "The user said no"}
    sign_in(signed_out)
    expect(signed_out.get_by_text("Sign in: this did not work. The user said no")).to_be_visible()
    expect_nothing_stored(signed_out, f"{server.url}/")
    expect_accessible(signed_out)
    provider.refusal = None
    sign_in(signed_out)

    expect(signed_out.locator(".headline")).to_be_visible()


@pytest.mark.parametrize(
    "answer", ["code=stolen&state=guessed", "error=access_denied&state=", "code=stolen&state=undefined"]
)
def test_an_answer_that_nobody_asked_for_is_refused(server: Server, signed_out: Page, answer: str) -> None:
    """A state that this browser did not send signs nobody in, and no code is sent anywhere."""
    asked: list[str] = []
    signed_out.on("request", lambda request: asked.append(request.url))
    signed_out.goto(f"{server.url}/?{answer}")

    expect(signed_out.get_by_text("The answer does not belong to this request.")).to_be_visible()
    expect_nothing_stored(signed_out, f"{server.url}/")
    assert all(url.startswith(server.url) for url in asked)


def test_a_token_for_another_request_is_refused(provider: OidcProvider, signed_out: Page) -> None:
    """The ID token has to carry the nonce of this very request."""
    provider.nonce = "replayed"
    sign_in(signed_out)

    expect(signed_out.get_by_text("The answer does not belong to this request.")).to_be_visible()


def test_a_session_that_expires_can_be_renewed(provider: OidcProvider, signed_out: Page) -> None:
    """The service refuses an expired token; signing in again shows the account again."""
    provider.lifetime = timedelta(minutes=-5)
    sign_in(signed_out)
    expect(signed_out.get_by_role("heading", name="Your session has ended")).to_be_visible()
    provider.lifetime = timedelta(minutes=5)
    sign_in(signed_out)

    expect(signed_out.locator(".headline")).to_have_text("$6.70credit left")


def test_a_token_without_an_account_shows_the_one_in_the_address(
    server: Server, provider: OidcProvider, signed_out: Page
) -> None:
    """Without either, the page says what is missing; the address keeps it for a reload."""
    provider.account = None
    sign_in(signed_out)
    expect(signed_out.get_by_text("Your access names no account.")).to_be_visible()
    signed_out.goto(f"{server.url}/?account={ACCOUNT}")
    sign_in(signed_out)

    expect(signed_out.locator(".headline")).to_have_text("$6.70credit left")
    expect_nothing_stored(signed_out, f"{server.url}/?account={ACCOUNT}")


def test_an_issuer_that_does_not_answer_is_told(provider: OidcProvider, signed_out: Page) -> None:
    """The page stays where it is."""
    signed_out.route(f"{provider.url}/**", lambda route: route.abort())
    sign_in(signed_out)

    expect(signed_out.get_by_text("Sign in: this did not work. The service did not answer.")).to_be_visible()
