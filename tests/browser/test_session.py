"""Sessions that are missing, expire or lose the connection."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from playwright.sync_api import Page, Route, expect

from tests.browser.samples import manage_credits
from tests.e2e.server import Server


PROBLEM = {"title": "Unauthenticated", "status": 401, "code": "unauthenticated", "detail": "the token has expired"}


def expire(route: Route) -> None:
    """Answer as the service does to a token that is no longer good."""
    route.fulfill(status=401, json=PROBLEM, content_type="application/problem+json")


def expect_nothing_kept(page: Page) -> None:
    """Check that the signed-out page knows nothing of the account any more."""
    expect(page.get_by_role("heading", name="Your session has ended")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
    content = page.content()
    for word in ("Acme", "6.70", "Virtual agent"):
        assert word not in content


def test_a_page_without_a_token_is_signed_out(server: Server, page: Page) -> None:
    """The bare address says how to get in."""
    page.goto("about:blank")
    page.goto(server.url)

    expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()


def test_the_token_stays_out_of_the_address(page: Page, server: Server) -> None:
    """Neither the address bar nor what the browser stores has the token."""
    expect(page.locator(".headline")).to_be_visible()

    assert page.url == f"{server.url}/"
    assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]


def test_a_session_that_expires_leaves_nothing_on_the_page(page: Page) -> None:
    """The next refresh is refused, and what was shown is gone."""
    expect(page.locator(".headline")).to_have_text("$6.70credit left")
    page.route("**/v1/accounts/**", expire)
    page.get_by_role("button", name="Refresh now").click()

    expect_nothing_kept(page)


def test_a_session_that_expires_in_the_dialog_closes_it(page: Page) -> None:
    """A purchase that is refused for the token signs out, too."""
    manage_credits(page)
    page.route("**/credits/purchases", expire)
    page.get_by_label("Amount in USD", exact=True).fill("100")
    page.keyboard.press("Enter")

    expect_nothing_kept(page)


def test_a_new_token_signs_in_again(server: Server, account: str, page: Page) -> None:
    """An address pasted over the signed-out page opens the account anew."""
    expect(page.locator(".headline")).to_be_visible()
    page.route("**/v1/accounts/**", expire)
    page.get_by_role("button", name="Refresh now").click()
    expect_nothing_kept(page)
    page.unroute("**/v1/accounts/**")

    page.goto(f"{server.url}/#token={server.token}&account={account}")

    expect(page.locator(".headline")).to_have_text("$6.70credit left")


def test_another_accounts_token_leaves_nothing_of_the_one_before(server: Server, page: Page) -> None:
    """While the new account is being read, the page has no number of the old one."""
    expect(page.get_by_role("table", name="Invoices")).to_be_visible()
    page.route("**/v1/accounts/other/**", lambda _: None)
    page.goto(f"{server.url}/#token={server.token}&account=other")

    expect(page.locator("body")).to_have_attribute("data-state", "loading")
    for number in ("6.70", "29.30", "6.00"):
        expect(page.get_by_role("main")).not_to_contain_text(number)


def test_what_is_known_already_is_not_sent_again(open_page: Callable[..., Page]) -> None:
    """The page names the tab it has; told that it is still true, it shows the new moment and reads nothing else."""
    statuses: list[int] = []

    def pass_on_later(route: Route) -> None:
        response = route.fetch()
        statuses.append(response.status)
        headers = response.headers
        if response.status == HTTPStatus.NOT_MODIFIED:
            headers["x-as-of"] = "2026-11-22T15:00:00Z"
        route.fulfill(response=response, headers=headers)

    page = open_page(routes={"**/usage": pass_on_later})
    expect(page.get_by_role("figure", name="Daily charges")).to_be_visible()
    expect(page.get_by_role("table", name="Invoices")).to_be_visible()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
    page.evaluate("dispatchEvent(new Event('online'))")

    expect(page.get_by_role("main").get_by_text("Numbers true up to Nov 22, 2026, 3:00:00 PM")).to_be_visible()
    expect(page.locator(".headline")).to_have_text("$6.70credit left")
    assert statuses == [HTTPStatus.OK, HTTPStatus.NOT_MODIFIED]
    assert asked == ["usage"]


def test_without_a_connection_the_last_numbers_stay_with_their_time(page: Page) -> None:
    """The page says from when its numbers are, and forgets about it once the connection is back."""
    expect(page.locator(".headline")).to_have_text("$6.70credit left")
    page.context.set_offline(True)
    page.get_by_role("button", name="Refresh now").click()
    stale = page.get_by_role("main").get_by_text("The numbers shown are from Nov 22, 2026, 2:03:15 PM")
    expect(stale).to_be_visible()
    expect(page.locator(".headline")).to_have_text("$6.70credit left")

    page.context.set_offline(False)

    expect(stale).to_have_count(0)


def test_a_page_that_cannot_be_read_says_why_and_tries_again(open_page: Callable[..., Page]) -> None:
    """An account that is not there fails with the service's words; once it can be read, the page shows it."""
    page = open_page(of="nobody")
    expect(page.get_by_role("alert")).to_contain_text("there is no account 'nobody'")

    answer = {"status": 404}
    page.route("**/v1/accounts/nobody/usage", lambda route: route.fulfill(status=answer["status"], json={}))
    page.get_by_role("button", name="Try again").click()

    expect(page.get_by_role("alert")).to_contain_text("The answer could not be read.404")
