"""What the page is filled with, so that every number on it can be reckoned with by hand."""

from __future__ import annotations

import shutil
from typing import Any, Final

from playwright.sync_api import Browser, Page, Playwright

from tests.e2e.client import Client, event, expect
from tests.e2e.samples import CARD_HEADER


NOW: Final = "2026-11-22T14:03:15Z"

CARD: Final = f"""{CARD_HEADER}
call,Calls,,,,,,,0.06,60,second,USD
message,Messages,,,,,,,0.5,1,message,USD
virtual_agent,Sessions,,,,,,,2,1,session,USD
"""

SETTINGS: Final[dict[str, Any]] = {
    "name": "Acme",
    "currency": "USD",
    "timezone": "Europe/Lisbon",
    "payment_method": {"type": "credit_card", "token": "tok_ok"},
    "rate_card": "pages",
    "agents": 2,
    "free_units": {"call": {"quantity": "600", "per": "agent"}},
}
"""An account with 20 minutes of free calls."""


def launch(playwright: Playwright) -> Browser:
    """
    Start the machine's Chromium.

    Raises:
        RuntimeError: where there is none.
    """
    chromium = shutil.which("chromium")
    if chromium is None:
        raise RuntimeError("the tests of the page need the program chromium")
    return playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"])


def put_catalogue(client: Client) -> None:
    """Put the rate card."""
    client.put_rate_card("pages", "2026-01-01", CARD)


def fill(client: Client, account: str) -> None:
    """
    Create an account and use it.

    Calls: 4,500 s = 75 min at 0.06, less 20 free, are 3.30. Messages: 40 at 0.50 are 20.00. Sessions: 3 at 2 are 6.00,
    of a pool of their own without credit. The shared pool has 30.00 of promotional credit, of which 6.70 is left.
    """
    client.put_account(account, SETTINGS)
    client.grant(account, "30", f"{account}-welcome", reason="Welcome")
    client.take(
        event(account, "c1", "2026-11-20T09:00:00Z", "4500"),
        event(account, "m1", "2026-11-21T09:00:00Z", "40", "message"),
        event(account, "v1", "2026-11-22T09:00:00Z", "3", "virtual_agent"),
    )


def commit(client: Client, account: str, amount: str, starts_on: str) -> None:
    """Commit monthly credit of the shared pool."""
    body = {"amount": amount, "frequency": "monthly", "starts_on": starts_on}
    expect(200, client.ask("PUT", f"/v1/accounts/{account}/commitments/contact_center_services", body))


def pay_with(client: Client, account: str, token: str) -> None:
    """Give the account another card."""
    client.put_account(account, {**SETTINGS, "payment_method": {"type": "credit_card", "token": token}})


def pay_by_invoice(client: Client, account: str) -> None:
    """Let the account pay by invoice."""
    client.put_account(account, {**SETTINGS, "payment_method": {"type": "invoice"}})


def manage_credits(page: Page) -> None:
    """Open the dialog with the forms in it."""
    page.get_by_role("button", name="Manage credits").click()
    page.get_by_role("heading", name="One-time purchase").wait_for()
