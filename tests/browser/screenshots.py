"""Take the pictures of the README, of the demo account as of a fixed day: `python -m tests.browser.screenshots`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.samples import NOW, launch, manage_credits
from tests.e2e.server import REPOSITORY, Server


FOLDER: Final = REPOSITORY / "docs"
WIDE: Final[dict[str, Any]] = {"viewport": {"width": 1280, "height": 900}}
PHONE: Final[dict[str, Any]] = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2}


def take_pictures(server: Server, browser: Browser) -> None:
    """Take all pictures of *server*'s demo account."""
    page = _open(server, browser, **WIDE)
    page.screenshot(path=FOLDER / "usage-tab.png", full_page=True)
    manage_credits(page)
    page.get_by_label("Amount in USD", exact=True).fill("250")
    page.screenshot(path=FOLDER / "manage-credits.png")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Virtual agent").click()
    page.get_by_role("dialog").get_by_role("row").nth(1).wait_for()
    page.screenshot(path=FOLDER / "interactions.png")
    _open(server, browser, color_scheme="dark", **WIDE).screenshot(path=FOLDER / "usage-tab-dark.png", full_page=True)
    _open(server, browser, **PHONE).screenshot(path=FOLDER / "usage-tab-phone.png")
    _open_failing(server, browser, **WIDE).screenshot(path=FOLDER / "usage-tab-error.png")


def _open(server: Server, browser: Browser, **options: Any) -> Page:
    page = browser.new_context(locale="en-US", reduced_motion="reduce", **options).new_page()
    page.goto(server.page)
    expect(page.get_by_role("table", name="Invoices").get_by_role("row")).to_have_count(4)
    expect(page.get_by_role("img", name="Daily charges")).to_be_visible()
    return page


def _open_failing(server: Server, browser: Browser, **options: Any) -> Page:
    """Open the page while the service is busy."""
    page = browser.new_context(locale="en-US", reduced_motion="reduce", **options).new_page()
    busy = {"code": "busy", "detail": "the service is busy; nothing is half-done, try again"}
    page.route("**/v1/**", lambda route: route.fulfill(status=503, json=busy))
    page.goto(server.page)
    page.get_by_role("alert").wait_for()
    return page


def main() -> None:
    """Run a server with the demo, and a browser."""
    with (
        tempfile.TemporaryDirectory() as home,
        Server(Path(home), "--test-clock", NOW) as server,
        sync_playwright() as playwright,
    ):
        browser = launch(playwright)
        take_pictures(server, browser)
        browser.close()


if __name__ == "__main__":
    main()
