"""The page keeps to axe, fits every window, and can be worked with the keyboard alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, ViewportSize, expect

from tests.browser.samples import commit, manage_credits
from tests.e2e.client import event
from tests.e2e.server import Server


NARROW: ViewportSize = {"width": 360, "height": 740}
WIDE: ViewportSize = {"width": 1440, "height": 900}


def expect_accessible(page: Page) -> None:
    """Check the page as it is with axe."""
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()


def expect_no_sideways_scroll(page: Page) -> None:
    """Check that everything fits the window's width."""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(
        "[...document.querySelectorAll('dialog')].every((sheet) => sheet.scrollWidth <= sheet.clientWidth)"
    )


@pytest.mark.parametrize(("scheme", "viewport"), [("light", WIDE), ("dark", NARROW)], ids=["light", "dark"])
def test_the_page_is_accessible_and_fits(
    server: Server, account: str, open_page: Callable[..., Page], scheme: str, viewport: ViewportSize
) -> None:
    """Axe finds nothing, light and wide or dark and narrow, with a warning, an error at a field and open dialogs."""
    commit(server.client, account, "100", "2026-11-22")
    server.client.take(event(account, "m2", "2026-11-22T10:00:00Z", "184", "message"))
    page = open_page(color_scheme=scheme, viewport=viewport)
    expect(page.get_by_role("list", name="Warnings")).to_be_visible()
    expect(page.get_by_role("table", name="Invoices")).to_be_visible()
    page.get_by_text("Show as a table").click()
    expect_accessible(page)
    expect_no_sideways_scroll(page)

    page.get_by_role("button", name="Calls").click()
    expect(page.get_by_role("dialog", name="Calls, November 2026").get_by_role("table")).to_be_visible()
    expect_accessible(page)
    expect_no_sideways_scroll(page)
    page.keyboard.press("Escape")

    manage_credits(page)
    page.get_by_label("Amount in USD", exact=True).fill("1")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Amount in USD", exact=True)).to_have_attribute("aria-invalid", "true")
    expect_accessible(page)
    expect_no_sideways_scroll(page)

    page.get_by_label("Amount in USD", exact=True).fill("100")
    page.keyboard.press("Enter")
    expect(page.get_by_text("New balance")).to_be_visible()
    expect_accessible(page)
    page.keyboard.press("Escape")
    page.get_by_role("table", name="Invoices").get_by_role("button", name="November 2026").click()
    expect(page.get_by_role("dialog", name="Invoice of November 2026").get_by_role("table")).to_be_visible()
    expect_accessible(page)
    expect_no_sideways_scroll(page)


def test_the_signed_out_page_is_accessible(server: Server, page: Page) -> None:
    """Axe finds nothing on the page without a token."""
    page.goto("about:blank")
    page.goto(server.url)
    expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()

    expect_accessible(page)


def test_credit_can_be_bought_with_the_keyboard_alone(page: Page) -> None:
    """Tab leads from the page's first control to the purchase and back; Enter and Escape do the rest."""
    expect(page.get_by_role("button", name="Manage credits")).to_be_visible()
    focused = page.locator(":focus")
    for name in ("Skip to the usage", "Period", "Refresh now", "Download usage pricing", "Manage credits"):
        page.keyboard.press("Tab")
        expect(focused).to_have_accessible_name(name)
    page.keyboard.press("Enter")
    amount = page.get_by_label("Amount in USD", exact=True)
    expect(amount).to_be_visible()
    expect(focused).to_have_accessible_name("Close")
    page.keyboard.press("Tab")
    expect(amount).to_be_focused()
    page.keyboard.type("100")
    for name in ("Buy $100.00 of credit", "Auto recharge", "Threshold in USD", "Recharge amount in USD"):
        page.keyboard.press("Tab")
        expect(focused).to_have_accessible_name(name)
    amount.focus()
    page.keyboard.press("Enter")

    expect(page.get_by_role("status").get_by_text("New balance: $106.70")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("button", name="Manage credits")).to_be_focused()
