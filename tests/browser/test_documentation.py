"""The page that shows the API's description keeps to axe and fits every window."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser.test_accessibility import NARROW, WIDE, expect_no_sideways_scroll


if TYPE_CHECKING:
    from playwright.sync_api import Browser, ViewportSize

    from tests.e2e.server import Server


SAMPLE = {"include": [["header"], ["nav"], ["main > section:first-of-type"], ["main > section:last-of-type > h2"]]}
"""What there is one of, and one group of operations: all others are made like it, and axe would take long for them."""


@pytest.mark.parametrize(("scheme", "viewport"), [("light", WIDE), ("dark", NARROW)], ids=["light", "dark"])
def test_it_is_accessible_and_fits(server: Server, browser: Browser, scheme: str, viewport: ViewportSize) -> None:
    """Axe finds nothing, light and wide or dark and narrow, with examples open; the browser blocks nothing of it."""
    context = browser.new_context(color_scheme=scheme, viewport=viewport)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(f"{server.url}/docs")
    page.locator("#get_usage ~ details summary").first.click()
    page.get_by_role("navigation").get_by_role("link", name="Show the Usage tab").click()

    results = Axe().run(page, context=SAMPLE)
    assert results.violations_count == 0, results.generate_report()
    expect_no_sideways_scroll(page)
    assert page.evaluate("getComputedStyle(document.querySelector('table')).borderCollapse") == "collapse"
    assert said == []
    context.close()
