"""Manage credits: buying once, whatever happens to requests and answers, and auto recharge."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Request, Route, expect

from tests.browser.samples import manage_credits, pay_by_invoice, pay_with
from tests.e2e.client import expect as expect_answer
from tests.e2e.server import Server


def purchases(server: Server, account: str) -> list[str]:
    """Return the amounts bought, by the ledger."""
    return [entry["amount"] for entry in server.client.ledger(account, kind="purchase")]


def is_purchase(request: Request) -> bool:
    """Tell whether a request asks for credit."""
    return request.method == "POST" and request.url.endswith("/credits/purchases")


def test_buying_credit_shows_the_new_balance(server: Server, account: str, page: Page) -> None:
    """A thousand, written as the reader does, is bought; dialog and page show 6.70 more."""
    manage_credits(page)
    page.get_by_label("Amount in USD", exact=True).fill("1,000")
    with page.expect_request(is_purchase) as request:
        page.get_by_role("button", name="Buy $1,000.00 of credit").click()

    expect(page.get_by_text("You bought $1,000.00 of credit. New balance: $1,006.70")).to_be_visible()
    assert json.loads(request.value.post_data or "") == {"amount": "1000"}
    assert purchases(server, account) == ["1000.00"]
    expect(page.locator(".headline")).to_have_text("$1,006.70credit left")
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("button", name="Manage credits")).to_be_focused()


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("99.99", "At least $100.00"),
        ("100.001", "Enter an amount, such as 100.00."),
        ("100,5", "Enter an amount, such as 100.00."),
        ("", "Enter an amount, such as 100.00."),
    ],
)
def test_an_amount_that_cannot_be_bought_is_told_at_the_field(
    server: Server, account: str, page: Page, typed: str, told: str
) -> None:
    """What the service refuses or the page cannot read is explained at the field, which keeps the focus."""
    manage_credits(page)
    field = page.get_by_label("Amount in USD", exact=True)
    field.fill(typed)
    page.keyboard.press("Enter")

    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description(re.compile("^" + re.escape(told)))
    expect(field).to_be_focused()
    assert purchases(server, account) == []


def test_a_declined_card_buys_nothing(server: Server, account: str, page: Page) -> None:
    """The page says so; with another card the next try is an intent of its own and succeeds."""
    pay_with(server.client, account, "tok_declined")
    manage_credits(page)
    page.get_by_label("Amount in USD", exact=True).fill("100")
    page.get_by_role("button", name="Buy $100.00").click()
    expect(page.get_by_role("status").get_by_text("The card was declined. Nothing was bought.")).to_be_visible()
    assert purchases(server, account) == []

    pay_with(server.client, account, "tok_ok")
    page.get_by_role("button", name="Buy $100.00").click()
    expect(page.get_by_text("New balance: $106.70")).to_be_visible()


def test_what_else_is_refused_is_told_in_the_services_words(server: Server, account: str, page: Page) -> None:
    """An account that came to pay by invoice while the dialog was open buys nothing."""
    manage_credits(page)
    pay_by_invoice(server.client, account)
    page.get_by_label("Amount in USD", exact=True).fill("100")
    page.get_by_role("button", name="Buy $100.00").click()

    reason = "Nothing was bought. only accounts that pay by card can buy credit"
    expect(page.get_by_role("status").get_by_text(reason)).to_be_visible()
    assert purchases(server, account) == []


def test_a_pending_purchase_is_followed_until_it_is_known(server: Server, account: str, page: Page) -> None:
    """An outcome that is not known yet is told as such, and the balance comes by itself."""
    pay_with(server.client, account, "tok_error")
    manage_credits(page)
    field = page.get_by_label("Amount in USD", exact=True)
    field.fill("100")
    page.get_by_role("button", name="Buy $100.00").click()
    expect(page.get_by_text("The payment of $100.00 is being confirmed.")).to_be_visible()
    expect(field).not_to_be_editable()

    expect_answer(200, server.client.ask("POST", "/v1/jobs/settle-payments/runs", {}))

    expect(page.get_by_text("You bought $100.00 of credit. New balance: $106.70")).to_be_visible()
    assert purchases(server, account) == ["100.00"]


def test_a_double_click_buys_once(server: Server, account: str, page: Page) -> None:
    """Two clicks on the button are one intent."""
    manage_credits(page)
    page.get_by_label("Amount in USD", exact=True).fill("100")
    page.get_by_role("button", name="Buy $100.00").dblclick()

    expect(page.get_by_text("New balance: $106.70")).to_be_visible()
    assert purchases(server, account) == ["100.00"]


def test_a_retry_after_a_lost_answer_buys_once(server: Server, account: str, page: Page) -> None:
    """The same key goes out again, also from a dialog that was closed meanwhile."""
    keys = []

    def lose_the_first_answer(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) == 1:
            route.fetch()
            route.abort()
        else:
            route.continue_()

    page.route("**/credits/purchases", lose_the_first_answer)
    manage_credits(page)
    page.get_by_label("Amount in USD", exact=True).fill("100")
    page.get_by_role("button", name="Buy $100.00").click()
    expect(page.get_by_text("The outcome is not known. Trying again buys only once.")).to_be_visible()
    page.keyboard.press("Escape")
    manage_credits(page)
    expect(page.get_by_label("Amount in USD", exact=True)).not_to_be_editable()

    page.get_by_role("button", name="Try again").click()

    expect(page.get_by_text("New balance: $106.70")).to_be_visible()
    assert len(keys) == 2
    assert len(set(keys)) == 1
    assert purchases(server, account) == ["100.00"]


def test_auto_recharge_is_switched_on_and_off(server: Server, account: str, page: Page) -> None:
    """What is saved is what the service has, and what the dialog shows when it is opened again."""
    manage_credits(page)
    page.get_by_role("switch", name="Auto recharge").check()
    page.get_by_label("Threshold in USD").fill("5.50")
    page.get_by_label("Recharge amount in USD").fill("100")
    page.get_by_label("Monthly limit in USD").fill("1,500")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("dialog").get_by_text("Auto recharge is on.")).to_have_count(2)
    path = f"/v1/accounts/{account}/auto-recharge"
    saved = {"enabled": True, "threshold": "5.50", "amount": "100.00", "monthly_limit": "1500.00", "status": "active"}
    assert saved.items() <= server.client.get(path).items()

    page.keyboard.press("Escape")
    expect(page.get_by_role("region", name="Contact center services")).to_contain_text("Auto recharge is on.")
    manage_credits(page)
    switch = page.get_by_role("switch", name="Auto recharge")
    expect(switch).to_be_checked()
    expect(page.get_by_label("Monthly limit in USD")).to_have_value("1500.00")
    switch.uncheck()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("dialog").get_by_text("Auto recharge is off.")).to_have_count(2)
    assert server.client.get(path)["enabled"] is False


def test_a_threshold_above_the_balance_is_refused_at_its_field(server: Server, account: str, page: Page) -> None:
    """The balance is 6.70, so that a threshold of 6.70 cannot be."""
    manage_credits(page)
    page.get_by_role("switch", name="Auto recharge").check()
    threshold = page.get_by_label("Threshold in USD")
    threshold.fill("6.70")
    page.get_by_label("Recharge amount in USD").fill("100")
    page.get_by_role("button", name="Save").click()

    expect(threshold).to_have_accessible_description(re.compile(r"^Must be below the current balance\."))
    expect(threshold).to_be_focused()
    expect(page.get_by_text("Save: this did not work.")).to_be_visible()
    assert server.client.get(f"/v1/accounts/{account}/auto-recharge")["enabled"] is False


def test_auto_recharge_that_failures_switched_off_says_so(page: Page) -> None:
    """The reason and what was spent stand above the switch."""
    setting: dict[str, Any] = {"enabled": False, "threshold": "5.00", "amount": "100.00", "monthly_limit": None}
    setting |= {"status": "disabled_after_failures", "failures": 3, "spent_this_month": "200.00"}
    page.route("**/auto-recharge", lambda route: route.fulfill(json=setting))
    manage_credits(page)

    expect(page.get_by_text("Auto recharge was switched off: 3 payments were declined.")).to_be_visible()
    expect(page.get_by_text("Spent this month: $200.00")).to_be_visible()
    expect(page.get_by_role("switch", name="Auto recharge")).not_to_be_checked()


def test_an_account_that_pays_by_invoice_is_told_why_it_cannot_buy(
    server: Server, account: str, open_page: Callable[..., Page]
) -> None:
    """The dialog has the reason in place of the forms."""
    pay_by_invoice(server.client, account)
    page = open_page()
    page.get_by_role("button", name="Manage credits").click()

    dialog = page.get_by_role("dialog", name="Manage credits")
    expect(dialog.get_by_text("This account pays by invoice.")).to_be_visible()
    expect(dialog.get_by_role("textbox")).to_have_count(0)


def test_a_reader_without_the_permission_is_told_so(
    server: Server, account: str, open_page: Callable[..., Page]
) -> None:
    """A token of `usage:read` alone shows the tab, and why credit cannot be bought."""
    page = open_page(token=server.token_for("usage:read", account=account))
    expect(page.locator(".headline")).to_have_text("$6.70credit left")
    page.get_by_role("button", name="Manage credits").click()

    expect(page.get_by_role("dialog").get_by_text("lacks the permission to buy credit (credits:write)")).to_be_visible()


@pytest.mark.parametrize(
    ("locale", "manage", "label", "buy", "told"),
    [
        ("pt-PT", "Gerir créditos", "Montante em USD", "Comprar 150,50", "Comprou 150,50"),
        ("es-ES", "Gestionar créditos", "Importe en USD", "Comprar 150,50", "Ha comprado 150,50"),
    ],
)
def test_other_languages_write_their_own_numbers_and_send_plain_ones(  # noqa: PLR0913 - the row of the table
    open_page: Callable[..., Page], locale: str, manage: str, label: str, buy: str, told: str
) -> None:
    """A decimal comma is read and shown, a decimal point is sent."""
    page = open_page(locale=locale)
    page.get_by_role("button", name=manage).click()
    page.get_by_label(label, exact=True).fill("150,50")
    with page.expect_request(is_purchase) as request:
        page.get_by_role("button", name=buy).click()

    expect(page.get_by_role("dialog").get_by_text(told)).to_be_visible()
    assert json.loads(request.value.post_data or "") == {"amount": "150.50"}
